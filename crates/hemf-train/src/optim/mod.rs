//! AdamW over named parameters, with two decay groups and visible moments.

use std::collections::HashMap;

use candle_core::{Result, Tensor, Var, backprop::GradStore, bail};
use serde::{Deserialize, Serialize};

mod update;

pub(crate) use update::sum_of_squares;
use update::{FirstMoment, SecondMoment, Walk};

/// The optimizer of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// Adam with decoupled weight decay.
    Adamw(AdamWConfig),
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::Adamw(AdamWConfig::default())
    }
}

/// Settings of [`AdamW`]; the defaults are the published recipe's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamWConfig {
    /// Learning rate that the schedule's factor multiplies.
    pub lr: f64,
    /// Decay rates of the running means of gradient and squared gradient.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Weight decay of every parameter that [`decays`].
    pub weight_decay: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { lr: 1e-4, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 1e-2 }
    }
}

/// Whether weight decay applies: to everything but one-dimensional tensors and biases.
pub fn decays(name: &str, rank: usize) -> bool {
    rank != 1 && !name.ends_with(".bias")
}

/// One parameter with what the optimizer remembers of it.
struct Slot {
    name: String,
    var: Var,
    /// Made at the parameter's first gradient.
    memory: Option<Memory>,
}

/// Running means of gradient and squared gradient, and how many gradients they have seen.
struct Memory {
    first: Tensor,
    second: Tensor,
    updates: i64,
}

/// AdamW (Loshchilov and Hutter, 2019), step for step as PyTorch computes it in float32.
///
/// For a parameter p with gradient g at its t-th update:
///
/// ```text
/// p <- p * (1 - lr * decay)
/// m <- m + (g - m) * (1 - beta1)
/// v <- beta2 * v + (1 - beta2) * g^2
/// p <- p - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
/// ```
///
/// A parameter without a gradient is left alone, decay included. Parameters are changed in place, so
/// every model that shares their storage follows.
pub struct AdamW {
    config: AdamWConfig,
    slots: Vec<Slot>,
}

impl AdamW {
    /// An optimizer over `parameters` (float32), in their order.
    pub fn new(config: AdamWConfig, parameters: Vec<(String, Var)>) -> Self {
        let slots = parameters.into_iter().map(|(name, var)| Slot { name, var, memory: None }).collect();
        Self { config, slots }
    }

    /// The settings.
    pub fn config(&self) -> &AdamWConfig {
        &self.config
    }

    /// Names of the parameters with decay and of those without, each in the order given.
    pub fn groups(&self) -> (Vec<&str>, Vec<&str>) {
        let (mut decay, mut no_decay) = (Vec::new(), Vec::new());
        for slot in &self.slots {
            let group = if slot.decays() { &mut decay } else { &mut no_decay };
            group.push(slot.name.as_str());
        }
        (decay, no_decay)
    }

    /// The parameters that `grads` says nothing about.
    pub fn without_gradient(&self, grads: &GradStore) -> Vec<&str> {
        self.slots.iter().filter(|slot| grads.get(&slot.var).is_none()).map(|slot| slot.name.as_str()).collect()
    }

    /// Euclidean norm of all gradients together, summed in f64 over fixed chunks; finite when every gradient is, since
    /// no square of an f32 is too large for an f64.
    pub fn gradient_norm(&self, grads: &GradStore) -> Result<f64> {
        let mut total = 0.0;
        for slot in &self.slots {
            if let Some(grad) = grads.get(&slot.var) {
                total += sum_of_squares(grad)?;
            }
        }
        Ok(total.sqrt())
    }

    /// The first parameter whose gradient is not finite.
    pub(crate) fn first_not_finite(&self, grads: &GradStore) -> Result<Option<&str>> {
        for slot in &self.slots {
            if let Some(grad) = grads.get(&slot.var)
                && !sum_of_squares(grad)?.is_finite()
            {
                return Ok(Some(&slot.name));
            }
        }
        Ok(None)
    }

    /// One update at `schedule_factor` times the learning rate, with every gradient multiplied by
    /// `gradient_scale` (1 for none). Takes the gradients out of `grads`, so that each is freed once used.
    pub fn step(&mut self, grads: &mut GradStore, schedule_factor: f64, gradient_scale: f64) -> Result<()> {
        let lr = self.config.lr * schedule_factor;
        for slot in &mut self.slots {
            let Some(mut grad) = grads.remove(&slot.var) else {
                continue;
            };
            if gradient_scale != 1.0 {
                grad = (grad * gradient_scale)?;
            }
            slot.update(&grad.contiguous()?, lr, &self.config)?;
        }
        Ok(())
    }

    /// What the optimizer remembers, by name, for a checkpoint: `first_moment.NAME`, `second_moment.NAME`
    /// (shape of the parameter) and `updates.NAME` (a scalar).
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let mut state = Vec::new();
        for slot in &self.slots {
            if let Some(memory) = &slot.memory {
                let updates = Tensor::new(memory.updates, slot.var.device())?;
                state.push((format!("first_moment.{}", slot.name), memory.first.clone()));
                state.push((format!("second_moment.{}", slot.name), memory.second.clone()));
                state.push((format!("updates.{}", slot.name), updates));
            }
        }
        Ok(state)
    }

    /// Takes back what [`AdamW::state`] gave. A parameter that `state` does not name starts afresh.
    ///
    /// # Errors
    /// When a moment has another shape than its parameter.
    pub fn restore(&mut self, state: &HashMap<String, Tensor>) -> Result<()> {
        for slot in &mut self.slots {
            let part = |kind: &str| state.get(&format!("{kind}.{}", slot.name));
            let (Some(first), Some(second), Some(updates)) =
                (part("first_moment"), part("second_moment"), part("updates"))
            else {
                slot.memory = None;
                continue;
            };
            if first.shape() != slot.var.shape() || second.shape() != slot.var.shape() {
                bail!("moments of {} have shape {:?}, the parameter {:?}", slot.name, first.dims(), slot.var.dims());
            }
            slot.memory = Some(Memory { first: first.copy()?, second: second.copy()?, updates: updates.to_scalar()? });
        }
        Ok(())
    }
}

