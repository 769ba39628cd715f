//! What comes after training: measuring a network, asking it, comparing it, and seeing what it looks at.
//!
//! - [`Network`] is a trained network, [`Predictor`] one or several of them with their [`Views`] of an image.
//! - [`measure`] gives an [`Evaluation`], [`write_report`] all that follows from it: scores with intervals, decisions,
//!   pictures, a page. [`plot_again`] does so from the files that an evaluation left.
//! - [`ask`] answers for image files ([`files_of`]).
//! - [`compare`] sets runs that were evaluated beside each other.
//! - [`explain`] tells what in a picture a decision rests on.
//!
//! It must not know command lines or how progress is shown: it tells an [`Observer`](hemf_train::Observer).
//!
//! ```no_run
//! use hemf_eval::{Averaging, EvalSettings, Predictor, Views, measure, write_report};
//! use hemf_train::{Silent, Split};
//!
//! let mut predictor = Predictor::load(&["runs/quickstart".into()], Views::One, Averaging::Probability)?;
//! let evaluation = measure(&mut predictor, None, Split::Test, false, EvalSettings::default(), &mut Silent)?;
//! let findings = write_report("runs/quickstart/report".as_ref(), &evaluation)?;
//! println!("{}", findings.report.accuracy);
//! # Ok::<(), hemf_train::Error>(())
//! ```

mod ask;
mod compare;
mod evaluation;
pub mod explain;
mod files;
mod files_of;
mod heat;
mod inputs;
mod network;
mod png;
mod predictor;
mod report;
mod view;

pub use ask::{Answer, Guess, HeatKind, Question, ask};
pub use compare::{CompareSettings, ComparedRuns, NamedScore, Pair, RunScores, compare};
pub use evaluation::{
    Audit, ClassCount, Column, EVALUATION, ErrorPictures, EvalSettings, Evaluation, Facts, FittedTemperature,
    NetworkFacts, Samples, measure,
};
pub use files_of::{Files, files_of};
pub use heat::{HeatMap, seen};
/// What [`EvalSettings`] take.
pub use hemf_metrics::decision::CostMatrix;
pub use inputs::{InputStatistics, Measures, Range};
pub use network::{Network, StoredTemperature};
pub use png::{png, write_png};
pub use predictor::{Averaging, Predictor};
pub use report::{ClassOperation, Costed, Coverage, Findings, Trust, check_score, plot_again, write_report};
pub use view::{View, Views};
