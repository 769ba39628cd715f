//! What a run writes as it goes: `log.jsonl` (every step and epoch, with times) and `summary.csv` (one row per
//! epoch, without times, so that equal runs have equal files).

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, RunFolder, checkpoint::Progress};

/// One optimizer step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Optimizer steps done, this one included.
    pub step: usize,
    /// Epoch, from 1.
    pub epoch: usize,
    /// Mean cross entropy of the batch.
    pub loss: f64,
    /// Share of the batch classified correctly, before the step.
    pub accuracy: f64,
    /// Learning rate of the step.
    pub lr: f64,
    /// Images in the batch.
    pub images: usize,
    /// Wall time of the step, waiting for images included.
    pub seconds: f64,
}

/// One epoch with its validation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Optimizer steps done at its end.
    pub step: usize,
    /// Learning rate of its last step.
    pub lr: f64,
    /// Mean loss over its training images, each as it was when its batch was trained on.
    pub train_loss: f64,
    /// Likewise, share of training images classified correctly.
    pub train_accuracy: f64,
    /// Mean loss over the validation images, at the epoch's end.
    pub validation_loss: f64,
    /// Share of validation images classified correctly.
    pub validation_accuracy: f64,
}

/// A line of `log.jsonl`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    Step(&'a StepRecord),
    Epoch(&'a EpochRecord),
}

const SUMMARY_HEADER: &str = "epoch,step,lr,train_loss,train_accuracy,validation_loss,validation_accuracy\n";

/// The open log of a run.
pub(crate) struct RunLog {
    log: (PathBuf, File),
    summary: PathBuf,
    epochs: Vec<EpochRecord>,
}

impl RunLog {
    /// Opens the log of `run` where `progress` stands: what was logged after it is dropped, since it will
    /// happen again.
    pub(crate) fn open(run: &RunFolder, progress: &Progress) -> Result<Self, Error> {
        let log = run.path().join("log.jsonl");
        let text = match fs::read_to_string(&log) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(), // a new run
            text => text.map_err(|error| Error::checkpoint(&log, format!("cannot be read: {error}")))?,
        };
        let (lines, epochs) = kept(&text, progress);
        let new = log.with_extension("jsonl.new");
        fs::write(&new, lines).map_err(Error::write(&new))?;
        fs::rename(&new, &log).map_err(Error::write(&log))?;
        let file = OpenOptions::new().append(true).open(&log).map_err(Error::write(&log))?;
        let log = Self { log: (log, file), summary: run.path().join("summary.csv"), epochs };
        log.write_summary()?;
        Ok(log)
    }

    pub(crate) fn step(&mut self, record: &StepRecord) -> Result<(), Error> {
        self.append(&Line::Step(record))
    }

    pub(crate) fn epoch(&mut self, record: &EpochRecord) -> Result<(), Error> {
        self.append(&Line::Epoch(record))?;
        self.epochs.push(record.clone());
        self.write_summary()
    }

    /// The epochs so far.
    pub(crate) fn epochs(&self) -> &[EpochRecord] {
        &self.epochs
    }

    fn append(&mut self, line: &Line<'_>) -> Result<(), Error> {
        let (path, file) = &mut self.log;
        serde_json::to_string(line)
            .map_err(Into::into)
            .and_then(|text| file.write_all(format!("{text}\n").as_bytes()))
            .map_err(Error::write(path.as_path()))
    }

    fn write_summary(&self) -> Result<(), Error> {
        let mut text = SUMMARY_HEADER.to_owned();
        for e in &self.epochs {
            let _ = writeln!(
                text,
                "{},{},{},{},{},{},{}",
                e.epoch, e.step, e.lr, e.train_loss, e.train_accuracy, e.validation_loss, e.validation_accuracy
            );
        }
        fs::write(&self.summary, text).map_err(Error::write(&self.summary))
    }
}

/// The lines of the log up to `progress`, and the epochs among them. A line that a kill cut off is dropped.
fn kept(text: &str, progress: &Progress) -> (String, Vec<EpochRecord>) {
    let mut lines = String::new();
    let mut epochs = Vec::new();
    for line in text.lines() {
        let Ok(value) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        if value["step"].as_u64().is_none_or(|step| step > progress.step as u64) {
            continue;
        }
        if value["event"] == "epoch" {
            match serde_json::from_value::<EpochRecord>(value) {
                Ok(record) if record.epoch <= progress.epoch => epochs.push(record),
                _ => continue,
            }
        }
        lines.push_str(line);
        lines.push('\n');
    }
    (lines, epochs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: usize) -> StepRecord {
        StepRecord { step, epoch: 1, loss: 0.5, accuracy: 0.25, lr: 1e-4, images: 4, seconds: 0.1 }
    }

    fn epoch(epoch: usize, step: usize) -> EpochRecord {
        EpochRecord {
            epoch,
            step,
            lr: 1e-4,
            train_loss: 0.5,
            train_accuracy: 0.25,
            validation_loss: 0.5,
            validation_accuracy: 0.75,
        }
    }

    #[test]
    fn a_resumed_log_forgets_what_will_happen_again() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.yaml"), "").unwrap();
        let run = RunFolder::open(dir.path()).unwrap();
        let mut log = RunLog::open(&run, &Progress::default()).unwrap();
        log.step(&step(1)).unwrap();
        log.step(&step(2)).unwrap();
        log.epoch(&epoch(1, 2)).unwrap();
        log.step(&step(3)).unwrap();
        log.epoch(&epoch(2, 3)).unwrap();
        fs::write(
            dir.path().join("log.jsonl"),
            fs::read_to_string(dir.path().join("log.jsonl")).unwrap() + "{\"event\":\"st",
        )
        .unwrap();

        let progress = Progress { step: 3, epoch: 1, batch: 1, ..Progress::default() };
        let log = RunLog::open(&run, &progress).unwrap();
        assert_eq!(log.epochs(), [epoch(1, 2)]);
        let text = fs::read_to_string(dir.path().join("log.jsonl")).unwrap();
        assert_eq!(text.lines().count(), 4);
        let summary = fs::read_to_string(dir.path().join("summary.csv")).unwrap();
        assert_eq!(summary, format!("{SUMMARY_HEADER}1,2,0.0001,0.5,0.25,0.5,0.75\n"));
        drop(log);

        fs::write(dir.path().join("log.jsonl"), b"\xff").unwrap();
        let Err(error) = RunLog::open(&run, &progress) else { panic!("a log that cannot be read was dropped") };
        assert!(error.to_string().contains("log.jsonl: cannot be read"), "{error}");
        assert_eq!(fs::read(dir.path().join("log.jsonl")).unwrap(), b"\xff");
    }
}
