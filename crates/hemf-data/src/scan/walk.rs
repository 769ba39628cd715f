//! A walk over folders in sorted order, never the directory's.
//!
//! Every folder is read once, by its own name if it lies below the root: a link to it from elsewhere (back to where it
//! was come from, or into another class) is passed over. A link that leads outside is followed.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use crate::{Error, counted, is_image};

/// Extensions of files that go with images and are none.
const TEXTS: [&str; 11] = ["csv", "html", "json", "md", "pdf", "tsv", "txt", "xlsx", "xml", "yaml", "yml"];

/// A walk over folders that enters each of them once.
pub(super) struct Walk {
    root: PathBuf,
    /// The data folder without links: the root, or what the root is a part of.
    real_root: PathBuf,
    /// Whether the root is a part of a data folder, such as the folder of a split.
    part: bool,
    /// Folders entered, without links.
    entered: HashSet<PathBuf>,
    /// Files that are no images, by extension.
    others: BTreeMap<String, usize>,
    repeated: usize,
    /// What below the root could not be read, and why; `None`: such a thing ends the walk.
    problems: Option<Vec<(String, String)>>,
}

/// The entries of a folder, sorted: subfolders and files.
struct Entries {
    folders: Vec<String>,
    files: Vec<String>,
}

impl Walk {
    pub(super) fn new(root: &Path) -> Result<Self, Error> {
        if !std::fs::metadata(root).map_err(Error::read(root))?.is_dir() {
            return Err(Error::folder(root, "not a folder"));
        }
        let real_root = root.canonicalize().map_err(Error::read(root))?;
        let (root, others) = (root.to_path_buf(), BTreeMap::new());
        Ok(Self { root, real_root, part: false, entered: HashSet::new(), others, repeated: 0, problems: None })
    }

    /// A walk over a part of the data folder `whole`, which no link takes into another part.
    pub(super) fn part(root: &Path, whole: &Path) -> Result<Self, Error> {
        let real_root = whole.canonicalize().map_err(Error::read(whole))?;
        Ok(Self { real_root, part: true, ..Self::new(root)? })
    }

    /// A walk that goes on past what cannot be read, and keeps a list of it.
    pub(super) fn forgiving(root: &Path) -> Result<Self, Error> {
        Ok(Self::new(root)?.going_on())
    }

    /// The same walk, forgiving.
    pub(super) fn going_on(self) -> Self {
        Self { problems: Some(Vec::new()), ..self }
    }

    /// Paths, relative to the root, that could not be read, and why.
    pub(super) fn problems(&mut self) -> Vec<(String, String)> {
        self.problems.take().unwrap_or_default()
    }

    /// The folders directly in the root, and how many images lie beside them.
    pub(super) fn top_level(&mut self) -> Result<(Vec<String>, usize), Error> {
        let entries = self.entries(&self.root.clone())?;
        let images = entries.files.iter().filter(|name| self.is_image(&self.root.join(name))).count();
        Ok((entries.folders, images))
    }

    /// All images in a folder and its subfolders, sorted.
    pub(super) fn images_below(&mut self, folder: &Path) -> Result<Vec<String>, Error> {
        let mut images = Vec::new();
        if self.part && self.leads_back(folder) {
            self.repeated += 1;
        } else {
            self.collect(folder, &mut images)?;
        }
        images.sort();
        Ok(images)
    }

    /// Whether there are files in a folder, and all of them are tables or texts: it is then of no class.
    pub(super) fn holds_texts_alone(folder: &Path) -> Result<bool, Error> {
        let mut walk = Self::forgiving(folder)?;
        let images = walk.images_below(folder)?;
        let texts = walk.others.keys().all(|extension| TEXTS.contains(&extension.as_str()));
        Ok(images.is_empty() && !walk.others.is_empty() && texts && walk.problems().is_empty())
    }

    fn collect(&mut self, folder: &Path, images: &mut Vec<String>) -> Result<(), Error> {
        let real = match folder.canonicalize() {
            Ok(real) => real,
            Err(error) => return self.problem(folder, Error::read(folder)(error)),
        };
        if !self.entered.insert(real) {
            self.repeated += 1;
            return Ok(());
        }
        let entries = match self.entries(folder) {
            Ok(entries) => entries,
            Err(error) => return self.problem(folder, error),
        };
        for name in entries.files {
            let path = folder.join(name);
            if self.is_image(&path) {
                images.push(self.relative(&path));
            }
        }
        for name in entries.folders {
            let below = folder.join(name);
            if self.leads_back(&below) {
                self.repeated += 1;
            } else {
                self.collect(&below, images)?;
            }
        }
        Ok(())
    }

    /// Whether it is a link into the root, or to what the root lies in.
    fn leads_back(&self, folder: &Path) -> bool {
        let back = |real: PathBuf| real.starts_with(&self.real_root) || self.real_root.starts_with(&real);
        folder.is_symlink() && folder.canonicalize().is_ok_and(back)
    }

    /// An error, or in a forgiving walk an entry of its list.
    fn problem(&mut self, path: &Path, error: Error) -> Result<(), Error> {
        let path = self.relative(path);
        match &mut self.problems {
            None => Err(error),
            Some(problems) => {
                let reason = match error {
                    Error::Folder { reason, .. } => reason,
                    Error::Read { source, .. } => source.to_string(),
                    other => other.to_string(),
                };
                problems.push((path, reason));
                Ok(())
            }
        }
    }

    /// What is hidden is passed over, and so is what macOS adds to archives (`__MACOSX`, `._NAME`). A link to nowhere counts
    /// as a file, and fails when it is read.
    fn entries(&mut self, folder: &Path) -> Result<Entries, Error> {
        let mut entries = Entries { folders: Vec::new(), files: Vec::new() };
        for entry in std::fs::read_dir(folder).map_err(Error::read(folder))? {
            let path = entry.map_err(Error::read(folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).map(str::to_string);
            let Some(name) = name else {
                self.problem(&path, Error::folder(&path, "the name is not valid UTF-8; rename it"))?;
                continue;
            };
            if name.starts_with('.') || name == "__MACOSX" {
                continue;
            }
            match path.is_dir() {
                true => entries.folders.push(name),
                false => entries.files.push(name),
            }
        }
        entries.folders.sort();
        entries.files.sort();
        Ok(entries)
    }

    /// Whether the file is taken for an image; counts it if not.
    fn is_image(&mut self, path: &Path) -> bool {
        let is_image = is_image(path);
        if !is_image && path.file_name().is_none_or(|name| name != "manifest.csv") {
            let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
            *self.others.entry(extension.to_ascii_lowercase()).or_default() += 1;
        }
        is_image
    }

    fn relative(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        parts.join("/")
    }

    pub(super) fn notices(&self, root: &Path) -> Vec<String> {
        let mut notices = Vec::new();
        if !self.others.is_empty() {
            let count: usize = self.others.values().sum();
            let kinds = self.others.iter().map(|(extension, n)| match extension.as_str() {
                "" => format!("{n} without extension"),
                _ => format!("{n} .{extension}"),
            });
            let kinds: Vec<String> = kinds.collect();
            let kinds = kinds.join(", ");
            let others = counted(count, "other file");
            notices.push(format!("left out in {}: {others} ({kinds})", root.display()));
        }
        if self.repeated > 0 {
            let (links, root) = (counted(self.repeated, "link"), root.display());
            notices.push(format!("passed over: {links} back into {root}, or to what was read already"));
        }
        notices
    }
}
