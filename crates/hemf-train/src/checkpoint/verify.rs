//! Whether what a run left is as it was written.

use std::{fs, path::PathBuf};

use serde::Serialize;

use super::{Checkpoint, MODEL, STATE, folder, learnt};
use crate::{Error, Logged, RunFolder};

/// What was found of one checkpoint, or of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verified {
    /// The folder or file.
    pub path: PathBuf,
    /// What it holds, in words; what is wrong with it, when it is not sound.
    pub what: String,
    /// Whether it is as it was written.
    pub sound: bool,
}

/// Checks every checkpoint of `run`: its files' checksums, that they load, and that model and state belong together;
/// then that the log has every step up to the last checkpoint, once.
pub fn verify(run: &RunFolder) -> Vec<Verified> {
    let checkpoints = run.all_checkpoints();
    let mut found: Vec<Verified> =
        checkpoints.iter().map(|checkpoint| verified(checkpoint.path(), check(checkpoint))).collect();
    if found.is_empty() {
        let what = Err(Error::checkpoint(run.path(), "holds no checkpoint"));
        found.push(verified(run.path(), what));
    }
    if run.last().exists() {
        found.push(verified(&run.log(), check_log(run)));
    }
    found
}

fn verified(path: &std::path::Path, result: Result<String, Error>) -> Verified {
    let sound = result.is_ok();
    let what = result.unwrap_or_else(|error| error.to_string());
    Verified { path: path.to_path_buf(), what, sound }
}

fn check(checkpoint: &Checkpoint) -> Result<String, Error> {
    let folder = folder::current(checkpoint.path());
    // Model and state are verified as they are loaded.
    let model = checkpoint.model()?;
    learnt::check(&folder, &model.digest)?;
    let mut what = format!("{} tensors", model.weights.len());
    if folder.join(STATE).exists() || folder::holds(&folder, STATE)? {
        let state = checkpoint.state()?;
        if state.progress.epoch != model.card.epoch {
            let what = format!("{MODEL} is of epoch {}, {STATE} of {}", model.card.epoch, state.progress.epoch);
            return Err(Error::Integrity { path: folder, what });
        }
        what += &format!(", state of {} tensors at step {}", state.tensors.len(), state.progress.step);
    }
    what += &format!(", {} epochs", model.card.epoch);
    if let Some(accuracy) = model.card.validation_accuracy {
        what += &format!(", validation accuracy {accuracy:.4}");
    }
    Ok(what)
}

fn check_log(run: &RunFolder) -> Result<String, Error> {
    let Ok(state) = run.last().state() else {
        return Ok("not compared: the last checkpoint has no state that loads".to_owned());
    };
    let done = state.progress.step;
    let path = run.log();
    let text = fs::read_to_string(&path).map_err(|e| Error::checkpoint(&path, format!("cannot be read: {e}")))?;
    let Logged { steps, epochs, .. } = Logged::of(&text);
    let odd = (1..=done).zip(steps.iter().map(|record| record.step).chain(std::iter::repeat(0))).find(|(a, b)| a != b);
    match odd {
        None => Ok(format!("{} steps, {} epochs and validations", steps.len(), epochs.len())),
        Some((step, _)) => {
            let what = format!("step {step} is missing or stands in another place; the checkpoint knows {done}");
            Err(Error::Integrity { path, what })
        }
    }
}
