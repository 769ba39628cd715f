//! What training and evaluation tell while they go on.

use std::path::Path;

use crate::{EpochRecord, StepRecord};

/// Something a watcher may want to show.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A sentence for the reader.
    Note(&'a str),
    /// Training begins, or goes on.
    Start {
        /// The run folder.
        run: &'a Path,
        /// Epochs of the run.
        epochs: usize,
        /// Optimizer steps of the whole run.
        steps: usize,
        /// Steps done already.
        done: usize,
    },
    /// A step is done.
    Step(&'a StepRecord),
    /// A batch has been scored, in validation or evaluation.
    Scored {
        /// Images scored.
        done: usize,
        /// Images in all.
        total: usize,
    },
    /// An epoch or a validation is done, and saved.
    Epoch {
        /// Its numbers.
        record: &'a EpochRecord,
        /// Whether no earlier validation was as good.
        best: bool,
    },
}

/// Whoever shows a run: a progress bar, a log, nobody.
pub trait Observer {
    /// Takes notice of `event`. Must not be slow: training waits.
    fn event(&mut self, event: &Event<'_>);
}

/// Nobody is watching.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _event: &Event<'_>) {}
}
