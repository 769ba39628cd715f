//! Tables that say which class an image is of: one-hot, as ISIC gives its ground truth, or a row per
//! image with its class.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use super::metadata::{self, Columns};
use super::{ClassFiles, Detail, Names, Scan, Walk};
use crate::{Error, Split};

/// Reads the images that a table names, wherever below `root` they lie.
///
/// With a column for the class (`class`, `label`, ...) there may be one for the group and one for the
/// split, and any others are kept; classes are sorted. Without, it must be one-hot
/// (`image,CLASS,CLASS,...`), and classes keep the order of its columns. Images keep the table's order.
pub(crate) fn label_table(root: &Path, table: &Path, group: Option<&str>) -> Result<Scan, Error> {
    let mut walk = Walk::new(root)?;
    let images = walk.images_below(root)?;
    let names = Names::new(images.iter());
    let bad = |line: Option<u64>, reason: String| Error::Manifest { path: table.into(), line, reason };
    let records = metadata::read(table)?;
    let header = &records.header;
    let by_class = metadata::column(header, &["class", "label", "diagnosis", "dx", "target"]);
    let mut found = Found { classes: Vec::new(), seen: HashSet::new(), details: HashMap::new() };
    let mut has_groups = false;
    let columns = match by_class {
        Some(class) => {
            let columns = Columns::new(header, group, &[class]).map_err(|reason| bad(Some(records.first), reason))?;
            has_groups = columns.group.is_some();
            let mut classes: BTreeMap<String, Vec<String>> = BTreeMap::new();
            let split = metadata::column(header, &["split"]);
            for (line, fields) in &records.rows {
                let path =
                    found.image(root, &names, &fields[columns.key]).map_err(|reason| bad(Some(*line), reason))?;
                let name = fields[class].trim();
                if name.is_empty() {
                    return Err(bad(Some(*line), format!("{path} has no class")));
                }
                let split = split.map(|i| split_named(&fields[i])).transpose().map_err(|r| bad(Some(*line), r))?;
                found.details.insert(path.clone(), Detail { split: split.flatten(), ..columns.detail(fields) });
                classes.entry(name.to_string()).or_default().push(path);
            }
            found.classes = classes.into_iter().map(|(name, files)| ClassFiles { name, files }).collect();
            columns.names(header)
        }
        None => {
            let named = header.iter().skip(1);
            found.classes = named.map(|name| ClassFiles { name: name.trim().to_string(), files: Vec::new() }).collect();
            for (line, fields) in &records.rows {
                let marked = |i: &usize| fields[*i].trim().parse::<f64>().is_ok_and(|value| value == 1.0);
                let hot: Vec<usize> = (1..fields.len()).filter(marked).collect();
                let [column] = hot[..] else {
                    return Err(bad(Some(*line), format!("{} classes are marked 1, not one", hot.len())));
                };
                let path = found.image(root, &names, &fields[0]).map_err(|reason| bad(Some(*line), reason))?;
                found.classes[column - 1].files.push(path);
            }
            Vec::new()
        }
    };
    if found.classes.len() < 2 {
        let reason = "expected a column `class`, or: image, then a column of zeros and ones per class, two at least";
        return Err(bad(Some(records.first), reason.into()));
    }
    if let Some(empty) = found.classes.iter().find(|class| class.files.is_empty()) {
        return Err(bad(None, format!("class {} has no images", empty.name)));
    }
    let mut notices = walk.notices(root);
    let left = images.iter().filter(|path| !found.seen.contains(*path)).count();
    if left > 0 {
        notices.push(format!("{left} images are not in the table and are left out"));
    }
    let Found { classes, details, .. } = found;
    Ok(Scan { classes, columns, headers: records.header, has_groups, details, notices })
}

/// What the rows so far gave.
struct Found {
    classes: Vec<ClassFiles>,
    seen: HashSet<String>,
    details: HashMap<String, Detail>,
}

impl Found {
    /// The path of the image that a row names, which no row before did.
    fn image(&mut self, root: &Path, names: &Names, name: &str) -> Result<String, String> {
        let name = name.trim();
        let path = names.find(name)?.ok_or_else(|| format!("no image {name} below {}", root.display()))?;
        if !self.seen.insert(path.to_string()) {
            return Err(format!("{path} is there twice"));
        }
        Ok(path.to_string())
    }
}

/// Empty: none.
fn split_named(text: &str) -> Result<Option<Split>, String> {
    match text.trim() {
        "" => Ok(None),
        name => Split::called(name).map(Some).ok_or_else(|| format!("split {name:?} is not train, validation or test")),
    }
}
