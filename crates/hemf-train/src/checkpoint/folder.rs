//! A folder of files that is replaced whole, and whose content is checked by blake3 sums.
//!
//! The new folder is written beside the old one under another name, synced, and renamed into its place. A
//! process that is killed at any moment leaves a whole folder behind: the old one or the new one. Between
//! the two renames the old one stands under its `.old` name, where [`current`] finds it, or under the name
//! that it is kept by.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use crate::Error;

/// The file of checksums, one `HEX  NAME` line per file as `b3sum` writes and checks them.
pub(crate) const CHECKSUMS: &str = "checksums.b3";

/// Writes one file's content.
pub(crate) type Content<'a> = &'a dyn Fn(&mut dyn Write) -> io::Result<()>;

/// Replaces `folder` by one that holds `files` and their checksums. The one before is kept as `previous`, if that is
/// given, in place of what is there.
///
/// # Errors
/// [`Error::Write`] when anything cannot be written; `folder` is then as it was.
pub(crate) fn replace(folder: &Path, previous: Option<&Path>, files: &[(&str, Content<'_>)]) -> Result<(), Error> {
    let new = sibling(folder, ".new");
    let result = write_all(&new, files).and_then(|()| put_in_place(&new, folder, previous));
    result.map_err(|source| {
        let _ = fs::remove_dir_all(&new); // what is left of it helps nobody
        Error::Write { path: folder.to_path_buf(), source }
    })
}

/// Where the content of `folder` is now: there, or under its `.old` name after a kill between two renames.
pub(crate) fn current(folder: &Path) -> PathBuf {
    let old = sibling(folder, ".old");
    if !folder.exists() && old.exists() { old } else { folder.to_path_buf() }
}

/// Clears what a killed process left in `parent`: folders begun, and folders replaced.
///
/// # Errors
/// [`Error::Write`] when something cannot be removed.
pub(crate) fn tidy(parent: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let Some(name) = name.to_str().and_then(|name| name.strip_prefix('.')) else { continue };
        if name.ends_with(".new") {
            fs::remove_dir_all(&path).map_err(Error::write(&path))?;
        } else if let Some(name) = name.strip_suffix(".old") {
            let folder = parent.join(name);
            let tidied = if folder.exists() { fs::remove_dir_all(&path) } else { fs::rename(&path, &folder) };
            tidied.map_err(Error::write(&path))?;
        }
    }
    Ok(())
}

/// Whether `folder/name` has a checksum.
///
/// # Errors
/// As [`open`].
pub(crate) fn holds(folder: &Path, name: &str) -> Result<bool, Error> {
    Ok(sums(folder)?.iter().any(|(file, _)| file == name))
}

/// The file `folder/name`, whose checksum must agree, and this blake3 sum in hex.
///
/// # Errors
/// [`Error::Checkpoint`] when there is no such file or it has no checksum, [`Error::Integrity`] when the
/// content is not what was written.
pub(crate) fn open(folder: &Path, name: &str) -> Result<(File, String), Error> {
    let path = folder.join(name);
    let expected = sums(folder)?
        .into_iter()
        .find_map(|(file, sum)| (file == name).then_some(sum))
        .ok_or_else(|| Error::Checkpoint { path: folder.to_path_buf(), what: format!("holds no {name}") })?;
    let read = || {
        let file = File::open(&path)?;
        io::Result::Ok((hash(&file)?, file))
    };
    let (found, file) =
        read().map_err(|error| Error::Checkpoint { path: path.clone(), what: format!("cannot be read: {error}") })?;
    if found.to_hex().as_str() != expected {
        return Err(Error::Integrity {
            path,
            what: "is not as it was written (its checksum differs); was it cut off or changed?".to_owned(),
        });
    }
    Ok((file, expected))
}

/// The sum of a file's content, on all threads.
fn hash(file: &File) -> io::Result<blake3::Hash> {
    const PIECE: u64 = 4 << 20;
    let (mut hasher, mut piece) = (blake3::Hasher::new(), Vec::new());
    while file.take(PIECE).read_to_end(&mut piece)? > 0 {
        hasher.update_rayon(&piece);
        piece.clear();
    }
    Ok(hasher.finalize())
}

/// Names and checksums as listed in `folder`.
fn sums(folder: &Path) -> Result<Vec<(String, String)>, Error> {
    let text = fs::read_to_string(folder.join(CHECKSUMS)).map_err(|error| Error::Checkpoint {
        path: folder.to_path_buf(),
        what: format!("is no checkpoint of this program: {CHECKSUMS}: {error}"),
    })?;
    let pair = |line: &str| line.split_once("  ").map(|(sum, name)| (name.to_owned(), sum.to_owned()));
    Ok(text.lines().filter_map(pair).collect())
}

fn write_all(folder: &Path, files: &[(&str, Content<'_>)]) -> io::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?; // left by a process that was killed
    }
    fs::create_dir_all(folder)?;
    let mut sums = String::new();
    for (name, content) in files {
        let sum = write_synced(&folder.join(name), *content)?;
        sums += &format!("{sum}  {name}\n");
    }
    write_synced(&folder.join(CHECKSUMS), &|out| out.write_all(sums.as_bytes()))?;
    sync_folder(folder)
}

fn put_in_place(new: &Path, folder: &Path, previous: Option<&Path>) -> io::Result<()> {
    let old = previous.map_or_else(|| sibling(folder, ".old"), Path::to_path_buf);
    if folder.exists() {
        if old.exists() {
            fs::remove_dir_all(&old)?;
        }
        fs::rename(folder, &old)?;
    }
    fs::rename(new, folder)?;
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent)?,
        _ => sync_folder(Path::new("."))?, // a bare name lies in the working folder
    }
    if previous.is_none() && old.exists() {
        fs::remove_dir_all(&old)?;
    }
    Ok(())
}

