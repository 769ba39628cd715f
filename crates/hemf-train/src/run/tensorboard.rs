//! TensorBoard's event file: the numbers of steps and validations as scalars.
//!
//! The file is a row of records (TensorFlow's TFRecord), each of them one `Event` message:
//!
//! ```text
//! length of data: u64   masked CRC of the length: u32   data   masked CRC of data: u32     (little endian)
//! mask(crc) = rotate right by 15, plus 0xa282ead8                                          (CRC-32C)
//!
//! Event   { 1: double wall_time, 2: int64 step, 3: string file_version, 5: Summary summary }
//! Summary { 1: repeated Value value }    Value { 1: string tag, 2: float simple_value }
//! ```
//!
//! The messages are few and small enough to be written by hand.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{EpochRecord, RunFolder, StepRecord, write_whole};
use crate::{Error, checkpoint::Progress};

/// TensorBoard looks for `tfevents` in a file's name. One name for the whole run, however often it is resumed.
const NAME: &str = "events.out.tfevents.0.hemf";
/// How the tags of a validation begin.
const VALIDATION: &str = "validation/";

/// The open event file of a run.
pub(super) struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// Opens the event file of `run` where `progress` stands: what was written after it will happen again, and is
    /// dropped.
    pub(super) fn open(run: &RunFolder, progress: &Progress) -> Result<Self, Error> {
        let path = run.path().join(NAME);
        let old = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(), // a new run
            old => old.map_err(|error| Error::checkpoint(&path, format!("cannot be read: {error}")))?,
        };
        let mut kept = Vec::new();
        for (whole, event) in records(&old) {
            let of_validation = event.windows(VALIDATION.len()).any(|part| part == VALIDATION.as_bytes());
            let done = if of_validation { progress.recorded } else { progress.step };
            if step_of(event).is_some_and(|step| step <= done as u64) {
                kept.extend_from_slice(whole);
            }
        }
        if kept.is_empty() {
            kept = record(&version());
        }
        write_whole(&path, &kept)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(Error::write(&path))?;
        Ok(Self { path, file })
    }

    pub(super) fn step(&mut self, record: &StepRecord) -> Result<(), Error> {
        self.scalars(
            record.step,
            &[
                ("train/loss", record.loss),
                ("train/accuracy", record.accuracy),
                ("train/learning_rate", record.lr),
                ("train/gradient_norm", record.gradient_norm),
                ("train/images_per_second", record.images as f64 / record.seconds.max(1e-9)),
            ],
        )
    }

    pub(super) fn epoch(&mut self, record: &EpochRecord) -> Result<(), Error> {
        let Some(validation) = &record.validation else { return Ok(()) };
        let scalars: Vec<(&str, f64)> = [
            ("validation/loss", Some(validation.loss)),
            ("validation/accuracy", Some(validation.accuracy)),
            ("validation/balanced_accuracy", validation.balanced_accuracy),
            ("validation/macro_f1", validation.macro_f1),
            ("validation/macro_auc", validation.macro_auc),
            ("validation/mcc", validation.mcc),
        ]
        .into_iter()
        .filter_map(|(tag, value)| Some((tag, value?)))
        .collect();
        self.scalars(record.step, &scalars)
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(Error::write(&self.path))
    }

    fn scalars(&mut self, step: usize, scalars: &[(&str, f64)]) -> Result<(), Error> {
        let mut summary = Vec::new();
        for (tag, value) in scalars {
            let mut entry = Vec::new();
            bytes(&mut entry, 1, tag.as_bytes());
            entry.push(key(2, FIXED_32));
            entry.extend((*value as f32).to_le_bytes());
            bytes(&mut summary, 1, &entry);
        }
        let mut event = begin(step as u64);
        bytes(&mut event, 5, &summary);
        self.file.write_all(&record(&event)).map_err(Error::write(&self.path))
    }
}

// Protobuf: each field begins with its number and one of these types.
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const BYTES: u8 = 2;
const FIXED_32: u8 = 5;

