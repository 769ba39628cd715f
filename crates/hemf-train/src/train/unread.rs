//! Steps that were taken and not yet read: a GPU goes on meanwhile.

use std::time::Instant;

use super::Trainer;
use crate::{Error, Event, Observer, StepRecord, Taken};

/// Steps in their order, whose records lack what only the device knows.
pub(super) struct Unread {
    steps: Vec<(StepRecord, Taken)>,
    /// When the first of them began.
    since: Instant,
}

impl Unread {
    pub(super) fn new() -> Self {
        Self { steps: Vec::new(), since: Instant::now() }
    }

    /// The time of the next step begins now.
    pub(super) fn begin(&mut self) {
        self.since = Instant::now();
    }

    pub(super) fn push(&mut self, record: StepRecord, taken: Taken) {
        self.steps.push((record, taken));
    }
}

impl Trainer {
    /// Whether the steps taken are to be read now: what is known already at once, else each so many of them.
    pub(super) fn reading_is_due(&self) -> bool {
        let steps = &self.unread.steps;
        steps.len() >= self.card.config.train.read_every
            || steps.last().is_some_and(|(_, taken)| taken.known().is_some())
    }

    /// Reads what was taken, and logs and tells it. Steps that are read together have equal shares of their time.
    ///
    /// # Errors
    /// A loss or gradient that is not finite, by the name of its step. The steps from there on are as if they had not been:
    /// nothing of them has been written, and the run ends here.
    pub(super) fn catch_up(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        let taken = std::mem::take(&mut self.unread.steps);
        if taken.is_empty() {
            return Ok(());
        }
        let mut steps = Vec::with_capacity(taken.len());
        for (record, taken) in taken {
            steps.push((record, self.learner.read(taken)?));
        }
        let seconds = self.unread.since.elapsed().as_secs_f64() / steps.len() as f64;
        self.unread.begin();
        for (mut record, step) in steps {
            if let Some(what) = step.diverged {
                self.progress.step = record.step - 1;
                return Err(self.diverged(what));
            }
            record.loss = step.loss;
            record.accuracy = step.hits as f64 / record.images as f64;
            record.gradient_norm = step.gradient_norm.unwrap_or_default();
            record.seconds = seconds;
            self.progress.tally.add(step.loss, step.hits, record.images);
            self.tell(&record, observer)?;
        }
        Ok(())
    }

    fn tell(&mut self, record: &StepRecord, observer: &mut dyn Observer) -> Result<(), Error> {
        if let Some(log) = &mut self.log {
            log.step(record)?;
        }
        observer.event(&Event::Step(record));
        if let Some(note) = self.used_memory() {
            observer.event(&Event::Note(&note));
        }
        if let Some(note) = self.spikes.see(record.step, record.loss, record.images) {
            observer.event(&Event::Note(&note));
        }
        Ok(())
    }
}
