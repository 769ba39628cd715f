//! Splits given as text files of image names, as the authors of COVID-CT publish theirs.

use std::path::{Path, PathBuf};

use super::{ClassFiles, Names, Scan};
use crate::{Error, Split, text};

/// A list: its file, its split, and the class it is about, where its name ends in one.
type List = (PathBuf, Split, String);

fn lists(folder: &Path) -> Result<Vec<List>, Error> {
    let mut lists = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::read(folder))? {
        let path = entry.map_err(Error::read(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(stem) = name.strip_suffix(".txt") else { continue };
        if let Some((split, rest)) = Split::beginning(stem) {
            lists.push((path.clone(), split, rest.trim_start_matches(['_', '-', ' ']).to_string()));
        }
    }
    lists.sort();
    if !lists.iter().any(|list| list.1 == Split::Train) || !lists.iter().any(|list| list.1 == Split::Test) {
        return Err(Error::folder(folder, "no lists train*.txt and test*.txt in it"));
    }
    Ok(lists)
}

/// The classes that the lists are about, if every one is about one.
pub(crate) fn class_names(folder: &Path) -> Result<Option<Vec<String>>, Error> {
    let mut names: Vec<String> = lists(folder)?.into_iter().map(|list| list.2).collect();
    names.sort();
    names.dedup();
    Ok(names.iter().all(|name| !name.is_empty()).then_some(names))
}

/// Notes the split of every listed image, and leaves out the others.
///
/// # Errors
/// An image that is not there or in two lists.
pub(crate) fn read_lists(folder: &Path, scan: &mut Scan) -> Result<(), Error> {
    for (path, split, class) in lists(folder)? {
        let about = |files: &&ClassFiles| class.is_empty() || files.name == class;
        if !scan.classes.iter().any(|files| about(&files)) {
            return Err(Error::folder(&path, format!("there is no class {class}")));
        }
        let images = Names::new(scan.classes.iter().filter(about).flat_map(|class| &class.files));
        let text = text::read(&path)?;
        for (i, name) in text.lines().map(str::trim).enumerate().filter(|(_, name)| !name.is_empty()) {
            let bad = |reason: String| Error::Manifest { path: path.clone(), line: Some(i as u64 + 1), reason };
            let image = images.find(name).map_err(bad)?.ok_or_else(|| bad(format!("no image {name}")))?;
            let detail = scan.details.entry(image.to_string()).or_default();
            match detail.split {
                None => detail.split = Some(split),
                Some(other) if other == split => {}
                Some(other) => return Err(bad(format!("{image} is listed for {other} too"))),
            }
        }
    }
    Ok(())
}
