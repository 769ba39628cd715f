//! What can go wrong, each said in one line that names the file, the sample or the class.

use std::path::{Path, PathBuf};

/// Predictions that make no sense, or a file that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No class at all.
    #[error("there are no classes: name at least one")]
    NoClasses,
    /// A class without a name, or two classes of one name.
    #[error("class {index} is named \"{name}\", which is empty or taken already: class names must differ")]
    ClassName {
        /// Position in the list of classes.
        index: usize,
        /// The name as given.
        name: String,
    },
    /// Nothing to score.
    #[error("there are no predictions: at least one sample is needed")]
    NoSamples,
    /// Lists that should be equally long are not.
    #[error("{what}: {found} given, {expected} expected")]
    Length {
        /// Which list.
        what: &'static str,
        /// Entries given.
        found: usize,
        /// Entries expected.
        expected: usize,
    },
    /// A class index beyond the classes.
    #[error("sample {id}: class index {class} is out of range, there are {classes} classes")]
    ClassIndex {
        /// The sample.
        id: String,
        /// The index given.
        class: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A score that is no probability.
    #[error("sample {id}: the score of class \"{class}\" is {value}, not a probability from 0 to 1")]
    Probability {
        /// The sample.
        id: String,
        /// The class.
        class: String,
        /// The score.
        value: f64,
    },
    /// Scores of a sample that do not sum to one.
    #[error("sample {id}: the scores sum to {sum}, not to 1: give probabilities (softmax), not logits")]
    ProbabilitySum {
        /// The sample.
        id: String,
        /// Their sum.
        sum: f64,
    },
    /// A level of confidence that is no share.
    #[error("the level of an interval is {level}, not a share between 0 and 1 such as 0.95")]
    Level {
        /// The level given.
        level: f64,
    },
    /// A target that is no share.
    #[error("{what} is {value}, not a share from 0 to 1")]
    Share {
        /// Which target.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// A cost that is not finite.
    #[error("a cost is {value}: costs are finite numbers")]
    Cost {
        /// The cost.
        value: f64,
    },
    /// A temperature out of range.
    #[error("the temperature is {value}, not between 0.01 and 100")]
    Temperature {
        /// The temperature.
        value: f64,
    },
    /// Predictions of two classifiers that are not of the same samples.
    #[error("the two sets of predictions cannot be compared: {what}")]
    NotPaired {
        /// How they differ.
        what: String,
    },
    /// More samples than can be resampled.
    #[error("there are more than 2^32 samples: too many to resample")]
    TooManySamples,
    /// A file that could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that was read but is not what it should be.
    #[error("{}, line {line}: {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong with it.
        message: String,
    },
    /// Predictions in a file that contradict each other.
    #[error("{}: {source}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        source: Box<Error>,
    },
    /// A file that could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A picture that could not be rasterised.
    #[error("cannot draw a picture of {width} x {height} pixels: {message}")]
    Raster {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Why.
        message: String,
    },
}

impl Error {
    pub(crate) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }
}
