//! Measuring HEMF: time and memory of inference and of training steps, operation by operation, beside what the machine
//! can do.
//!
//! ```
//! use hemf_bench::{Settings, Work, measure};
//! use hemf_model::ModelConfig;
//!
//! let model = ModelConfig::preset("hemf-nano").expect("a known preset").with_classes(2);
//! let settings = Settings { size: 32, batch: 2, repeats: 3, ..Settings::new("hemf-nano", model, Work::Infer) };
//! let seen = measure(&settings)?;
//! assert!(seen.min_s <= seen.median_s && seen.median_s <= seen.max_s);
//! # Ok::<(), hemf_train::Error>(())
//! ```

mod ceilings;
mod measure;
mod operations;
mod subject;

pub use ceilings::{Ceilings, ceilings};
pub use measure::{Measurement, Settings, Work, measure};
pub use operations::{Operation, Operations};
