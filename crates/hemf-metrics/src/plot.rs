//! Pictures of scores, drawn as SVG and as PNG from one description.
//!
//! A picture takes numbers and knows nothing else. Letters are outlines of an embedded font, so that a picture looks the
//! same on every machine and in every viewer; colours can be told apart by readers with any colour vision. Lengths are
//! in SVG's user units, 96 to the inch.
//!
//! ```
//! use hemf_metrics::{ConfusionMatrix, plot};
//! let matrix = ConfusionMatrix::from_labels(2, &[0, 0, 1], &[0, 1, 1])?;
//! let classes = ["benign".to_owned(), "malignant".to_owned()];
//! let picture = plot::confusion_matrix(&matrix, &classes, plot::Cells::Counts);
//! assert!(picture.svg().starts_with("<svg"));
//! assert!(picture.png(2.0)?.starts_with(b"\x89PNG"));
//! # Ok::<(), hemf_metrics::Error>(())
//! ```

mod axes;
mod bars;
mod colour;
mod confusion;
mod font;
mod histogram;
mod learning;
mod legend;
mod png;
mod precision_recall;
mod reliability;
mod roc;
mod roc_runs;
mod scene;
mod svg;

pub use bars::class_bars;
pub use confusion::{Cells, confusion_matrix};
pub use histogram::score_histograms;
pub use learning::{EpochScores, learning_curves};
pub use precision_recall::precision_recall_curves;
pub use reliability::reliability_diagram;
pub use roc::{roc_curves, roc_curves_with_band};
pub use roc_runs::roc_of_runs;
pub use scene::Picture;
