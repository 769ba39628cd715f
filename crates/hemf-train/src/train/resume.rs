//! Taking up a run where it was left, however it was left.

use std::{fs, path::Path, rc::Rc};

use super::{Parts, Trainer, check_same, init, parts::tell_if_slow};
use hemf_data::Manifest;

use crate::{
    Card, Checkpoint, ConfigError, Error, Event, Observer, Precision, RunConfig, RunFolder, World,
    checkpoint::{Model, Progress, State},
    dataset, device, quoted,
    run::Lock,
};

impl Trainer {
    /// Takes up the run in `folder` at its last checkpoint; its data set must be the same, wherever it lies now (`data`).
    /// Where the last checkpoint is damaged, the one before is taken, which is said; the damaged one is kept as
    /// `checkpoints/damaged`. A run that was killed before its first checkpoint begins anew.
    ///
    /// # Errors
    /// No checkpoint that loads, another data set, or another process that trains in this run.
    pub fn resume(folder: RunFolder, data: Option<&Path>, observer: &mut dyn Observer) -> Result<Self, Error> {
        Self::resume_among(folder, data, Rc::default(), observer)
    }

    /// As [`Trainer::resume`], together with the other processes of `world`; they need not be as many as before.
    ///
    /// # Errors
    /// As [`Trainer::resume`]; and ranks that are lost, or have another checkpoint.
    pub fn resume_among(
        folder: RunFolder,
        data: Option<&Path>,
        world: Rc<World>,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let lock = world.is_first().then(|| Lock::hold(&folder)).transpose()?;
        let Some((checkpoint, model, state)) = found(&folder, &world, observer)? else {
            return Self::begin_again(folder, data, lock, world, observer);
        };
        if !world.is_alone() {
            world.same("checkpoint", &checkpoint.sums()?)?;
        }
        let mut card = model.card;
        if card.program != crate::PROGRAM {
            let note =
                format!("{} was written by {}, this is {}", folder.path().display(), card.program, crate::PROGRAM);
            observer.event(&Event::Note(&note));
        }
        if let Some(path) = data {
            card.config.data.path = Some(path.to_path_buf());
        }
        let data = dataset::open(&card.config.data, observer)?;
        if data.manifest.seal() != card.manifest_seal {
            let split = dataset::kept_split(&checkpoint, &card.manifest_seal);
            let what = format!(
                "was trained on another data set or split than the manifest now given (the seals differ); restore it{split}"
            );
            return Err(Error::Integrity { path: checkpoint.path().to_path_buf(), what });
        }
        let mut parts = Parts::build(&card.config, &data.manifest, world)?;
        init::restore(&parts.store, &card.config.model, &model.weights.tensors()?, &checkpoint)?;
        parts.learner.restore(&state.tensors)?;
        if let Some(ema) = &parts.ema
            && let Some(name) = ema.restore(&state.tensors)?
        {
            return Err(Error::checkpoint(checkpoint.path(), format!("lacks the mean of {name}")));
        }
        let mut trainer = Self::assemble(parts, card, folder, state.progress, lock)?;
        trainer.last_good = Some(checkpoint.path().to_path_buf());
        observer.event(&Event::Note(&trainer.stands()));
        tell_if_slow(trainer.card.config.train.precision, observer);
        Ok(trainer)
    }

    /// Where the run stands that was taken up, or that there is nothing left to do.
    fn stands(&self) -> String {
        let (Progress { step, epoch, stopped_early, .. }, epochs) = (&self.progress, self.epochs());
        if *epoch < epochs && !stopped_early {
            let steps = self.learner.schedule().steps();
            return format!("going on after step {step} of {steps}, in epoch {} of {epochs}", epoch + 1);
        }
        let end = if *stopped_early { format!("stopped early in epoch {epoch}") } else { format!("epoch {epoch}") };
        let way = self.folder.way_on();
        format!(
            "this run is finished already ({end}, step {step}); a new one goes on from its best weights, with other draws: {way}"
        )
    }

