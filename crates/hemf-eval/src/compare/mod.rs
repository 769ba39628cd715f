//! Runs beside each other: scores, paired tests, which images changed.

mod files;
mod pairing;
mod text;

use std::path::{Path, PathBuf};

use hemf_metrics::uncertainty::{Bootstrap, Comparison, Difference, Estimate, Level, Resampling, differences, holm};
use hemf_metrics::{Predictions, Report, ReportOptions, Score};
use hemf_model::ModelConfig;
use hemf_train::{Error, RunFolder, published_figures};
use serde::Serialize;

use crate::{Evaluation, NetworkFacts};

/// How runs are compared.
#[derive(Clone, Debug)]
pub struct CompareSettings {
    /// Resamples of the bootstrap.
    pub resamples: usize,
    /// What the resamples follow from.
    pub seed: u64,
    /// Level of every interval.
    pub level: f64,
    /// Whether to compare on the images that all runs have, where their test sets differ, rather than to refuse.
    pub common: bool,
    /// Whether to set the runs beside the published figures of their data set.
    pub against_published: bool,
}

/// Runs on the same images.
#[derive(Clone, Debug, Serialize)]
pub struct ComparedRuns {
    /// Number of images.
    pub images: usize,
    /// Number of groups, where the manifest has groups: intervals are then from resamples of whole groups.
    pub groups: Option<usize>,
    /// Level of the intervals.
    pub level: Level,
    /// The runs, in the order in which they were named.
    pub runs: Vec<RunScores>,
    /// Every two of them.
    pub pairs: Vec<Pair>,
    /// What must be known before the numbers are believed.
    pub notes: Vec<String>,
    #[serde(skip)]
    predictions: Vec<Predictions>,
}

/// The scores of a run.
#[derive(Clone, Debug, Serialize)]
pub struct RunScores {
    /// Its name; its path where two have the same.
    pub run: String,
    /// Score by score, with intervals.
    pub scores: Vec<NamedScore>,
    /// The row of the paper that it stands beside.
    pub published: Option<&'static str>,
}

/// A score with its interval, and what was published.
#[derive(Clone, Debug, Serialize)]
pub struct NamedScore {
    /// Its place in `report.json`.
    pub score: &'static str,
    /// Value, ends and method.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// The published figure, as a share; what was not published is not there.
    pub published: Option<f64>,
}

/// Two runs.
#[derive(Clone, Debug, Serialize)]
pub struct Pair {
    /// Name of the first.
    pub first: String,
    /// Name of the second.
    pub second: String,
    /// Second minus first.
    pub differences: Vec<Difference>,
    /// McNemar's test of the accuracies and DeLong's of each class's area.
    pub tests: Comparison,
    /// McNemar's p-value corrected for testing every pair ([`holm`]).
    pub holm_p_value: Score,
    /// Images that the first got right and the second wrong.
    pub right_to_wrong: Vec<String>,
    /// Images that the first got wrong and the second right.
    pub wrong_to_right: Vec<String>,
}

const SCORES: [&str; 8] =
    ["accuracy", "balanced_accuracy", "macro.precision", "macro.recall", "macro.f1", "macro.auc", "mcc", "kappa"];

/// Compares runs that were evaluated: run folders or folders of reports.
///
/// # Errors
/// Fewer than two runs without `against_published`, a run without an evaluation, runs of different classes or images (the
/// message names them), a data set without published figures.
pub fn compare(paths: &[PathBuf], settings: &CompareSettings) -> Result<ComparedRuns, Error> {
    let evaluations: Vec<Evaluation> =
        paths.iter().map(|path| Evaluation::read(&folder(path))).collect::<Result<_, _>>()?;
    let names = names(paths);
    let pairing::Paired { predictions, groups, mut notes } =
        pairing::pair(&names, evaluations.iter(), settings.common)?;
    let Some(first) = predictions.first() else {
        return Err(Error::Checkpoint { path: PathBuf::new(), what: "no run is named".to_owned() });
    };
    let level = Level::new(settings.level)?;
    let bootstrap = Bootstrap { resamples: settings.resamples, seed: settings.seed, level };
    let options = ReportOptions { bootstrap: Some(bootstrap), groups, all_pictures: false };
    let resampling = options.resampling(first)?;
    let mut runs = Vec::new();
    for ((name, predictions), evaluation) in names.iter().zip(&predictions).zip(&evaluations) {
        let figures = if settings.against_published { Some(figures(name, evaluation)?) } else { None };
        runs.push(RunScores::new(name, predictions, &options, figures)?);
    }
    let mut pairs = Vec::new();
    for (i, first) in predictions.iter().enumerate() {
        for (j, second) in predictions.iter().enumerate().skip(i + 1) {
            pairs.push(Pair::new((&names[i], first), (&names[j], second), &resampling, &bootstrap)?);
        }
    }
    correct_for_pairs(&mut pairs);
    for (name, evaluation) in names.iter().zip(&evaluations) {
        if settings.against_published {
            notes.extend(evaluation.facts.networks.first().and_then(|network| unlike_published(name, network)));
        }
        notes.extend(evaluation.facts.audit.leak().map(|leak| format!("{name}: {leak}")));
    }
    let groups = options.groups.is_some().then(|| resampling.units());
    if groups.is_some() && !pairs.is_empty() {
        notes.push(
            "McNemar's and DeLong's tests take images as independent, which those of a group are not: trust the \
             intervals of the differences, which are from resamples of whole groups"
                .to_owned(),
        );
    }
    Ok(ComparedRuns { images: first.len(), groups, level, runs, pairs, notes, predictions })
}

