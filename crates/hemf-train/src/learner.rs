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

/// What a step saw before it changed the network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Mean cross entropy of the batch. When it is not finite, the network was left as it is.
    pub loss: f32,
    /// Images of the batch classified correctly.
    pub hits: usize,
    /// Norm of all gradients together, before clipping; known where there is a limit.
    pub gradient_norm: Option<f64>,
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
        let mut step = Step { loss: loss.to_scalar()?, hits: hits(&logits, labels)?, gradient_norm: None };
        if !step.loss.is_finite() {
            return Ok(step);
        }

        let mut grads = loss.backward()?;
        if index == 0 {
            self.check_coverage(&grads)?;
        }
        let mut scale = 1.0;
        if let Some(limit) = self.clip_norm {
            let norm = self.optimizer.gradient_norm(&grads)?;
            scale = (limit / norm).min(1.0);
            step.gradient_norm = Some(norm);
        }
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
