//! One run of a series: started, gone on with or only read, as far as it is done.

use std::{
    fs, io,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use hemf_data::{Manifest, Split};
use hemf_metrics::{Predictions, write_report};
use serde::{Deserialize, Serialize};

use crate::{
    Checkpoint, Error, Event, Observer, Outcome, RunConfig, RunFolder, Trainer, dataset, evaluate::evaluate_until,
    run::write_whole,
};

/// A run that is trained and evaluated.
pub(crate) struct Done {
    pub(crate) run: RunFolder,
    /// Of its test images.
    pub(crate) predictions: Predictions,
}

/// What the predictions in a report are of: lies beside them, and tells whether they are still right.
#[derive(PartialEq, Serialize, Deserialize)]
struct Mark {
    /// Digest of the weights.
    model: String,
    /// Seal of the manifest.
    manifest: String,
    /// blake3 sum of the predictions.
    predictions: String,
}

const MARK: &str = "scored.json";
const PREDICTIONS: &str = "predictions.csv";

/// Trains and evaluates the run of `config` in exactly the folder that it names, as far as that is not done: a run that
/// is there is taken up, and one that has the report of its network is only read. `None` when `stop` was raised on the
/// way.
///
/// # Errors
/// As training and evaluation; and a run of other settings in that folder.
pub(crate) fn complete(
    config: RunConfig,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Option<Done>, Error> {
    let run = RunFolder::at(config.output.folder.join(&config.output.name));
    if run.config_file().is_file() {
        check_same(&run, &config)?;
        if let Some(predictions) = scored(&run) {
            observer.event(&Event::Note(&format!("{} is done", run.path().display())));
            return Ok(Some(Done { run, predictions }));
        }
    }
    let mut trainer = take_up(config, observer)?;
    if trainer.run(observer, stop)? == Outcome::Interrupted || stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    drop(trainer); // its memory, before evaluation takes its own
    let checkpoint = Checkpoint::find(run.path())?;
    let Some(predictions) = evaluate_until(&checkpoint, None, Split::Test, false, observer, stop)? else {
        return Ok(None);
    };
    write_report(&run.report(), &predictions)?;
    let path = run.report().join(MARK);
    let mark = Mark::of(&run).and_then(|mark| Ok(serde_json::to_string(&mark)? + "\n"));
    write_whole(&path, mark.map_err(Error::write(&path))?.as_bytes())?;
    Ok(Some(Done { run, predictions }))
}

/// The trainer of the run of `config`, in exactly the folder that it names: a run that is there is taken up.
///
/// # Errors
/// As [`Trainer::start`] and [`Trainer::resume`]; and a run of other settings in that folder.
pub(super) fn take_up(config: RunConfig, observer: &mut dyn Observer) -> Result<Trainer, Error> {
    let run = RunFolder::at(config.output.folder.join(&config.output.name));
    if run.config_file().is_file() {
        check_same(&run, &config)?;
        return Trainer::resume(run, None, observer);
    }
    if run.path().exists() && !is_barely_begun(run.path()) {
        let taken = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(Error::write(run.path())(taken));
    }
    let _ = fs::remove_dir_all(run.path()); // where that fails, so does starting
    Trainer::start(config, observer)
}

/// Whether a folder holds only what a process leaves that is killed before the configuration is written.
fn is_barely_begun(folder: &Path) -> bool {
    let known = ["manifest.csv", "manifest.csv.partial", "config.yaml.new"];
    let mut entries = fs::read_dir(folder).into_iter().flatten();
    entries.all(|entry| entry.is_ok_and(|entry| known.iter().any(|name| entry.file_name() == *name)))
}

/// The run that is there must have been made by the same settings.
fn check_same(run: &RunFolder, config: &RunConfig) -> Result<(), Error> {
    let mut there = RunConfig::load(&run.config_file(), &[])?;
    if let (Some(stored), Some(asked)) = (&there.data.path, &config.data.path)
        && is_list_of(stored, asked, run)
    {
        there.data.path.clone_from(&config.data.path);
    }
    if there.is_run_of(config) {
        return Ok(());
    }
    let what = "is there already and was made by other settings; name another folder with --out, or remove it";
    Err(Error::checkpoint(run.path(), what))
}

/// Whether `stored` is the list that the run made of the images in the folder `asked`.
fn is_list_of(stored: &Path, asked: &Path, run: &RunFolder) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(stored).is_some_and(|stored| real(run.path()).is_some_and(|run| stored.parent() == Some(&run)))
        && Manifest::read(stored).is_ok_and(|list| real(list.root()).is_some_and(|root| real(asked) == Some(root)))
}

/// The predictions of a run's report, where they are of its network and images as they are now.
fn scored(run: &RunFolder) -> Option<Predictions> {
    let mark: Mark = serde_json::from_slice(&fs::read(run.report().join(MARK)).ok()?).ok()?;
    (mark == Mark::of(run).ok()?).then(|| Predictions::read_csv(&run.report().join(PREDICTIONS)).ok()).flatten()
}

impl Mark {
    fn of(run: &RunFolder) -> io::Result<Self> {
        let other = |error: Error| io::Error::other(error.to_string());
        let config = RunConfig::load(&run.config_file(), &[]).map_err(|error| other(error.into()))?;
        let list = dataset::list_of(&config.data).unwrap_or_default();
        Ok(Self {
            model: Checkpoint::find(run.path()).and_then(|best| best.digest()).map_err(other)?,
            manifest: Manifest::read(&list).map_err(|error| other(error.into()))?.seal().to_owned(),
            predictions: blake3::hash(&fs::read(run.report().join(PREDICTIONS))?).to_hex().to_string(),
        })
    }
}
