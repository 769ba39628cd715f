//! What training is expected to take of memory, and what it took.

use super::{Trainer, plan::MemoryPlan};
use crate::{
    Asked, Error, RunConfig,
    device::device,
    explain_memory,
    process::{free_memory, peak_memory},
    room::lower,
    words::in_words,
};

/// [`explain_memory`] of a training step by these settings.
pub(super) fn no_room(error: Error, config: &RunConfig, plan: &MemoryPlan) -> Error {
    let (batch, size, lower) = (config.train.batch, config.data.preprocessing.size, lower(config));
    explain_memory(error, &Asked { batch, size, expected: Some(plan), lower: &lower })
}

/// A sentence about the memory that training is expected to take, with advice where there is less than that, and whether it
/// fits. With `train.recompute` less is needed than is told.
pub(super) fn expected(plan: &MemoryPlan, config: &RunConfig) -> (String, bool) {
    let note = format!("memory: {plan}");
    let free = match device().is_cuda() {
        true => hemf_kernels::gpu_memory(device()).map(|(free, _)| free),
        false => free_memory(),
    };
    let Some(free) = free.filter(|free| *free < plan.total) else { return (note, true) };
    let (batch, accumulate) = (config.train.batch.div_ceil(2), 2 * config.train.accumulate);
    let note = format!(
        "{note}; only {} are free: train.batch={batch} with train.accumulate={accumulate} keeps half the maps for as many \
         images a step, but batch norm then sees them in halves",
        in_words(free)
    );
    (note, config.train.recompute)
}

impl Trainer {
    /// The error of a run, with what to do where a GPU had no room. What was written before stays as it was.
    pub(super) fn explained(&self, error: Error) -> Error {
        match self.memory_plan() {
            Ok(plan) => no_room(error, &self.card.config, &plan),
            Err(_) => error,
        }
    }

    /// A sentence about the memory that training will take; with advice, when there is less than that.
    pub(super) fn expected_memory(&self) -> Result<String, Error> {
        Ok(expected(&self.memory_plan()?, &self.card.config).0)
    }

    fn memory_plan(&self) -> Result<MemoryPlan, Error> {
        MemoryPlan::of(&self.card.config, self.learner.optimizer().values(), self.training.samples().len())
    }

    /// After the first step of this process, a sentence about the memory that it took.
    pub(super) fn used_memory(&mut self) -> Option<String> {
        if std::mem::replace(&mut self.memory_told, true) {
            return None;
        }
        peak_memory().map(|peak| format!("memory: {} at most in the first step", in_words(peak)))
    }
}
