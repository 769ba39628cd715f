//! The report of an evaluation: numbers, tables, pictures and the page that shows them all. Made from files alone.

mod findings;
mod page;
mod sections;
mod tables;

use std::path::Path;

use hemf_metrics::plot;
use hemf_metrics::uncertainty::{Bootstrap, Level, Reliability};
use hemf_metrics::{ReportOptions, write_reliability, write_report_with};
use hemf_train::Error;

pub use findings::{ClassOperation, Costed, Coverage, Findings, Trust, check_score};

use crate::Evaluation;
use crate::files::{remove, write};

/// Pictures that not every report has.
const CALIBRATED: &str = "reliability_calibrated";
const LEARNING: &str = "learning_curves";

/// Writes into `folder` all that follows from an evaluation: `report.json`, `report.txt`, every picture as SVG and PNG
/// with its numbers as CSV, tables of the decisions and subgroups, and `index.html`. The same evaluation gives the same
/// bytes.
///
/// # Errors
/// Settings that cannot be, or a file that cannot be written.
pub fn write_report(folder: &Path, evaluation: &Evaluation) -> Result<Findings, Error> {
    let settings = &evaluation.facts.settings;
    let level = Level::new(settings.level)?;
    let bootstrap = Bootstrap { resamples: settings.resamples, seed: settings.seed, level };
    let groups = evaluation.samples.groups.clone();
    let options = ReportOptions { bootstrap: Some(bootstrap), groups, all_pictures: true };
    let report = write_report_with(folder, &evaluation.predictions, &options)?;
    let findings = Findings::new(evaluation, report, &bootstrap)?;
    match evaluation.facts.temperature {
        Some(_) => {
            let (calibrated, resampling) = (evaluation.calibrated(), options.resampling(&evaluation.predictions)?);
            write_reliability(folder, CALIBRATED, &Reliability::new(&calibrated, &resampling, &bootstrap)?)?;
        }
        None => remove_picture(folder, CALIBRATED)?,
    }
    match evaluation.epochs.is_empty() {
        false => plot::learning_curves(&evaluation.epochs).write(folder, LEARNING)?,
        true => remove_picture(folder, LEARNING)?,
    }
    tables::write_all(folder, evaluation, &findings)?;
    write(&folder.join("report.json"), findings.to_json().as_bytes())?;
    write(&folder.join("report.txt"), findings.to_text().as_bytes())?;
    write(&folder.join("index.html"), page::page(folder, evaluation, &findings)?.as_bytes())?;
    Ok(findings)
}

/// Removes what an earlier report left of a picture that this one does not have.
fn remove_picture(folder: &Path, name: &str) -> Result<(), Error> {
    ["svg", "png", "csv"].into_iter().try_for_each(|kind| remove(&folder.join(format!("{name}.{kind}"))))
}

/// Draws the report in `folder` again, from the files that an evaluation left there.
///
/// # Errors
/// A folder without an evaluation, or a file that cannot be written.
pub fn plot_again(folder: &Path) -> Result<Findings, Error> {
    write_report(folder, &Evaluation::read(folder)?)
}
