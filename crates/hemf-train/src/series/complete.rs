use std::{
    fs, io,
    sync::atomic::{AtomicBool, Ordering},
};

use hemf_data::Split;
use hemf_metrics::{Predictions, write_report};

use crate::{Checkpoint, Error, Event, Observer, Outcome, RunConfig, RunFolder, Trainer, evaluate};

/// A run that is trained and evaluated.
pub(crate) struct Done {
    pub(crate) run: RunFolder,
    /// Of its test images.
    pub(crate) predictions: Predictions,
}

/// Trains and evaluates the run of `config` in exactly the folder that it names, as far as that is not done: a run that
/// is there is taken up, and one that has its report is only read. `None` when `stop` was raised on the way.
///
/// # Errors
/// As training and evaluation; and a run of other settings in that folder.
pub(crate) fn complete(
    config: RunConfig,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Option<Done>, Error> {
    let path = config.output.folder.join(&config.output.name);
    let run = match RunFolder::open(&path) {
        Ok(run) => {
            check_same(&run, &config)?;
            run
        }
        Err(_) => RunFolder::at(path),
    };
    let scored = run.report().join("predictions.csv");
    if scored.is_file() {
        observer.event(&Event::Note(&format!("{} is done", run.path().display())));
        return Ok(Some(Done { predictions: Predictions::read_csv(&scored)?, run }));
    }
    let mut trainer = match run.config_file().is_file() {
        true => Trainer::resume(run.clone(), None, observer)?,
        false => start(config, &run, observer)?,
    };
    if trainer.run(observer, stop)? == Outcome::Interrupted || stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    drop(trainer); // its memory, before evaluation takes its own
    let predictions = evaluate(&Checkpoint::find(run.path())?, None, Split::Test, false, observer)?;
    write_report(&run.report(), &predictions)?;
    Ok(Some(Done { run, predictions }))
}

/// Starts a run that must get the folder of `run` and no other.
fn start(config: RunConfig, run: &RunFolder, observer: &mut dyn Observer) -> Result<Trainer, Error> {
    let _ = fs::remove_dir(run.path()); // left empty by a process that was killed; refused if it is not empty
    if run.path().exists() {
        let taken = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(Error::write(run.path())(taken));
    }
    Trainer::start(config, observer)
}

/// The run that is there must have been made by the same settings.
fn check_same(run: &RunFolder, config: &RunConfig) -> Result<(), Error> {
    let there = RunConfig::load(&run.config_file(), &[])?;
    if there.is_run_of(config) {
        return Ok(());
    }
    let what = "is there already and was made by other settings; name another folder with --out, or remove it";
    Err(Error::checkpoint(run.path(), what))
}
