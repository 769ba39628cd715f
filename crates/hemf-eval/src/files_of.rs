//! Which files are meant by what was typed.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use hemf_data::has_image_extension;
use hemf_train::Error;

/// The files that `named` means, in order: a file, all images of a folder and its subfolders, a pattern such as
/// `scans/*.png`, or `-` for a list with one of these on each line of `list`. A name that means nothing stays as it is,
/// so that it is told as a file that cannot be read.
///
/// # Errors
/// A folder or a list that cannot be read, or a malformed pattern.
pub fn files_of(named: &[String], list: &mut dyn BufRead) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
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

fn add(name: &str, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let path = Path::new(name);
    if path.is_dir() {
        return folder(path, files);
    }
    let pattern = name.contains(['*', '?', '[']) && !path.exists();
    if !pattern {
        files.push(path.to_owned());
        return Ok(());
    }
    let found = glob::glob(name)
        .map_err(|error| Error::Checkpoint { path: path.to_owned(), what: format!("is no pattern: {error}") })?;
    let before = files.len();
    for found in found {
        let found = found.map_err(|error| unreadable(error.path(), error.error()))?;
        if found.is_dir() { folder(&found, files)? } else { files.push(found) }
    }
    if files.len() == before {
        files.push(path.to_owned());
    }
    Ok(())
}

/// All images below a folder, sorted by name, so that the order is the same everywhere.
fn folder(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let entries = std::fs::read_dir(path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let mut entries: Vec<PathBuf> =
        entries.map_err(|source| unreadable(path, &source))?.into_iter().map(|entry| entry.path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            folder(&entry, files)?;
        } else if has_image_extension(&entry) {
            files.push(entry);
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
        let named = |names: &[String], list: &str| files_of(names, &mut list.as_bytes()).unwrap();
        let all = [at("1%0.png"), at("a.JPG"), at("b.png"), at("sub/c.jpeg"), at("sub/d.TIFF")];
        assert_eq!(named(&[text(dir.path().to_owned())], ""), all);
        assert_eq!(named(&[text(at("*.png"))], ""), [at("1%0.png"), at("b.png")]);
        let list = format!("{}\r\n\n{}\n", text(at("b.png")), text(at("sub")));
        assert_eq!(named(&["-".to_owned()], &list), [at("b.png"), at("sub/c.jpeg"), at("sub/d.TIFF")]);
        // What means nothing is kept, to be told as unreadable.
        assert_eq!(named(&[text(at("*.gif"))], ""), [at("*.gif")]);
        assert!(files_of(&[text(at("["))], &mut "".as_bytes()).is_err());
    }
}
