//! What a run writes as it goes: `log.jsonl` (every step and epoch, with times), `summary.csv` (one row per
//! validation or epoch, without times, so that equal runs have equal files), and the same for TensorBoard.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tensorboard::Events;
use crate::{Error, RunFolder, checkpoint::Progress, score::Validation};

/// One optimizer step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Optimizer steps done, this one included.
    pub step: usize,
    /// Epoch, from 1.
    pub epoch: usize,
    /// Mean loss of the step's images.
    pub loss: f64,
    /// Share of them classified correctly, before the step.
    pub accuracy: f64,
    /// Learning rate of the step.
    pub lr: f64,
    /// Norm of all gradients together, before clipping.
    #[serde(default)]
    pub gradient_norm: f64,
    /// Images of the step.
    pub images: usize,
    /// Wall time of the step, waiting for images included.
    pub seconds: f64,
    /// Of it, waiting for images: hardly anything while the loaders keep up.
    #[serde(default)]
    pub waited: f64,
}

/// Where an epoch stands at its end, or at a validation on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Optimizer steps done.
    pub step: usize,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Mean loss over the epoch's training images so far, each as it was when its batch was trained on.
    pub train_loss: f64,
    /// Likewise, share of training images classified correctly.
    pub train_accuracy: f64,
    /// The scores of the validation images, where they were looked at.
    pub validation: Option<Validation>,
}

/// A line of `log.jsonl`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    Begin {
        step: usize,
        steps_per_epoch: usize,
    },
    Step(&'a StepRecord),
    Epoch(&'a EpochRecord),
    End {
        /// Optimizer steps done.
        step: usize,
        /// Whether early stopping has ended the run.
        stopped_early: bool,
    },
}

const SUMMARY_HEADER: &str = "epoch,step,lr,train_loss,train_accuracy,validation_loss,validation_accuracy,\
                              validation_balanced_accuracy,validation_macro_f1,validation_macro_auc\n";

/// The open log of a run.
pub(crate) struct RunLog {
    path: PathBuf,
    file: File,
    summary: PathBuf,
    epochs: Vec<EpochRecord>,
    events: Events,
}

impl RunLog {
    /// Opens the log of `run` where `progress` stands: what was logged after it is dropped, since it will
    /// happen again.
    pub(crate) fn open(run: &RunFolder, progress: &Progress, steps_per_epoch: usize) -> Result<Self, Error> {
        let path = run.log();
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(), // a new run
            text => text.map_err(|error| Error::checkpoint(&path, format!("cannot be read: {error}")))?,
        };
        let (lines, epochs) = kept(&text, progress);
        let begin = line(&Line::Begin { step: 0, steps_per_epoch }).map_err(Error::write(&path))?;
        write_whole(&path, (begin + &lines).as_bytes())?;
        let file = OpenOptions::new().append(true).open(&path).map_err(Error::write(&path))?;
        let log =
            Self { path, file, summary: run.path().join("summary.csv"), epochs, events: Events::open(run, progress)? };
        log.write_summary()?;
        Ok(log)
    }

    pub(crate) fn step(&mut self, record: &StepRecord) -> Result<(), Error> {
        self.append(&Line::Step(record))?;
        self.events.step(record)
    }

    pub(crate) fn epoch(&mut self, record: &EpochRecord) -> Result<(), Error> {
        self.append(&Line::Epoch(record))?;
        self.events.epoch(record)?;
        self.epochs.push(record.clone());
        self.write_summary()
    }

    /// The run has come to its end.
    pub(crate) fn end(&mut self, progress: &Progress) -> Result<(), Error> {
        self.append(&Line::End { step: progress.step, stopped_early: progress.stopped_early })?;
        self.sync()
    }

    /// The epochs and validations so far.
    pub(crate) fn epochs(&self) -> &[EpochRecord] {
        &self.epochs
    }

    /// Makes what was logged durable: a checkpoint must not know of steps that the log has lost.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(Error::write(&self.path))?;
        self.events.sync()
    }

    fn append(&mut self, event: &Line<'_>) -> Result<(), Error> {
        line(event).and_then(|text| self.file.write_all(text.as_bytes())).map_err(Error::write(&self.path))
    }

    fn write_summary(&self) -> Result<(), Error> {
        let mut text = SUMMARY_HEADER.to_owned();
        for e in &self.epochs {
            let _ = write!(text, "{},{},{},{},{}", e.epoch, e.step, e.lr, e.train_loss, e.train_accuracy);
            let of = |score: fn(&Validation) -> Option<f64>| e.validation.as_ref().and_then(score);
            for score in [
                of(|v| Some(v.loss)),
                of(|v| Some(v.accuracy)),
                of(|v| v.balanced_accuracy),
                of(|v| v.macro_f1),
                of(|v| v.macro_auc),
            ] {
                let _ = write!(text, ",{}", score.map_or_else(String::new, |score| score.to_string()));
            }
            text.push('\n');
        }
        write_whole(&self.summary, text.as_bytes())
    }
}

