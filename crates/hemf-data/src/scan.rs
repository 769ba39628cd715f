//! Finding images: class-per-folder trees, trees already split, and one-hot tables.
//!
//! Everything comes back sorted by name, never in the directory's order.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::{Error, Split};

/// Extensions of image files, in any case. What a file really is, its content tells.
const EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];

/// The images of one class.
#[derive(Debug, PartialEq)]
pub(crate) struct ClassFiles {
    pub(crate) name: String,
    /// Paths relative to the data folder, parts joined by `/`.
    pub(crate) files: Vec<String>,
}

/// What a data folder holds.
#[derive(Debug)]
pub(crate) struct Scan {
    /// In sorted order, or that of the table's columns.
    pub(crate) classes: Vec<ClassFiles>,
    /// What the user should know, a line each.
    pub(crate) notices: Vec<String>,
}

/// Reads a tree with one folder per class: all folders, or those named.
pub(crate) fn class_folders(root: &Path, only: Option<&[String]>) -> Result<Scan, Error> {
    let mut walk = Walk::new(root)?;
    let (found, images) = walk.top_level()?;
    let mut names = match only {
        Some(names) => names.to_vec(),
        None => found.clone(),
    };
    names.sort();
    names.dedup();
    if let Some(missing) = names.iter().find(|name| !found.contains(*name)) {
        let reason = format!("no class folder {missing:?}; there are: {}", quoted(&found));
        return Err(Error::folder(root, reason));
    }
    if names.len() < 2 {
        let what = match (names.len(), images) {
            (0, 0) => "no class folders in it".to_string(),
            (0, n) => format!("no class folders in it, but {n} images"),
            _ => format!("only one class folder, {}", quoted(&names)),
        };
        let reason = format!("{what}; expected one folder per class, two at least");
        return Err(Error::folder(root, reason));
    }
    let mut classes = Vec::with_capacity(names.len());
    for name in names {
        let files = walk.images_below(&root.join(&name))?;
        if files.is_empty() {
            let reason = "no .jpg, .jpeg or .png images in this class folder; \
                          remove it, or name the class folders to use";
            return Err(Error::folder(&root.join(name), reason));
        }
        classes.push(ClassFiles { name, files });
    }
    let unused = found.iter().filter(|name| !classes.iter().any(|class| class.name == **name));
    let unused: Vec<String> = unused.cloned().collect();
    let mut notices = walk.notices(root);
    if !unused.is_empty() {
        notices.push(format!("folders not used: {}", quoted(&unused)));
    }
    Ok(Scan { classes, notices })
}

/// Names under which the parts of a split tree are known.
const SPLIT_FOLDERS: [(Split, &[&str]); 3] = [
    (Split::Train, &["training_set", "train", "training"]),
    (Split::Validation, &["validation_set", "validation", "val", "valid"]),
    (Split::Test, &["test_set", "test", "testing"]),
];

/// The split folders of `root`, if it is laid out as training and test (or validation) folders.
pub(crate) fn split_folders(root: &Path) -> Result<Option<Vec<(Split, String)>>, Error> {
    let (found, _) = Walk::new(root)?.top_level()?;
    let mut splits = Vec::new();
    for (split, names) in SPLIT_FOLDERS {
        let mut known = found.iter().filter(|name| names.contains(&name.as_str()));
        if let Some(name) = known.next() {
            if let Some(second) = known.next() {
                let reason = format!("both {name:?} and {second:?}; which is the {split} split?");
                return Err(Error::folder(root, reason));
            }
            splits.push((split, name.clone()));
        }
    }
    let is_split = splits.len() > 1 && splits[0].0 == Split::Train;
    Ok(is_split.then_some(splits))
}

/// Reads the images named in a one-hot table (`image,CLASS,CLASS,...`, as ISIC gives its ground
/// truth), wherever below `root` they lie. Classes and images keep the table's order.
pub(crate) fn one_hot_table(root: &Path, table: &Path) -> Result<Scan, Error> {
    let mut walk = Walk::new(root)?;
    let mut by_stem = HashMap::new();
    for file in walk.images_below(root)? {
        let name = file.rsplit('/').next().unwrap_or(&file);
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_string();
        if let Some(other) = by_stem.insert(stem, file.clone()) {
            let reason = format!("{other} and {file} have the same name: the table cannot tell them apart");
            return Err(Error::folder(root, reason));
        }
    }
    let bad = |line: Option<u64>, reason: String| Error::Manifest { path: table.into(), line, reason };
    let mut reader = csv::Reader::from_path(table).map_err(|e| bad(None, e.to_string()))?;
    let header = reader.headers().map_err(|e| bad(Some(1), e.to_string()))?.clone();
    let mut classes: Vec<ClassFiles> =
        header.iter().skip(1).map(|name| ClassFiles { name: name.trim().to_string(), files: Vec::new() }).collect();
    if classes.len() < 2 {
        return Err(bad(Some(1), "expected columns: image, then one per class".into()));
    }
    for record in reader.records() {
        let record = record.map_err(|e| bad(e.position().map(|p| p.line()), e.to_string()))?;
        let line = record.position().map(|p| p.line());
        let hot: Vec<usize> =
            (1..record.len()).filter(|&i| record[i].trim().parse::<f64>().is_ok_and(|value| value == 1.0)).collect();
        let [column] = hot[..] else {
            return Err(bad(line, format!("{} classes are marked 1, not one", hot.len())));
        };
        let stem = record[0].trim();
        let file =
            by_stem.remove(stem).ok_or_else(|| bad(line, format!("no image {stem} below {}", root.display())))?;
        classes[column - 1].files.push(file);
    }
    if let Some(empty) = classes.iter().find(|class| class.files.is_empty()) {
        return Err(bad(None, format!("class {} has no images", empty.name)));
    }
    let mut notices = walk.notices(root);
    if !by_stem.is_empty() {
        notices.push(format!("{} images are not in the table and are left out", by_stem.len()));
    }
    Ok(Scan { classes, notices })
}

