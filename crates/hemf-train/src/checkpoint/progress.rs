//! Where a run stands, as a checkpoint keeps it.

use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Optimizer steps done.
    pub step: usize,
    /// Epochs completed.
    pub epoch: usize,
    /// Batches done of the epoch under way.
    pub batch: usize,
    /// Sums over the epoch under way.
    pub tally: Tally,
    /// The step of the newest line in `summary.csv`; 0 before the first.
    #[serde(default)]
    pub recorded: usize,
    /// The best validation so far.
    pub best: Option<Best>,
    /// The validations whose checkpoints are kept beside the best, best first.
    #[serde(default)]
    pub top: Vec<Best>,
    /// What early stopping waits for.
    #[serde(default)]
    pub waiting: Option<Waiting>,
    /// Whether early stopping has ended the run.
    #[serde(default)]
    pub stopped_early: bool,
}

/// Sums that give the mean loss and the accuracy of the images seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Sum of the images' losses.
    pub loss: f64,
    /// Images classified correctly.
    pub correct: usize,
    /// Images seen.
    pub seen: usize,
}

/// A validation that is among the best of its run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The score that decides (`train.best`).
    pub score: f64,
    /// Share of validation images classified correctly.
    pub accuracy: f64,
    /// Epoch, from 1.
    pub epoch: usize,
    /// Optimizer steps done.
    pub step: usize,
}

/// Early stopping's memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The score to beat.
    pub score: f64,
    /// Validations since.
    pub validations: usize,
}

impl Tally {
    /// Adds a batch with this mean loss.
    pub fn add(&mut self, mean_loss: f64, correct: usize, seen: usize) {
        self.loss += mean_loss * seen as f64;
        self.correct += correct;
        self.seen += seen;
    }

    /// Mean loss per image; 0 before the first.
    pub fn mean_loss(&self) -> f64 {
        self.loss / self.seen.max(1) as f64
    }

    /// Share of images classified correctly; 0 before the first.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.seen.max(1) as f64
    }
}
