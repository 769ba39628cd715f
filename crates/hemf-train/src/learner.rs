//! One optimizer step: forward, loss, backward, update.

use candle_core::Tensor;
use hemf_kernels::CrossEntropyOptions;
use hemf_model::{Classifier, Mode};

use crate::{AdamW, Error, Schedule, predict::hits};

/// A network with the optimizer that changes it.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use hemf_model::{ModelConfig, ParamStore};
/// use hemf_train::{AdamW, AdamWConfig, Learner, Schedule, ScheduleConfig};
///
/// let config = ModelConfig::preset("hemf-nano").expect("a known preset").with_classes(2);
/// let store = ParamStore::new(1, &Device::Cpu);
/// let model = config.build(store.builder())?;
/// let optimizer = AdamW::new(AdamWConfig::default(), store.parameters());
/// let schedule = Schedule::new(&ScheduleConfig::default(), 10, 3); // 10 steps per epoch, 3 epochs
/// let mut learner = Learner::new(model, optimizer, schedule, None);
///
/// let images = Tensor::randn(0f32, 1.0, (2, 3, 64, 64), &Device::Cpu)?;
/// let labels = Tensor::new(&[0u32, 1], &Device::Cpu)?;
/// let step = learner.step(&images, &labels, 0, 1)?;
/// assert!(step.loss.is_finite());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Learner {
    model: Box<dyn Classifier>,
    optimizer: AdamW,
    schedule: Schedule,
    clip_norm: Option<f64>,
}

/// What a step saw before it changed the parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Mean cross entropy of the batch.
    pub loss: f32,
    /// Images of the batch classified correctly.
    pub hits: usize,
    /// Norm of all gradients together, before clipping; unknown where the loss is not finite.
    pub gradient_norm: Option<f64>,
    /// The loss or gradient that is not finite, in words. The parameters were then left as they are; the running
    /// statistics of batch norm have moved in the forward pass, as in every step.
    pub diverged: Option<String>,
}

impl Learner {
    /// `optimizer` must be over variables of `model`; `clip_norm` limits the norm of all gradients together.
    pub fn new(model: Box<dyn Classifier>, optimizer: AdamW, schedule: Schedule, clip_norm: Option<f64>) -> Self {
        Self { model, optimizer, schedule, clip_norm }
    }

    /// Learns from `images` (B, C, H, W) with `labels` (B), u32, as optimizer step number `index` (from 0).
    /// `seed` decides the network's own random draws.
    ///
    /// # Errors
    /// A failing tensor operation; at step 0 [`Error::NoGradient`], when a parameter is out of the loss's reach.
    pub fn step(&mut self, images: &Tensor, labels: &Tensor, index: usize, seed: u64) -> Result<Step, Error> {
        let logits = self.model.forward(images, Mode::Train { seed })?;
        let loss = hemf_kernels::cross_entropy(&logits, labels, &CrossEntropyOptions::default())?;
        let mut step =
            Step { loss: loss.to_scalar()?, hits: hits(&logits, labels)?, gradient_norm: None, diverged: None };
        if !step.loss.is_finite() {
            step.diverged = Some(format!("the loss is {}", step.loss));
            return Ok(step);
        }

        let mut grads = loss.backward()?;
        if index == 0 {
            self.check_coverage(&grads)?;
        }
        let norm = self.optimizer.gradient_norm(&grads)?;
        step.gradient_norm = Some(norm);
        if !norm.is_finite() {
            let name = self.optimizer.first_not_finite(&grads)?.unwrap_or_default();
            step.diverged = Some(format!("the gradient of {name} is not finite"));
            return Ok(step);
        }
        let scale = self.clip_norm.map_or(1.0, |limit| (limit / norm).min(1.0));
        self.optimizer.step(&mut grads, self.schedule.factor(index), scale)?;
        Ok(step)
    }

    /// The learning rate of step number `index`.
    pub fn rate(&self, index: usize) -> f64 {
        self.optimizer.config().lr * self.schedule.factor(index)
    }

    /// The optimizer, for its moments.
    pub fn optimizer(&self) -> &AdamW {
        &self.optimizer
    }

    /// An operation without a backward pass leaves everything below it untrained, in silence: refuse to.
    fn check_coverage(&self, grads: &candle_core::backprop::GradStore) -> Result<(), Error> {
        let names = self.optimizer.without_gradient(grads);
        if names.is_empty() {
            return Ok(());
        }
        let names = names.into_iter().map(str::to_owned).collect();
        Err(Error::NoGradient { names })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::{AdamWConfig, ScheduleConfig};

    /// Logits that are roots of a parameter: at 0 they are finite, and their gradient is not.
    struct Roots(Var);

    impl Classifier for Roots {
        fn forward(&self, _images: &Tensor, _mode: Mode) -> candle_core::Result<Tensor> {
            self.0.sqrt()
        }
    }

    #[test]
    fn a_gradient_that_is_not_finite_is_named_and_not_applied() {
        let var = Var::from_slice(&[0f32, 4.0], (1, 2), &Device::Cpu).unwrap();
        let schedule = Schedule::new(&ScheduleConfig::default(), 1, 1);
        for clip_norm in [None, Some(1.0)] {
            let optimizer = AdamW::new(AdamWConfig::default(), vec![("roots".to_owned(), var.clone())]);
            let mut learner = Learner::new(Box::new(Roots(var.clone())), optimizer, schedule.clone(), clip_norm);
            let labels = Tensor::new(&[1u32], &Device::Cpu).unwrap();
            let step = learner.step(&labels, &labels, 1, 0).unwrap();
            assert!(step.loss.is_finite());
            assert_eq!(step.diverged.as_deref(), Some("the gradient of roots is not finite"));
            assert_eq!(var.to_vec2::<f32>().unwrap(), [[0.0, 4.0]]);
            assert!(learner.optimizer().state().unwrap().is_empty());
        }
    }
}