/// The folder of the report that `path` means.
fn folder(path: &Path) -> PathBuf {
    RunFolder::open(path).map_or_else(|_| path.to_path_buf(), |run| run.report())
}

/// The last part of each path, or all of it where two end alike.
fn names(paths: &[PathBuf]) -> Vec<String> {
    let last = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let alike = |path: &PathBuf| paths.iter().filter(|other| last(other) == last(path)).count() > 1;
    let whole = |path: &PathBuf| path.display().to_string();
    paths.iter().map(|path| last(path).filter(|_| !alike(path)).unwrap_or_else(|| whole(path))).collect()
}

/// In what a network is another than the one of the paper: its sizes decide most of what it can reach.
fn unlike_published(name: &str, network: &NetworkFacts) -> Option<String> {
    let model = network.model()?;
    let kind = model.kind();
    if model.preset_name() == Some(kind) {
        return None;
    }
    let published = ModelConfig::preset(kind)?.with_classes(model.classes()?);
    let parameters = published.size_report(224, 224).ok()?.parameters.used;
    let millions = |parameters: usize| format!("{:.2} million parameters", parameters as f64 / 1e6);
    Some(format!(
        "{name} is {} ({}); the published figures are of {kind} ({}), and another network is not held to them",
        network.network(),
        millions(network.parameters),
        millions(parameters)
    ))
}

type Figures = (&'static str, &'static [(&'static str, f64)]);

/// The published figures of a run's network on its data set.
fn figures(name: &str, evaluation: &Evaluation) -> Result<Figures, Error> {
    if evaluation.facts.split != "test" {
        let what =
            format!("was measured on {} images; the published figures are of test images", evaluation.facts.split);
        return Err(Error::Checkpoint { path: name.into(), what });
    }
    let kind = evaluation.facts.networks.first().and_then(|network| network.config["model"]["kind"].as_str());
    let rule = &evaluation.facts.rule;
    published_figures(kind.unwrap_or_default(), rule).ok_or_else(|| Error::Checkpoint {
        path: name.into(),
        what: format!(
            "has no published figures to stand beside: they are of hemf and came on data split by isic2018, kvasir or \
             covid19-ct, this is {} on data split by {rule}",
            kind.unwrap_or("another network")
        ),
    })
}

impl RunScores {
    fn new(
        name: &str,
        predictions: &Predictions,
        options: &ReportOptions,
        figures: Option<Figures>,
    ) -> Result<Self, Error> {
        let report = Report::with_options(predictions, options)?;
        let published = |score: &str| {
            let (_, figures) = figures?;
            let (_, per_cent) = figures.iter().find(|(name, _)| *name == score)?;
            Some(per_cent / 100.0)
        };
        let scores = SCORES.into_iter().filter_map(|score| {
            let estimate = *report.intervals.as_ref()?.get(score, None)?;
            Some(NamedScore { score, estimate, published: published(score) })
        });
        Ok(Self { run: name.to_owned(), scores: scores.collect(), published: figures.map(|(row, _)| row) })
    }
}

impl Pair {
    fn new(
        (first, before): (&str, &Predictions),
        (second, after): (&str, &Predictions),
        resampling: &Resampling,
        bootstrap: &Bootstrap,
    ) -> Result<Self, Error> {
        let tests = Comparison::new(before, after, bootstrap.level)?;
        let (said, otherwise) = (before.predicted(), after.predicted());
        let changed = |right: &[usize], wrong: &[usize]| -> Vec<String> {
            let changed =
                tests.changed.iter().filter(|&&i| right[i] == before.truth()[i] && wrong[i] != before.truth()[i]);
            changed.map(|&i| before.ids()[i].clone()).collect()
        };
        Ok(Self {
            first: first.to_owned(),
            second: second.to_owned(),
            differences: differences(before, after, resampling, bootstrap)?,
            holm_p_value: tests.p_value,
            right_to_wrong: changed(&said, &otherwise),
            wrong_to_right: changed(&otherwise, &said),
            tests,
        })
    }
}

/// Of the pairs that could be tested: the others are not among those that may raise a false alarm.
fn correct_for_pairs(pairs: &mut [Pair]) {
    let p_values: Vec<f64> = pairs.iter().filter_map(|pair| pair.tests.p_value.value()).collect();
    let tested = pairs.iter_mut().filter(|pair| pair.tests.p_value.value().is_some());
    for (pair, adjusted) in tested.zip(holm(&p_values)) {
        pair.holm_p_value = Score::Defined(adjusted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::example::evaluation;

    #[test]
    fn a_small_network_beside_the_published_figures_is_called_small() {
        let (dir, published) = (tempfile::tempdir().unwrap(), |against_published| CompareSettings {
            resamples: 50,
            seed: 0,
            level: 0.95,
            common: false,
            against_published,
        });
        let mut nano = evaluation();
        nano.write(dir.path()).unwrap();
        let paths = [dir.path().to_path_buf()];
        let text = compare(&paths, &published(true)).unwrap().to_text();
        let note = "is hemf-nano (1.00 million parameters); the published figures are of hemf (66.6";
        assert!(text.contains(note) && text.contains("published: HEMF, COVID19-CT"), "{text}");
        // The network of the paper needs no such note.
        let full = serde_json::to_value(ModelConfig::preset("hemf").unwrap().with_classes(2)).unwrap();
        nano.facts.networks[0].config["model"] = full;
        nano.write(dir.path()).unwrap();
        let compared = compare(&paths, &published(true)).unwrap();
        assert!(compared.notes.is_empty() && compared.to_text().starts_with("40 images; brackets"), "{compared:?}");
    }
}