/// A walk over folders that enters each of them once.
struct Walk {
    root: PathBuf,
    /// Real paths of the folders entered: a symbolic link back to one of them ends there.
    entered: HashSet<PathBuf>,
    /// Files that are no images, by extension.
    others: BTreeMap<String, usize>,
    repeated: usize,
}

/// The entries of a folder, sorted: subfolders and files.
struct Entries {
    folders: Vec<String>,
    files: Vec<String>,
}

impl Walk {
    fn new(root: &Path) -> Result<Self, Error> {
        if !std::fs::metadata(root).map_err(Error::read(root))?.is_dir() {
            return Err(Error::folder(root, "not a folder"));
        }
        let root = root.to_path_buf();
        Ok(Self { root, entered: HashSet::new(), others: BTreeMap::new(), repeated: 0 })
    }

    /// The folders directly in the root, and how many images lie beside them.
    fn top_level(&mut self) -> Result<(Vec<String>, usize), Error> {
        let entries = self.entries(&self.root.clone())?;
        let images = entries.files.iter().filter(|name| self.is_image(name)).count();
        Ok((entries.folders, images))
    }

    /// All images in a folder and its subfolders, sorted.
    fn images_below(&mut self, folder: &Path) -> Result<Vec<String>, Error> {
        let mut images = Vec::new();
        self.collect(folder, &mut images)?;
        images.sort();
        Ok(images)
    }

    fn collect(&mut self, folder: &Path, images: &mut Vec<String>) -> Result<(), Error> {
        let real = folder.canonicalize().map_err(Error::read(folder))?;
        if !self.entered.insert(real) {
            self.repeated += 1;
            return Ok(());
        }
        let entries = self.entries(folder)?;
        for name in entries.files {
            if self.is_image(&name) {
                images.push(self.relative(&folder.join(name)));
            }
        }
        for name in entries.folders {
            self.collect(&folder.join(name), images)?;
        }
        Ok(())
    }

    /// Hidden folders are passed over. A link to nowhere counts as a file, and fails when it is read.
    fn entries(&self, folder: &Path) -> Result<Entries, Error> {
        let mut entries = Entries { folders: Vec::new(), files: Vec::new() };
        for entry in std::fs::read_dir(folder).map_err(Error::read(folder))? {
            let path = entry.map_err(Error::read(folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).map(str::to_string);
            let Some(name) = name else {
                return Err(Error::folder(&path, "the name is not valid UTF-8; rename it"));
            };
            if !path.is_dir() {
                entries.files.push(name);
            } else if !name.starts_with('.') {
                entries.folders.push(name);
            }
        }
        entries.folders.sort();
        entries.files.sort();
        Ok(entries)
    }

    /// Whether the name is an image's; counts it if not.
    fn is_image(&mut self, name: &str) -> bool {
        let extension = Path::new(name).extension().and_then(|e| e.to_str()).unwrap_or_default();
        let extension = extension.to_ascii_lowercase();
        let is_image = EXTENSIONS.contains(&extension.as_str());
        if !is_image {
            *self.others.entry(extension).or_default() += 1;
        }
        is_image
    }

    fn relative(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        parts.join("/")
    }

    fn notices(&self, root: &Path) -> Vec<String> {
        let mut notices = Vec::new();
        if !self.others.is_empty() {
            let count: usize = self.others.values().sum();
            let kinds = self.others.iter().map(|(extension, n)| match extension.as_str() {
                "" => format!("{n} without extension"),
                _ => format!("{n} .{extension}"),
            });
            let kinds: Vec<String> = kinds.collect();
            let kinds = kinds.join(", ");
            notices.push(format!("{count} other files in {} are left out: {kinds}", root.display()));
        }
        if self.repeated > 0 {
            let n = self.repeated;
            notices.push(format!("{n} links to folders already read are passed over"));
        }
        notices
    }
}

fn quoted(names: &[String]) -> String {
    match names {
        [] => "none".into(),
        _ => names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", "),
    }
}
