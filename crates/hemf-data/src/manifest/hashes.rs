//! What files were found to hold, kept between runs: a file whose size and time have not moved since
//! is not read again. It only saves time: without it, or when it cannot be written, files are read.

use std::collections::HashMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use crate::{cache, replace::replace};

/// (modification time in ns, size, blake3)
type Seen = (u128, u64, String);

/// The hashes noted for the files of one folder.
pub(super) struct Hashes {
    file: Option<PathBuf>,
    known: HashMap<String, Seen>,
    fresh: Mutex<Vec<(String, Seen)>>,
}

/// A file changed this recently may change again within the same tick of the clock.
const SETTLED: Duration = Duration::from_secs(2);

impl Hashes {
    /// Knows nothing and keeps nothing.
    pub(super) fn none() -> Self {
        Self { file: None, known: HashMap::new(), fresh: Mutex::default() }
    }

    /// What is noted about the files below `root`.
    pub(super) fn open(root: &Path) -> Self {
        let name = blake3::hash(root.as_os_str().as_encoded_bytes()).to_hex();
        cache::folder().map_or_else(Self::none, |folder| Self::load(folder.join(format!("hashes-{}.csv", &name[..16]))))
    }

    fn load(file: PathBuf) -> Self {
        let mut known = HashMap::new();
        if let Ok(mut reader) = csv::ReaderBuilder::new().has_headers(false).from_path(&file) {
            // Lines that cannot be read are forgotten.
            for (path, time, bytes, hash) in reader.deserialize().flatten() {
                known.insert(path, (time, bytes, hash));
            }
        }
        Self { file: Some(file), known, fresh: Mutex::default() }
    }

    /// Whether the file at `path` held `hash` when it had this size and time.
    pub(super) fn has(&self, path: &str, meta: &Metadata, hash: &str) -> bool {
        let Some((time, bytes, known)) = self.known.get(path) else { return false };
        *bytes == meta.len() && modified(meta) == Some(*time) && known == hash
    }

    /// Keeps that the file holds `hash`, unless it was changed only just now.
    pub(super) fn note(&self, path: &str, meta: &Metadata, hash: &str) {
        let settled =
            meta.modified().is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age >= SETTLED));
        if let (true, true, Some(time)) = (settled, self.file.is_some(), modified(meta)) {
            let seen = (time, meta.len(), hash.to_string());
            self.fresh.lock().expect("no holder panics").push((path.to_string(), seen));
        }
    }

    /// Writes what is new; a disk that does not take it costs time, no more.
    pub(super) fn save(self) {
        let fresh = self.fresh.into_inner().expect("no holder panics");
        let Some(file) = self.file.filter(|_| !fresh.is_empty()) else { return };
        let mut known = self.known;
        known.extend(fresh);
        let mut lines: Vec<_> = known.into_iter().collect();
        lines.sort();
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        for (path, (time, bytes, hash)) in lines {
            if writer.serialize((path, time, bytes, hash)).is_err() {
                return;
            }
        }
        if let Ok(table) = writer.into_inner() {
            let _ = replace(&file, &table);
        }
    }
}

/// Nanoseconds from 1970 to the last change.
fn modified(meta: &Metadata) -> Option<u128> {
    let time = meta.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(time.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_until_its_size_or_time_moves() {
        let dir = tempfile::tempdir().unwrap();
        let (file, notes) = (dir.path().join("1,\"a\".png"), dir.path().join("notes/hashes.csv"));
        let age = |seconds| {
            std::fs::write(&file, "content").unwrap();
            let time = SystemTime::now() - Duration::from_secs(seconds);
            std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
            std::fs::metadata(&file).unwrap()
        };
        let name = "1,\"a\".png";
        let old = age(100);
        let hashes = Hashes::load(notes.clone());
        assert!(!hashes.has(name, &old, "abc"));
        hashes.note(name, &old, "abc");
        hashes.save();
        let hashes = Hashes::load(notes.clone());
        assert!(hashes.has(name, &old, "abc") && !hashes.has(name, &old, "abd") && !hashes.has("2.png", &old, "abc"));
        let touched = age(50);
        assert!(!hashes.has(name, &touched, "abc"));
        // Too young to be sure of.
        let young = age(0);
        hashes.note(name, &young, "abc");
        hashes.save();
        assert!(!Hashes::load(notes.clone()).has(name, &young, "abc"));
        // A damaged note is no note.
        std::fs::write(&notes, "\u{0},,\n\"").unwrap();
        assert!(!Hashes::load(notes).has(name, &old, "abc"));
    }
}
