//! Tables about images: whose they are (the group), age, sex, site and whatever else is known.

use std::collections::HashSet;
use std::path::Path;

use super::{Detail, Names, Scan};
use crate::text::{self, Lines};
use crate::{Error, manifest::COLUMNS};

/// A table that is read beside the images, and its column that tells which belong together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metadata<'a> {
    pub(crate) table: &'a Path,
    /// `None`: a column with one of the usual names, if there is one.
    pub(crate) group: Option<&'a str>,
}

/// What the column of image names is called.
const KEYS: [&str; 9] = ["path", "image", "image_id", "file", "filename", "file_name", "image_name", "name", "isic_id"];

/// What the column of groups is called.
const GROUPS: [&str; 6] = ["group", "patient", "patient_id", "lesion_id", "subject", "case_id"];

impl Metadata<'_> {
    /// Adds what the table says to the images of a scan, and tells what it lacks or has too much.
    ///
    /// # Errors
    /// No column of image names, two rows about an image.
    pub(crate) fn add_to(&self, scan: &mut Scan) -> Result<(), Error> {
        let bad = |line: Option<u64>, reason: String| Error::Manifest { path: self.table.into(), line, reason };
        let records = read(self.table)?;
        let columns =
            Columns::new(&records.header, self.group, &[]).map_err(|reason| bad(Some(records.first), reason))?;
        scan.headers.extend(records.header.iter().cloned());
        let names = columns.names(&records.header);
        if let Some(name) = names.iter().find(|name| scan.columns.contains(name)) {
            return Err(bad(Some(records.first), format!("the table of labels has a column {name} too")));
        }
        let images = Names::new(scan.classes.iter().flat_map(|class| &class.files));
        let (before, mut unknown, mut seen) = (scan.columns.len(), 0, HashSet::new());
        for (line, fields) in &records.rows {
            let Some(path) = images.find(fields[columns.key].trim()).map_err(|reason| bad(Some(*line), reason))? else {
                unknown += 1;
                continue;
            };
            if !seen.insert(path.to_string()) {
                return Err(bad(Some(*line), format!("a second row about {path}")));
            }
            let Detail { group, extra, .. } = columns.detail(fields);
            let detail = scan.details.entry(path.to_string()).or_default();
            detail.group = group.or(detail.group.take());
            detail.extra.resize(before, String::new());
            detail.extra.extend(extra);
        }
        scan.columns.extend(names);
        let total: usize = scan.classes.iter().map(|class| class.files.len()).sum();
        let table = self.table.display();
        if seen.is_empty() {
            return Err(bad(None, "no row names an image that is there".into()));
        }
        if unknown > 0 {
            scan.notices.push(format!("{unknown} rows of {table} name no image that is there"));
        }
        if seen.len() < total {
            scan.notices.push(format!("{} images have no row in {table}", total - seen.len()));
        }
        match columns.group {
            Some(group) => {
                scan.has_groups = true;
                scan.notices.push(format!("groups: column {} of {table}", records.header[group]));
            }
            None if scan.has_groups || self.group.is_some() => {}
            None => scan.notices.push(format!("{table} has no column of groups: name one with --group")),
        }
        Ok(())
    }
}

/// Which column of a table is what.
pub(super) struct Columns {
    pub(super) key: usize,
    pub(super) group: Option<usize>,
    further: Vec<usize>,
}

impl Columns {
    /// `used`: columns that have been taken for something else. A named group may be in another table.
    pub(super) fn new(header: &[String], group: Option<&str>, used: &[usize]) -> Result<Self, String> {
        let key = column(header, &KEYS).ok_or_else(|| format!("no column of image names ({})", KEYS.join(", ")))?;
        let group = match group {
            Some(name) => column(header, &[name]),
            None => column(header, &GROUPS),
        };
        // A manifest has places of its own for some; what stands under their names is not carried along.
        let reserved = |i: usize| COLUMNS.iter().any(|name| header[i].eq_ignore_ascii_case(name));
        let taken = |i: usize| i == key || Some(i) == group || used.contains(&i) || reserved(i) || header[i].is_empty();
        let further = (0..header.len()).filter(|&i| !taken(i)).collect();
        Ok(Self { key, group, further })
    }

    pub(super) fn names(&self, header: &[String]) -> Vec<String> {
        self.further.iter().map(|&i| header[i].clone()).collect()
    }

    pub(super) fn detail(&self, fields: &csv::StringRecord) -> Detail {
        let value = |i: usize| fields[i].trim().to_string();
        let group = self.group.map(value).filter(|group| !group.is_empty());
        Detail { group, split: None, extra: self.further.iter().map(|&i| value(i)).collect() }
    }
}

/// The first column with one of these names; `File name`, `file_name` and `FileName` are one.
pub(super) fn column(header: &[String], names: &[&str]) -> Option<usize> {
    let plain = |name: &str| name.replace([' ', '_', '-'], "").to_lowercase();
    names.iter().find_map(|name| header.iter().position(|column| plain(column) == plain(name)))
}

/// A CSV file in memory.
pub(super) struct Records {
    pub(super) header: Vec<String>,
    /// The line of the header.
    pub(super) first: u64,
    /// With their line numbers.
    pub(super) rows: Vec<(u64, csv::StringRecord)>,
}

pub(super) fn read(table: &Path) -> Result<Records, Error> {
    let text = text::read(table)?;
    let bad = |line: Option<u64>, reason: String| Error::Manifest { path: table.into(), line, reason };
    let mut lines = Lines::new(&text);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| bad(Some(1), error.to_string()))?;
    // Empty lines before it count, too.
    let first = header.position().map_or(1, |position| lines.of(position));
    let header: Vec<String> = header.iter().map(|name| name.trim().to_string()).collect();
    if let Some(mark) = separator(&header) {
        let reason = format!("the columns seem separated by {mark}: save the table with commas between them");
        return Err(bad(Some(first), reason));
    }
    let mut seen = HashSet::new();
    if let Some(twice) = header.iter().find(|name| !name.is_empty() && !seen.insert(*name)) {
        return Err(bad(Some(first), format!("two columns {twice}")));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            let (line, reason) = lines.problem(&error);
            bad(line, reason)
        })?;
        rows.push((record.position().map_or(0, |position| lines.of(position)), record));
    }
    Ok(Records { header, first, rows })
}

/// What stands between the columns in place of commas, if there is more of it in the header.
fn separator(header: &[String]) -> Option<&'static str> {
    let marks = [(';', "semicolons"), ('\t', "tabs")];
    let count = |mark: char| header.iter().map(|name| name.matches(mark).count()).sum::<usize>();
    marks.into_iter().find(|(mark, _)| count(*mark) >= header.len().max(1)).map(|(_, name)| name)
}
