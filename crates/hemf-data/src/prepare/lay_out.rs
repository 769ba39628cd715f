//! A split data set as folders: `training_set/CLASS/`, `validation_set/CLASS/`, `test_set/CLASS/`, the
//! form that other programs read.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use crate::{Error, Manifest, Row, Split};

/// How images come to their place in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placing {
    /// A second file.
    Copy,
    /// A second name of the same file, on the same disk. Who changes one changes both.
    HardLink,
    /// A link to the original's absolute path.
    Symlink,
    /// The original itself: it is no longer where it was.
    Move,
}

impl Manifest {
    /// Lays the images out as a tree in `target`, with a manifest of its own, and returns that. The
    /// folder must be empty or not there yet.
    ///
    /// # Errors
    /// A class that is no folder name, a folder that is not empty, a disk that does not take it. What was laid out until
    /// then is taken away again, or moved back; the error says so where that fails too.
    pub fn lay_out(&self, target: &Path, placing: Placing) -> Result<Self, Error> {
        Self::check_tree(self.root(), target)?;
        let rows = self.laid_out_rows(target)?;
        let mut done = Done { placing, placed: Vec::new(), folders: Vec::new() };
        let laid = self.place_all(target, rows, &mut done);
        laid.map_err(|error| done.undo(target, error))
    }

    /// Whether the images of `source` can be laid out in `target`.
    ///
    /// # Errors
    /// The folder is not empty, or lies among the images: it would be taken for a class of them.
    pub fn check_tree(source: &Path, target: &Path) -> Result<(), Error> {
        if fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Error::folder(target, "is not empty; name a new folder"));
        }
        let inside = match (source.canonicalize(), real(target)) {
            (Ok(source), Ok(target)) => target.starts_with(source),
            _ => false, // fails when it is read or written
        };
        if inside {
            let reason = format!("lies in {}, the folder of the images; name a new folder outside", source.display());
            return Err(Error::folder(target, reason));
        }
        Ok(())
    }

    fn place_all(&self, target: &Path, mut rows: Vec<Row>, done: &mut Done) -> Result<Self, Error> {
        for (from, to) in self.rows().iter().zip(&rows) {
            let (from, to) = (self.root().join(&from.path), target.join(&to.path));
            done.make_folder(to.parent().unwrap_or(target)).map_err(Error::write(&to))?;
            place(&from, &to, done.placing).map_err(Error::write(&to))?;
            done.placed.push((from, to));
        }
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        let laid = Self::new(target, self.seed(), self.rule(), rows)?;
        laid.write(&target.join("manifest.csv"))?;
        Ok(laid)
    }

    /// The rows with their new paths: the file's own name, or where a class has two of that name, the
    /// folders before it too.
    fn laid_out_rows(&self, target: &Path) -> Result<Vec<Row>, Error> {
        let mut taken = HashSet::new();
        let mut rows = Vec::with_capacity(self.rows().len());
        for row in self.rows() {
            let mut parts = Path::new(&row.class).components();
            if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
                return Err(Error::folder(target, format!("class {:?} cannot be the name of a folder", row.class)));
            }
            let set = match row.split {
                Split::Train => "training_set",
                Split::Validation => "validation_set",
                Split::Test => "test_set",
            };
            let name = row.path.rsplit('/').next().unwrap_or(&row.path);
            let place = |name: &str| format!("{set}/{}/{name}", row.class);
            let free = [name.to_string(), row.path.replace('/', "_")]
                .into_iter()
                .chain((2..).map(|n| format!("{n}_{name}")))
                .map(|name| place(&name))
                // Some disks tell no case.
                .find(|path| taken.insert(path.to_lowercase()));
            rows.push(Row { path: free.expect("some number is free"), ..row.clone() });
        }
        Ok(rows)
    }
}

/// What was done so far, so that it can be undone.
struct Done {
    placing: Placing,
    /// From where to where.
    placed: Vec<(PathBuf, PathBuf)>,
    /// Folders that were not there before, outer ones first.
    folders: Vec<PathBuf>,
}

impl Done {
    fn make_folder(&mut self, folder: &Path) -> io::Result<()> {
        let mut missing: Vec<&Path> = folder.ancestors().take_while(|path| !path.exists()).collect();
        missing.retain(|path| !path.as_os_str().is_empty());
        fs::create_dir_all(folder)?;
        self.folders.extend(missing.into_iter().rev().map(Path::to_path_buf));
        Ok(())
    }

    /// Takes everything back after `error`, and tells what could not be.
    fn undo(self, target: &Path, error: Error) -> Error {
        let moved = self.placing == Placing::Move;
        let back = |(from, to): &(PathBuf, PathBuf)| if moved { move_file(to, from) } else { fs::remove_file(to) };
        let stuck = self.placed.iter().rev().filter(|file| back(file).is_err()).count();
        // Only what is empty goes.
        self.folders.iter().rev().for_each(|folder| {
            let _ = fs::remove_dir(folder);
        });
        if !moved || stuck == 0 {
            return error;
        }
        let source = io::Error::other(format!("{error}; {stuck} images could not be moved back and lie there"));
        Error::write(target)(source)
    }
}

/// The path without links, of what need not be there yet.
fn real(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    for there in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (there.canonicalize(), path.strip_prefix(there)) {
            return Ok(real.join(rest));
        }
    }
    Ok(path)
}

fn place(from: &Path, to: &Path, placing: Placing) -> io::Result<()> {
    match placing {
        Placing::Copy => fs::copy(from, to).map(|_| ()),
        Placing::HardLink => fs::hard_link(fs::canonicalize(from)?, to),
        Placing::Symlink => symlink(from, to),
        Placing::Move => move_file(from, to),
    }
}

/// Renames, or copies and removes from one disk to another.
fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            fs::copy(from, to)?;
            // Never in two places, never in none.
            fs::remove_file(from).inspect_err(|_| {
                let _ = fs::remove_file(to);
            })
        }
        result => result,
    }
}

#[cfg(unix)]
fn symlink(from: &Path, to: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(fs::canonicalize(from)?, to)
}

#[cfg(windows)]
fn symlink(from: &Path, to: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(fs::canonicalize(from)?, to)
}
