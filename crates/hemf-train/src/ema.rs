//! A running mean of the weights, which often does better than the weights themselves.

use std::collections::HashMap;

use candle_core::{DType, Tensor};
use hemf_model::{Classifier, ModelConfig, ParamStore};

use crate::{Error, optim::Towards};

/// The exponential moving average of parameters and running statistics.
///
/// At the t-th update (from 1) the mean moves towards the weights by 1 - d, with d = min(decay, (1 + t) / (10 + t)): it
/// forgets the initial values soon, as TensorFlow's and timm's do.
pub(crate) struct Ema {
    decay: f64,
    store: ParamStore,
}

/// How the mean's tensors are named in a checkpoint's state.
const PREFIX: &str = "ema.";

impl Ema {
    /// A mean that stands at the values of `weights`.
    pub(crate) fn new(decay: f64, model: &ModelConfig, weights: &ParamStore) -> Result<Self, Error> {
        let store = ParamStore::new(0, weights.device());
        model.build(store.builder())?;
        for (name, tensor) in weights.state() {
            store.set(&name, &tensor)?;
        }
        Ok(Self { decay, store })
    }

    /// A network that always has the mean's weights.
    pub(crate) fn network(&self, model: &ModelConfig) -> Result<Box<dyn Classifier>, Error> {
        Ok(model.build(self.store.frozen_builder())?)
    }

    /// Follows `weights` after optimizer step number `step`, counted from 1.
    pub(crate) fn update(&self, weights: &ParamStore, step: usize) -> Result<(), Error> {
        let t = step as f64;
        let decay = self.decay.min((1.0 + t) / (10.0 + t));
        let share = (1.0 - decay) as f32;
        let (means, weights) = (self.store.state(), weights.state());
        let pairs = means.iter().zip(&weights);
        let (at_once, others): (Vec<_>, Vec<_>) = pairs.partition(|((_, mean), _)| hemf_kernels::suits_at_once(mean));
        let at_once: Vec<_> = at_once.into_iter().map(|((_, mean), (_, now))| (mean, now)).collect();
        hemf_kernels::move_means(&at_once, share)?;
        for ((name, mean), (_, now)) in others {
            match mean.dtype() {
                DType::F32 if hemf_kernels::native(now) => mean.inplace_op2(now, &Towards { share })?,
                DType::F32 => self.store.set(name, &Towards { share }.composed(mean, now)?)?,
                _ => self.store.set(name, now)?, // a count
            }
        }
        Ok(())
    }

    /// The mean under the published names.
    pub(crate) fn tensors(&self) -> Vec<(String, Tensor)> {
        self.store.state()
    }

    /// The mean as part of a checkpoint's state.
    pub(crate) fn state(&self) -> Vec<(String, Tensor)> {
        self.tensors().into_iter().map(|(name, tensor)| (format!("{PREFIX}{name}"), tensor)).collect()
    }

    /// Takes back what [`Ema::state`] gave; the name of a tensor that is not there, if any.
    pub(crate) fn restore(&self, state: &HashMap<String, Tensor>) -> Result<Option<String>, Error> {
        for (name, _) in self.tensors() {
            match state.get(&format!("{PREFIX}{name}")) {
                Some(tensor) => self.store.set(&name, tensor)?,
                None => return Ok(Some(name)),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn the_mean_follows_the_formula() {
        let model = ModelConfig::preset("hemf-nano").unwrap().with_classes(2);
        let weights = ParamStore::new(1, &Device::Cpu);
        model.build(weights.builder()).unwrap();
        let ema = Ema::new(0.25, &model, &weights).unwrap();
        let value = |store: &ParamStore| {
            let (_, tensor) = store.state().into_iter().find(|(name, _)| name == "conv_head.bias").unwrap();
            tensor.to_vec1::<f32>().unwrap()[0]
        };
        for (step, now) in [(1, 1.0f32), (2, 2.0)] {
            weights.set("conv_head.bias", &Tensor::new(&[now, 0.0], &Device::Cpu).unwrap()).unwrap();
            ema.update(&weights, step).unwrap();
        }
        // d is 2/11 at the first update, then 3/12 = 0.25.
        let first = 1.0 - 2.0 / 11.0;
        assert!((f64::from(value(&ema.store)) - (0.25 * first + 0.75 * 2.0)).abs() < 1e-6);

        let state = ema.state().into_iter().collect();
        let other = Ema::new(0.25, &model, &ParamStore::clone(&weights)).unwrap();
        assert_eq!(other.restore(&state).unwrap(), None);
        assert_eq!(value(&other.store), value(&ema.store));
        assert_eq!(other.restore(&HashMap::new()).unwrap().as_deref(), Some("downsample_layers.0.0.weight"));
    }
}
