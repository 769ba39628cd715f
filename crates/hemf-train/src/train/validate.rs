//! The end of an epoch, and validations on the way: scores, what is best, when to stop early.

use std::sync::atomic::AtomicBool;

use hemf_metrics::plot::{EpochScores, learning_curves};

use super::Trainer;
use crate::{
    EpochRecord, Error, Event, Observer, Precision, RunFolder,
    checkpoint::{Best, Tally, Waiting},
    config::{Every, Validate},
    predict::predict,
    score::Validation,
};

impl Trainer {
    /// Whether the step just done asks for a validation; `ends` tells whether it was the epoch's last.
    pub(super) fn validation_is_due(&self, ends: bool) -> bool {
        let last = ends && self.progress.epoch + 1 == self.epochs();
        match self.card.config.train.validate {
            Validate::Epochs(Every { every }) => ends && (last || (self.progress.epoch + 1).is_multiple_of(every)),
            Validate::Steps(Every { every }) => last || self.progress.step.is_multiple_of(every),
        }
    }

    /// Validates where that is due, logs, and saves where that is worth its time; at the epoch's end the next one
    /// begins. False when stopped on the way, and then nothing has changed.
    pub(super) fn record(&mut self, ends: bool, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<bool, Error> {
        self.catch_up(observer)?;
        let validation = match self.validation_is_due(ends) {
            true => match self.validate(observer, stop)? {
                None => return Ok(false),
                scores => scores,
            },
            false => None,
        };
        let record = self.epoch_record(validation);
        self.progress.recorded = self.progress.step;
        if ends {
            self.progress.epoch += 1;
            self.progress.batch = 0;
            self.progress.tally = Tally::default();
            self.card.epoch = self.progress.epoch;
        }
        let best = match &record.validation {
            Some(validation) => self.rank(validation, record.epoch, observer)?,
            None => false,
        };
        if let Some(log) = &mut self.log {
            log.epoch(&record)?;
            let steps = self.learner.schedule().steps() / self.card.config.train.epochs;
            draw_curves(log.epochs(), steps, &self.folder)?;
        }
        self.save_recorded(observer)?;
        observer.event(&Event::Epoch { record: &record, best });
        if self.progress.stopped_early {
            let waited = self.progress.waiting.map_or(0, |waiting| waiting.validations);
            observer.event(&Event::Note(&format!("stopping early: no better score in {waited} validations")));
        }
        Ok(true)
    }

    /// The scores of the validation images; `None` when stopped on the way.
    fn validate(&mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Option<Validation>, Error> {
        // Several ranks stop together, which they do between steps.
        let never = AtomicBool::new(false);
        let stop = if self.world.is_alone() { stop } else { &never };
        let images = self.validation.samples().len();
        // In f32 whatever the training is in: what is best is found as `eval` will measure it.
        hemf_kernels::tf32(false);
        let scores = predict(&*self.frozen, self.store.device(), &self.validation, images, observer, stop);
        hemf_kernels::tf32(self.card.config.train.precision == Precision::Tf32);
        let Some(scores) = scores? else { return Ok(None) };
        let scores = scores.of_all(&self.world)?;
        if !scores.tally.loss.is_finite() {
            return Err(self.diverged(format!("the validation loss is {}", scores.tally.loss)));
        }
        self.check_finite()?; // before `best` is written
        Validation::of(scores, &self.truth, &self.card.classes).map(Some)
    }

    /// Finds the validation's place among those before and saves the network accordingly; whether it is the best. The
    /// best are written before the state that knows of them: a kill in between repeats the validation, and finds it as
    /// good again.
    fn rank(&mut self, validation: &Validation, epoch: usize, observer: &mut dyn Observer) -> Result<bool, Error> {
        let train = &self.card.config.train;
        let (metric, keep, stopping) = (train.best, train.keep, train.early_stopping);
        self.card.validation_accuracy = Some(validation.accuracy);
        let Some(score) = metric.of(validation) else {
            let note = format!("the {} of this validation is undefined, so it cannot be the best", metric.name());
            observer.event(&Event::Note(&note));
            return Ok(false);
        };
        let this = Best { score, accuracy: validation.accuracy, epoch, step: self.progress.step };
        let best = self.progress.best.is_none_or(|best| metric.gain(score, best.score) > 0.0);
        if best {
            self.progress.best = Some(this);
        }
        if keep > 1 {
            let top = &mut self.progress.top;
            let place = top.iter().position(|other| metric.gain(score, other.score) > 0.0).unwrap_or(top.len());
            top.insert(place, this);
            top.truncate(keep);
        }
        if let Some(stopping) = stopping {
            let waiting = self.progress.waiting.unwrap_or(Waiting { score, validations: 0 });
            let first = self.progress.waiting.is_none();
            let gained = metric.gain(score, waiting.score) > stopping.min_gain;
            let waiting = match first || gained {
                true => Waiting { score, validations: 0 },
                false => Waiting { validations: waiting.validations + 1, ..waiting },
            };
            self.progress.stopped_early = waiting.validations >= stopping.patience;
            self.progress.waiting = Some(waiting);
        }
        self.save_ranked(this, best)?;
        Ok(best)
    }

    fn epoch_record(&self, validation: Option<Validation>) -> EpochRecord {
        let training = &self.progress.tally;
        EpochRecord {
            epoch: self.progress.epoch + 1,
            step: self.progress.step,
            lr: self.learner.rate(self.progress.step.saturating_sub(1)),
            train_loss: training.mean_loss(),
            train_accuracy: training.accuracy(),
            validation,
        }
    }
}

fn draw_curves(records: &[EpochRecord], steps_per_epoch: usize, folder: &RunFolder) -> Result<(), Error> {
    let scores = |record: &EpochRecord| EpochScores {
        epoch: record.step as f64 / steps_per_epoch.max(1) as f64,
        train_loss: record.train_loss,
        train_accuracy: record.train_accuracy,
        validation_loss: record.validation.as_ref().map(|validation| validation.loss),
        validation_accuracy: record.validation.as_ref().map(|validation| validation.accuracy),
    };
    let epochs: Vec<EpochScores> = records.iter().map(scores).collect();
    learning_curves(&epochs).write(folder.path(), "learning_curves")?;
    Ok(())
}
