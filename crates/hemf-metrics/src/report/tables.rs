//! The numbers of the pictures as CSV.

use crate::plot::{self, Cells};
use crate::report::Intervals;
use crate::uncertainty::{Estimate, Level, Reliability, RocBand};
use crate::{ConfusionMatrix, Error, RocCurves, ScoreHistograms};
use std::path::Path;

/// Scores of each class with their intervals, for [`plot::class_bars`].
#[derive(Clone, Debug, PartialEq)]
pub struct ClassScores {
    /// Level of the intervals.
    pub level: Level,
    /// Name and number of samples of each class.
    pub classes: Vec<(String, u64)>,
    /// Name of each score with its value for each class.
    pub columns: Vec<(String, Vec<Estimate>)>,
}

impl ClassScores {
    /// Sensitivity, specificity, positive predictive value and area under the ROC curve of each class.
    pub fn new(matrix: &ConfusionMatrix, classes: &[String], intervals: &Intervals) -> Self {
        let shown = [("Sensitivity", "recall"), ("Specificity", "specificity"), ("PPV", "precision"), ("AUC", "auc")];
        let column = |(name, score): (&str, &str)| {
            let estimates = classes.iter().filter_map(|class| intervals.get(score, Some(class)).copied());
            (name.to_owned(), estimates.collect())
        };
        Self {
            level: intervals.bootstrap.level,
            classes: classes.iter().cloned().zip((0..matrix.classes()).map(|class| matrix.support(class))).collect(),
            columns: shown.into_iter().map(column).collect(),
        }
    }
}

/// A table on its way into a file.
type Csv = csv::Writer<Vec<u8>>;

/// Writes `<name>.csv`, whole or not at all.
pub(super) fn write_table(
    folder: &Path,
    name: &str,
    fill: impl FnOnce(&mut Csv) -> Result<(), csv::Error>,
) -> Result<(), Error> {
    let path = folder.join(format!("{name}.csv"));
    let mut csv = csv::Writer::from_writer(Vec::new());
    let filled = fill(&mut csv).and_then(|()| csv.into_inner().map_err(|error| error.into_error().into()));
    let bytes = filled.map_err(|error| Error::write(&path, error.into()))?;
    crate::files::write_atomically(&path, &bytes)
}

/// A number with the fewest digits that read back as the same; empty where there is none.
pub(super) fn cell(number: Option<f64>) -> String {
    number.map_or(String::new(), |number| number.to_string())
}

fn ends(estimate: &Estimate) -> [String; 2] {
    let interval = estimate.interval.ok();
    [cell(interval.map(|interval| interval.low)), cell(interval.map(|interval| interval.high))]
}

/// Writes the pictures that a report has on demand, each with its numbers.
pub(super) fn write_pictures(
    folder: &Path,
    predictions: &crate::Predictions,
    curves: &RocCurves,
    intervals: &Intervals,
    reliability: &Reliability,
    band: Option<&RocBand>,
) -> Result<(), Error> {
    let (matrix, classes) = (predictions.confusion_matrix(), predictions.classes());
    for (name, cells) in [("confusion_matrix", Cells::Counts), ("confusion_matrix_normalised", Cells::RowShares)] {
        write_table(folder, name, |csv| confusion_table(csv, &matrix, classes, cells))?;
    }
    plot::roc_curves_with_band(curves, band).write(folder, "roc")?;
    if let Some(band) = band {
        write_table(folder, "roc_band", |csv| band_table(csv, band))?;
    }
    plot::precision_recall_curves(curves).write(folder, "precision_recall")?;
    write_table(folder, "precision_recall", |csv| precision_recall_table(csv, curves))?;

    write_reliability(folder, "reliability", reliability)?;

    let histograms = ScoreHistograms::new(predictions, HISTOGRAM_BINS);
    plot::score_histograms(&histograms).write(folder, "score_histograms")?;
    write_table(folder, "score_histograms", |csv| histogram_table(csv, &histograms))?;

    let scores = ClassScores::new(&matrix, classes, intervals);
    plot::class_bars(&scores).write(folder, "class_scores")?;
    write_table(folder, "class_scores", |csv| class_table(csv, &scores))
}

