//! The files of a report.

use super::tables::{cell, write_pictures, write_table};
use super::{Intervals, Report, ReportOptions};
use crate::files::write_atomically;
use crate::plot::{self, Cells};
use crate::uncertainty::{Reliability, RocBand};
use crate::{Error, Predictions, RocCurves};
use std::path::Path;

/// Writes into `folder`, making it if need be: `report.json`, `report.txt`, `predictions.csv`, `roc.csv`, and
/// `confusion_matrix`, `confusion_matrix_normalised` and `roc` as `.svg` and `.png`. Each file appears whole or not at
/// all. Returns the report written.
pub fn write_report(folder: &Path, predictions: &Predictions) -> Result<Report, Error> {
    write_report_with(folder, predictions, &ReportOptions::default())
}

/// As [`write_report`], with what the options ask for.
pub fn write_report_with(folder: &Path, predictions: &Predictions, options: &ReportOptions) -> Result<Report, Error> {
    std::fs::create_dir_all(folder).map_err(|error| Error::write(folder, error))?;
    let curves = RocCurves::new(predictions);
    let report = Report::with_curves(predictions, &curves).add_intervals(predictions, options)?;
    write_atomically(&folder.join("report.json"), report.to_json().as_bytes())?;
    write_atomically(&folder.join("report.txt"), report.to_text().as_bytes())?;
    predictions.write_csv(&folder.join("predictions.csv"))?;
    write_table(folder, "roc", |csv| roc_table(csv, &curves))?;

    let matrix = predictions.confusion_matrix();
    let classes = predictions.classes();
    let counts = plot::confusion_matrix(&matrix, classes, Cells::Counts);
    counts.write(folder, "confusion_matrix")?;
    let shares = plot::confusion_matrix(&matrix, classes, Cells::RowShares);
    shares.write(folder, "confusion_matrix_normalised")?;
    match options.all_pictures {
        false => plot::roc_curves(&curves).write(folder, "roc")?,
        true => {
            let bootstrap = options.bootstrap.unwrap_or_default();
            let resampling = options.resampling(predictions)?;
            let intervals = match &report.intervals {
                Some(intervals) => intervals,
                None => &Intervals::new(predictions, &resampling, &bootstrap)?,
            };
            // Without a curve there is no band either; the picture says so.
            let band = RocBand::of_mean(predictions, &resampling, &bootstrap)?.ok();
            let reliability = Reliability::new(predictions, &resampling, &bootstrap)?;
            write_pictures(folder, predictions, &curves, intervals, &reliability, band.as_ref())?;
        }
    }
    Ok(report)
}

/// The corners of every curve: `curve,class,threshold,false_positive_rate,true_positive_rate`, where `curve` is
/// `class`, `micro` or `macro`. A rate that is undefined is empty, as is the threshold of the macro mean, which has none.
fn roc_table(csv: &mut csv::Writer<Vec<u8>>, curves: &RocCurves) -> Result<(), csv::Error> {
    csv.write_record(["curve", "class", "threshold", "false_positive_rate", "true_positive_rate"])?;
    let classes = curves.classes.iter();
    let classes = classes.map(|(class, curve)| ("class", class.as_str(), curve));
    for (kind, class, curve) in classes.chain([("micro", "", &curves.micro)]) {
        let curve = curve.corners();
        for point in curve.points() {
            let false_positive_rate = cell(curve.false_positive_rate(point).value());
            let true_positive_rate = cell(curve.true_positive_rate(point).value());
            let threshold = point.threshold.to_string();
            let record = [kind, class, &threshold, &false_positive_rate, &true_positive_rate];
            csv.write_record(record)?;
        }
    }
    for (false_positive_rate, true_positive_rate) in curves.macro_curve() {
        let rates = [false_positive_rate, true_positive_rate].map(|rate| rate.to_string());
        csv.write_record(["macro", "", "", &rates[0], &rates[1]])?;
    }
    Ok(())
}