fn line(event: &Line<'_>) -> std::io::Result<String> {
    Ok(serde_json::to_string(event)? + "\n")
}

/// Replaces a file whole: what is killed on the way leaves the old one.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<(), Error> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&new, path)).map_err(|source| {
        let _ = fs::remove_file(&new); // what is left of it helps nobody
        Error::Write { path: path.to_path_buf(), source }
    })
}

/// The lines of the log up to `progress`, and the epochs among them. A line that a kill cut off is dropped.
fn kept(text: &str, progress: &Progress) -> (String, Vec<EpochRecord>) {
    let mut lines = String::new();
    let mut epochs = Vec::new();
    for line in text.lines() {
        let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
        let Some(step) = value["step"].as_u64() else { continue };
        if value["event"] == "begin" || value["event"] == "end" {
            continue; // said anew
        }
        let of_epoch = value["event"] == "epoch";
        let done = if of_epoch { progress.recorded } else { progress.step };
        if step > done as u64 {
            continue;
        }
        if of_epoch {
            let Ok(record) = serde_json::from_value::<EpochRecord>(value) else { continue };
            epochs.push(record);
        }
        lines.push_str(line);
        lines.push('\n');
    }
    (lines, epochs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Logged;

    fn step(step: usize) -> StepRecord {
        StepRecord {
            step,
            epoch: 1,
            loss: 0.5,
            accuracy: 0.25,
            lr: 1e-4,
            gradient_norm: 2.0,
            images: 4,
            seconds: 0.1,
            waited: 0.0,
        }
    }

    fn epoch(epoch: usize, step: usize) -> EpochRecord {
        let validation = Validation { loss: 0.5, accuracy: 0.75, macro_f1: Some(0.7), ..Validation::default() };
        let validation = Some(validation);
        EpochRecord { epoch, step, lr: 1e-4, train_loss: 0.5, train_accuracy: 0.25, validation }
    }

    #[test]
    fn a_resumed_log_forgets_what_will_happen_again() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.yaml"), "").unwrap();
        let run = RunFolder::open(dir.path()).unwrap();
        let mut log = RunLog::open(&run, &Progress::default(), 2).unwrap();
        log.step(&step(1)).unwrap();
        log.step(&step(2)).unwrap();
        log.epoch(&epoch(1, 2)).unwrap();
        log.step(&step(3)).unwrap();
        log.epoch(&epoch(2, 3)).unwrap();
        fs::write(run.log(), fs::read_to_string(run.log()).unwrap() + "{\"event\":\"st").unwrap();

        // The checkpoint was saved after step 3, before the second epoch's line was written.
        let progress = Progress { step: 3, epoch: 1, batch: 1, recorded: 2, ..Progress::default() };
        let log = RunLog::open(&run, &progress, 2).unwrap();
        assert_eq!(log.epochs(), [epoch(1, 2)]);
        let text = fs::read_to_string(run.log()).unwrap();
        let expected = Logged {
            steps_per_epoch: Some(2),
            steps: vec![step(1), step(2), step(3)],
            epochs: vec![epoch(1, 2)],
            ended: false,
        };
        assert_eq!(Logged::of(&text), expected);
        let summary = fs::read_to_string(dir.path().join("summary.csv")).unwrap();
        assert_eq!(summary, format!("{SUMMARY_HEADER}1,2,0.0001,0.5,0.25,0.5,0.75,,0.7,\n"));
        drop(log);

        fs::write(run.log(), b"\xff").unwrap();
        let Err(error) = RunLog::open(&run, &progress, 2) else { panic!("a log that cannot be read was dropped") };
        assert!(error.to_string().contains("log.jsonl: cannot be read"), "{error}");
        assert_eq!(fs::read(run.log()).unwrap(), b"\xff");
    }
}
