//! Class-per-folder trees, and trees already split.

use std::path::Path;

use super::{ClassFiles, Scan, Walk};
use crate::{Error, Split};

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
    Ok(Scan { classes, notices, ..Default::default() })
}

/// All images below `root`: those in a folder of it are of the class of that name, those directly in it of
/// none (an empty name). Folders without images are passed over.
pub(crate) fn class_folders_or_any(root: &Path) -> Result<Scan, Error> {
    let mut walk = Walk::new(root)?;
    let mut classes: Vec<ClassFiles> = Vec::new();
    for path in walk.images_below(root)? {
        let name = path.split_once('/').map_or("", |(class, _)| class);
        match classes.last_mut().filter(|class| class.name == name) {
            Some(class) => class.files.push(path),
            None => classes.push(ClassFiles { name: name.to_string(), files: vec![path] }),
        }
    }
    Ok(Scan { classes, notices: walk.notices(root), ..Default::default() })
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

fn quoted(names: &[String]) -> String {
    match names {
        [] => "none".into(),
        _ => names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", "),
    }
}
