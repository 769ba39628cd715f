//! What follows from an evaluation, as numbers: `report.json`.

use std::collections::BTreeMap;

use hemf_metrics::decision::{OperatingPoint, Operation, SelectiveCurve, Target};
use hemf_metrics::uncertainty::{Bootstrap, Estimate};
use hemf_metrics::{Bins, CALIBRATION_BINS, Predictions, Report, Score, Subgroups};
use hemf_train::Error;
use serde::Serialize;

use crate::Evaluation;

/// Everything that is told of an evaluation; `report.json`, field by field.
#[derive(Clone, Debug, Serialize)]
pub struct Findings {
    /// The part of the images that was measured.
    pub split: String,
    /// Scores of the probabilities as the network gives them, with intervals.
    #[serde(flatten)]
    pub report: Report,
    /// How far the probabilities can be trusted, before and after the temperature.
    pub trust: Vec<Trust>,
    /// Thresholds chosen on the validation images and what they do to the measured ones.
    pub operating_points: Vec<ClassOperation>,
    /// Accuracy when the least confident images are left to a human.
    pub selective: Vec<Coverage>,
    /// The same scores for parts of the images.
    pub subgroups: Vec<Subgroups>,
    /// Columns that are no subgroups, with the number of their values.
    pub not_subgroups: BTreeMap<String, usize>,
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

/// A threshold and what it does.
#[derive(Clone, Debug, Serialize)]
pub struct ClassOperation {
    /// The class whose probability is compared with the threshold.
    pub class: String,
    /// `sensitivity` or `specificity`.
    pub target: &'static str,
    /// What it was to be on the validation images, at least.
    pub at_least: f64,
    /// The class is said to be there from this probability on, with the temperature; `null` when no image of the
    /// validation reaches it.
    pub threshold: Option<f64>,
    /// What came of it on the measured images; `null` where the validation images have no such class.
    pub measured: Option<Operation>,
    /// Why there is no threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Accuracy of the most confident images.
#[derive(Clone, Debug, Serialize)]
pub struct Coverage {
    /// Share of the images that are decided.
    pub coverage: f64,
    /// Number of these images.
    pub images: u64,
    /// The least confidence among them.
    pub threshold: f64,
    /// Accuracy on them: Wilson's interval, or from resamples of whole groups.
    pub accuracy: Estimate,
}

/// Shares of images decided in [`Findings::selective`].
const COVERAGES: [f64; 5] = [1.0, 0.9, 0.8, 0.7, 0.5];

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
        let (subgroups, not_subgroups) = samples.subgroup_columns(&facts.settings.subgroups);
        let groups = samples.groups.as_deref();
        Ok(Self {
            split: facts.split.clone(),
            report,
            trust,
            operating_points: match &validation {
                Some(validation) => operating_points(validation, &calibrated, evaluation, bootstrap)?,
                None => Vec::new(),
            },
            selective: selective(&calibrated, groups, bootstrap)?,
            subgroups: subgroups
                .iter()
                .map(|(column, values)| Subgroups::new(predictions, column, values, groups, bootstrap))
                .collect::<Result<_, _>>()?,
            not_subgroups: not_subgroups.into_iter().collect(),
        })
    }

