//! Cross-validation: every image is tested on by a network that has not seen it.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use hemf_data::Manifest;
use hemf_metrics::{
    Predictions, Report, ReportOptions, Score,
    uncertainty::{Bootstrap, Level, Runs},
    write_report_with,
};
use serde::Serialize;

use super::{complete, folds, groups, headline};
use crate::{Error, Observer, RunConfig, dataset};

/// What a cross-validation found.
#[derive(Clone, Debug, Serialize)]
pub struct CrossValidation {
    /// Where its runs and its report are.
    pub folder: PathBuf,
    /// Each fold by itself.
    pub folds: Vec<FoldScores>,
    /// Mean and spread of the folds' scores.
    pub across: Vec<AcrossFolds>,
    /// All test images of all folds together, with intervals.
    pub pooled: Report,
}

/// The scores of one fold.
#[derive(Clone, Debug, Serialize)]
pub struct FoldScores {
    /// Which, from 1.
    pub fold: u32,
    /// Its run folder.
    pub run: PathBuf,
    /// Its test images.
    pub images: usize,
    /// Score by name.
    pub scores: Vec<(&'static str, Score)>,
}

/// A score over the folds.
#[derive(Clone, Debug, Serialize)]
pub struct AcrossFolds {
    /// Its name.
    pub score: &'static str,
    /// Mean with Student's interval, standard deviation, least and largest.
    #[serde(flatten)]
    pub runs: Runs,
}

/// Trains and evaluates a network for each fold that the manifest of `config` names, and reports on them: each by
/// itself, their mean, and all test images together. Everything is kept in the folder that `config.output` names; what
/// is there already is not done again, so that a killed cross-validation goes on. `None` when `stop` was raised.
///
/// # Errors
/// A data set without folds, other settings than those of the runs that are there, and what can go wrong in a run.
pub fn cross_validate(
    config: &RunConfig,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Option<CrossValidation>, Error> {
    let folder = config.output.folder.join(&config.output.name);
    let manifest = dataset::open(&config.data, observer)?.manifest;
    let (mut done, mut scores) = (Vec::new(), Vec::new());
    for fold in folds::folds_of(&manifest)? {
        let one = folds::manifest_of(&manifest, fold)?;
        let Some(finished) = complete(fold_config(config, &folder, fold, &one)?, observer, stop)? else {
            return Ok(None);
        };
        scores.push(FoldScores {
            fold,
            run: finished.run.path().to_path_buf(),
            images: finished.predictions.len(),
            scores: headline(&Report::new(&finished.predictions)).to_vec(),
        });
        done.push(finished.predictions);
    }
    let pooled = pool(&done)?;
    let options = ReportOptions {
        bootstrap: Some(Bootstrap::default()),
        groups: groups(&manifest, &pooled),
        ..ReportOptions::default()
    };
    let report = folder.join("report");
    let pooled = write_report_with(&report, &pooled, &options)?;
    let result = CrossValidation { across: across(&scores), folds: scores, pooled, folder };
    result.write(&report)?;
    Ok(Some(result))
}

/// The run of one fold: `fold-1` and so on, with a manifest of its own beside.
fn fold_config(config: &RunConfig, folder: &Path, fold: u32, manifest: &Manifest) -> Result<RunConfig, Error> {
    fs::create_dir_all(folder).map_err(Error::write(folder))?;
    let path = folder.join(format!("fold-{fold}.csv"));
    if !path.exists() {
        manifest.write(&path)?;
    } else if Manifest::read(&path)?.seal() != manifest.seal() {
        let what = "lists the images of another data set or split; name another folder with --out, or remove this one";
        return Err(Error::checkpoint(path, what));
    }
    let mut config = config.clone();
    config.data.path = Some(path);
    config.output.folder = folder.to_path_buf();
    config.output.name = format!("fold-{fold}");
    Ok(config)
}

/// The test images of all folds as one set.
fn pool(folds: &[Predictions]) -> Result<Predictions, Error> {
    let classes = folds.first().map_or_else(Vec::new, |first| first.classes().to_vec());
    let ids = folds.iter().flat_map(|fold| fold.ids().to_vec()).collect();
    let truth = folds.iter().flat_map(|fold| fold.truth().to_vec()).collect();
    let probabilities: Vec<f64> = folds.iter().flat_map(Predictions::rows).flatten().copied().collect();
    Ok(Predictions::new(classes, ids, truth, probabilities)?)
}

fn across(folds: &[FoldScores]) -> Vec<AcrossFolds> {
    let names = folds.first().into_iter().flat_map(|fold| fold.scores.iter().map(|(name, _)| *name));
    names
        .enumerate()
        .map(|(i, score)| {
            let values: Vec<f64> = folds.iter().filter_map(|fold| fold.scores[i].1.value()).collect();
            AcrossFolds { score, runs: Runs::new(&values, Level::default()) }
        })
        .collect()
}

impl CrossValidation {
    /// As JSON, indented.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// A line per score with each fold, their mean and standard deviation, then the test images of all folds together with
    /// intervals.
    pub fn to_text(&self) -> String {
        let number = |score: &Score| score.value().map_or("-".to_owned(), |value| format!("{value:.4}"));
        let mut text = String::new();
        let mut line = |name: &str, of_folds: Vec<String>, [mean, deviation]: [&str; 2]| {
            let cells: String = of_folds.iter().map(|cell| format!(" {cell:>7}")).collect();
            let _ = writeln!(text, "{name:16}{}", format!("{cells}  {mean:>6}  {deviation:>9}").trim_end());
        };
        let folds = self.folds.iter();
        line("", folds.clone().map(|fold| format!("fold {}", fold.fold)).collect(), ["mean", "deviation"]);
        line("images", folds.clone().map(|fold| fold.images.to_string()).collect(), ["", ""]);
        for (i, AcrossFolds { score, runs }) in self.across.iter().enumerate() {
            let of_folds = folds.clone().map(|fold| number(&fold.scores[i].1)).collect();
            line(score, of_folds, [&number(&runs.mean.value), &number(&runs.standard_deviation)]);
        }
        let images: usize = folds.map(|fold| fold.images).sum();
        let intervals = self.pooled.intervals.as_ref();
        let level = intervals.map_or_else(Level::default, |all| all.bootstrap.level).get() * 100.0;
        let _ = writeln!(text, "\nall {images} test images together, with {level} % intervals:");
        for AcrossFolds { score, .. } in &self.across {
            if let Some(estimate) = intervals.and_then(|all| all.get(score, None)) {
                let _ = writeln!(text, "{score:16} {estimate:.4}");
            }
        }
        text
    }

    fn write(&self, report: &Path) -> Result<(), Error> {
        for (name, content) in [("cross_validation.json", self.to_json()), ("cross_validation.txt", self.to_text())] {
            let path = report.join(name);
            fs::write(&path, content).map_err(Error::write(&path))?;
        }
        Ok(())
    }
}
