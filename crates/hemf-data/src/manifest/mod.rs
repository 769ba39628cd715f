//! The list of images that training and evaluation take.

mod changes;
mod file;
mod hashes;
mod row;
mod unlisted;
mod verify;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::{Error, Split};
pub(crate) use file::SealBreak;
pub(crate) use row::COLUMNS;
pub use row::Row;
pub use verify::Check;

/// An image to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Absolute path of the file.
    pub path: PathBuf,
    /// Index into [`Manifest::classes`].
    pub class: usize,
    /// Index into [`Manifest::rows`]: the sample's name in random draws and predictions.
    pub row: usize,
}

/// The images of a data set: path, class, split, size and hash of each, sealed.
///
/// On disk it is a CSV between comment lines:
///
/// ```text
/// # hemf manifest, version 1
/// # seed: 123
/// # rule: covid19-ct
/// # source: .
/// # seal: 64 hex digits
/// path,class,split,fold,group,width,height,bytes,blake3,age,sex
/// CT_COVID/1%0.jpg,CT_COVID,train,,Patient 7,340,256,31415,64 hex digits,65,F
/// ...
/// # rows 1 to 16: 4 hex digits for each
/// ```
///
/// The seal is the blake3 of seed, rule and rows, by value: what the data are and how they are split,
/// wherever they lie, so `source` (the image folder, relative to the manifest or absolute) may be
/// edited when they move. The digits at the end tell which row was changed when the seal breaks.
/// Columns beyond the nine are kept as text, for subgroups in reports: [`Row::extra`].
///
/// ```no_run
/// use hemf_data::{Check, Manifest, Split};
/// let manifest = Manifest::read("data/manifest.csv".as_ref())?;
/// manifest.verify(Check::Quick)?;
/// println!("{:?}: {:?}", manifest.classes(), manifest.class_counts(Split::Train));
/// # Ok::<(), hemf_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    seed: u64,
    rule: String,
    root: PathBuf,
    classes: Vec<String>,
    rows: Vec<Row>,
    seal: String,
}

/// First line of a manifest file, and part of what is sealed.
const TITLE: &str = "hemf manifest, version 1";

impl Manifest {
    /// Seals rows whose paths are relative to `root`. `rule` is a line about how they were split.
    ///
    /// # Errors
    /// No rows, a path twice, or a row that cannot be.
    pub fn new(root: &Path, seed: u64, rule: &str, rows: Vec<Row>) -> Result<Self, Error> {
        let root = std::path::absolute(root).map_err(Error::read(root))?;
        let bad = |reason: String| Error::folder(&root, reason);
        if rows.is_empty() {
            return Err(bad("no images".into()));
        }
        if rule.contains(['\n', '\r']) {
            return Err(bad("the rule must be one line".into()));
        }
        let mut seen = HashMap::new();
        for (i, row) in rows.iter().enumerate() {
            if let Some(problem) = row.problem() {
                return Err(bad(format!("row {} ({}): {problem}", i + 1, row.path)));
            }
            if let Some(other) = seen.insert(&row.path, i) {
                return Err(bad(format!("rows {} and {} are both {}", other + 1, i + 1, row.path)));
            }
        }
        let names = |row: &Row| row.extra.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let further = names(&rows[0]);
        if let Some(problem) = row::column_problem(further.iter().map(String::as_str)) {
            return Err(bad(problem));
        }
        if let Some(row) = rows.iter().find(|row| !row.extra.iter().map(|(name, _)| name).eq(&further)) {
            return Err(bad(format!("{} has other columns ({}) than the first row", row.path, names(row).join(", "))));
        }
        let classes: BTreeSet<&String> = rows.iter().map(|row| &row.class).collect();
        let classes = classes.into_iter().cloned().collect();
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{TITLE}\nseed: {seed}\nrule: {rule}\n").as_bytes());
        rows.iter().for_each(|row| {
            hasher.update(row.digest().as_bytes());
        });
        let seal = hasher.finalize().to_hex().to_string();
        Ok(Self { seed, rule: rule.to_string(), root, classes, rows, seal })
    }

    /// The images lie in another folder now.
    pub fn with_root(mut self, root: &Path) -> Result<Self, Error> {
        self.root = std::path::absolute(root).map_err(Error::read(root))?;
        Ok(self)
    }

    /// The folder that paths are relative to.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The seed of the split.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How the images were split, as text.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// 64 hex digits that stand for the rows, the seed and the rule.
    pub fn seal(&self) -> &str {
        &self.seal
    }

    /// Class names, sorted.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Names of the columns beyond the nine that every manifest has, in order.
    pub fn extra_columns(&self) -> Vec<&str> {
        self.rows[0].extra.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// All images.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The images of a split, in row order.
    pub fn samples(&self, split: Split) -> Vec<Sample> {
        let rows = self.rows.iter().enumerate().filter(|(_, row)| row.split == split);
        rows.map(|(i, row)| Sample {
            path: self.root.join(&row.path),
            class: self.classes.binary_search(&row.class).expect("classes come from the rows"),
            row: i,
        })
        .collect()
    }

    /// Images per class in a split, in the order of [`Self::classes`].
    pub fn class_counts(&self, split: Split) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        self.samples(split).iter().for_each(|sample| counts[sample.class] += 1);
        counts
    }
}