    /// As JSON, indented, with a final newline.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers, texts and string keys always serialise") + "\n"
    }

    /// The score at a place in `report.json`, with dots for nested ones (`macro.f1`) and the class after a colon for
    /// those of a class (`recall:MEL`).
    ///
    /// # Errors
    /// A sentence that names the scores there are, or why this one has no value.
    pub fn score(&self, name: &str) -> Result<f64, String> {
        let json = serde_json::to_value(&self.report).map_err(|error| error.to_string())?;
        let (path, class) = name.split_once(':').map_or((name, None), |(path, class)| (path, Some(class)));
        let root = match class {
            None => Some(&json),
            Some(class) => json["classes"].as_array().and_then(|all| all.iter().find(|c| c["class"] == class)),
        };
        let found = root.and_then(|root| path.split('.').try_fold(root, |here, key| here.get(key)));
        match found {
            Some(value) if value.is_number() => value.as_f64().ok_or_else(|| format!("{name} is no number")),
            Some(value) if value.is_null() => {
                let undefined = self.report.undefined.iter().find(|u| u.score == path && u.class.as_deref() == class);
                let reason = undefined.map_or("unknown why", |undefined| undefined.reason.as_str());
                Err(format!("{name} is undefined here: {reason}"))
            }
            _ => Err(format!(
                "there is no score \"{name}\": accuracy, balanced_accuracy, mcc, kappa, macro.f1, macro.auc, \
                 weighted.f1, micro.auc and the like of report.json, or recall:CLASS, precision:CLASS, auc:CLASS of one \
                 of {}",
                self.report.classes.iter().map(|class| class.class.as_str()).collect::<Vec<_>>().join(", ")
            )),
        }
    }

    /// The report as text: tables, scores, intervals, then calibration, decisions and subgroups.
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
        if !self.operating_points.is_empty() {
            text += &format!("\noperating points (chosen on validation, measured on {})\n", self.split);
        }
        for point in &self.operating_points {
            let ClassOperation { class, target, at_least, threshold, measured, .. } = point;
            text += &match (threshold, measured) {
                (Some(threshold), Some(measured)) => format!(
                    "{class}: {target} at least {at_least} -> p >= {threshold:.4}: sensitivity {:.3}, specificity {:.3}\n",
                    measured.sensitivity, measured.specificity
                ),
                _ => format!("{class}: {target} at least {at_least}: {}\n", point.reason.as_deref().unwrap_or("never")),
            };
        }
        for subgroups in &self.subgroups {
            text += "\n";
            text += &subgroups.to_text();
        }
        text
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

fn operating_points(
    validation: &Predictions,
    measured: &Predictions,
    evaluation: &Evaluation,
    bootstrap: &Bootstrap,
) -> Result<Vec<ClassOperation>, Error> {
    let groups = evaluation.samples.groups.as_deref();
    let apply = |point: OperatingPoint| match groups {
        Some(groups) => point.apply_in_groups(measured, groups, bootstrap),
        None => point.apply(measured, bootstrap.level),
    };
    let mut points = Vec::new();
    for (class, name) in validation.classes().iter().enumerate() {
        for &at_least in &evaluation.facts.settings.targets {
            for (kind, target) in
                [("sensitivity", Target::sensitivity(at_least)?), ("specificity", Target::specificity(at_least)?)]
            {
                let chosen = OperatingPoint::choose(validation, class, target);
                points.push(ClassOperation {
                    class: name.clone(),
                    target: kind,
                    at_least,
                    threshold: chosen.ok().map(|point| point.threshold).filter(|threshold| threshold.is_finite()),
                    measured: chosen.ok().map(apply).transpose()?,
                    reason: chosen.err().map(|reason| format!("on the validation images {reason}")),
                });
            }
        }
    }
    Ok(points)
}

fn selective(
    predictions: &Predictions,
    groups: Option<&[String]>,
    bootstrap: &Bootstrap,
) -> Result<Vec<Coverage>, Error> {
    let curve = SelectiveCurve::new(predictions);
    let mut told: Vec<Coverage> = Vec::new();
    for coverage in COVERAGES {
        let Some(selection) = curve.with_coverage(coverage)? else { continue };
        if told.last().is_some_and(|last| last.images == selection.kept) {
            continue; // equal confidences stay together
        }
        told.push(Coverage {
            coverage: selection.coverage().or_zero(),
            images: selection.kept,
            threshold: selection.threshold,
            accuracy: match groups {
                Some(groups) => selection.accuracy_in_groups(predictions, groups, bootstrap)?,
                None => selection.accuracy(bootstrap.level),
            },
        });
    }
    Ok(told)
}
