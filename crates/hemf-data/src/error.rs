//! What can go wrong with data, told in one line each.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::counted;

/// An error of this crate. The message names the file, row, class or key, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A folder or file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A folder or file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// An image file that cannot be decoded.
    #[error("cannot decode {}: {reason}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Image files that cannot be decoded.
    #[error(
        "{} of {total} images cannot be used:{}\nmend or remove what is broken, or leave it out: prepare \
         --skip-unreadable, in training --set data.prepare.unreadable=skip, in eval --allow-changed",
        failures.len(), listed(failures)
    )]
    Images {
        /// One error per file, in file order.
        failures: Vec<Error>,
        /// How many images were looked at.
        total: usize,
    },
    /// A data folder that does not have the shape asked for.
    #[error("{}: {reason}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A manifest that cannot be understood.
    #[error("{}{}: {reason}", path.display(), line.map(|l| format!(", line {l}")).unwrap_or_default())]
    Manifest {
        /// The manifest file.
        path: PathBuf,
        /// The line, where one is to blame.
        line: Option<u64>,
        /// What is wrong.
        reason: String,
    },
    /// A manifest whose content is not what was sealed.
    #[error("{} was changed after it was written: {what}; run prepare again, or {TAKE_IT}", path.display())]
    Seal {
        /// The manifest file.
        path: PathBuf,
        /// The first changed row, or what else does not fit.
        what: String,
    },
    /// An image file that is not what the manifest says.
    #[error(
        "row {row} of the manifest, {}: {problem}{}; bring back what was there, run prepare again, or {TAKE_IT}",
        path.display(), and_more(*more)
    )]
    Row {
        /// The row, counted from 1.
        row: usize,
        /// The image file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// How many other rows have a problem.
        more: usize,
    },
    /// A setting that no data set could satisfy.
    #[error("{key}: {reason}")]
    Setting {
        /// The setting's name.
        key: &'static str,
        /// Its value, and what is allowed.
        reason: String,
    },
    /// The batch tensor could not be made.
    #[error("cannot make the batch tensor: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A loader thread ended without a result, which is a bug of this crate.
    #[error("a loader thread stopped while making batch {batch}")]
    Worker {
        /// The batch that is missing.
        batch: usize,
    },
}

/// The way on with data that changed.
const TAKE_IT: &str = "take all as it is now with --allow-changed, in eval or a new run (data.allow_changed)";

/// The kinds of error a program reacts to in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The data, the manifest or a setting is wrong.
    Input,
    /// Something was changed after it was sealed.
    Integrity,
    /// The disk did not take a file.
    Write,
    /// None of the user's doing.
    Internal,
}

impl Error {
    /// What sort of error this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Seal { .. } | Self::Row { .. } => ErrorKind::Integrity,
            Self::Write { .. } => ErrorKind::Write,
            Self::Tensor(_) | Self::Worker { .. } => ErrorKind::Internal,
            _ => ErrorKind::Input,
        }
    }

    /// For `map_err` on reading `path`.
    pub(crate) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Read { path, source }
    }

    /// For `map_err` on writing `path`.
    pub(crate) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Write { path, source }
    }

    /// A folder of the wrong shape.
    pub(crate) fn folder(path: &Path, reason: impl Into<String>) -> Self {
        Self::Folder { path: path.to_path_buf(), reason: reason.into() }
    }

    /// An image that cannot be decoded.
    pub(crate) fn image(path: &Path, reason: impl ToString) -> Self {
        Self::Image { path: path.to_path_buf(), reason: reason.to_string() }
    }
}

/// The first errors of a list, one a line.
fn listed(errors: &[Error]) -> String {
    const SHOWN: usize = 10;
    let mut text = String::new();
    for error in errors.iter().take(SHOWN) {
        let _ = write!(text, "\n  {error}");
    }
    if errors.len() > SHOWN {
        let _ = write!(text, "\n  and {} more", errors.len() - SHOWN);
    }
    text
}

fn and_more(more: usize) -> String {
    if more == 0 { String::new() } else { format!(" (and {})", counted(more, "more row")) }
}
