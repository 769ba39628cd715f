//! What training is expected to take of memory, and what it took.

use super::{Trainer, plan::MemoryPlan};
use crate::{
    Error,
    process::{free_memory, peak_memory},
    words::in_words,
};

impl Trainer {
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
