//! Which files are meant by what was typed.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use hemf_data::is_image;
use hemf_train::Error;

/// Files that were meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// In the order in which they are asked about.
    pub files: Vec<PathBuf>,
    /// How many files of folders are not among them, as their names do not end as an image's does.
    pub left_out: usize,
}

/// The files that `named` means, in order: a file, all images of a folder and its subfolders, a pattern such as
/// `scans/*.png`, or `-` for a list with one of these on each line of `list`. The name of a file that is not there, and a
/// pattern that no file is named like, stay as they are, so that they are told as what cannot be read.
///
/// # Errors
/// A folder or a list that cannot be read, or a malformed pattern.
pub fn files_of(named: &[String], list: &mut dyn BufRead) -> Result<Files, Error> {
    let mut files = Files::default();
    for name in named {
        if name == "-" {
            for line in list.lines() {
                let line = line.map_err(|source| unreadable(Path::new("standard input"), &source))?;
                if !line.trim().is_empty() {
                    add(line.trim_end_matches('\r'), &mut files)?;
                }
            }
        } else {
            add(name, &mut files)?;
        }
    }
    Ok(files)
}

fn add(name: &str, found: &mut Files) -> Result<(), Error> {
    let path = Path::new(name);
    if path.is_dir() {
        return folder(path, found);
    }
    let pattern = name.contains(['*', '?', '[']) && !path.exists();
    if !pattern {
        found.files.push(path.to_owned());
        return Ok(());
    }
    let matches = glob::glob(name)
        .map_err(|error| Error::Checkpoint { path: path.to_owned(), what: format!("is no pattern: {error}") })?;
    let before = found.clone();
    for path in matches {
        let path = path.map_err(|error| unreadable(error.path(), error.error()))?;
        if path.is_dir() { folder(&path, found)? } else { found.files.push(path) }
    }
    if *found == before {
        found.files.push(path.to_owned());
    }
    Ok(())
}

/// All images below a folder, sorted by name, so that the order is the same everywhere.
fn folder(path: &Path, found: &mut Files) -> Result<(), Error> {
    let entries = std::fs::read_dir(path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let mut entries: Vec<PathBuf> =
        entries.map_err(|source| unreadable(path, &source))?.into_iter().map(|entry| entry.path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            folder(&entry, found)?;
        } else if is_image(&entry) {
            found.files.push(entry);
        } else {
            found.left_out += 1;
        }
    }
    Ok(())
}

fn unreadable(path: &Path, source: &std::io::Error) -> Error {
    Error::Checkpoint { path: path.to_owned(), what: format!("cannot be read: {source}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_folders_patterns_and_lists() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        for name in ["b.png", "a.JPG", "note.txt", "sub/c.jpeg", "sub/d.TIFF", "1%0.png"] {
            std::fs::write(at(name), "").unwrap();
        }
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let named = |names: &[String], list: &str| files_of(names, &mut list.as_bytes()).unwrap().files;
        let all = [at("1%0.png"), at("a.JPG"), at("b.png"), at("sub/c.jpeg"), at("sub/d.TIFF")];
        assert_eq!(named(&[text(dir.path().to_owned())], ""), all);
        let left_out = files_of(&[text(dir.path().to_owned()), text(at("note.txt"))], &mut "".as_bytes()).unwrap();
        assert_eq!((left_out.left_out, left_out.files.len()), (1, all.len() + 1), "named by itself it is read");
        assert_eq!(named(&[text(at("*.png"))], ""), [at("1%0.png"), at("b.png")]);
        let list = format!("{}\r\n\n{}\n", text(at("b.png")), text(at("sub")));
        assert_eq!(named(&["-".to_owned()], &list), [at("b.png"), at("sub/c.jpeg"), at("sub/d.TIFF")]);
        // What is not there is kept, to be told as unreadable.
        assert_eq!(named(&[text(at("e.png")), text(at("*.gif"))], ""), [at("e.png"), at("*.gif")]);
        assert!(files_of(&[text(at("["))], &mut "".as_bytes()).is_err());
    }
}
