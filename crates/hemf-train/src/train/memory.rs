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
        let MemoryPlan { weights, gradients, moments, maps, total } = MemoryPlan::of(&self.card.config, trained)?;
        let mut note = format!(
            "memory: about {} (weights {}, gradients {}, moments {}, maps of a batch {})",
            in_words(total),
            in_words(weights),
            in_words(gradients),
            in_words(moments),
            in_words(maps)
        );
        if let Some(free) = free_memory().filter(|free| *free < total) {
            let batch = self.card.config.train.batch;
            note += &format!(
                "; only {} are free: with train.batch={} and train.accumulate={} a step is the same for half the maps",
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