fn key(field: u8, kind: u8) -> u8 {
    field << 3 | kind
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bytes(out: &mut Vec<u8>, field: u8, content: &[u8]) {
    out.push(key(field, BYTES));
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// An event's time and step.
fn begin(step: u64) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    let mut event = vec![key(1, FIXED_64)];
    event.extend(now.to_le_bytes());
    event.push(key(2, VARINT));
    varint(&mut event, step);
    event
}

/// The event that every file begins with.
fn version() -> Vec<u8> {
    let mut event = begin(0);
    bytes(&mut event, 3, b"brain.Event:2");
    event
}

/// The step of an event that [`begin`] began.
fn step_of(event: &[u8]) -> Option<u64> {
    let rest = event.get(9..)?;
    let (&first, rest) = rest.split_first()?;
    if first != key(2, VARINT) {
        return None;
    }
    let mut step = 0;
    for (place, byte) in rest.iter().enumerate().take(10) {
        step |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(step);
        }
    }
    None
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked(&length).to_le_bytes(), data, &masked(data).to_le_bytes()].concat()
}

/// The whole records of `file` with their data. The first that is cut off or damaged ends them.
fn records(file: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = file;
    std::iter::from_fn(move || {
        let length = u64::from_le_bytes(rest.get(..8)?.try_into().ok()?);
        let end = usize::try_from(length).ok()?.checked_add(12)?;
        let (data, sum) = (rest.get(12..end)?, rest.get(end..end.checked_add(4)?)?);
        if sum != masked(data).to_le_bytes() {
            return None;
        }
        let (whole, after) = rest.split_at(end + 4);
        rest = after;
        Some((whole, data))
    })
}

fn masked(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit-reversed, a byte at a time.
fn crc32c(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
                bit += 1;
            }
            table[byte] = crc;
            byte += 1;
        }
        table
    };
    !data.iter().fold(!0, |crc: u32, byte| TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ crc >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::Validation;

    /// RFC 3720, appendix B.4; the mask as TensorFlow's `crc32c_test.cc` has it.
    #[test]
    fn checksums_are_those_of_the_standard() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&(0..32).collect::<Vec<u8>>()), 0x46dd_794e);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn numbers_of_any_length_are_read_back() {
        for step in [0, 1, 127, 128, 300, 1 << 40] {
            assert_eq!(step_of(&begin(step)), Some(step));
        }
        assert_eq!(step_of(&[0; 4]), None);
    }

    #[test]
    fn a_resumed_file_forgets_what_will_happen_again() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.yaml"), "").unwrap();
        let run = RunFolder::open(dir.path()).unwrap();
        let path = dir.path().join(NAME);
        let step = |step| StepRecord {
            step,
            epoch: 1,
            loss: 0.5,
            accuracy: 0.5,
            lr: 0.1,
            gradient_norm: 1.0,
            images: 4,
            seconds: 0.1,
            waited: 0.0,
        };
        let epoch = |step| EpochRecord {
            epoch: 1,
            step,
            lr: 0.1,
            train_loss: 0.5,
            train_accuracy: 0.5,
            validation: Some(Validation::default()),
        };
        let mut events = Events::open(&run, &Progress::default()).unwrap();
        for number in 1..=3 {
            events.step(&step(number)).unwrap();
            events.epoch(&epoch(number)).unwrap();
        }
        events.file.write_all(b"cut off").unwrap();
        // Saved after step 2, before its validation.
        let progress = Progress { step: 2, recorded: 1, ..Progress::default() };
        Events::open(&run, &progress).unwrap();
        let file = fs::read(&path).unwrap();
        let steps: Vec<u64> = records(&file).map(|(_, event)| step_of(event).unwrap()).collect();
        assert_eq!(steps, [0, 1, 1, 2]);
        assert_eq!(records(&file).map(|(whole, _)| whole.len()).sum::<usize>(), file.len());

        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap(); // there, and not to be read
        let Err(error) = Events::open(&run, &progress) else { panic!("events that cannot be read were dropped") };
        assert!(error.to_string().contains("cannot be read"), "{error}");
    }
}