/// Writes a reliability diagram as `NAME.svg` and `NAME.png`, with its numbers as `NAME.csv`.
pub fn write_reliability(folder: &Path, name: &str, reliability: &Reliability) -> Result<(), Error> {
    plot::reliability_diagram(reliability).write(folder, name)?;
    write_table(folder, name, |csv| reliability_table(csv, reliability))
}

const HISTOGRAM_BINS: usize = 20;

fn confusion_table(
    csv: &mut Csv,
    matrix: &ConfusionMatrix,
    classes: &[String],
    cells: Cells,
) -> Result<(), csv::Error> {
    csv.write_record(std::iter::once("true").chain(classes.iter().map(String::as_str)))?;
    for (truth, class) in classes.iter().enumerate() {
        csv.write_field(class)?;
        let shares = matrix.row_shares(truth);
        for predicted in 0..classes.len() {
            csv.write_field(match cells {
                Cells::Counts => matrix.count(truth, predicted).to_string(),
                Cells::RowShares => cell(shares.as_ref().map(|shares| shares[predicted])),
            })?;
        }
        csv.write_record(None::<&[u8]>)?;
    }
    Ok(())
}

fn band_table(csv: &mut Csv, band: &RocBand) -> Result<(), csv::Error> {
    csv.write_record(["curve", "false_positive_rate", "low", "high"])?;
    for point in &band.points {
        let [rate, low, high] = [point.false_positive_rate, point.low, point.high].map(|value| value.to_string());
        csv.write_record(["macro", &rate, &low, &high])?;
    }
    Ok(())
}

fn precision_recall_table(csv: &mut Csv, curves: &RocCurves) -> Result<(), csv::Error> {
    csv.write_record(["curve", "class", "threshold", "recall", "precision"])?;
    let classes = curves.classes.iter().map(|(class, curve)| ("class", class.as_str(), curve));
    for (kind, class, curve) in classes.chain([("micro", "", &curves.micro)]) {
        let Some(points) = curve.recall_precision() else { continue };
        for (point, (recall, precision)) in curve.points()[1..].iter().zip(points) {
            let numbers = [point.threshold, recall, precision].map(|value| value.to_string());
            csv.write_record([kind, class, &numbers[0], &numbers[1], &numbers[2]])?;
        }
    }
    Ok(())
}

fn reliability_table(csv: &mut Csv, reliability: &Reliability) -> Result<(), csv::Error> {
    csv.write_record(["bin", "samples", "confidence", "accuracy", "low", "high"])?;
    for (number, (bin, estimate)) in reliability.calibration.bins.iter().zip(&reliability.accuracies).enumerate() {
        let [low, high] = ends(estimate);
        let (confidence, accuracy) = (cell(bin.confidence.value()), cell(bin.accuracy.value()));
        csv.write_record([number.to_string(), bin.count.to_string(), confidence, accuracy, low, high])?;
    }
    Ok(())
}

fn histogram_table(csv: &mut Csv, histograms: &ScoreHistograms) -> Result<(), csv::Error> {
    csv.write_record(["class", "from", "to", "members", "others"])?;
    for histogram in &histograms.classes {
        let bins = histogram.members.len();
        let edge = |bin: usize| (bin as f64 / bins as f64).to_string();
        for (bin, (members, others)) in histogram.members.iter().zip(&histogram.others).enumerate() {
            let numbers = [edge(bin), edge(bin + 1), members.to_string(), others.to_string()];
            csv.write_record(std::iter::once(&histogram.class).chain(&numbers))?;
        }
    }
    Ok(())
}

fn class_table(csv: &mut Csv, scores: &ClassScores) -> Result<(), csv::Error> {
    csv.write_record(["class", "samples", "score", "value", "low", "high"])?;
    for (index, (class, samples)) in scores.classes.iter().enumerate() {
        for (name, estimates) in &scores.columns {
            let [low, high] = ends(&estimates[index]);
            let value = cell(estimates[index].value.value());
            csv.write_record([class.as_str(), &samples.to_string(), name, &value, &low, &high])?;
        }
    }
    Ok(())
}
