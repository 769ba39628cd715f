//! What to do with probabilities: thresholds, what is left to a human, how far to trust them.

use std::path::Path;

use hemf_train::Error;

use super::{images, number, shown, table};
use crate::Evaluation;
use crate::report::Findings;
use crate::report::page::{Section, figure};

pub(super) fn decisions(evaluation: &Evaluation, findings: &Findings) -> Section {
    let mut section = Section::new("decisions", "Decisions");
    if evaluation.validation.is_none() {
        section.paragraphs.push("Without validation images no threshold was chosen.".to_owned());
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
    section
}

pub(super) fn trust(folder: &Path, evaluation: &Evaluation, findings: &Findings) -> Result<Section, Error> {
    let mut section = Section::new("calibration", "Calibration");
    if let Some(fit) = &evaluation.facts.temperature {
        section.paragraphs.push(format!(
            "A temperature of {:.3} was fitted on the validation images alone (cross entropy there {:.4}, then {:.4}).",
            fit.temperature.get(),
            fit.validation_loss_before,
            fit.validation_loss_after
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
    section.figures.push(figure(folder, "reliability", "Accuracy against confidence, as the network gives it.")?);
    if evaluation.facts.temperature.is_some() {
        section.figures.push(figure(folder, "reliability_calibrated", "The same with the temperature.")?);
    }
    Ok(section)
}