impl Slot {
    fn decays(&self) -> bool {
        decays(&self.name, self.var.rank())
    }

    fn update(&mut self, grad: &Tensor, lr: f64, config: &AdamWConfig) -> Result<()> {
        let weight_decay = if self.decays() { config.weight_decay } else { 0.0 };
        let [beta1, beta2] = config.betas;
        let memory = match &mut self.memory {
            Some(memory) => memory,
            none => none.insert(Memory { first: self.var.zeros_like()?, second: self.var.zeros_like()?, updates: 0 }),
        };
        memory.updates += 1;
        let t = memory.updates as f64;
        let mean = FirstMoment { share: (1.0 - beta1) as f32 };
        let square = SecondMoment { keep: beta2 as f32, share: (1.0 - beta2) as f32 };
        let walk = Walk {
            shrink: (1.0 - lr * weight_decay) as f32,
            step: (lr / (1.0 - beta1.powf(t))) as f32,
            root_correction: (1.0 - beta2.powf(t)).sqrt() as f32,
            eps: config.eps as f32,
        };
        memory.first.inplace_op2(grad, &mean)?;
        memory.second.inplace_op2(grad, &square)?;
        self.var.inplace_op3(&memory.first, &memory.second, &walk)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn var(values: &[f32]) -> Var {
        Var::from_slice(values, values.len(), &Device::Cpu).unwrap()
    }

    fn numbers(var: &Var) -> Vec<f32> {
        var.to_vec1().unwrap()
    }

    #[test]
    fn matrices_decay_and_vectors_and_biases_do_not() {
        assert!(decays("conv.weight", 4) && decays("mk.weight", 2));
        assert!(!decays("norm.weight", 1) && !decays("conv.bias", 1) && !decays("odd.bias", 2));
    }

    #[test]
    fn steps_follow_the_formula_computed_in_f64() {
        let config = AdamWConfig { lr: 0.1, weight_decay: 0.5, ..AdamWConfig::default() };
        let weight = Var::from_slice(&[1f32, -2.0, 0.5], (1, 3), &Device::Cpu).unwrap();
        let mut optimizer = AdamW::new(config.clone(), vec![("w".to_owned(), weight.clone())]);
        let (mut p, mut m, mut v) = ([1f64, -2.0, 0.5], [0f64; 3], [0f64; 3]);
        for t in 1..=5 {
            // loss = sum of w^3, so g = 3 w^2
            let loss = weight.powf(3.0).unwrap().sum_all().unwrap();
            optimizer.step(&mut loss.backward().unwrap(), 0.5, 2.0).unwrap();
            let lr = config.lr * 0.5;
            for i in 0..3 {
                let g = 2.0 * 3.0 * p[i] * p[i];
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                let (m_hat, v_hat) = (m[i] / (1.0 - 0.9f64.powi(t)), v[i] / (1.0 - 0.999f64.powi(t)));
                p[i] = p[i] * (1.0 - lr * 0.5) - lr * m_hat / (v_hat.sqrt() + 1e-8);
            }
            let got = weight.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for (got, expected) in got.iter().zip(p) {
                assert!((f64::from(*got) - expected).abs() < 2e-6, "step {t}: {got} {expected}");
            }
        }
    }

    #[test]
    fn a_parameter_without_gradient_is_named_and_left_alone() {
        let (used, idle) = (var(&[1.0]), var(&[2.0]));
        let parameters = vec![("used".to_owned(), used.clone()), ("idle".to_owned(), idle.clone())];
        let mut optimizer = AdamW::new(AdamWConfig::default(), parameters);
        let mut grads = used.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        assert_eq!(optimizer.without_gradient(&grads), ["idle"]);
        assert_eq!(optimizer.gradient_norm(&grads).unwrap(), 2.0);
        optimizer.step(&mut grads, 1.0, 1.0).unwrap();
        assert_eq!(numbers(&idle), [2.0]);
        assert_ne!(numbers(&used), [1.0]);
        let names: Vec<String> = optimizer.state().unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["first_moment.used", "second_moment.used", "updates.used"]);
    }

    #[test]
    fn moments_of_another_shape_are_refused_by_name() {
        let mut optimizer = AdamW::new(AdamWConfig::default(), vec![("w".to_owned(), var(&[1.0]))]);
        let moment = Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap();
        let state = HashMap::from([
            ("first_moment.w".to_owned(), moment.clone()),
            ("second_moment.w".to_owned(), moment),
            ("updates.w".to_owned(), Tensor::new(1i64, &Device::Cpu).unwrap()),
        ]);
        let error = optimizer.restore(&state).unwrap_err().to_string();
        assert!(error.contains("moments of w have shape [2]"), "{error}");
    }
}
