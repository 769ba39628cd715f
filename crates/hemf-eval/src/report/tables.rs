//! The numbers of decisions and subgroups as CSV.

use std::path::Path;

use hemf_metrics::decision::SelectiveCurve;
use hemf_metrics::uncertainty::Estimate;
use hemf_train::Error;

use super::{Costed, Findings};
use crate::Evaluation;
use crate::files::{Csv, remove, write_csv};

pub(super) fn write_all(folder: &Path, evaluation: &Evaluation, findings: &Findings) -> Result<(), Error> {
    write_csv(&folder.join("operating_points.csv"), |csv| operating_points(csv, findings))?;
    write_csv(&folder.join("selective.csv"), |csv| selective(csv, evaluation))?;
    write_csv(&folder.join("subgroups.csv"), |csv| subgroups(csv, findings))?;
    write_csv(&folder.join("calibration.csv"), |csv| calibration(csv, findings))?;
    let path = folder.join("costs.csv");
    match &findings.costs {
        Some(found) => write_csv(&path, |csv| costs(csv, found, evaluation)),
        None => remove(&path),
    }
}

fn cell(number: Option<f64>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}

/// Value, low and high; empty where there is none.
fn cells(estimate: Option<&Estimate>) -> [String; 3] {
    let interval = estimate.and_then(|estimate| estimate.interval.ok());
    let value = estimate.and_then(|estimate| estimate.value.value());
    [cell(value), cell(interval.map(|interval| interval.low)), cell(interval.map(|interval| interval.high))]
}

fn operating_points(csv: &mut Csv, findings: &Findings) -> Result<(), csv::Error> {
    let names = ["sensitivity", "specificity", "ppv", "npv"];
    let columns = names.iter().flat_map(|name| [name.to_string(), format!("{name}_low"), format!("{name}_high")]);
    csv.write_record(["class", "target", "at_least", "threshold"].map(str::to_owned).into_iter().chain(columns))?;
    for point in &findings.operating_points {
        let start = [point.class.clone(), point.target.to_owned(), point.at_least.to_string(), cell(point.threshold)];
        let measured = point.measured.as_ref();
        let estimates = [
            measured.map(|m| &m.sensitivity),
            measured.map(|m| &m.specificity),
            measured.map(|m| &m.ppv),
            measured.map(|m| &m.npv),
        ];
        csv.write_record(start.into_iter().chain(estimates.into_iter().flat_map(cells)))?;
    }
    Ok(())
}

/// Every point of the curve of accuracy against coverage.
fn selective(csv: &mut Csv, evaluation: &Evaluation) -> Result<(), csv::Error> {
    csv.write_record(["threshold", "coverage", "images", "correct", "accuracy"])?;
    for point in SelectiveCurve::new(&evaluation.calibrated()).points() {
        let accuracy = point.correct as f64 / point.kept as f64;
        csv.write_record([
            point.threshold.to_string(),
            point.coverage().or_zero().to_string(),
            point.kept.to_string(),
            point.correct.to_string(),
            accuracy.to_string(),
        ])?;
    }
    Ok(())
}

fn costs(csv: &mut Csv, found: &Costed, evaluation: &Evaluation) -> Result<(), csv::Error> {
    csv.write_record(["class", "decision", "cost", "images"])?;
    for (class, (name, counts)) in evaluation.predictions.classes().iter().zip(&found.counts).enumerate() {
        let decisions = found.matrix.decisions().iter().zip(found.matrix.of_class(class)).zip(counts);
        for ((decision, cost), count) in decisions {
            csv.write_record([name, decision, &cost.to_string(), &count.to_string()])?;
        }
    }
    Ok(())
}

fn subgroups(csv: &mut Csv, findings: &Findings) -> Result<(), csv::Error> {
    let names = ["accuracy", "balanced_accuracy", "macro_auc"];
    let columns = names.iter().flat_map(|name| [name.to_string(), format!("{name}_low"), format!("{name}_high")]);
    let end = ["notices".to_owned()];
    csv.write_record(["column", "value", "images"].map(str::to_owned).into_iter().chain(columns).chain(end))?;
    for subgroups in &findings.subgroups {
        for group in &subgroups.groups {
            let start = [subgroups.column.clone(), group.value.clone(), group.samples.to_string()];
            let estimates = [&group.accuracy, &group.balanced_accuracy, &group.macro_auc];
            let estimates = estimates.into_iter().flat_map(|estimate| cells(Some(estimate)));
            csv.write_record(start.into_iter().chain(estimates).chain([group.notices.join("; ")]))?;
        }
    }
    Ok(())
}

fn calibration(csv: &mut Csv, findings: &Findings) -> Result<(), csv::Error> {
    csv.write_record(["probabilities", "temperature", "log_loss", "brier", "ece", "ece_equal_mass", "mce"])?;
    for trust in &findings.trust {
        let scores = [trust.log_loss, trust.brier, trust.ece, trust.ece_equal_mass, trust.mce];
        let scores = scores.map(|score| cell(score.value()));
        let start = [trust.probabilities.to_owned(), trust.temperature.to_string()];
        csv.write_record(start.into_iter().chain(scores))?;
    }
    Ok(())
}
