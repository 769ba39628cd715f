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

    /// A line per fold, their mean, and the test images of all folds together with intervals.
    pub fn to_text(&self) -> String {
        let percent = |score: &Score| score.value().map_or("-".to_owned(), |value| format!("{:.2}", 100.0 * value));
        let names: Vec<&str> = self.across.iter().map(|score| score.score).collect();
        let heading: String = names.iter().map(|name| format!("  {name:>15}")).collect();
        let mut text = format!("{:16}  images{heading}\n", "");
        let mut line = |name: &str, images: usize, scores: Vec<String>| {
            let cells: String = scores.iter().map(|score| format!("  {score:>15}")).collect();
            let _ = writeln!(text, "{name:16}  {images:>6}{cells}");
        };
        for fold in &self.folds {
            line(&format!("fold {}", fold.fold), fold.images, fold.scores.iter().map(|(_, s)| percent(s)).collect());
        }
        let images = self.folds.iter().map(|fold| fold.images).sum();
        line("mean of folds", images, self.across.iter().map(|score| percent(&score.runs.mean.value)).collect());
        let deviation = |score: &AcrossFolds| percent(&score.runs.standard_deviation);
        line("their deviation", images, self.across.iter().map(deviation).collect());
        line("all together", images, headline(&self.pooled).iter().map(|(_, score)| percent(score)).collect());
        text += "\nall together, with intervals:\n";
        for name in names {
            if let Some(estimate) = self.pooled.intervals.as_ref().and_then(|all| all.get(name, None)) {
                let _ = writeln!(text, "{name:16}  {estimate:.4}");
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
