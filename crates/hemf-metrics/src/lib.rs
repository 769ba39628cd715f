//! Scores, reports and pictures of a classifier's predictions, equal to scikit-learn to 1e-12.
//!
//! It must not know tensors, images, networks or how a prediction came about: it takes names and numbers
//! ([`Predictions`]) and depends on no other crate of the project. It is usable by itself.
//!
//! Three rules hold throughout:
//! - *Counts are state, scores are functions of counts*: [`ConfusionMatrix`] and [`RocCurve`] hold integers only.
//! - *Undefined stays undefined*: a [`Score`] is a number or the reason why there is none, never a silent 0.
//! - *A picture takes numbers and knows nothing else* ([`plot`]): one description, drawn as SVG and as PNG.
//!
//! Beside the scores: how sure they are ([`uncertainty`]), what to do with them ([`decision`]), and whether they hold
//! for every part of the samples ([`Subgroups`]). [`ReportOptions`] adds intervals and pictures to a report.
//!
//! ```
//! use hemf_metrics::{Predictions, Report};
//!
//! let predictions = Predictions::new(
//!     vec!["MEL".into(), "NV".into(), "VASC".into()],
//!     vec!["a.jpg".into(), "b.jpg".into(), "c.jpg".into()],
//!     vec![0, 1, 1],                                        // true classes
//!     vec![0.7, 0.2, 0.1, 0.3, 0.6, 0.1, 0.5, 0.4, 0.1f32], // samples x classes
//! )?;
//! let report = Report::new(&predictions);
//! assert_eq!(report.accuracy.value(), Some(2.0 / 3.0));
//! assert_eq!(report.classes[2].auc.to_string(), "undefined: no sample belongs to the class");
//! println!("{}", report.to_text());
//!
//! // report.json, predictions.csv, confusion matrices and ROC curves as SVG and PNG:
//! let folder = tempfile::tempdir().unwrap();
//! hemf_metrics::write_report(folder.path(), &predictions)?;
//! # Ok::<(), hemf_metrics::Error>(())
//! ```

mod agreement;
mod confusion;
pub mod decision;
mod error;
mod files;
mod histogram;
mod logits;
pub mod plot;
mod predictions;
mod probability;
mod ranking;
mod report;
mod roc;
mod score;
mod subgroup;
pub mod uncertainty;

pub use agreement::KappaWeights;
pub use confusion::{Average, ClassCounts, ConfusionMatrix};
pub use error::Error;
pub use histogram::{ClassHistogram, ScoreHistograms};
pub use logits::{argmax, cross_entropy, softmax};
pub use predictions::Predictions;
pub use probability::{Bins, CALIBRATION_BINS, Calibration, CalibrationBin};
pub use report::{
    Averages, ClassReport, ClassScores, Intervals, Report, ReportOptions, ScoreInterval, UndefinedScore,
    write_reliability, write_report, write_report_with,
};
pub use roc::{RocCurve, RocCurves, RocPoint};
pub use score::{Score, Undefined, rounded};
pub use subgroup::{MISSING, SMALLEST_CLASS, SMALLEST_SUBGROUP, Subgroup, Subgroups};
