//! The training loop.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use candle_core::DType;
use hemf_data::{Batch, Draws};
use hemf_metrics::plot::{EpochScores, learning_curves};

use super::Trainer;
use crate::{
    EpochRecord, Error, Event, Observer, StepRecord,
    checkpoint::{Best, Tally},
    optim::sum_of_squares,
    predict::predict,
};

/// How a call to [`Trainer::run`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs are done; [`Trainer::progress`] tells the best.
    Finished,
    /// It was asked to stop; the last checkpoint takes it up where it stands.
    Interrupted,
}

impl Trainer {
    /// Trains to the end of the last epoch, or until `stop` is raised: the step under way is then finished
    /// and the state saved. A new run that fails in its first step leaves no folder behind.
    ///
    /// # Errors
    /// A loss that is not finite, an image that cannot be read, a disk that is full.
    pub fn run(&mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome, Error> {
        let outcome = self.run_epochs(observer, stop);
        if outcome.is_err() && self.progress.step == 0 && self.last_good.is_none() {
            let _ = std::fs::remove_dir_all(self.folder.path()); // the error at hand matters more
        }
        outcome
    }

    fn run_epochs(&mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome, Error> {
        observer.event(&Event::Start {
            run: self.folder.path(),
            epochs: self.epochs(),
            steps: self.epochs() * self.training.steps(),
            done: self.progress.step,
        });
        while self.progress.epoch < self.epochs() {
            let done = self.train_epoch(observer, stop)? && self.finish_epoch(observer, stop)?;
            if !done {
                self.save_last()?;
                return Ok(Outcome::Interrupted);
            }
        }
        Ok(Outcome::Finished)
    }

    fn epochs(&self) -> usize {
        self.card.config.train.epochs
    }

    /// Trains on what is left of the epoch; false when stopped on the way.
    fn train_epoch(&mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<bool, Error> {
        let (epoch, first) = (self.progress.epoch, self.progress.batch);
        let mut started = Instant::now();
        for batch in self.training.batches_from(epoch, first) {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let mut record = self.step(&batch?)?;
            record.seconds = started.elapsed().as_secs_f64();
            started = Instant::now();
            self.log.step(&record)?;
            observer.event(&Event::Step(&record));
        }
        Ok(true)
    }

    /// One optimizer step on `batch`.
    fn step(&mut self, batch: &Batch) -> Result<StepRecord, Error> {
        let index = self.progress.step;
        let seed = Draws::new("step", self.card.config.train.seed, &[index as u64]).next_u64();
        let step = self.learner.step(&batch.images, &batch.labels, index, seed)?;
        if let Some(what) = step.diverged {
            return Err(self.diverged(what));
        }
        let images = batch.rows.len();
        let loss = f64::from(step.loss);
        self.progress.step += 1;
        self.progress.batch += 1;
        self.progress.tally.add(loss, step.hits, images);
        self.card.validation_accuracy = None; // of other weights
        Ok(StepRecord {
            step: self.progress.step,
            epoch: self.progress.epoch + 1,
            loss,
            accuracy: step.hits as f64 / images as f64,
            lr: self.learner.rate(index),
            images,
            seconds: 0.0,
        })
    }

    /// Validates, logs and saves the epoch; false when stopped on the way.
    fn finish_epoch(&mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<bool, Error> {
        let total = self.validation.samples().len();
        let scores = predict(&*self.frozen, &self.validation, total, observer, stop)?;
        let Some(scores) = scores else {
            return Ok(false);
        };
        if !scores.tally.loss.is_finite() {
            return Err(self.diverged(format!("the validation loss is {}", scores.tally.loss)));
        }
        self.check_finite()?; // before `best` is written
        let record = self.epoch_record(&scores.tally);
        let accuracy = record.validation_accuracy;
        let best = self.progress.best.is_none_or(|best| accuracy > best.accuracy);
        if best {
            let epoch = record.epoch;
            self.progress.best = Some(Best { accuracy, epoch });
        }
        self.progress.epoch += 1;
        self.progress.batch = 0;
        self.progress.tally = Tally::default();
        self.card.epoch = self.progress.epoch;
        self.card.validation_accuracy = Some(accuracy);

        self.log.epoch(&record)?;
        self.draw_curves()?;
        // The best first: a kill in between repeats the epoch, and finds it as good again.
        if best {
            self.folder.best().save(&self.card, &self.store.state(), None)?;
        }
        self.save_last()?;
        observer.event(&Event::Epoch { record: &record, best });
        Ok(true)
    }

    fn save_last(&mut self) -> Result<(), Error> {
        self.check_finite()?;
        let last = self.folder.last();
        let moments = self.learner.optimizer().state()?;
        let state = Some((&self.progress, &moments[..]));
        last.save(&self.card, &self.store.state(), state)?;
        self.last_good = Some(last.path().to_path_buf());
        Ok(())
    }

    fn epoch_record(&self, validation: &Tally) -> EpochRecord {
        let training = &self.progress.tally;
        EpochRecord {
            epoch: self.progress.epoch + 1,
            step: self.progress.step,
            lr: self.learner.rate(self.progress.step.saturating_sub(1)),
            train_loss: training.mean_loss(),
            train_accuracy: training.accuracy(),
            validation_loss: validation.mean_loss(),
            validation_accuracy: validation.accuracy(),
        }
    }

    fn draw_curves(&self) -> Result<(), Error> {
        let scores = |record: &EpochRecord| EpochScores {
            epoch: record.epoch,
            train_loss: record.train_loss,
            train_accuracy: record.train_accuracy,
            validation_loss: Some(record.validation_loss),
            validation_accuracy: Some(record.validation_accuracy),
        };
        let epochs: Vec<EpochScores> = self.log.epochs().iter().map(scores).collect();
        learning_curves(&epochs).write(self.folder.path(), "learning_curves")?;
        Ok(())
    }

    /// A step may leave parameters that only the next one's loss would show: refuse to save them.
    fn check_finite(&self) -> Result<(), Error> {
        for (name, tensor) in self.store.state() {
            if tensor.dtype() == DType::F32 && !sum_of_squares(&tensor)?.is_finite() {
                return Err(self.diverged(format!("{name} is not finite")));
            }
        }
        Ok(())
    }

    fn diverged(&self, what: String) -> Error {
        Error::Diverged {
            what,
            step: self.progress.step,
            epoch: self.progress.epoch + 1,
            last_good: self.last_good.clone(),
        }
    }
}
