//! One optimizer step: forward, loss, backward, update.

use std::{collections::HashMap, rc::Rc};

use candle_core::{DType, Tensor};
use hemf_kernels::{Part, Rounded, Sums, as_part, native};
use hemf_model::{Classifier, Mode};

use crate::{
    Error, Loss, Optimizer, Precision, Schedule, Targets, World,
    optim::{GradientScale, Gradients, gradient_norm, sums_of_squares},
    predict::{hits, hits_there},
    world::Buckets,
};

/// A network with the loss and the optimizer that change it.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use hemf_model::{ModelConfig, ParamStore};
/// use hemf_train::{Learner, Loss, Optimizer, OptimizerConfig, Schedule, ScheduleConfig};
///
/// let config = ModelConfig::preset("hemf-nano").expect("a known preset").with_classes(2);
/// let store = ParamStore::new(1, &Device::Cpu);
/// let model = config.build(store.builder())?;
/// let optimizer = Optimizer::new(OptimizerConfig::default(), store.parameters());
/// let schedule = Schedule::new(&ScheduleConfig::default(), 10, 3); // 10 steps per epoch, 3 epochs
/// let mut learner = Learner::new(model, Loss::default(), optimizer, schedule, None);
///
/// let images = Tensor::randn(0f32, 1.0, (2, 3, 64, 64), &Device::Cpu)?;
/// let labels = Tensor::new(&[0u32, 1], &Device::Cpu)?;
/// let step = learner.step(&images, &labels, 0, 1)?;
/// assert!(step.loss.is_finite());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Learner {
    model: Box<dyn Classifier>,
    loss: Loss,
    optimizer: Optimizer,
    schedule: Schedule,
    clip_norm: Option<f64>,
    world: Rc<World>,
    /// Whether batch norm is over the batches of all ranks.
    synchronised: bool,
    /// Of the network's maps.
    dtype: DType,
}

/// What a step saw before it changed the parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Mean loss of its images, by their weights.
    pub loss: f64,
    /// Images classified correctly.
    pub hits: usize,
    /// Norm of all gradients together, before clipping; unknown where the loss is not finite.
    pub gradient_norm: Option<f64>,
    /// The loss or gradient that is not finite, in words. The parameters were then left as they are; the running
    /// statistics of batch norm have moved in the forward pass, as in every step.
    pub diverged: Option<String>,
}

/// A batch to learn from, or a rank's share of one.
#[derive(Clone, Copy, Debug)]
pub struct StepBatch<'a> {
    /// (B, C, H, W)
    pub images: &'a Tensor,
    /// What they are.
    pub targets: Targets<'a>,
    /// Decides the network's own random draws.
    pub seed: u64,
    /// The place of the first image in the whole batch: 0 but for a share of one.
    pub first: usize,
}

/// A step that was taken: [`Learner::read`] tells what it saw. On a GPU it may still be under way.
pub struct Taken(Numbers);

enum Numbers {
    Read(Step),
    There {
        /// (2 + gradients), f64, on the device: loss times weight, hits, and of each gradient the sum of its squares.
        numbers: Tensor,
        /// The parameters of the gradients.
        places: Vec<usize>,
        weight: f64,
        /// What the gradients are multiplied by to be means.
        share: f64,
    },
}

/// What the batches of a step add up to.
pub struct Gathered {
    batches: usize,
    /// Of one batch its gradients; of several the sum of gradients times weight. Until the last batch they are of this
    /// rank alone.
    grads: Gradients,
    weight: f64,
    seen: Seen,
    diverged: Option<String>,
}

/// Sum of the batches' losses times weight, and their hits.
enum Seen {
    Read {
        loss: f64,
        hits: usize,
    },
    /// (2), f64, on the device.
    There(Tensor),
}

impl Learner {
    /// `optimizer` must be over variables of `model`; `clip_norm` limits the norm of all gradients together.
    pub fn new(
        model: Box<dyn Classifier>,
        loss: Loss,
        optimizer: Optimizer,
        schedule: Schedule,
        clip_norm: Option<f64>,
    ) -> Self {
        Self {
            model,
            loss,
            optimizer,
            schedule,
            clip_norm,
            world: Rc::default(),
            synchronised: false,
            dtype: DType::F32,
        }
    }

