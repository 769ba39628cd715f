//! What follows from an evaluation, as numbers: `report.json`.

mod cautions;
mod decisions;
mod named;
mod overlap;

use std::collections::BTreeMap;

use hemf_metrics::uncertainty::Bootstrap;
use hemf_metrics::{Bins, CALIBRATION_BINS, Predictions, Report, Score, Subgroups};
use hemf_train::Error;
use serde::Serialize;

pub use decisions::{ClassOperation, Costed, Coverage};
pub use named::check_score;

use crate::Evaluation;

/// Everything that is told of an evaluation; `report.json`, field by field.
#[derive(Clone, Debug, Serialize)]
pub struct Findings {
    /// The part of the images that was measured.
    pub split: String,
    /// What must be known before the numbers are believed.
    pub cautions: Vec<String>,
    /// Scores of the probabilities as the network gives them, with intervals.
    #[serde(flatten)]
    pub report: Report,
    /// How far the probabilities can be trusted, before and after the temperature.
    pub trust: Vec<Trust>,
    /// Thresholds chosen on the validation images and what they do to the measured ones.
    pub operating_points: Vec<ClassOperation>,
    /// Accuracy when the least confident images are left to a human.
    pub selective: Vec<Coverage>,
    /// Decisions of least expected cost, where costs were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub costs: Option<Costed>,
    /// The same scores for parts of the images.
    pub subgroups: Vec<Subgroups>,
    /// Columns that are no subgroups, and why.
    pub not_subgroups: BTreeMap<String, String>,
    /// The scores of images that overlap with training and of those that do not, where some do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Subgroups>,
}

/// How well probabilities match what happens.
#[derive(Clone, Debug, Serialize)]
pub struct Trust {
    /// `as the network gives them` or `with the temperature`.
    pub probabilities: &'static str,
    /// What logits were divided by.
    pub temperature: f64,
    /// Mean cross entropy in nats.
    pub log_loss: Score,
    /// Brier score summed over classes, 0 to 2.
    pub brier: Score,
    /// Expected calibration error in bins of equal width.
    pub ece: Score,
    /// The same in bins of equally many images.
    pub ece_equal_mass: Score,
    /// The largest calibration error of a bin of equal width.
    pub mce: Score,
}

impl Findings {
    /// Derives everything but the scores, which are given: they are made together with the pictures.
    pub(super) fn new(evaluation: &Evaluation, report: Report, bootstrap: &Bootstrap) -> Result<Self, Error> {
        let Evaluation { facts, predictions, samples, .. } = evaluation;
        let calibrated = evaluation.calibrated();
        let mut trust = vec![Trust::new("as the network gives them", 1.0, predictions)];
        if let Some(fit) = &facts.temperature {
            trust.push(Trust::new("with the temperature", fit.temperature.get(), &calibrated));
        }
        let validation = evaluation.calibrated_validation();
        let (subgroups, not_subgroups) = samples.subgroup_columns(&facts.settings.subgroups, predictions.truth());
        let groups = samples.groups.as_deref();
        let overlap = overlap::overlap(evaluation, bootstrap)?;
        Ok(Self {
            split: facts.split.clone(),
            cautions: cautions::cautions(evaluation, &report, overlap.as_ref()),
            report,
            trust,
            operating_points: match &validation {
                Some(validation) => decisions::operating_points(validation, &calibrated, evaluation, bootstrap)?,
                None => Vec::new(),
            },
            selective: decisions::selective(&calibrated, groups, bootstrap)?,
            costs: match &facts.settings.costs {
                Some(costs) => Some(Costed::new(costs, &calibrated, groups, bootstrap)?),
                None => None,
            },
            subgroups: subgroups
                .iter()
                .map(|(column, values)| Subgroups::new(predictions, column, values, groups, bootstrap))
                .collect::<Result<_, _>>()?,
            not_subgroups: not_subgroups.into_iter().collect(),
            overlap,
        })
    }

