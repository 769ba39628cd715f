//! What training is expected to take of memory, and what it took.

use super::{Trainer, plan::MemoryPlan};
use crate::{
    Asked, Error, RunConfig,
    device::device,
    explain_memory,
    process::{free_memory, memory_of, peak_memory},
    room::lower,
    words::in_words,
};

/// [`explain_memory`] of a training step by these settings, of so many images at most.
pub(super) fn no_room(error: Error, config: &RunConfig, images: usize, plan: &MemoryPlan) -> Error {
    let (batch, size) = (config.train.batch.min(images), config.data.preprocessing.size);
    explain_memory(error, &Asked { batch, size, expected: Some(plan), lower: &lower(config, batch) })
}

/// Bytes that this process can have, with those that it holds. Of a GPU it is not known: its driver keeps what was freed, and
/// says itself when there is no more.
pub(super) fn room() -> Option<u64> {
    if device().is_cuda() {
        return None;
    }
    Some(free_memory()? + memory_of(std::process::id())?)
}

/// Whether training by these settings fits into so many bytes, as far as is known.
pub(super) fn fits(plan: &MemoryPlan, config: &RunConfig, room: Option<u64>) -> bool {
    // Of the maps `train.recompute` keeps some; how many is not counted.
    let least = if config.train.recompute { plan.total - plan.maps } else { plan.total };
    room.is_none_or(|room| least <= room)
}

impl Trainer {
    /// The error of a run, with what to do where a GPU had no room. What was written before stays as it was.
    pub(super) fn explained(&self, error: Error) -> Error {
        match self.memory_plan() {
            Ok(plan) => no_room(error, &self.card.config, self.training.samples().len(), &plan),
            Err(_) => error,
        }
    }

    /// A sentence about the memory that training will take; with advice, when there is less than that.
    pub(super) fn expected_memory(&self) -> Result<String, Error> {
        let (plan, config, room) = (self.memory_plan()?, &self.card.config, room());
        let note = format!("memory: {plan}");
        Ok(match room.filter(|_| !fits(&plan, config, room)) {
            Some(room) => {
                let batch = config.train.batch.min(self.training.samples().len());
                format!("{note}; only {} can be had. {}", in_words(room), lower(config, batch))
            }
            None => note,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clearly_has_no_room_does_not_fit() {
        let mut config = RunConfig::default();
        config.model = config.model.with_classes(7);
        let plan = MemoryPlan::of(&config, 1000, 100).unwrap();
        let with = |config: &RunConfig, room| fits(&plan, config, room);
        assert!(with(&config, None) && with(&config, Some(plan.total)) && !with(&config, Some(plan.total - 1)));
        config.train.recompute = true;
        let rest = plan.total - plan.maps;
        assert!(plan.maps > 0 && with(&config, Some(rest)) && !with(&config, Some(rest - 1)));
        // A batch has no more images than there are.
        assert_eq!(MemoryPlan::of(&config, 1000, 8).unwrap().maps * config.train.batch as u64, plan.maps * 8);
        assert!(cfg!(not(target_os = "linux")) || room().is_some_and(|room| room > 1 << 20));
    }
}