    /// Learns together with the other ranks of `world`, each from its share of every batch: losses are those of the whole
    /// batch, and gradients are added up. With `synchronised`, batch norm is over the whole batch too.
    pub fn among(self, world: Rc<World>, synchronised: bool) -> Self {
        Self { world, synchronised, ..self }
    }

    /// Whether the insides of blocks are run again in the backward pass instead of being kept.
    ///
    /// # Errors
    /// For a network that cannot.
    pub fn recompute(&mut self, on: bool) -> candle_core::Result<()> {
        self.model.recompute(on)
    }

    /// What the network's maps are from here on; at first they are f32. (For TF32 the device is prepared elsewhere:
    /// [`Precision::prepare`].)
    pub fn compute_in(&mut self, precision: Precision) {
        self.dtype = precision.dtype();
    }

    /// Learns from `images` (B, C, H, W) with `targets`, as optimizer step number `index` (from 0). `seed` decides the
    /// network's own random draws.
    ///
    /// # Errors
    /// As [`Learner::step_over`].
    pub fn step<'a>(
        &mut self,
        images: &'a Tensor,
        targets: impl Into<Targets<'a>>,
        index: usize,
        seed: u64,
    ) -> Result<Step, Error> {
        self.step_over(&[StepBatch { images, targets: targets.into(), seed, first: 0 }], index)
    }

    /// Learns from one batch or more in optimizer step number `index` (from 0). The gradients of several are averaged by
    /// what the batches weigh in the loss, so that they add up to those of one large batch (but for batch norm, which sees
    /// each batch alone).
    ///
    /// # Errors
    /// As [`Learner::gather`], [`Learner::apply`] and [`Learner::read`].
    pub fn step_over(&mut self, batches: &[StepBatch<'_>], index: usize) -> Result<Step, Error> {
        let taken = self.take(batches, index)?;
        self.read(taken)
    }

    /// As [`Learner::step_over`], but does not wait for a GPU to be done.
    ///
    /// # Errors
    /// As [`Learner::gather`] and [`Learner::apply`].
    pub fn take(&mut self, batches: &[StepBatch<'_>], index: usize) -> Result<Taken, Error> {
        let gathered = self.gather(batches, index)?;
        self.apply(gathered, index)
    }

    /// The first half of [`Learner::step_over`]: losses and gradients.
    ///
    /// # Errors
    /// A failing tensor operation; a rank that is lost; at step 0 [`Error::NoGradient`], when a parameter is out of the
    /// loss's reach.
    pub fn gather(&self, batches: &[StepBatch<'_>], index: usize) -> Result<Gathered, Error> {
        let over_all = self.synchronised && !self.world.is_alone();
        let mut gathered = Gathered::new(self.optimizer.len());
        let weights = (self.dtype == DType::BF16).then(|| Rounded::of(self.optimizer.tensors())).transpose()?;
        let weights = weights.unwrap_or_default();
        for (place, batch) in batches.iter().enumerate() {
            let sums = over_all.then(|| Rc::clone(&self.world) as Rc<dyn Sums>);
            let last = place + 1 == batches.len();
            let part = Part { first: batch.first, sums };
            weights.within(|| as_part(part, || self.add(&mut gathered, batch, last)))?;
            if gathered.diverged.is_some() {
                break;
            }
            if index == 0 && place == 0 {
                check_coverage(&self.optimizer, &gathered.grads)?;
            }
        }
        Ok(gathered)
    }

    /// Adds a batch to what was gathered. The gradients of the step's last are summed over the ranks while the backward
    /// pass goes on.
    fn add(&self, gathered: &mut Gathered, batch: &StepBatch<'_>, last: bool) -> Result<(), Error> {
        let images = &batch.images.to_device(self.optimizer.device())?.to_dtype(self.dtype)?;
        let ((logits, loss, weight), tape) = hemf_kernels::record(|| {
            let logits = self.model.forward(images, Mode::Train { seed: batch.seed })?.to_dtype(DType::F32)?;
            let (loss, weight) = self.loss.of(&logits, batch.targets)?;
            Ok((logits, loss, weight))
        })?;
        let of_all = match self.reads_at_once(&loss) {
            true => self.read_batch(gathered, batch, &logits, &loss, weight)?,
            false => gathered.keep_batch(batch, &logits, &loss, weight)?,
        };
        let Some(of_all) = of_all else { return Ok(()) };
        // What the ranks go back from adds up to the loss of the whole batch.
        let loss = if self.world.is_alone() { loss } else { (loss * (weight / of_all))? };
        let mut buckets = self.world.buckets().filter(|_| last);
        tape.backward_each(&loss, |variable, gradient| {
            let Some(place) = self.optimizer.place(variable) else { return Ok(()) };
            let gradient = gathered.add(place, gradient, of_all)?;
            buckets.as_mut().map_or(Ok(()), |buckets| buckets.add(place, gradient))
        })?;
        for (place, sum) in buckets.map(Buckets::finish).transpose()?.into_iter().flatten() {
            gathered.grads[place] = Some(sum);
        }
        gathered.weight += of_all;
        gathered.batches += 1;
        Ok(())
    }

    /// Whether a batch's numbers are read before its gradients are made: the processor has them at hand, and several ranks
    /// agree on them.
    fn reads_at_once(&self, loss: &Tensor) -> bool {
        native(loss) || !self.world.is_alone()
    }

    /// Adds up loss and hits of the whole batch; its weight, or nothing where the loss is not finite.
    fn read_batch(
        &self,
        gathered: &mut Gathered,
        batch: &StepBatch<'_>,
        logits: &Tensor,
        loss: &Tensor,
        weight: f64,
    ) -> Result<Option<f64>, Error> {
        let value = loss.to_scalar::<f32>()?;
        let mut of_all = [f64::from(value) * weight, weight, hits(logits, batch.targets.labels)? as f64];
        self.world.sum(&mut of_all)?;
        let [loss, weight, hits] = of_all;
        if let Seen::Read { loss: sum, hits: before } = &mut gathered.seen {
            *sum += loss;
            *before += hits as usize;
        }
        if loss.is_finite() {
            return Ok(Some(weight));
        }
        let value = if self.world.is_alone() { value } else { (loss / weight) as f32 };
        gathered.diverged = Some(format!("the loss is {value}"));
        Ok(None)
    }

    /// The second half: optimizer step number `index` with what was gathered. On a GPU it does not wait for numbers, and
    /// takes a step by ones that are not finite: [`Learner::read`] tells.
    ///
    /// # Errors
    /// A failing tensor operation.
    pub fn apply(&mut self, gathered: Gathered, index: usize) -> Result<Taken, Error> {
        let Gathered { batches, grads, seen, weight, diverged } = gathered;
        // One batch's loss and gradients are means already.
        let share = if batches > 1 { 1.0 / weight } else { 1.0 };
        let (loss, hits) = match seen {
            Seen::Read { loss, hits } => (loss, hits),
            Seen::There(seen) => return self.apply_unread(grads, &seen, weight, share, index),
        };
        let mut step = Step { loss: loss / weight, hits, gradient_norm: None, diverged };
        if step.diverged.is_some() {
            step.loss = f64::NAN;
            return Ok(Taken(Numbers::Read(step)));
        }
        let norm = gradient_norm(&grads)? * share;
        step.gradient_norm = Some(norm);
        if !norm.is_finite() {
            let name = self.optimizer.first_not_finite(&grads)?.unwrap_or_default();
            step.diverged = Some(format!("the gradient of {name} is not finite"));
            return Ok(Taken(Numbers::Read(step)));
        }
        let clip = self.clip_norm.map_or(1.0, |limit| (limit / norm).min(1.0));
        self.optimizer.step(grads, self.schedule.factor(index), share * clip)?;
        Ok(Taken(Numbers::Read(step)))
    }

    /// [`Learner::apply`] without knowing the numbers: the norm, and what clipping makes of it, stay where they are.
    fn apply_unread(
        &mut self,
        grads: Gradients,
        seen: &Tensor,
        weight: f64,
        share: f64,
        index: usize,
    ) -> Result<Taken, Error> {
        let (places, squares) = sums_of_squares(&grads)?;
        let scale = match self.clip_norm {
            None => GradientScale::Known(share),
            Some(limit) => {
                let norm = (squares.sum_all()?.sqrt()? * share)?;
                let clip = (norm.recip()? * limit)?.minimum(1.0)?;
                GradientScale::There((clip * share)?.to_dtype(DType::F32)?)
            }
        };
        self.optimizer.step(grads, self.schedule.factor(index), scale)?;
        let numbers = Tensor::cat(&[seen, &squares], 0)?;
        Ok(Taken(Numbers::There { numbers, places, weight, share }))
    }

    /// What a step saw; waits for it.
    ///
    /// # Errors
    /// The device's.
    pub fn read(&self, taken: Taken) -> Result<Step, Error> {
        let (numbers, places, weight, share) = match taken.0 {
            Numbers::Read(step) => return Ok(step),
            Numbers::There { numbers, places, weight, share } => (numbers.to_vec1::<f64>()?, places, weight, share),
        };
        let (seen, squares) = numbers.split_at(2);
        let (loss, hits) = (seen[0] / weight, seen[1] as usize);
        if !loss.is_finite() {
            let diverged = Some(format!("the loss is {}", loss as f32));
            return Ok(Step { loss: f64::NAN, hits, gradient_norm: None, diverged });
        }
        let norm = squares.iter().sum::<f64>().sqrt() * share;
        let odd = squares.iter().zip(&places).find(|(square, _)| !square.is_finite());
        let diverged = odd.map(|(_, place)| format!("the gradient of {} is not finite", self.optimizer.name(*place)));
        Ok(Step { loss, hits, gradient_norm: Some(norm), diverged })
    }

    /// The learning rate of step number `index`.
    pub fn rate(&self, index: usize) -> f64 {
        self.optimizer.config().lr() * self.schedule.factor(index)
    }

    /// The schedule.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Takes back what the optimizer remembered ([`Optimizer::state`]).
    ///
    /// # Errors
    /// When a tensor has another shape than its parameter.
    pub fn restore(&mut self, state: &HashMap<String, Tensor>) -> candle_core::Result<()> {
        self.optimizer.restore(state)
    }

    /// The optimizer, for its moments.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }
}

impl Taken {
    /// What the step saw, where that is known without waiting.
    pub fn known(&self) -> Option<&Step> {
        match &self.0 {
            Numbers::Read(step) => Some(step),
            Numbers::There { .. } => None,
        }
    }
}

impl Gathered {
    fn new(parameters: usize) -> Self {
        let seen = Seen::Read { loss: 0.0, hits: 0 };
        Self { batches: 0, grads: vec![None; parameters], weight: 0.0, seen, diverged: None }
    }

    /// Adds up loss and hits of a batch where they are; its weight.
    fn keep_batch(
        &mut self,
        batch: &StepBatch<'_>,
        logits: &Tensor,
        loss: &Tensor,
        weight: f64,
    ) -> candle_core::Result<Option<f64>> {
        let loss = (loss.detach().to_dtype(DType::F64)? * weight)?;
        let here = Tensor::stack(&[loss, hits_there(logits, batch.targets.labels)?], 0)?;
        self.seen = Seen::There(match &self.seen {
            Seen::There(sum) => (sum + here)?,
            Seen::Read { .. } => here,
        });
        Ok(Some(weight))
    }

    /// Adds the gradient of the parameter at `place` by a batch of this `weight`; returns what there is of it now.
    fn add(&mut self, place: usize, grad: Tensor, weight: f64) -> candle_core::Result<&Tensor> {
        let sum = match self.grads[place].take() {
            None => grad,
            Some(sum) => {
                let sum = if self.batches == 1 { (sum * self.weight)? } else { sum };
                (sum + (grad * weight)?)?
            }
        };
        Ok(self.grads[place].insert(sum))
    }
}

/// An operation without a backward pass leaves everything below it untrained, in silence: refuse to.
fn check_coverage(optimizer: &Optimizer, grads: &Gradients) -> Result<(), Error> {
    let names = optimizer.without_gradient(grads);
    if names.is_empty() {
        return Ok(());
    }
    let names = names.into_iter().map(str::to_owned).collect();
    Err(Error::NoGradient { names })
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use hemf_model::{Branches, HemfConfig, ModelConfig, ParamStore};

    use super::*;
    use crate::{LossConfig, OptimizerConfig, ScheduleConfig, SgdConfig, loss::ClassWeights};

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
            let optimizer = Optimizer::new(OptimizerConfig::default(), vec![("roots".to_owned(), var.clone())]);
            let model = Box::new(Roots(var.clone()));
            let mut learner = Learner::new(model, Loss::default(), optimizer, schedule.clone(), clip_norm);
            let labels = Tensor::new(&[1u32], &Device::Cpu).unwrap();
            let step = learner.step(&labels, &labels, 1, 0).unwrap();
            assert!(step.loss.is_finite());
            assert_eq!(step.diverged.as_deref(), Some("the gradient of roots is not finite"));
            assert_eq!(var.to_vec2::<f32>().unwrap(), [[0.0, 4.0]]);
            assert!(learner.optimizer().state().unwrap().is_empty());
        }
    }

    /// The local branch alone has no batch norm. The batches have unequal sizes and weights.
    #[test]
    fn batches_gathered_are_one_large_batch() {
        let sizes = HemfConfig { dims: [16, 16, 32, 32], elf_depths: [1; 4], ..HemfConfig::default() };
        let model = ModelConfig::Hemf(HemfConfig { branches: Branches::Local, ..sizes }).with_classes(3);
        let images = Tensor::randn(0f32, 1.0, (5, 3, 32, 32), &Device::Cpu).unwrap();
        let labels = Tensor::new(&[0u32, 2, 1, 1, 0], &Device::Cpu).unwrap();
        let loss = LossConfig::Focal(crate::FocalConfig {
            class_weights: ClassWeights::Balanced {},
            label_smoothing: 0.1,
            ..Default::default()
        });
        let learn = |parts: &[(usize, usize)]| {
            let store = ParamStore::new(1, &Device::Cpu);
            let network = model.build(store.builder()).unwrap();
            let sgd = SgdConfig { lr: 0.1, ..SgdConfig::default() };
            let optimizer = Optimizer::new(OptimizerConfig::Sgd(sgd), store.parameters());
            let schedule = Schedule::new(&ScheduleConfig::default(), 1, 1);
            let loss = Loss::new(&loss, &[2, 2, 1]).unwrap();
            let mut learner = Learner::new(network, loss, optimizer, schedule, Some(0.05));
            let part = |&(from, count): &(usize, usize)| {
                [&images, &labels].map(|tensor| tensor.narrow(0, from, count).unwrap())
            };
            let parts: Vec<_> = parts.iter().map(part).collect();
            let batches: Vec<_> = parts
                .iter()
                .map(|[images, labels]| StepBatch { images, targets: labels.into(), seed: 7, first: 0 })
                .collect();
            (learner.step_over(&batches, 0).unwrap(), learner.optimizer().state().unwrap())
        };
        let (whole, whole_moments) = learn(&[(0, 5)]);
        let (parts, moments) = learn(&[(0, 2), (2, 1), (3, 2)]);
        assert_eq!(whole.hits, parts.hits);
        assert!((whole.loss - parts.loss).abs() < 1e-6, "{} {}", whole.loss, parts.loss);
        let (a, b) = (whole.gradient_norm.unwrap(), parts.gradient_norm.unwrap());
        assert!(a > 0.05 && (a / b - 1.0).abs() < 1e-5, "{a} {b}");
        for ((name, whole), (_, parts)) in whole_moments.iter().zip(&moments) {
            let apart = (whole - parts).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
            assert!(apart.to_scalar::<f32>().unwrap() < 1e-6, "{name}");
        }
    }
}
