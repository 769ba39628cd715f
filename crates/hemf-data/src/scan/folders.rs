//! Class-per-folder trees, and trees already split.

use std::path::Path;

use super::{ClassFiles, Scan, Walk};
use crate::{Error, Split, decode::Format};

/// Reads a tree with one folder per class: all folders, or those named.
pub(crate) fn class_folders(root: &Path, only: Option<&[String]>) -> Result<Scan, Error> {
    read_classes(Walk::new(root)?, root, only)
}

/// The same of a split's folder in the data folder `whole`: what a link shares with another split is not read.
pub(crate) fn class_folders_of_split(root: &Path, whole: &Path, only: Option<&[String]>) -> Result<Scan, Error> {
    read_classes(Walk::part(root, whole)?, root, only)
}

fn read_classes(mut walk: Walk, root: &Path, only: Option<&[String]>) -> Result<Scan, Error> {
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
    let mut classes = Vec::with_capacity(names.len());
    for name in names {
        let files = walk.images_below(&root.join(&name))?;
        if files.is_empty() && only.is_none() && Walk::holds_texts_alone(&root.join(&name))? {
            continue;
        }
        if files.is_empty() {
            let kinds: Vec<String> = Format::extensions_of_all().map(|kind| format!(".{kind}")).collect();
            let kinds = kinds.join(", ");
            let reason = format!(
                "no images in this class folder ({kinds}); remove it, or name the class folders to use (--classes)"
            );
            return Err(Error::folder(&root.join(name), reason));
        }
        classes.push(ClassFiles { name, files });
    }
    if classes.len() < 2 {
        let what = match (classes.len(), images) {
            (0, 0) => "no class folders in it".to_string(),
            (0, n) => format!("no class folders in it, but {n} images"),
            _ => format!("only one class folder, {:?}", classes[0].name),
        };
        let reason = format!("{what}; expected one folder per class, two at least");
        return Err(Error::folder(root, reason));
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
/// none (an empty name). Folders without images are passed over. Beside it, what could not be read below `root`, and
/// why.
pub(crate) fn class_folders_or_any(root: &Path) -> Result<(Scan, Vec<(String, String)>), Error> {
    let mut walk = Walk::forgiving(root)?;
    let mut classes: Vec<ClassFiles> = Vec::new();
    for path in walk.images_below(root)? {
        let name = path.split_once('/').map_or("", |(class, _)| class);
        match classes.last_mut().filter(|class| class.name == name) {
            Some(class) => class.files.push(path),
            None => classes.push(ClassFiles { name: name.to_string(), files: vec![path] }),
        }
    }
    let problems = walk.problems();
    Ok((Scan { classes, notices: walk.notices(root), ..Default::default() }, problems))
}

/// All images in the folders of `root/part`, each with the name of its folder and its path relative to `root`; an empty
/// `part` is `root` itself. What cannot be read is passed over.
pub(crate) fn images_in_folders(root: &Path, part: &str) -> Result<Vec<(String, String)>, Error> {
    let (folder, prefix) = match part {
        "" => (root.to_path_buf(), String::new()),
        part => (root.join(part), format!("{part}/")),
    };
    let mut walk = Walk::part(&folder, root)?.going_on();
    let (found, _) = walk.top_level()?;
    let mut images = Vec::new();
    for name in found {
        let files = walk.images_below(&folder.join(&name))?;
        images.extend(files.into_iter().map(|file| (name.clone(), format!("{prefix}{file}"))));
    }
    Ok(images)
}

/// The split folders of `root`, if it is laid out as training and test (or validation) folders.
pub(crate) fn split_folders(root: &Path) -> Result<Option<Vec<(Split, String)>>, Error> {
    let (found, _) = Walk::forgiving(root)?.top_level()?;
    let mut splits = Vec::new();
    for split in Split::ALL {
        let mut known = found.iter().filter(|name| Split::called(name) == Some(split));
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
