//! Saving where a run stands, and the best of its networks.

use std::{
    fs,
    time::{Duration, Instant},
};

use candle_core::{DType, Tensor};

use super::Trainer;
use crate::{
    Card, Checkpoint, Error, Observer,
    checkpoint::{Best, Progress, folder},
    config::{Every, SaveEvery},
    optim::first_not_finite,
};

/// Saving that is done in less is never put off.
const QUICK: Duration = Duration::from_millis(250);
/// Saving may take one of so many parts of the time.
const SHARE: u32 = 10;

/// When the state was last saved, which, and how long that took.
pub(super) struct SaveClock {
    at: Instant,
    what: Option<Progress>,
    took: Duration,
    /// Counts as no less.
    at_least: Duration,
}

impl SaveClock {
    pub(super) fn now() -> Self {
        Self { at: Instant::now(), what: None, took: Duration::ZERO, at_least: Duration::ZERO }
    }

    /// Something was saved, or would have been by another rank.
    fn saved(&mut self, what: &Progress, took: Duration) {
        *self = Self { at: Instant::now(), what: Some(what.clone()), took: took.max(self.at_least), ..*self };
    }

    fn is_due(&self, every: SaveEvery, step: usize) -> bool {
        match every {
            SaveEvery::Epoch {} => false,
            SaveEvery::Steps(Every { every }) => step.is_multiple_of(every),
            SaveEvery::Minutes(Every { every }) => self.at.elapsed() >= Duration::from_secs(60 * every as u64),
        }
    }

    /// Whether so long after the last save another one is worth its time.
    fn is_worth_it(&self, after: Duration) -> bool {
        self.took < QUICK || after >= SHARE * self.took
    }
}

impl Trainer {
    /// Saves the state within an epoch, when that is due.
    pub(super) fn save_if_due(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        match self.saved.is_due(self.card.config.train.checkpoint, self.progress.step) {
            true => self.save_last(observer),
            false => Ok(()),
        }
    }

    /// Saves the state that was just validated or is at an epoch's end; but for the run's last, not if the last save was a
    /// moment ago for the time that it took: a GPU is through a small epoch of a large network before that is on disk.
    pub(super) fn save_recorded(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        self.check_finite()?; // on all ranks alike
        let over = self.progress.epoch == self.epochs() || self.progress.stopped_early;
        match over || self.saved.is_worth_it(self.saved.at.elapsed()) {
            true => self.save_last(observer),
            false => Ok(()),
        }
    }

    /// Saves all that a resume needs, unless it is saved already; first reads the steps taken, so that nothing is saved that
    /// they would have forbidden.
    pub(super) fn save_last(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        self.catch_up(observer)?;
        if self.saved.what.as_ref() == Some(&self.progress) {
            return Ok(());
        }
        self.check_finite()?;
        let begun = Instant::now();
        let last = self.folder.last();
        let Some(log) = &self.log else {
            self.last_good = Some(last.path().to_path_buf()); // rank 0 saves
            self.saved.saved(&self.progress, Duration::ZERO);
            return Ok(());
        };
        log.sync()?;
        let mut state = self.learner.optimizer().state()?;
        let mut card = self.card.clone();
        if let Some(ema) = &self.ema {
            state.extend(ema.state());
            card.validation_accuracy = None; // of the mean, not of these weights
        }
        last.save_after(&self.folder.previous(), &card, &self.store.state(), (&self.progress, &state))?;
        self.last_good = Some(last.path().to_path_buf());
        self.saved.saved(&self.progress, begun.elapsed());
        self.tidy_top()
    }

    /// Counts each save as one that took so long, for tests of what is then put off.
    #[doc(hidden)]
    pub fn saving_takes(&mut self, at_least: Duration) {
        self.saved.at_least = at_least;
    }

    /// Saves the network just validated where it belongs: as the best, or among those kept beside it.
    pub(super) fn save_ranked(&mut self, this: Best, best: bool) -> Result<(), Error> {
        if !self.world.is_first() {
            return Ok(());
        }
        let card = Card { validation_accuracy: Some(this.accuracy), ..self.card.clone() };
        let tensors = self.validated_tensors();
        if best {
            self.folder.best().save(&card, &tensors, None)?;
        }
        if self.progress.top.contains(&this) {
            self.kept(&this).save(&card, &tensors, None)?;
        }
        Ok(())
    }

    /// What validation looks at: the weights, or their mean.
    fn validated_tensors(&self) -> Vec<(String, Tensor)> {
        self.ema.as_ref().map_or_else(|| self.store.state(), |ema| ema.tensors())
    }

    fn kept(&self, best: &Best) -> Checkpoint {
        Checkpoint::at(self.folder.top().join(format!("epoch-{:04}-step-{:07}", best.epoch, best.step)))
    }

    /// Clears what a killed process left: files and checkpoints begun, checkpoints replaced.
    pub(super) fn tidy(&self) -> Result<(), Error> {
        for entry in fs::read_dir(self.folder.path()).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "tmp" || extension == "new") && path.is_file() {
                fs::remove_file(&path).map_err(Error::write(&path))?;
            }
        }
        folder::tidy(&self.folder.checkpoints())?;
        folder::tidy(&self.folder.top())?;
        self.tidy_top()
    }

    /// Removes the checkpoints that are no longer among those to keep.
    fn tidy_top(&self) -> Result<(), Error> {
        let kept: Vec<_> = self.progress.top.iter().map(|best| self.kept(best).path().to_path_buf()).collect();
        for entry in fs::read_dir(self.folder.top()).into_iter().flatten().flatten() {
            let path = entry.path();
            if !kept.contains(&path) {
                fs::remove_dir_all(&path).map_err(Error::write(&path))?;
            }
        }
        Ok(())
    }

    /// A finished run goes on from nowhere: the checkpoint before the last is removed.
    pub(super) fn drop_previous(&self) -> Result<(), Error> {
        let previous = self.folder.previous();
        match previous.exists() {
            true => fs::remove_dir_all(previous.path()).map_err(Error::write(previous.path())),
            false => Ok(()),
        }
    }

    /// A step may leave parameters that only the next one's loss would show: refuse to save them.
    pub(super) fn check_finite(&mut self) -> Result<(), Error> {
        if self.finite_at == Some(self.progress.step) {
            return Ok(()); // a validation is saved after it has looked
        }
        if let Some(name) = self.first_not_finite()? {
            return Err(self.diverged(format!("{name} is not finite")));
        }
        self.finite_at = Some(self.progress.step);
        Ok(())
    }

    /// The first weight or running statistic that is not finite.
    pub(super) fn first_not_finite(&self) -> Result<Option<String>, Error> {
        let state = self.store.state().into_iter().filter(|(_, tensor)| tensor.dtype() == DType::F32);
        let (mut names, tensors): (Vec<_>, Vec<_>) = state.unzip();
        Ok(first_not_finite(&tensors)?.map(|place| names.swap_remove(place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saving_takes_a_small_part_of_the_time() {
        let clock = |took| SaveClock { took: Duration::from_millis(took), ..SaveClock::now() };
        let seconds = Duration::from_secs;
        assert!(SaveClock::now().is_worth_it(seconds(0)));
        assert!(clock(249).is_worth_it(seconds(0)));
        assert!(!clock(1200).is_worth_it(seconds(11)));
        assert!(clock(1200).is_worth_it(seconds(12)));
    }
}