fn write_synced(path: &Path, content: Content<'_>) -> io::Result<blake3::Hash> {
    let mut out =
        Hashing { inner: BufWriter::with_capacity(1 << 20, File::create(path)?), hasher: blake3::Hasher::new() };
    content(&mut out)?;
    out.flush()?;
    out.inner.get_ref().sync_all()?;
    Ok(out.hasher.finalize())
}

/// Makes names in `folder` durable; only Unix can open a folder for that.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn sibling(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(folder.file_name().unwrap_or_default());
    name.push(suffix);
    folder.with_file_name(name)
}

/// A writer that keeps the checksum of what passes through it.
struct Hashing<W> {
    inner: W,
    hasher: blake3::Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Seek;

    use super::*;

    fn save(folder: &Path, text: &str) -> Result<(), Error> {
        replace(folder, None, &[("a", &|out| out.write_all(text.as_bytes()))])
    }

    fn content(folder: &Path) -> Vec<u8> {
        let mut content = Vec::new();
        let (mut file, _) = open(folder, "a").unwrap();
        file.rewind().unwrap();
        file.read_to_end(&mut content).unwrap();
        content
    }

    #[test]
    fn a_folder_is_replaced_whole_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("last");
        save(&folder, "one").unwrap();
        save(&folder, "two").unwrap();
        assert_eq!(content(&folder), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_full_disk_leaves_the_old_content_and_no_rest() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("last");
        save(&folder, "one").unwrap();
        let full = |out: &mut dyn Write| {
            out.write_all(b"begun")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        let error = replace(&folder, None, &[("a", &full)]).unwrap_err();
        assert!(matches!(error, Error::Write { .. }), "{error}");
        assert_eq!(content(&folder), b"one");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_kill_between_the_renames_is_survived() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("last");
        save(&folder, "one").unwrap();
        fs::rename(&folder, sibling(&folder, ".old")).unwrap();
        assert_eq!(content(&current(&folder)), b"one");
        save(&folder, "two").unwrap();
        assert_eq!(content(&current(&folder)), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_one_before_is_kept_where_that_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, previous) = (dir.path().join("last"), dir.path().join("previous"));
        for text in ["one", "two", "three"] {
            replace(&folder, Some(&previous), &[("a", &|out| out.write_all(text.as_bytes()))]).unwrap();
        }
        assert_eq!((content(&folder), content(&previous)), (b"three".to_vec(), b"two".to_vec()));
        assert!(holds(&folder, "a").unwrap() && !holds(&folder, "b").unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_a_killed_process_left_is_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let (best, last) = (dir.path().join("best"), dir.path().join("last"));
        save(&best, "one").unwrap();
        fs::rename(&best, sibling(&best, ".old")).unwrap();
        save(&last, "two").unwrap();
        fs::create_dir(sibling(&last, ".new")).unwrap();
        fs::create_dir(sibling(&last, ".old")).unwrap();
        tidy(dir.path()).unwrap();
        assert_eq!((content(&best), content(&last)), (b"one".to_vec(), b"two".to_vec()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        tidy(&dir.path().join("nowhere")).unwrap();
    }

    #[test]
    fn a_changed_a_cut_off_and_a_missing_file_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("last");
        save(&folder, "one").unwrap();
        assert!(matches!(open(&folder, "b"), Err(Error::Checkpoint { .. })));
        fs::write(folder.join("a"), "on").unwrap();
        assert!(matches!(open(&folder, "a"), Err(Error::Integrity { .. })));
        fs::remove_file(folder.join(CHECKSUMS)).unwrap();
        assert!(matches!(open(&folder, "a"), Err(Error::Checkpoint { .. })));
    }
}