    /// The scores that stand before all others: name, place in the report, value.
    pub(super) fn headlines(&self) -> [(&'static str, &'static str, Score); 6] {
        let Report { accuracy, balanced_accuracy, macro_average, mcc, kappa, .. } = &self.report;
        [
            ("Accuracy", "accuracy", *accuracy),
            ("Balanced accuracy", "balanced_accuracy", *balanced_accuracy),
            ("Macro AUC", "macro.auc", macro_average.auc),
            ("Macro F1", "macro.f1", macro_average.f1),
            ("MCC", "mcc", *mcc),
            ("Kappa", "kappa", *kappa),
        ]
    }

    /// What fits on a screen: each class, the scores of the whole with their intervals, the cost where costs were given, and
    /// what must be known of all that. The rest is in [`to_text`](Self::to_text).
    pub fn summary(&self) -> String {
        let report = &self.report;
        let mut text = report.classification_table(4) + "\n";
        for (name, place, value) in self.headlines() {
            let interval = report.intervals.as_ref().and_then(|intervals| intervals.get(place, None));
            let shown = interval.map_or_else(|| format!("{value:.4}"), |estimate| format!("{estimate:.4}"));
            let count = match place {
                "accuracy" => format!(", {} of {}", report.correct, report.samples),
                _ => String::new(),
            };
            text += &format!("{name:<18} {shown}{count}\n");
        }
        if let Some(intervals) = &report.intervals {
            text += &format!("in brackets: {} % intervals\n", intervals.bootstrap.level.get() * 100.0);
        }
        // The table shows these as 0, as scikit-learn does.
        let as_zero = |score: &str| ["precision", "recall", "f1"].contains(&score);
        let mut undefined = report.undefined.iter().filter(|undefined| as_zero(undefined.score)).peekable();
        if undefined.peek().is_some() {
            text += "\nundefined, in the table 0:\n";
        }
        undefined.for_each(|undefined| text += &format!("  {undefined}\n"));
        text += &self.costs.as_ref().map(Costed::to_text).unwrap_or_default();
        text + &self.cautions_as_text()
    }

    /// As JSON, indented, with a final newline.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers, texts and string keys always serialise") + "\n"
    }

    /// The report as text: tables, scores, intervals, then calibration, decisions, subgroups and what must be known of them.
    pub fn to_text(&self) -> String {
        let mut text = self.report.to_text();
        text += "\ncalibration            log loss   Brier  ECE (width)  ECE (mass)\n";
        for trust in &self.trust {
            text += &format!(
                "T = {:<17.3} {:>9.4} {:>7.4} {:>12.4} {:>11.4}\n",
                trust.temperature,
                trust.log_loss.or_zero(),
                trust.brier.or_zero(),
                trust.ece.or_zero(),
                trust.ece_equal_mass.or_zero()
            );
        }
        text += &decisions::points_as_text(&self.operating_points, &self.split);
        text += &self.costs.as_ref().map(Costed::to_text).unwrap_or_default();
        for subgroups in self.subgroups.iter().chain(&self.overlap) {
            text += "\n";
            text += &subgroups.to_text();
        }
        text + &self.cautions_as_text()
    }

    fn cautions_as_text(&self) -> String {
        if self.cautions.is_empty() {
            return String::new();
        }
        let cautions: String = self.cautions.iter().map(|caution| format!("  ! {caution}\n")).collect();
        format!("\nbefore these numbers are believed:\n{cautions}")
    }
}

impl Trust {
    fn new(probabilities: &'static str, temperature: f64, predictions: &Predictions) -> Self {
        let calibration = predictions.calibration();
        Self {
            probabilities,
            temperature,
            log_loss: predictions.log_loss(),
            brier: predictions.brier(),
            ece: calibration.ece,
            ece_equal_mass: predictions.calibration_in(Bins::EqualMass(CALIBRATION_BINS)).ece,
            mce: calibration.mce,
        }
    }
}
