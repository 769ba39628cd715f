//! What can go wrong in training and evaluation, told in one line each.

use std::path::PathBuf;

use crate::config::ConfigError;

/// An error of this crate. The message names the file, key or class, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration that cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data set, its manifest or its images.
    #[error(transparent)]
    Data(#[from] hemf_data::Error),
    /// The network or a weight file.
    #[error(transparent)]
    Model(#[from] hemf_model::Error),
    /// A network that could not be written for another program.
    #[error(transparent)]
    Export(#[from] hemf_export::Error),
    /// Predictions that cannot be scored, or a report that cannot be written.
    #[error(transparent)]
    Report(#[from] hemf_metrics::Error),
    /// A run folder or checkpoint that is not one, or does not fit what is asked of it.
    #[error("{}: {what}", path.display())]
    Checkpoint {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        what: String,
    },
    /// A file that is not as it was written.
    #[error("{}: {what}", path.display())]
    Integrity {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// Training reached a number that is not finite.
    #[error(
        "{what} at step {step} (epoch {epoch}); {}. Try a lower train.optimizer.lr or set \
         train.clip_norm",
        last_good.as_ref().map_or_else(
            || "no checkpoint was written before it".to_owned(),
            |path| format!("the last good checkpoint is {}", path.display()),
        )
    )]
    Diverged {
        /// What is infinite or not a number: `the loss is NaN`, `the gradient of NAME is not finite`.
        what: String,
        /// Optimizer step, from 0.
        step: usize,
        /// Epoch, from 1 as in everything that is shown.
        epoch: usize,
        /// Where training can be taken up again.
        last_good: Option<PathBuf>,
    },
    /// Parameters that the loss does not reach; training would leave them at their initial values.
    #[error("no gradient reaches {}; the network has an operation without a backward pass", names.join(", "))]
    NoGradient {
        /// The parameters.
        names: Vec<String>,
    },
    /// A run folder that another process is training in.
    #[error("{}: {} is training in this run; wait for it, or stop it", path.display(), process.map_or_else(
        || "another process".to_owned(),
        |id| format!("process {id}"),
    ))]
    Busy {
        /// The run folder.
        path: PathBuf,
        /// The other process, where it can be told.
        process: Option<u32>,
    },
    /// A process that trains together with this one is gone.
    #[error("{what}; start all ranks again, with --resume where the run has a checkpoint")]
    Lost {
        /// Which, and how that was noticed.
        what: String,
    },
    /// Processes that are to train together were given different things.
    #[error("rank {rank} has another {what} than rank 0; all ranks must be given the same")]
    Apart {
        /// The process.
        rank: usize,
        /// What differs.
        what: String,
    },
    /// A GPU that has no room for what was asked of it.
    #[error("{what}")]
    NoRoom {
        /// What was asked, and what asks for less.
        what: String,
    },
    /// A file or folder that could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// An operation on tensors failed, which is a bug.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

/// The kinds of error a program reacts to in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The configuration, data or checkpoint given is wrong.
    Input,
    /// Something was changed or cut off after it was written.
    Integrity,
    /// Training reached a number that is not finite.
    Diverged,
    /// The disk did not take a file.
    Write,
    /// Another process is at work on the same files.
    Busy,
    /// A process that trains together with this one is gone.
    Lost,
    /// A GPU has no room for what was asked of it.
    NoRoom,
    /// None of the user's doing.
    Unexpected,
}

impl Error {
    /// What sort of error this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(_) | Self::Checkpoint { .. } => ErrorKind::Input,
            Self::Integrity { .. } => ErrorKind::Integrity,
            Self::Diverged { .. } => ErrorKind::Diverged,
            Self::Write { .. } => ErrorKind::Write,
            Self::Busy { .. } => ErrorKind::Busy,
            Self::Lost { .. } => ErrorKind::Lost,
            Self::NoRoom { .. } => ErrorKind::NoRoom,
            Self::Apart { .. } => ErrorKind::Input,
            Self::Data(error) => match error.kind() {
                hemf_data::ErrorKind::Input => ErrorKind::Input,
                hemf_data::ErrorKind::Integrity => ErrorKind::Integrity,
                hemf_data::ErrorKind::Write => ErrorKind::Write,
                hemf_data::ErrorKind::Internal => ErrorKind::Unexpected,
            },
            Self::Model(hemf_model::Error::Write { .. }) => ErrorKind::Write,
            Self::Model(hemf_model::Error::Tensor(_)) => ErrorKind::Unexpected,
            Self::Model(_) => ErrorKind::Input,
            Self::Export(hemf_export::Error::Write { .. }) => ErrorKind::Write,
            Self::Export(_) => ErrorKind::Unexpected,
            Self::Report(hemf_metrics::Error::Write { .. }) => ErrorKind::Write,
            Self::Report(_) => ErrorKind::Input,
            Self::NoGradient { .. } | Self::Tensor(_) => ErrorKind::Unexpected,
        }
    }

    /// For `map_err` on writing `path`.
    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }

    /// A checkpoint or run folder that cannot be used.
    pub(crate) fn checkpoint(path: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self::Checkpoint { path: path.into(), what: what.into() }
    }
}
