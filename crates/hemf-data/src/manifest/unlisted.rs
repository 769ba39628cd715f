//! Images beside those that a manifest lists.

use std::collections::HashSet;
use std::path::Path;

use super::{Manifest, Row};
use crate::scan::images_in_folders;
use crate::{COVID19_CT, ISIC2018, Split};

impl Manifest {
    /// Images that lie in class folders below [`Self::root`], but not in the list: added since `prepare`, or left out by it.
    /// Paths are relative to the root, sorted. No file is opened (but those without an extension, which may be DICOM); what
    /// cannot be read is passed over. `file` is where the manifest was read from.
    ///
    /// It is empty wherever nobody meant to list all that is there: the manifest lies elsewhere than in its root, as those
    /// of runs do; it was made by lists or a table, which choose their images; or some image does not lie in the folder of
    /// its class, as with a table of labels. What lies beside the class folders is of no class. A class folder of which
    /// nothing is listed counts as new, though it may have been left out by name (`prepare --classes`): only the rules made
    /// for classes of given names pass over other folders.
    pub fn unlisted(&self, file: &Path) -> Vec<String> {
        let real = |path: &Path| path.canonicalize().ok();
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let chosen = ["lists", "table"].iter().any(|rule| self.rule.starts_with(rule));
        let Some(parts) = parts(&self.rows).filter(|_| !chosen && real(folder) == real(&self.root)) else {
            return Vec::new();
        };
        let classes: Option<&[&str]> = match self.rule.as_str() {
            rule if rule.starts_with("isic2018") => Some(&ISIC2018),
            rule if rule.starts_with("covid19-ct") => Some(&COVID19_CT),
            _ => None,
        };
        let listed: HashSet<&str> = self.rows.iter().map(|row| row.path.as_str()).collect();
        let mut found = Vec::new();
        for part in parts {
            // A folder that cannot be read has nothing that could be told.
            for (class, path) in images_in_folders(&self.root, part).unwrap_or_default() {
                let known = classes.is_none_or(|classes| classes.contains(&class.as_str()));
                if known && !listed.contains(path.as_str()) {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }
}

/// The folders below the root that have class folders in them: the root itself (an empty name), or those of splits.
/// `None`: some image lies in no folder of its class.
fn parts(rows: &[Row]) -> Option<Vec<&str>> {
    let in_class = |path: &str, class: &str| path.strip_prefix(class).is_some_and(|rest| rest.starts_with('/'));
    if rows.iter().all(|row| in_class(&row.path, &row.class)) {
        return Some(vec![""]);
    }
    let part = |row: &'_ Row| -> Option<usize> {
        let (part, rest) = row.path.split_once('/')?;
        (Split::called(part) == Some(row.split) && in_class(rest, &row.class)).then_some(part.len())
    };
    let mut parts = Vec::new();
    for row in rows {
        let part = &row.path[..part(row)?];
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    Some(parts)
}
