//! Tables that say which class an image is of: one-hot, as ISIC gives its ground truth, or a row per
//! image with its class.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use super::metadata::{self, Columns};
use super::{ClassFiles, Detail, Names, Scan, Walk};
use crate::words::told;
use crate::{Error, Split};

/// Reads the images that a table names, wherever below `root` they lie.
///
/// With a column for the class (`class`, `label`, ...) there may be one for the group and one for the
/// split, and any others are kept; classes are sorted. Without, it must be one-hot
/// (`image,CLASS,CLASS,...`), and classes keep the order of its columns. Images keep the table's order.
pub(crate) fn label_table(root: &Path, table: &Path, group: Option<&str>, missing: Missing) -> Result<Scan, Error> {
    let mut walk = Walk::new(root)?;
    let images = walk.images_below(root)?;
    let names = Names::new(images.iter());
    let bad = |line: Option<u64>, reason: String| Error::Manifest { path: table.into(), line, reason };
    let records = metadata::read(table)?;
    let header = &records.header;
    let by_class = metadata::column(header, &["class", "label", "diagnosis", "dx", "target"]);
    let mut found = Found { classes: Vec::new(), seen: HashSet::new(), details: HashMap::new(), absent: Vec::new() };
    let mut has_groups = false;
    let columns = match by_class {
        Some(class) => {
            let columns = Columns::new(header, group, &[class]).map_err(|reason| bad(Some(records.first), reason))?;
            has_groups = columns.group.is_some();
            let mut classes: BTreeMap<String, Vec<String>> = BTreeMap::new();
            let split = metadata::column(header, &["split"]);
            for (line, fields) in &records.rows {
                let image = fields[columns.key].trim();
                let path = found.image(&names, image, *line).map_err(|reason| bad(Some(*line), reason))?;
                let name = fields[class].trim();
                if name.is_empty() {
                    let image = path.as_deref().unwrap_or(image);
                    return Err(bad(Some(*line), format!("{image} has no class")));
                }
                let files = classes.entry(name.to_string()).or_default();
                let split = split.map(|i| split_named(&fields[i])).transpose().map_err(|r| bad(Some(*line), r))?;
                let Some(path) = path else { continue };
                found.details.insert(path.clone(), Detail { split: split.flatten(), ..columns.detail(fields) });
                files.push(path);
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
                let path = found.image(&names, fields[0].trim(), *line).map_err(|reason| bad(Some(*line), reason))?;
                found.classes[column - 1].files.extend(path);
            }
            Vec::new()
        }
    };
    let mut notices = walk.notices(root);
    notices.extend(missing.judge(&found.absent, records.rows.len(), root, table)?);
    if found.classes.len() < 2 {
        let reason = "expected a column `class`, or: image, then a column of zeros and ones per class, two at least";
        return Err(bad(Some(records.first), reason.into()));
    }
    if let Some(empty) = found.classes.iter().find(|class| class.files.is_empty()) {
        return Err(bad(None, format!("class {} has no images", empty.name)));
    }
    let left = images.iter().filter(|path| !found.seen.contains(*path)).count();
    if left > 0 {
        notices.push(told(left, "images are not in the table and are left out"));
    }
    let Found { classes, details, .. } = found;
    Ok(Scan { classes, columns, headers: records.header, has_groups, details, notices })
}

/// What becomes of rows whose image is not there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Missing {
    /// They are refused.
    Refuse,
    /// They are refused, and no way around it is told: the split is one of all images.
    All,
    /// They are left out.
    Skip,
}

impl Missing {
    /// A notice about the rows, if there are such, each given by its line and what it names; or the refusal.
    fn judge(self, absent: &[(u64, String)], rows: usize, root: &Path, table: &Path) -> Result<Option<String>, Error> {
        let Some((line, name)) = absent.first() else { return Ok(None) };
        let (count, root) = (absent.len(), root.display());
        let way = match self {
            Self::Skip => {
                let table = table.display();
                return Ok(Some(format!(
                    "{count} of {rows} rows of {table} name no image below {root} and are left out: the first is {name}, \
                     line {line}"
                )));
            }
            Self::Refuse => "add the images, take the rows out of the table, or leave them out with --skip-unreadable",
            Self::All => "the published split needs all; for some, take the rows out of the table and another --split",
        };
        let reason = format!("no image {name} below {root}; so it is with {count} of {rows} rows: {way}");
        Err(Error::Manifest { path: table.into(), line: Some(*line), reason })
    }
}

/// What the rows so far gave.
struct Found {
    classes: Vec<ClassFiles>,
    seen: HashSet<String>,
    details: HashMap<String, Detail>,
    /// Rows whose image is not there: their lines, and what they name.
    absent: Vec<(u64, String)>,
}

impl Found {
    /// The path of the image that a row names, which no row before did; `None`: it is not there.
    fn image(&mut self, names: &Names, name: &str, line: u64) -> Result<Option<String>, String> {
        let Some(path) = names.find(name)? else {
            self.absent.push((line, name.to_string()));
            return Ok(None);
        };
        if !self.seen.insert(path.to_string()) {
            return Err(format!("{path} is there twice"));
        }
        Ok(Some(path.to_string()))
    }
}

/// Empty: none.
fn split_named(text: &str) -> Result<Option<Split>, String> {
    match text.trim() {
        "" => Ok(None),
        name => Split::called(name).map(Some).ok_or_else(|| format!("split {name:?} is not train, validation or test")),
    }
}
