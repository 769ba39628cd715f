//! The training loop.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use candle_core::Var;
use hemf_data::{Batch, Batches, Draws};

use super::Trainer;
use crate::{BatchNormOver, Error, ErrorKind, Event, Observer, StepBatch, StepRecord, Targets};

/// How a call to [`Trainer::run`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs are done, or no better score was to be waited for; [`Trainer::progress`] tells the best.
    Finished,
    /// It was asked to stop; the last checkpoint takes it up where it stands.
    Interrupted,
}

impl Trainer {
    /// Trains to the end of the last epoch, or until `stop` is raised: the step under way is then finished
    /// and the state saved. A new run that fails in its first step leaves no folder behind; one that loses its images
    /// later saves its state.
    ///
    /// # Errors
    /// A loss that is not finite, an image that cannot be read, a disk that is full.
    pub fn run(&mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome, Error> {
        let outcome = self.run_epochs(observer, stop);
        let outcome = outcome.map_err(|error| self.explained(self.world.or_lost(error)));
        if let (Err(error), true) = (&outcome, self.world.is_first()) {
            if self.progress.step == 0 && self.fresh {
                let _ = std::fs::remove_dir_all(self.folder.path()); // the error at hand matters more
            } else if matches!(error, Error::Data(_)) && error.kind() != ErrorKind::Unexpected {
                self.save_last(observer)?;
                let note = format!("saved after step {}; mend the data and go on with --resume", self.progress.step);
                observer.event(&Event::Note(&note));
            }
        }
        outcome
    }

    fn run_epochs(&mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome, Error> {
        observer.event(&Event::Start {
            run: self.folder.path(),
            epochs: self.epochs(),
            steps: self.learner.schedule().steps(),
            done: self.progress.step,
        });
        if self.progress.step < self.learner.schedule().steps() {
            observer.event(&Event::Note(&self.expected_memory()?));
        }
        while self.progress.epoch < self.epochs() && !self.progress.stopped_early {
            if !self.train_epoch(observer, stop)? {
                self.save_last(observer)?;
                return Ok(Outcome::Interrupted);
            }
        }
        if self.world.is_first() {
            self.drop_previous()?;
        }
        if let Some(log) = &mut self.log {
            log.end(&self.progress)?;
        }
        self.world.told(Vec::new())?; // all is written
        Ok(Outcome::Finished)
    }

    pub(super) fn epochs(&self) -> usize {
        self.card.config.train.epochs
    }

    /// Trains on what is left of the epoch; false when stopped on the way.
    fn train_epoch(&mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<bool, Error> {
        let mut batches = self.training.batches_from(self.progress.epoch, self.progress.batch);
        self.unread.begin();
        loop {
            if self.world.any(stop.load(Ordering::Relaxed))? {
                return Ok(false);
            }
            let ends = self.progress.batch == self.training.steps();
            // A resumed run may stand between a step and its record.
            if self.progress.recorded < self.progress.step && (ends || self.validation_is_due(ends)) {
                if !self.record(ends, observer, stop)? {
                    return Ok(false);
                }
                self.unread.begin();
            }
            if ends || self.progress.stopped_early {
                return Ok(true);
            }
            let asked = Instant::now();
            let ready = self.next_step(&mut batches)?;
            let waited = asked.elapsed().as_secs_f64();
            self.step(&ready, waited)?;
            if self.reading_is_due() {
                self.catch_up(observer)?;
            }
            if self.progress.batch < self.training.steps() {
                self.save_if_due(observer)?;
            }
        }
    }

    /// The batches of the next step, whose copies to the device are begun while it is at work on the step before. All are read
    /// before any is trained on: an image that cannot be read leaves the state between two steps.
    fn next_step(&mut self, batches: &mut Batches) -> Result<Vec<Batch>, Error> {
        let batches = batches.take(self.card.config.train.accumulate);
        let mut batches: Vec<Batch> = batches.collect::<Result<_, _>>()?;
        for batch in &mut batches {
            batch.images = self.uploads.copy(&batch.images)?;
        }
        Ok(batches)
    }

    /// One optimizer step on `batches`, which had to be waited for.
    fn step(&mut self, batches: &[Batch], waited: f64) -> Result<(), Error> {
        let index = self.progress.step;
        let parts = batches.iter().enumerate().map(|(place, batch)| {
            let key = [index as u64, place as u64];
            // The first batch's draws are those of a run that does not accumulate.
            let key = if place == 0 { &key[..1] } else { &key[..] };
            let seed = Draws::new("step", self.card.config.train.seed, key).next_u64();
            let targets = Targets { labels: &batch.labels, shares: batch.soft_targets.as_ref() };
            StepBatch { images: &batch.images, targets, seed, first: batch.first }
        });
        let taken = self.learner.take(&parts.collect::<Vec<_>>(), index)?;
        if let Some(what) = taken.known().and_then(|step| step.diverged.clone()) {
            let part = self.first_not_finite()?.map(|name| format!(": {name} is not finite"));
            return Err(self.diverged(what + &part.unwrap_or_default()));
        }
        self.share_statistics()?;
        let images = batches.iter().map(|batch| batch.of).sum();
        self.progress.step += 1;
        self.progress.batch += batches.len();
        self.card.validation_accuracy = None; // of other weights
        if let Some(ema) = &self.ema {
            ema.update(&self.store, self.progress.step)?;
        }
        let record = StepRecord {
            step: self.progress.step,
            epoch: self.progress.epoch + 1,
            loss: 0.0,
            accuracy: 0.0,
            lr: self.learner.rate(index),
            gradient_norm: 0.0,
            images,
            seconds: 0.0,
            waited,
        };
        self.unread.push(record, taken);
        Ok(())
    }

    /// Where each rank has taken statistics of its own share, all go on with the mean of their running ones: they then
    /// have the same network again, in every bit.
    fn share_statistics(&self) -> Result<(), Error> {
        let over = self.card.config.train.distributed.batch_norm;
        let Some(mut buckets) = self.world.buckets().filter(|_| over == BatchNormOver::Local) else { return Ok(()) };
        let running = |(name, _): &(String, Var)| name.ends_with(".running_mean") || name.ends_with(".running_var");
        let running: Vec<(String, Var)> = self.store.buffers().into_iter().filter(running).collect();
        for (number, (_, var)) in running.iter().enumerate() {
            buckets.add(number, &var.as_detached_tensor())?;
        }
        for (number, sum) in buckets.finish()? {
            running[number].1.set(&(sum / self.world.ranks() as f64)?)?;
        }
        Ok(())
    }

    pub(super) fn diverged(&self, what: String) -> Error {
        Error::Diverged {
            what,
            step: self.progress.step,
            epoch: self.progress.epoch + 1,
            last_good: self.last_good.clone(),
        }
    }
}
