//! Several runs that belong together, each done only as far as it was not done before.

mod complete;
mod cross;
mod folds;

pub(crate) use complete::complete;
pub use cross::{AcrossFolds, CrossValidation, FoldScores, cross_validate};

use hemf_metrics::{Report, Score};

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
