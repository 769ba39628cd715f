//! What a run would take: counted, and timed on a few steps of it.

use std::{
    fmt,
    rc::Rc,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use candle_core::Tensor;
use hemf_model::Mode;
use serde::Serialize;

use super::{
    Trainer,
    memory::{fits, no_room, room},
    parts::Parts,
};
use crate::{
    Error, Event, Every, Observer, OptimizerConfig, Precision, RunConfig, StepBatch, Targets, Validate, dataset,
    process::peak_memory,
    room::lower,
    words::{duration, in_words},
};

/// What a run would take.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Learned values of the network.
    pub parameters: usize,
    /// Those of them that this recipe trains.
    pub trained: usize,
    /// Multiplications with an addition each, for one image forwards; a training step takes about three times as many.
    pub multiply_adds: u64,
    /// Bytes of memory, expected.
    pub memory: MemoryPlan,
    /// Images to train on.
    pub training_images: usize,
    /// Images to validate on.
    pub validation_images: usize,
    /// Optimizer steps in an epoch.
    pub steps_per_epoch: usize,
    /// Epochs.
    pub epochs: usize,
    /// Steps that were timed, after one that was not.
    pub timed_steps: usize,
    /// Seconds for a step, images loaded meanwhile.
    pub seconds_per_step: f64,
    /// Seconds for the steps of an epoch.
    pub seconds_per_epoch: f64,
    /// Seconds for a validation.
    pub seconds_per_validation: f64,
    /// Validations of the run.
    pub validations: usize,
    /// Seconds for the run: its epochs and validations.
    pub seconds: f64,
    /// The most bytes that this process held while it was timed.
    pub used: Option<u64>,
}

/// Bytes of memory that training keeps. Images that wait, and what a kernel needs while it runs, come on top.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MemoryPlan {
    /// Weights and running statistics, and their mean if there is one.
    pub weights: u64,
    /// Gradients; twice where they are accumulated.
    pub gradients: u64,
    /// The optimizer's moments.
    pub moments: u64,
    /// Maps of one batch that are kept for the way back.
    pub maps: u64,
    /// All of these.
    pub total: u64,
}

impl MemoryPlan {
    /// For a network of known classes. `trained` are the values that the optimizer changes, of `images` each batch takes some.
    ///
    /// # Errors
    /// Sizes that no network can be built from.
    pub(crate) fn of(config: &RunConfig, trained: usize, images: usize) -> Result<Self, Error> {
        let size = config.data.preprocessing.size;
        let part = config.model.size_report(size, size)?;
        let (train, values) = (&config.train, part.parameters.used as u64);
        let copies = if train.ema.is_some() { 2 } else { 1 };
        let moments = match train.optimizer {
            OptimizerConfig::Adamw(_) => 2,
            OptimizerConfig::Sgd(_) => 1,
        };
        let weights = 4 * values * copies;
        let gradients = 4 * values + if train.accumulate > 1 { 4 * trained as u64 } else { 0 };
        let half = if train.precision == Precision::Bf16 { 2 } else { 1 };
        let (moments, maps) =
            (4 * trained as u64 * moments, part.memory.training * train.batch.min(images) as u64 / half);
        Ok(Self { weights, gradients, moments, maps, total: weights + gradients + moments + maps })
    }
}

impl fmt::Display for MemoryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [weights, gradients, moments, maps, total] =
            [self.weights, self.gradients, self.moments, self.maps, self.total].map(in_words);
        write!(f, "about {total}: weights {weights}, gradients {gradients}, moments {moments}, maps of a batch {maps}")
    }
}

impl Plan {
    /// A line for each number.
    pub fn to_text(&self) -> String {
        let steps = self.steps_per_epoch;
        let rows = [
            ("parameters", format!("{} ({} trained)", self.parameters, self.trained)),
            (
                "multiply-adds",
                format!(
                    "{:.3} billion for an image forwards, about three times as many in training",
                    self.multiply_adds as f64 / 1e9
                ),
            ),
            ("memory", self.memory.to_string()),
            (
                "memory used",
                self.used.map_or_else(|| "unknown".to_owned(), |used| format!("{} at most", in_words(used))),
            ),
            ("images", format!("{} to train on, {} to validate on", self.training_images, self.validation_images)),
            ("steps", format!("{steps} an epoch, {} in {} epochs", steps * self.epochs, self.epochs)),
            (
                "time",
                format!(
                    "{:.2} s a step (mean of {}), {} an epoch, {} a validation ({} of them), {} in all",
                    self.seconds_per_step,
                    self.timed_steps,
                    duration(self.seconds_per_epoch),
                    duration(self.seconds_per_validation),
                    self.validations,
                    duration(self.seconds)
                ),
            ),
        ];
        rows.iter().map(|(name, value)| format!("{name:<15} {value}\n")).collect()
    }
}

/// Steps that are timed.
const TIMED: usize = 3;

