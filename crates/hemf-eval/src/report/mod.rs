//! The report of an evaluation: numbers, tables, pictures and the page that shows them all. Made from files alone.

mod findings;
mod page;
mod sections;
mod tables;

use std::path::Path;

use hemf_metrics::plot::{self, Picture};
use hemf_metrics::uncertainty::{Bootstrap, Level};
use hemf_metrics::{ReportOptions, write_report_with};
use hemf_train::Error;

pub use findings::{ClassOperation, Coverage, Findings, Trust};

use crate::Evaluation;
use crate::png::{remove, write};

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
    let calibrated = evaluation.facts.temperature.map(|_| evaluation.calibrated().calibration());
    optional(folder, "reliability_calibrated", calibrated.map(|bins| plot::reliability_diagram(&bins)))?;
    let learning = (!evaluation.epochs.is_empty()).then(|| plot::learning_curves(&evaluation.epochs));
    optional(folder, "learning_curves", learning)?;
    tables::write_all(folder, evaluation, &findings)?;
    write(&folder.join("report.json"), findings.to_json().as_bytes())?;
    write(&folder.join("report.txt"), findings.to_text().as_bytes())?;
    write(&folder.join("index.html"), page::page(folder, evaluation, &findings)?.as_bytes())?;
    Ok(findings)
}

/// Writes a picture that not every report has, or removes what an earlier report left of it.
fn optional(folder: &Path, name: &str, picture: Option<Picture>) -> Result<(), Error> {
    match picture {
        Some(picture) => Ok(picture.write(folder, name)?),
        None => ["svg", "png"].into_iter().try_for_each(|kind| remove(&folder.join(format!("{name}.{kind}")))),
    }
}

/// Draws the report in `folder` again, from the files that an evaluation left there.
///
/// # Errors
/// A folder without an evaluation, or a file that cannot be written.
pub fn plot_again(folder: &Path) -> Result<Findings, Error> {
    write_report(folder, &Evaluation::read(folder)?)
}
