//! From probabilities to decisions: thresholds, costs, abstention, calibration.
//!
//! Whatever is chosen here is chosen on validation and told on test: each type is made from one set of predictions and
//! applied to another.
//!
//! ```
//! use hemf_metrics::decision::{OperatingPoint, Target, Temperature};
//! use hemf_metrics::Predictions;
//! let ids = |prefix: &str| (0..4).map(|i| format!("{prefix}{i}")).collect();
//! let classes = vec!["benign".to_owned(), "malignant".to_owned()];
//! let validation =
//!     Predictions::new(classes.clone(), ids("v"), vec![0, 0, 1, 1], vec![0.9, 0.1, 0.7, 0.3, 0.8, 0.2, 0.1, 0.9])?;
//! let test = Predictions::new(classes, ids("t"), vec![0, 0, 1, 1], vec![0.8, 0.2, 0.9, 0.1, 0.4, 0.6, 0.7, 0.3])?;
//!
//! // No malignant lesion of the validation images may be missed: what does that mean for the test images?
//! let point = OperatingPoint::choose(&validation, 1, Target::sensitivity(1.0)?).unwrap();
//! assert_eq!(point.threshold, 0.2);
//! let counts = point.counts(&test)?;
//! assert_eq!((counts.recall().value(), counts.specificity().value()), (Some(1.0), Some(0.5)));
//!
//! let temperature = Temperature::fit(&validation).temperature;
//! let calibrated = temperature.apply(&test);
//! assert_eq!(calibrated.predicted(), test.predicted()); // decisions stay, confidence changes
//! # Ok::<(), hemf_metrics::Error>(())
//! ```

mod cost;
mod operating;
mod selective;
mod temperature;

pub use cost::{CostMatrix, Costs};
pub use operating::{OperatingPoint, Operation, Target};
pub use selective::{Selection, SelectiveCurve};
pub use temperature::{Temperature, TemperatureFit};