    /// Goes on in `precision`. Checkpoints are the same files in any.
    ///
    /// # Errors
    /// A precision that the device has not.
    pub fn go_on_in(&mut self, precision: Precision, observer: &mut dyn Observer) -> Result<(), Error> {
        let before = std::mem::replace(&mut self.card.config.train.precision, precision);
        if before == precision {
            return Ok(());
        }
        precision.prepare(device()).map_err(|what| ConfigError::new("--precision", "train.precision", what))?;
        self.learner.compute_in(precision);
        tell_if_slow(precision, observer);
        let (before, now, step) = (before.name(), precision.name(), self.progress.step);
        observer.event(&Event::Note(&format!("trained in {before} up to step {step}; going on in {now}")));
        Ok(())
    }

    /// A run without a checkpoint is its configuration: from the first step it comes to the same end.
    fn begin_again(
        folder: RunFolder,
        data: Option<&Path>,
        lock: Option<Lock>,
        world: Rc<World>,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        observer.event(&Event::Note("no checkpoint was saved yet; beginning again with the first step"));
        let mut config = RunConfig::load(&folder.config_file(), &[])?;
        if let Some(path) = data {
            config.data.path = Some(path.to_path_buf());
        }
        let data = dataset::open(&config.data, observer)?;
        let kept = folder.manifest();
        // Runs of before have none.
        if kept.exists() && Manifest::read(&kept)?.seal() != data.manifest.seal() {
            let what = format!(
                "was begun on another data set or split than the manifest now given (the seals differ); go on with its own: \
                 --data {}",
                quoted(&kept)
            );
            return Err(Error::Integrity { path: folder.path().to_path_buf(), what });
        }
        let parts = Parts::start(&mut config, &data.manifest, Rc::clone(&world), observer)?;
        check_same(&world, &config, &data.manifest)?;
        let card = Card::new(config, &data.manifest);
        Self::assemble(parts, card, folder, Progress::default(), lock)
    }
}

/// A checkpoint with what it holds.
type Loaded = (Checkpoint, Model, State);

/// The checkpoint to go on from, which rank 0 chooses; `None` where none was saved.
fn found(folder: &RunFolder, world: &World, observer: &mut dyn Observer) -> Result<Option<Loaded>, Error> {
    if !world.is_first() {
        return match world.told(Vec::new())?.first() {
            Some(b'l') => load(folder.last()).map(Some),
            Some(b'p') => load(folder.previous()).map(Some),
            _ => Ok(None),
        };
    }
    let any = folder.last().exists() || folder.previous().exists();
    let found = any.then(|| newest_good(folder, observer)).transpose()?;
    let which = found.as_ref().map(|(one, ..)| if one.path() == folder.last().path() { b'l' } else { b'p' });
    world.told(which.into_iter().collect())?;
    Ok(found)
}

fn load(checkpoint: Checkpoint) -> Result<Loaded, Error> {
    let (model, state) = (checkpoint.model()?, checkpoint.state()?);
    Ok((checkpoint, model, state))
}

/// The newest checkpoint of `folder` that loads.
fn newest_good(folder: &RunFolder, observer: &mut dyn Observer) -> Result<Loaded, Error> {
    let (last, previous) = (folder.last(), folder.previous());
    let why = match load(last.clone()) {
        Ok(loaded) => return Ok(loaded),
        Err(error) => error,
    };
    let Ok((checkpoint, model, state)) = load(previous.clone()) else {
        let what = if previous.exists() { ", and the checkpoint before it is damaged too" } else { "" };
        let note = format!(
            "there is nothing to go on from{what}; if its best weights are whole, a new run can begin with them: {}",
            folder.way_on()
        );
        observer.event(&Event::Note(&note));
        return Err(why);
    };
    // It is not there when the process was killed between two renames.
    if last.exists() {
        let aside = folder.checkpoints().join("damaged");
        let moved = fs::remove_dir_all(&aside).or_else(missing_is_fine).and_then(|()| fs::rename(last.path(), &aside));
        moved.map_err(Error::write(&aside))?;
    }
    let (path, step) = (checkpoint.path().display(), state.progress.step);
    observer.event(&Event::Note(&format!("{why}; going on from the checkpoint before it, {path} (step {step})")));
    Ok((checkpoint, model, state))
}

fn missing_is_fine(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
