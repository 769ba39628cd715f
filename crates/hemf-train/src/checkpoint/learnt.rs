//! What was learnt about a model after its training, kept beside it: one file each, in the checkpoint's folder.
//!
//! Such a file names the model that it is about and has the sum of its own content, and it appears by one rename. So a
//! kill leaves the one before or the new one, and of two evaluations at once one is left whole. A training may put
//! a better model in place while the one before is still evaluated: what was learnt is then of other weights, and counts as
//! not there. None of this touches the checksums of the model itself.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::{RawValue, to_raw_value};

use crate::Error;

/// The content of a file.
#[derive(Serialize, Deserialize)]
struct Learnt {
    /// blake3 sum of the `model.safetensors` that it is about, in hex.
    model: String,
    /// blake3 sum of `value` as it stands here, byte by byte.
    blake3: String,
    value: Box<RawValue>,
}

/// Keeps apart what threads of this process write.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Writes what was learnt about the model of that sum, in place of what had the name.
///
/// # Errors
/// [`Error::Write`]; what had the name is then as it was.
pub(super) fn write(folder: &Path, name: &str, model: &str, value: &impl Serialize) -> Result<(), Error> {
    let path = folder.join(name);
    let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let new = folder.join(format!(".{name}.{process}-{count}.new"));
    let write = || {
        let value = to_raw_value(value)?;
        let blake3 = blake3::hash(value.get().as_bytes()).to_hex().to_string();
        let mut json = serde_json::to_vec(&Learnt { model: model.to_owned(), blake3, value })?;
        json.push(b'\n');
        let mut file = File::create(&new)?;
        file.write_all(&json)?;
        file.sync_all()?;
        fs::rename(&new, &path)
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&new); // what is left of it helps nobody
        Error::Write { path, source }
    })
}

/// What was learnt about the model of that sum; `None` where nothing was, where it is about other weights, and where the
/// file is not of this kind.
///
/// # Errors
/// [`Error::Integrity`] when the content is not what was written, [`Error::Checkpoint`] when it is of another version.
pub(super) fn read<T: DeserializeOwned>(folder: &Path, name: &str, model: &str) -> Result<Option<T>, Error> {
    let path = folder.join(name);
    let Ok(bytes) = fs::read(&path) else { return Ok(None) };
    let Ok(learnt) = serde_json::from_slice::<Learnt>(&bytes) else { return Ok(None) };
    if learnt.model != model {
        return Ok(None);
    }
    if blake3::hash(learnt.value.get().as_bytes()).to_hex().as_str() != learnt.blake3 {
        let what = "is not as it was written (its checksum differs); was it changed?".to_owned();
        return Err(Error::Integrity { path, what });
    }
    let unreadable = |error| Error::checkpoint(&path, format!("cannot be understood: {error}"));
    serde_json::from_str(learnt.value.get()).map(Some).map_err(unreadable)
}

/// Checks everything of this kind in `folder` that is about the model of that sum.
///
/// # Errors
/// As [`read`].
pub(super) fn check(folder: &Path, model: &str) -> Result<(), Error> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    for name in names.filter_map(|name| name.into_string().ok()).filter(|name| name.ends_with(".json")) {
        read::<serde_json::Value>(folder, &name, model)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_of_one_model_and_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        let note = |model: &str| read::<String>(folder, "note.json", model);
        assert_eq!(note("one").unwrap(), None);
        write(folder, "note.json", "one", &"first").unwrap();
        write(folder, "note.json", "one", &"second").unwrap();
        assert_eq!(note("one").unwrap().as_deref(), Some("second"));
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
        // Another model was put in place meanwhile.
        assert_eq!(note("two").unwrap(), None);
        let path = folder.join("note.json");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("second", "secund")).unwrap();
        assert!(matches!(note("one"), Err(Error::Integrity { .. })));
        assert!(check(folder, "one").is_err() && check(folder, "two").is_ok());
        // What another version or a hand left there is no reason to refuse the model.
        fs::write(&path, "{\"temperature\": 1.5}").unwrap();
        assert_eq!(note("one").unwrap(), None);
    }

    #[test]
    fn numbers_come_back_bit_by_bit() {
        let dir = tempfile::tempdir().unwrap();
        let numbers = [0.1 + 0.2, 1.0 / 3.0, 5e-324, 1.7976931348623157e308];
        write(dir.path(), "n.json", "m", &numbers).unwrap();
        assert_eq!(read::<[f64; 4]>(dir.path(), "n.json", "m").unwrap(), Some(numbers));
    }

    /// Two evaluations at once, and a kill at any moment: whoever reads finds the whole of one of them.
    #[test]
    fn several_writers_leave_one_of_them_whole() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        write(folder, "n.json", "m", &vec![9; 500]).unwrap();
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|digit| {
                    scope.spawn(move || (0..25).for_each(|_| write(folder, "n.json", "m", &vec![digit; 500]).unwrap()))
                })
                .collect();
            while writers.iter().any(|writer| !writer.is_finished()) {
                let found = read::<Vec<u32>>(folder, "n.json", "m").unwrap().expect("there is always one");
                assert!(found.len() == 500 && found.iter().all(|digit| *digit == found[0]), "{found:?}");
            }
        });
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
    }
}
