//! What to do with probabilities: thresholds, what is left to a human, how far to trust them.

use std::path::Path;

use hemf_train::Error;

use super::{images, number, shown, table};
use crate::Evaluation;
use crate::report::page::{Section, Table, figure};
use crate::report::{Costed, Findings};

pub(super) fn decisions(evaluation: &Evaluation, findings: &Findings) -> Section {
    let mut section = Section::new("decisions", "Decisions");
    if evaluation.validation.is_none() {
        let reason = evaluation.facts.no_validation.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        section.paragraphs.push(format!("Without validation images no threshold was chosen{reason}."));
    } else {
        section.paragraphs.push(format!(
            "Thresholds were chosen on the validation images to reach a sensitivity or specificity there, and applied \
             unchanged to the {}. They are compared with the probability that the predict command gives.",
            images(evaluation)
        ));
        let rows = findings.operating_points.iter().map(|point| {
            let start = vec![point.class.clone(), format!("{} ≥ {}", point.target, point.at_least)];
            let rest = match (&point.threshold, &point.measured) {
                (Some(threshold), Some(measured)) => {
                    let estimates = [&measured.sensitivity, &measured.specificity, &measured.ppv, &measured.npv];
                    [format!("{threshold:.4}")].into_iter().chain(estimates.map(shown)).collect()
                }
                _ => vec![format!("none ({})", point.reason.as_deref().unwrap_or("no image reaches it"))],
            };
            start.into_iter().chain(rest).collect()
        });
        let head = ["Class", "Asked for on validation", "Threshold", "Sensitivity", "Specificity", "PPV", "NPV"];
        section.tables.push(table("Operating points, as measured", &head, rows.collect()));
    }
    let rows = findings.selective.iter().map(|point| {
        let share = format!("{:.1} %", point.coverage * 100.0);
        vec![share, point.images.to_string(), format!("{:.4}", point.threshold), shown(&point.accuracy)]
    });
    let head = ["Decided", "Images", "Least confidence", "Accuracy on them"];
    section.tables.push(table("When the least confident images are left to a human", &head, rows.collect()));
    section.tables.extend(findings.costs.as_ref().map(|costs| cost_table(costs, evaluation)));
    section
}

/// Images by true class and decision, with what each costs.
fn cost_table(costs: &Costed, evaluation: &Evaluation) -> Table {
    let classes = evaluation.predictions.classes().iter().zip(&costs.counts).enumerate();
    let rows = classes.map(|(class, (name, counts))| {
        let cells = counts.iter().zip(costs.matrix.of_class(class)).map(|(count, cost)| format!("{count} (at {cost})"));
        std::iter::once(name.clone()).chain(cells).collect()
    });
    let decisions = costs.matrix.decisions().iter().map(String::as_str);
    let head: Vec<&str> = std::iter::once("True class").chain(decisions).collect();
    let mut table = table("Decisions of least expected cost", &head, rows.collect());
    table.notes.push(format!(
        "Images, and what each of them costs. Mean cost of an image: {}. Always deciding \"{}\" would cost {:.3}. The expected cost of a decision is the sum \
         over the classes of its cost times the probability that the predict command gives; nothing was fitted to the \
         images measured.",
        shown(&costs.mean),
        costs.always,
        costs.without_network
    ));
    table
}

pub(super) fn trust(folder: &Path, evaluation: &Evaluation, findings: &Findings) -> Result<Section, Error> {
    let mut section = Section::new("calibration", "Calibration");
    if let Some(fit) = &evaluation.facts.temperature {
        let losses = match (fit.validation_loss_before, fit.validation_loss_after) {
            (Some(before), Some(after)) => format!("cross entropy there {before:.4}, then {after:.4}"),
            _ => "by an earlier evaluation".to_owned(),
        };
        section.paragraphs.push(format!(
            "A temperature of {:.3} was fitted on the validation images alone ({losses}).",
            fit.temperature.get()
        ));
    }
    if let Some(reason) = &evaluation.facts.no_temperature {
        section.paragraphs.push(format!("No temperature is used, here and by the predict command: {reason}."));
    }
    let rows = findings.trust.iter().map(|trust| {
        let scores = [trust.log_loss, trust.brier, trust.ece, trust.ece_equal_mass, trust.mce].map(number);
        let name = format!("{} (T = {:.3})", trust.probabilities, trust.temperature);
        [name].into_iter().chain(scores).collect()
    });
    let head = ["Probabilities", "Log loss", "Brier", "ECE, equal width", "ECE, equal mass", "Largest error"];
    section.tables.push(table("Calibration before and after the temperature", &head, rows.collect()));
    let bars = match evaluation.samples.groups {
        Some(_) => "resamples of whole groups; a bin of few groups, or whose accuracy no resample changes, has none",
        None => "Wilson's interval",
    };
    section.paragraphs.push(format!(
        "The bars in the diagrams are {bars}. The calibration errors have no interval: what is drawn twice moves a bin away \
         from its mean, so that the errors of resamples are larger than those of the images."
    ));
    section.figures.push(figure(folder, "reliability", "Accuracy against confidence, as the network gives it.")?);
    if evaluation.facts.temperature.is_some() {
        section.figures.push(figure(folder, "reliability_calibrated", "The same with the temperature.")?);
    }
    Ok(section)
}
