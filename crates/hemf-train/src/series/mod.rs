//! Several runs that belong together, each done only as far as it was not done before.

mod complete;
mod cross;
mod folds;
mod seeds;

pub(crate) use complete::complete;
pub use cross::{AcrossFolds, CrossValidation, FoldScores, cross_validate};
pub use seeds::{SeedRun, Seeds, train_seeds};

use std::collections::HashMap;

use hemf_data::Manifest;
use hemf_metrics::{Predictions, Report, Score};

/// The scores that series of runs are compared by, with their names in reports.
pub(crate) fn headline(report: &Report) -> [(&'static str, Score); 7] {
    let average = &report.macro_average;
    [
        ("accuracy", report.accuracy),
        ("macro.precision", average.precision),
        ("macro.recall", average.recall),
        ("macro.f1", average.f1),
        ("mcc", report.mcc),
        ("kappa", report.kappa),
        ("macro.auc", average.auc),
    ]
}

/// The group of each image, where the manifest has groups: intervals are then by group.
pub(crate) fn groups(manifest: &Manifest, predictions: &Predictions) -> Option<Vec<String>> {
    let of: HashMap<&String, Option<&String>> =
        manifest.rows().iter().map(|row| (&row.path, row.group.as_ref())).collect();
    predictions.ids().iter().map(|id| of.get(id).copied().flatten().cloned()).collect()
}
