//! A run's log as others read it, also while it grows.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::PathBuf,
};

use serde_json::Value;

use super::{EpochRecord, StepRecord};
use crate::Metric;

/// What a log tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Logged {
    /// Optimizer steps of an epoch.
    pub steps_per_epoch: Option<usize>,
    /// Every step.
    pub steps: Vec<StepRecord>,
    /// Every epoch's end and validation.
    pub epochs: Vec<EpochRecord>,
    /// Whether the run has come to its end.
    pub ended: bool,
}

impl Logged {
    /// Reads a whole log. A line that is not whole is left out.
    pub fn of(text: &str) -> Self {
        let mut logged = Self::default();
        text.lines().for_each(|line| logged.add(line));
        logged
    }

    fn add(&mut self, line: &str) {
        let Ok(value) = serde_json::from_str::<Value>(line) else { return };
        let event = value["event"].as_str().unwrap_or_default().to_owned();
        self.ended = event == "end";
        match &*event {
            "begin" => self.steps_per_epoch = value["steps_per_epoch"].as_u64().and_then(|n| n.try_into().ok()),
            "step" => self.steps.extend(serde_json::from_value(value).ok()),
            "epoch" => self.epochs.extend(serde_json::from_value(value).ok()),
            _ => {}
        }
    }

    /// Epochs that are done to their last step, and recorded.
    pub fn epochs_done(&self) -> usize {
        let Some(last) = self.epochs.last() else { return 0 };
        let whole = self.ended || self.steps_per_epoch.is_some_and(|steps| last.step >= last.epoch * steps);
        if whole { last.epoch } else { last.epoch - 1 }
    }

    /// The first validation with the best score.
    pub fn best(&self, metric: Metric) -> Option<&EpochRecord> {
        let score = |record: &EpochRecord| metric.of(record.validation.as_ref()?);
        self.epochs.iter().filter(|record| score(record).is_some()).reduce(|best, next| {
            let gain = score(next).zip(score(best)).map_or(0.0, |(next, best)| metric.gain(next, best));
            if gain > 0.0 { next } else { best }
        })
    }
}

/// A log that another process may be writing: each look reads what has been added.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    logged: Logged,
    /// Where the last line that was read begins and ends.
    last: std::ops::Range<u64>,
    line: Vec<u8>,
}

impl LogReader {
    /// For the log at `path` ([`crate::RunFolder::log`]), which need not be there yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, logged: Logged::default(), last: 0..0, line: Vec::new() }
    }

    /// What was read so far.
    pub fn logged(&self) -> &Logged {
        &self.logged
    }

    /// Reads what is new. A resume may have cut the log back: then the line that was read last is no longer where it
    /// was, and all is read again.
    ///
    /// # Errors
    /// A file that cannot be read; one that is not there yet is no error.
    pub fn look(&mut self) -> io::Result<()> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let mut there = Vec::new();
        file.seek(SeekFrom::Start(self.last.start))?;
        (&mut file).take(self.line.len() as u64).read_to_end(&mut there)?;
        if there != self.line {
            (self.logged, self.last, self.line) = (Logged::default(), 0..0, Vec::new());
            file.seek(SeekFrom::Start(0))?;
        }
        let mut new = Vec::new();
        file.read_to_end(&mut new)?;
        for line in new.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            self.logged.add(&String::from_utf8_lossy(line));
            self.last = self.last.end..self.last.end + line.len() as u64;
            self.line = line.to_vec();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn step(step: usize, loss: f64) -> String {
        format!(
            "{{\"event\":\"step\",\"step\":{step},\"epoch\":1,\"loss\":{loss},\"accuracy\":0,\"lr\":1,\"images\":1,\
             \"seconds\":1}}\n"
        )
    }

    fn epoch(epoch: usize, step: usize) -> String {
        format!(
            "{{\"event\":\"epoch\",\"epoch\":{epoch},\"step\":{step},\"lr\":1,\"train_loss\":1,\"train_accuracy\":0,\
             \"validation\":null}}\n"
        )
    }

    #[test]
    fn a_growing_log_is_read_on_and_one_that_was_cut_back_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        let mut reader = LogReader::new(path.clone());
        reader.look().unwrap();
        assert_eq!(reader.logged(), &Logged::default());
        let mut text = step(1, 0.5) + &step(2, 0.25) + "{\"event\":\"st";
        fs::write(&path, &text).unwrap();
        reader.look().unwrap();
        assert_eq!(reader.logged().steps.len(), 2);
        text.truncate(text.len() - "{\"event\":\"st".len());
        text += &step(3, 0.125);
        fs::write(&path, &text).unwrap();
        reader.look().unwrap();
        reader.look().unwrap();
        assert_eq!(reader.logged(), &Logged::of(&text));
        // A resume that does step 2 again, and is further than the reader was.
        let again = step(1, 0.5) + &step(2, 0.5) + &step(3, 0.5) + &step(4, 0.5);
        fs::write(&path, &again).unwrap();
        reader.look().unwrap();
        assert_eq!(reader.logged(), &Logged::of(&again));
    }

    #[test]
    fn an_epoch_is_done_with_its_last_step() {
        let begin = "{\"event\":\"begin\",\"step\":0,\"steps_per_epoch\":4}\n".to_owned();
        let on_the_way = begin + &epoch(1, 2);
        assert_eq!(Logged::of(&on_the_way).epochs_done(), 0);
        let one = on_the_way + &epoch(1, 4);
        assert_eq!(Logged::of(&one).epochs_done(), 1);
        assert_eq!(Logged::of(&(one + &epoch(2, 6))).epochs_done(), 1);
        assert_eq!(Logged::of("").epochs_done(), 0);
    }
}
