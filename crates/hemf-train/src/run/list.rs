//! Runs side by side: where each stands, its best scores, and the settings that tell them apart.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::Value;

use super::{Logged, RunFolder};
use crate::{Error, Metric, RunConfig, Validation, json};

/// A run as its folder tells it.
#[derive(Clone, Debug, Serialize)]
pub struct RunSummary {
    /// Its folder.
    pub path: PathBuf,
    /// How it stands.
    pub standing: Standing,
    /// Epochs completed.
    pub epochs_done: usize,
    /// Epochs that it is to have.
    pub epochs: usize,
    /// Optimizer steps done.
    pub steps: usize,
    /// The score that decides.
    pub metric: Metric,
    /// Its best value, with the epoch of that validation.
    pub best: Option<(f64, usize)>,
    /// All scores of that validation.
    pub validation: Option<Validation>,
    /// Time spent in steps.
    pub seconds: f64,
    /// The configuration.
    #[serde(skip)]
    pub config: RunConfig,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A process is training in it.
    Running,
    /// It has come to its end.
    Finished,
    /// It can be resumed.
    Stopped,
}

impl RunSummary {
    /// Reads the folder's configuration and log.
    ///
    /// # Errors
    /// A configuration of another version, or a log that cannot be read.
    pub fn of(run: &RunFolder) -> Result<Self, Error> {
        let config = RunConfig::load(&run.config_file(), &[])?;
        let text = fs::read_to_string(run.log()).unwrap_or_default(); // none before the first step
        let logged = Logged::of(&text);
        let metric = config.train.best;
        let best = logged.best(metric);
        Ok(Self {
            path: run.path().to_path_buf(),
            standing: match run.trained_by() {
                Some(_) => Standing::Running,
                None if logged.ended => Standing::Finished,
                None => Standing::Stopped,
            },
            epochs_done: logged.epochs_done(),
            epochs: config.train.epochs,
            steps: logged.steps.last().map_or(0, |record| record.step),
            metric,
            best: best.and_then(|record| Some((metric.of(record.validation.as_ref()?)?, record.epoch))),
            validation: best.and_then(|record| record.validation.clone()),
            seconds: logged.steps.iter().map(|record| record.seconds).sum(),
            config,
        })
    }

    /// All runs in `folder`, by name. What is no run, or of another version, is left out.
    pub fn all(folder: &Path) -> Vec<Self> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut runs: Vec<Self> =
            entries.filter_map(|entry| Self::of(&RunFolder::open(entry.path()).ok()?).ok()).collect();
        runs.sort_by(|a, b| a.path.cmp(&b.path));
        runs
    }
}

/// The settings that are not the same in all of `runs`, by key, with each run's value; where results go is left out.
pub fn differing_settings(runs: &[RunSummary]) -> BTreeMap<String, Vec<Value>> {
    let settings = |run: &RunSummary| json::flat(&serde_json::to_value(&run.config).unwrap_or_default());
    let flat: Vec<BTreeMap<String, Value>> = runs.iter().map(settings).collect();
    let mut keys: Vec<&String> = flat.iter().flat_map(BTreeMap::keys).collect();
    keys.sort();
    keys.dedup();
    let row =
        |key: &String| -> Vec<Value> { flat.iter().map(|run| run.get(key).cloned().unwrap_or_default()).collect() };
    keys.into_iter()
        .filter(|key| !key.starts_with("output."))
        .map(|key| (key.clone(), row(key)))
        .filter(|(_, values)| values.windows(2).any(|pair| pair[0] != pair[1]))
        .collect()
}
