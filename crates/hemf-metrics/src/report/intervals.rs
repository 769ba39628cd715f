//! Intervals of the scores of a report.

use crate::uncertainty::{Bootstrap, Estimate, Method, ResampledBy, Resampling, Scorer};
use crate::{ConfusionMatrix, Error, Predictions, Score, Undefined};
use serde::Serialize;
use std::fmt::Write;

/// What a report holds beyond its scores. By default nothing.
#[derive(Clone, Debug, Default)]
pub struct ReportOptions {
    /// Intervals of the scores.
    pub bootstrap: Option<Bootstrap>,
    /// The group of each sample, such as its patient: intervals are then from resamples of whole groups.
    pub groups: Option<Vec<String>>,
    /// Every picture there is, each with its numbers as CSV.
    pub all_pictures: bool,
}

impl ReportOptions {
    /// What the bootstrap draws: whole groups where they are given, else samples within their class. Fails when there is
    /// not a group for each sample.
    pub fn resampling(&self, predictions: &Predictions) -> Result<Resampling, Error> {
        let resampling = match &self.groups {
            Some(groups) => Resampling::groups(groups)?,
            None => Resampling::within_classes(predictions.truth())?,
        };
        resampling.check(predictions.len())?;
        Ok(resampling)
    }
}

/// Intervals of the scores of a report, and how they were made.
#[derive(Clone, Debug, Serialize)]
pub struct Intervals {
    /// Level of every interval; resamples and seed of those by bootstrap.
    #[serde(flatten)]
    pub bootstrap: Bootstrap,
    /// What the bootstrap drew.
    pub resampled: ResampledBy,
    /// How many of them there are.
    pub units: usize,
    /// Scores of the whole, then class by class.
    pub scores: Vec<ScoreInterval>,
}

/// A score with its interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreInterval {
    /// Its place in the report, such as `macro.f1` or, of a class, `recall`.
    pub score: String,
    /// The class it is of, if it is of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Value, ends and method.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// Resamples that lack the score: the interval is of the others.
    #[serde(skip_serializing_if = "is_zero")]
    pub undefined_resamples: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Intervals {
    /// Proportions get Wilson's interval and areas of a class DeLong's, which are right for few samples and for values
    /// near 1 where the bootstrap is not; all other scores get bootstrap percentiles. Samples in groups are not
    /// independent, as Wilson and DeLong presume: with groups every interval is by bootstrap. A resample of groups may hold
    /// no sample of a class; means over classes are then undefined in it, and their intervals are of the resamples in
    /// which every class occurs. Where half of them or more lack a class, there is no interval.
    pub fn new(predictions: &Predictions, resampling: &Resampling, bootstrap: &Bootstrap) -> Result<Self, Error> {
        resampling.check(predictions.len())?;
        let scorer = Scorer::new(predictions);
        let values = scorer.scores(&vec![1; predictions.len()]);
        let spreads = bootstrap.run(resampling, |times| scorer.scores(times));
        let independent = resampling.by() != ResampledBy::Groups;
        let matrix = predictions.confusion_matrix();
        let scores = scorer.names().into_iter().zip(values).zip(spreads).map(|((name, value), spread)| {
            let own = match independent {
                true => closed_form(predictions, &matrix, &name.score, name.class, bootstrap),
                false => None,
            };
            let by_bootstrap = Estimate {
                value,
                interval: match value {
                    Score::Defined(_) => spread.interval,
                    Score::Undefined(reason) => Err(reason),
                },
                method: Method::BootstrapPercentile,
            };
            ScoreInterval {
                score: name.score,
                class: name.class.map(|class| predictions.classes()[class].clone()),
                undefined_resamples: if own.is_none() { spread.undefined } else { 0 },
                estimate: own.unwrap_or(by_bootstrap),
            }
        });
        Ok(Self {
            bootstrap: *bootstrap,
            resampled: resampling.by(),
            units: resampling.units(),
            scores: scores.collect(),
        })
    }

    /// One line per score, and how the intervals were made.
    pub(super) fn to_text(&self) -> String {
        let Bootstrap { resamples, seed, level } = self.bootstrap;
        let drawn = match self.resampled {
            ResampledBy::Samples => format!("{} samples", self.units),
            ResampledBy::SamplesWithinClasses => format!("{} samples within their classes", self.units),
            ResampledBy::Groups => format!("{} groups", self.units),
        };
        let mut text = format!(
            "{} % intervals (bootstrap: percentiles of {resamples} resamples of {drawn}, seed {seed})\n",
            percent(level.get())
        );
        let name = |entry: &ScoreInterval| match &entry.class {
            Some(class) => format!("{} of {class}", entry.score),
            None => entry.score.clone(),
        };
        let width = self.scores.iter().map(|entry| name(entry).chars().count()).max().unwrap_or(0);
        for entry in &self.scores {
            let method = match (entry.estimate.interval, entry.estimate.method) {
                (Ok(_), Method::Wilson) => "  Wilson",
                (Ok(_), Method::Delong) => "  DeLong",
                _ => "",
            };
            // Writing to a String cannot fail.
            let lacking = match (entry.estimate.interval, entry.undefined_resamples) {
                (Err(_), _) | (_, 0) => String::new(),
                (_, lacking) => format!("  of the {} resamples that have it", resamples - lacking),
            };
            let _ = writeln!(text, "{:<width$}  {:.4}{method}{lacking}", name(entry), entry.estimate);
        }
        text
    }

    /// The interval of a score of the whole (`class` `None`) or of a class.
    pub fn get(&self, score: &str, class: Option<&str>) -> Option<&Estimate> {
        let found = self.scores.iter().find(|entry| entry.score == score && entry.class.as_deref() == class);
        found.map(|entry| &entry.estimate)
    }
}

/// 0.95 as 95, without the digits that binary fractions trail.
fn percent(share: f64) -> f64 {
    (share * 1e6).round() / 1e4
}

/// The interval of a proportion or of the area of a class.
fn closed_form(
    predictions: &Predictions,
    matrix: &ConfusionMatrix,
    score: &str,
    class: Option<usize>,
    &Bootstrap { level, .. }: &Bootstrap,
) -> Option<Estimate> {
    let Some(class) = class else {
        return (score == "accuracy")
            .then(|| Estimate::proportion(matrix.correct(), matrix.total(), level, Undefined::NoSamples));
    };
    let counts = matrix.class(class);
    let (hits, misses, reason) = match score {
        "auc" => return Some(predictions.auc_interval(class, level)),
        "recall" => (counts.true_positives, counts.false_negatives, Undefined::NoPositives),
        "precision" => (counts.true_positives, counts.false_positives, Undefined::NeverPredicted),
        "specificity" => (counts.true_negatives, counts.false_positives, Undefined::NoNegatives),
        "npv" => (counts.true_negatives, counts.false_negatives, Undefined::AlwaysPredicted),
        _ => return None,
    };
    Some(Estimate::proportion(hits, hits + misses, level, reason))
}