impl Trainer {
    /// Prepares a run as [`Trainer::start`] would, makes a few steps and a validation batch, and tells what the whole
    /// would take. No folder is made. `None` when `stop` was raised on the way.
    ///
    /// # Errors
    /// Whatever would keep the run from its first steps, numbers that are not finite among them; [`Error::NoRoom`] where more
    /// memory is expected to be needed than is free.
    pub fn plan(mut config: RunConfig, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Option<Plan>, Error> {
        let data = dataset::open(&config.data, observer)?;
        let mut parts = Parts::start(&mut config, &data.manifest, Rc::default(), observer)?;
        let size = config.data.preprocessing.size;
        let network = config.model.size_report(size, size)?;
        let steps_per_epoch = parts.training.steps().div_ceil(config.train.accumulate);
        let trained = parts.learner.optimizer().values();
        let images = parts.training.samples().len();
        let memory = MemoryPlan::of(&config, trained, images)?;
        observer.event(&Event::Note(&format!("memory: {memory}")));
        if let Some(room) = room().filter(|room| !fits(&memory, &config, Some(*room))) {
            let (room, lower) = (in_words(room), lower(&config, config.train.batch.min(images)));
            let what = format!("no steps are timed, as there seems to be no room for one: {room} can be had. {lower}");
            return Err(Error::NoRoom { what });
        }
        let times = parts.time_steps(config.train.accumulate, stop);
        let Some(times) = times.map_err(|error| no_room(error, &config, images, &memory))? else { return Ok(None) };
        let seconds_per_step = times.iter().sum::<f64>() / times.len().max(1) as f64;
        let seconds_per_epoch = seconds_per_step * steps_per_epoch as f64;
        let seconds_per_validation = parts.time_validation()?;
        let validations = validations(config.train.validate, steps_per_epoch, config.train.epochs);
        Ok(Some(Plan {
            parameters: network.parameters.used,
            trained,
            multiply_adds: network.multiply_adds.all,
            memory,
            training_images: images,
            validation_images: parts.validation.samples().len(),
            steps_per_epoch,
            epochs: config.train.epochs,
            timed_steps: times.len(),
            seconds_per_step,
            seconds_per_epoch,
            seconds_per_validation,
            validations,
            seconds: seconds_per_epoch * config.train.epochs as f64 + seconds_per_validation * validations as f64,
            used: peak_memory(),
        }))
    }
}

/// How often a run looks at its validation images: as it is due, and at its end.
fn validations(when: Validate, steps_per_epoch: usize, epochs: usize) -> usize {
    match when {
        Validate::Epochs(Every { every }) => epochs.div_ceil(every),
        Validate::Steps(Every { every }) => (steps_per_epoch * epochs).div_ceil(every),
    }
}

impl Parts {
    /// Seconds of each of a few steps. The first is left out where there are more: it also fills caches and queues.
    fn time_steps(&mut self, accumulate: usize, stop: &AtomicBool) -> Result<Option<Vec<f64>>, Error> {
        let mut times = Vec::new();
        let mut batches = self.training.batches(0);
        let mut started = Instant::now();
        for index in 0..=TIMED {
            let group = batches.by_ref().take(accumulate).collect::<Result<Vec<_>, _>>()?;
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            if group.is_empty() {
                break;
            }
            let batches = group.iter().map(|batch| {
                let targets = Targets { labels: &batch.labels, shares: batch.soft_targets.as_ref() };
                StepBatch { images: &batch.images, targets, seed: 0, first: 0 }
            });
            let step = self.learner.step_over(&batches.collect::<Vec<_>>(), index)?;
            if let Some(what) = step.diverged {
                return Err(Error::Diverged { what, step: index, epoch: 1, last_good: None });
            }
            times.push(started.elapsed().as_secs_f64());
            started = Instant::now();
        }
        if times.len() > 1 {
            times.remove(0);
        }
        Ok(Some(times))
    }

    /// Seconds of a whole validation, from its first batches.
    fn time_validation(&self) -> Result<f64, Error> {
        let begun = Instant::now();
        let mut images = 0;
        for batch in self.validation.batches(0).take(2) {
            let batch = batch?;
            let logits: Tensor = self.frozen.forward(&batch.images.to_device(self.store.device())?, Mode::Eval)?;
            images += logits.dim(0)?;
        }
        let all = self.validation.samples().len() as f64;
        Ok(begun.elapsed().as_secs_f64() * all / images.max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validations_are_counted_as_the_run_makes_them() {
        let epochs = |every| validations(Validate::Epochs(Every { every }), 5, 7);
        let steps = |every| validations(Validate::Steps(Every { every }), 5, 7);
        assert_eq!((epochs(1), epochs(2), epochs(9)), (7, 4, 1));
        assert_eq!((steps(1), steps(10), steps(35)), (35, 4, 1));
    }
}
