//! What follows for decisions: thresholds, what is left to a human, costs.

use hemf_metrics::Predictions;
use hemf_metrics::decision::{CostMatrix, Costs, OperatingPoint, Operation, SelectiveCurve, Target};
use hemf_metrics::uncertainty::{Bootstrap, Estimate, Resampling};
use hemf_train::Error;
use serde::Serialize;

use crate::Evaluation;

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

/// Decisions of least expected cost, by the probabilities that `predict` gives.
#[derive(Clone, Debug, Serialize)]
pub struct Costed {
    /// What each decision costs for each true class.
    pub matrix: CostMatrix,
    /// Mean cost of an image: the interval is from resamples within classes, or of whole groups.
    pub mean: Estimate,
    /// The best decision for all images alike, without looking at any.
    pub always: String,
    /// What always deciding so costs, in the mean: what the network has to beat.
    pub without_network: f64,
    /// Images by true class and decision.
    pub counts: Vec<Vec<u64>>,
}

impl Costed {
    pub(super) fn new(
        matrix: &CostMatrix,
        predictions: &Predictions,
        groups: Option<&[String]>,
        bootstrap: &Bootstrap,
    ) -> Result<Self, Error> {
        let resampling = match groups {
            Some(groups) => Resampling::groups(groups)?,
            None => Resampling::within_classes(predictions.truth())?,
        };
        let Costs { always, without_classifier, counts, .. } = matrix.apply(predictions)?;
        Ok(Self {
            mean: matrix.mean_cost(predictions, &resampling, bootstrap)?,
            always: matrix.decisions()[always].clone(),
            without_network: without_classifier.or_zero(),
            counts,
            matrix: matrix.clone(),
        })
    }

    /// Two lines.
    pub(super) fn to_text(&self) -> String {
        format!(
            "\ndecisions of least expected cost: mean cost {:.4}\nalways \"{}\" would cost {:.4}\n",
            self.mean, self.always, self.without_network
        )
    }
}

/// A line for each operating point.
pub(super) fn points_as_text(points: &[ClassOperation], split: &str) -> String {
    if points.is_empty() {
        return String::new();
    }
    let mut text = format!("\noperating points (chosen on validation, measured on {split})\n");
    for point in points {
        let ClassOperation { class, target, at_least, threshold, measured, .. } = point;
        text += &match (threshold, measured) {
            (Some(threshold), Some(measured)) => format!(
                "{class}: {target} at least {at_least} -> p >= {threshold:.4}: sensitivity {:.3}, specificity {:.3}\n",
                measured.sensitivity, measured.specificity
            ),
            _ => format!("{class}: {target} at least {at_least}: {}\n", point.reason.as_deref().unwrap_or("never")),
        };
    }
    text
}

pub(super) fn operating_points(
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

pub(super) fn selective(
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
