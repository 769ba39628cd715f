//! How sure a score is: intervals and tests.
//!
//! | Question | Answer |
//! |---|---|
//! | How far may a proportion be off? | [`Estimate::proportion`] (Wilson) |
//! | How far may an area under a ROC curve be off? | [`Estimate::auc`] (DeLong) |
//! | How far may any other score be off, or any score of samples that come in groups? | [`Bootstrap`] over a [`Resampling`] |
//! | Do two classifiers differ on the same samples? | [`Comparison`]: [`McNemar`], [`AucDifference`], [`holm`] |
//! | How much do runs with other seeds differ? | [`Runs`] |
//!
//! ```
//! use hemf_metrics::uncertainty::{Estimate, Level};
//! use hemf_metrics::Undefined;
//! let sensitivity = Estimate::proportion(87, 100, Level::default(), Undefined::NoPositives);
//! assert_eq!(format!("{sensitivity:.3}"), "0.870 (0.790 to 0.922)");
//! ```

mod bootstrap;
mod comparison;
mod delong;
mod difference;
mod distribution;
mod holm;
mod interval;
mod mcnemar;
mod proportion;
mod random;
mod reliability;
mod resampling;
mod roc_band;
mod runs;
mod scores;

pub use bootstrap::{Bootstrap, Spread};
pub use comparison::{ClassComparison, Comparison};
pub use delong::AucDifference;
pub use difference::{Difference, differences};
pub use holm::holm;
pub use interval::{Estimate, Interval, Level, Method};
pub use mcnemar::McNemar;
pub use reliability::Reliability;
pub use resampling::{ResampledBy, Resampling};
pub use roc_band::{RocBand, RocBandPoint};
pub use runs::Runs;
pub(crate) use scores::Scorer;
