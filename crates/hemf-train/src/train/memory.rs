//! What training is expected to take of memory, and what it took.

use super::{Trainer, plan::MemoryPlan};
use crate::{
    Asked, Error, RunConfig, explain_memory,
    process::{free_memory, peak_memory},
    room::lower,
    words::in_words,
};

/// [`explain_memory`] of a training step by these settings.
pub(super) fn no_room(error: Error, config: &RunConfig, plan: &MemoryPlan) -> Error {
    let (batch, size, lower) = (config.train.batch, config.data.preprocessing.size, lower(config));
    explain_memory(error, &Asked { batch, size, expected: Some(plan), lower: &lower })
}

impl Trainer {
    /// The error of a run, with what to do where a GPU had no room. What was written before stays as it was.
    pub(super) fn explained(&self, error: Error) -> Error {
        match MemoryPlan::of(&self.card.config, self.learner.optimizer().values()) {
            Ok(plan) => no_room(error, &self.card.config, &plan),
            Err(_) => error,
        }
    }

    /// A sentence about the memory that training will take; with advice, when there is less than that.
    pub(super) fn expected_memory(&self) -> Result<String, Error> {
        let trained = self.learner.optimizer().values();
        let plan = MemoryPlan::of(&self.card.config, trained)?;
        let mut note = format!("memory: {plan}");
        if let Some(free) = free_memory().filter(|free| *free < plan.total) {
            let batch = self.card.config.train.batch;
            note += &format!(
                "; only {} are free: train.batch={} with train.accumulate={} keeps half the maps for as many images a \
                 step, but batch norm then sees them in halves",
                in_words(free),
                batch.div_ceil(2),
                2 * self.card.config.train.accumulate
            );
        }
        Ok(note)
    }

    /// After the first step of this process, a sentence about the memory that it took.
    pub(super) fn used_memory(&mut self) -> Option<String> {
        if std::mem::replace(&mut self.memory_told, true) {
            return None;
        }
        peak_memory().map(|peak| format!("memory: {} at most in the first step", in_words(peak)))
    }
}
