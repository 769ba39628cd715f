use std::path::PathBuf;

/// What can be wrong with a model's configuration or weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that no network can be built from.
    #[error("model.{key}: {message}")]
    Config {
        /// The key, below `model`.
        key: &'static str,
        /// What is wrong, and what is allowed.
        message: String,
    },
    /// An image size that the stages cannot take.
    #[error("images of {height}x{width} are too small: every stage halves the map, and 32x32 is the least")]
    ImageSize {
        /// Pixels.
        height: usize,
        /// Pixels.
        width: usize,
    },
    /// A weight of another shape than the model's.
    #[error("weight {key}: the file has {found:?}, the model {expected:?}")]
    Shape {
        /// The name of the weight.
        key: String,
        /// The file's shape.
        found: Vec<usize>,
        /// The model's shape.
        expected: Vec<usize>,
    },
    /// Two names of one weight with different values.
    #[error("weights {key} and {second}: the network has one tensor for both, but in the file they differ")]
    Copies {
        /// The name of the weight.
        key: String,
        /// Its second name.
        second: String,
    },
    /// A weight file that cannot be read.
    #[error("{path}: {message}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A file that could not be written.
    #[error("{path}: could not be written: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A tensor operation that failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
