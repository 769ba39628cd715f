//! The same training with several seeds, and what that says about its score.

use std::{path::PathBuf, sync::atomic::AtomicBool};

use hemf_metrics::uncertainty::{Level, Runs};
use serde::Serialize;

use super::complete::take_up;
use crate::{ConfigError, Error, Event, Metric, Observer, Outcome, RunConfig, checkpoint::Best};

/// Runs that differ in their seed alone.
#[derive(Clone, Debug, Serialize)]
pub struct Seeds {
    /// Each run, in the order given.
    pub runs: Vec<SeedRun>,
    /// The score that decides.
    pub metric: Metric,
    /// Mean, interval and spread of the best validation scores.
    pub score: Runs,
}

/// One of the runs.
#[derive(Clone, Debug, Serialize)]
pub struct SeedRun {
    /// Its seed.
    pub seed: u64,
    /// Its folder.
    pub run: PathBuf,
    /// Its best validation; none where the score was never defined.
    pub best: Option<Best>,
}

impl Seeds {
    /// A line for each run, then their mean.
    pub fn to_text(&self) -> String {
        let (name, score) = (self.metric.name(), &self.score);
        let line = |run: &SeedRun| {
            let best = run.best.map_or_else(|| "undefined".to_owned(), |best| format!("{:.4}", best.score));
            format!("seed {:<6} best validation {name} {best}, in {}\n", run.seed, run.run.display())
        };
        let spread = score.standard_deviation.value().map(|spread| format!(", standard deviation {spread:.4}"));
        let mean = format!("mean of {} runs: {:.4}{}\n", score.runs, score.mean, spread.unwrap_or_default());
        self.runs.iter().map(line).collect::<String>() + &mean
    }
}

/// Trains once with each of `seeds`, in run folders called `NAME-seedS`. Given again, it goes on where it was left: a
/// folder with the same settings is resumed, or taken as it is when it has finished. `None` when stopped on the way.
///
/// # Errors
/// A seed named twice, a folder of that name with other settings, and what can go wrong in a run.
pub fn train_seeds(
    config: &RunConfig,
    seeds: &[u64],
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Option<Seeds>, Error> {
    if let Some(twice) = seeds.iter().enumerate().find(|(i, seed)| seeds[..*i].contains(seed)) {
        let what = format!("{} is named twice; it would count twice in the mean", twice.1);
        return Err(ConfigError::new("--seeds", "", what).into());
    }
    let mut runs = Vec::new();
    for &seed in seeds {
        let mut config = config.clone();
        config.train.seed = seed;
        config.output.name = format!("{}-seed{seed}", config.output.name);
        observer.event(&Event::Note(&format!("seed {seed}, run {} of {}", runs.len() + 1, seeds.len())));
        let mut trainer = take_up(config, observer)?;
        if trainer.run(observer, stop)? == Outcome::Interrupted {
            return Ok(None);
        }
        runs.push(SeedRun { seed, run: trainer.folder().path().to_path_buf(), best: trainer.progress().best });
    }
    let scores: Vec<f64> = runs.iter().filter_map(|run| Some(run.best?.score)).collect();
    Ok(Some(Seeds { runs, metric: config.train.best, score: Runs::new(&scores, Level::default()) }))
}
