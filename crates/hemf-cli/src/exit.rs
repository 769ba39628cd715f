//! How the program ends.

use std::{fmt, process::ExitCode};

use hemf_train::{Error, ErrorKind};

/// Exit codes, documented in `docs/cli.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// A bug, or something nobody thought of.
    Unexpected = 1,
    /// The command line itself is wrong.
    Usage = 2,
    /// A configuration, data set or checkpoint that cannot be used.
    Input = 3,
    /// A file is not as it was written: a checksum or seal does not agree. Or a number is not what the published code
    /// computes.
    Integrity = 4,
    /// A score is below what `--fail-under` demands.
    BelowTarget = 5,
    /// Training reached a number that is not finite.
    Diverged = 6,
    /// A file could not be written.
    Write = 7,
    /// An audit found something that may mislead, but no error.
    Warned = 8,
    /// Another process is training in the run folder.
    Busy = 9,
    /// Another process of a training in several was lost.
    RankLost = 10,
    /// A GPU has no room for what was asked of it.
    NoRoom = 11,
    /// The GPU that was asked for cannot be had.
    NoDevice = 12,
    /// Stopped by Ctrl-C or a request to end, with the state saved.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed: the message, and the code it ends with.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    exit: Exit,
    /// Whether it has been shown already.
    told: bool,
}

impl Failure {
    fn new(message: impl Into<String>, exit: Exit) -> Self {
        Self { message: message.into(), exit, told: false }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(message, Exit::Usage)
    }

    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::new(message, Exit::Input)
    }

    pub(crate) fn no_device(message: impl Into<String>) -> Self {
        Self::new(message, Exit::NoDevice)
    }

    pub(crate) fn below_target(message: impl Into<String>) -> Self {
        Self::new(message, Exit::BelowTarget)
    }

    pub(crate) fn unexpected(message: impl Into<String>) -> Self {
        Self::new(message, Exit::Unexpected)
    }

    /// Shows it now, as that of one of several processes: the end of one may end the others.
    pub(crate) fn tell_of_rank(self, rank: usize) -> Self {
        eprintln!("error: rank {rank}: {}", self.message);
        Self { told: true, ..self }
    }

    pub(crate) fn is_told(&self) -> bool {
        self.told
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let exit = match error.kind() {
            ErrorKind::Input => Exit::Input,
            ErrorKind::Integrity => Exit::Integrity,
            ErrorKind::Diverged => Exit::Diverged,
            ErrorKind::Write => Exit::Write,
            ErrorKind::Busy => Exit::Busy,
            ErrorKind::Lost => Exit::RankLost,
            ErrorKind::NoRoom => Exit::NoRoom,
            ErrorKind::Unexpected => Exit::Unexpected,
        };
        Self::new(error.to_string(), exit)
    }
}
