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
    /// A class that is no folder name, a folder that is not empty, a disk that does not take it. What
    /// was moved until then is moved back.
    pub fn lay_out(&self, target: &Path, placing: Placing) -> Result<Self, Error> {
        if fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Error::folder(target, "is not empty; name a new folder"));
        }
        let rows = self.laid_out_rows(target)?;
        let mut done: Vec<(PathBuf, PathBuf)> = Vec::new();
        for (from, to) in self.rows().iter().zip(&rows) {
            let (from, to) = (self.root().join(&from.path), target.join(&to.path));
            let folder = to.parent().unwrap_or(target);
            let placed = fs::create_dir_all(folder).and_then(|()| place(&from, &to, placing));
            if let Err(error) = placed {
                if placing == Placing::Move {
                    for (from, to) in done.iter().rev() {
                        let _ = move_file(to, from); // the error at hand matters more
                    }
                }
                return Err(Error::write(&to)(error));
            }
            done.push((from, to));
        }
        let mut rows = rows;
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
            fs::remove_file(from)
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
