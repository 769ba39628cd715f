//! A data folder to a [`Manifest`]: find the images, read each of them once, split.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::scan::{self, ClassFiles, Scan};
use crate::split::Place;
use crate::{Error, Manifest, Row, Rule, Split, decode};

/// How to prepare a data folder. The folder is only read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prepare {
    /// How the images are split.
    pub rule: Rule,
    /// Seed of the shuffle. The published splits have 123.
    pub seed: u64,
    /// The class folders to use; if none are named, those the rule is made for, else all.
    pub classes: Option<Vec<String>>,
    /// A one-hot table (`image,CLASS,CLASS,...`) that gives the classes in place of folders; each
    /// image may lie anywhere below the data folder.
    pub labels: Option<PathBuf>,
}

impl Default for Prepare {
    fn default() -> Self {
        Self { rule: Rule::default(), seed: 123, classes: None, labels: None }
    }
}

/// What [`Prepare::run`] made.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The sealed list of images, not yet written anywhere.
    pub manifest: Manifest,
    /// What the user should know, a line each.
    pub notices: Vec<String>,
}

impl Prepare {
    /// Reads the folder. Every image is decoded, so that a damaged one is found now.
    ///
    /// # Errors
    /// A setting that cannot be, a folder that does not have the shape asked for, or images that
    /// cannot be used, all of them listed.
    pub fn run(&self, folder: &Path) -> Result<Prepared, Error> {
        self.rule.validate()?;
        let (mut rows, notices) = match self.rule {
            Rule::Folders {} => self.already_split(folder)?,
            _ => self.split(folder)?,
        };
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        let rows = inspect_all(folder, rows)?;
        let manifest = Manifest::new(folder, self.seed, &self.rule.to_string(), rows)?;
        Ok(Prepared { manifest, notices })
    }

    /// Rows of a tree with one folder per class (or a table), split by the rule.
    fn split(&self, folder: &Path) -> Result<(Vec<Row>, Vec<String>), Error> {
        let Scan { mut classes, mut notices } = match &self.labels {
            Some(table) => scan::one_hot_table(folder, table)?,
            None => {
                if let Some(splits) = scan::split_folders(folder)? {
                    let names: Vec<&str> = splits.iter().map(|(_, name)| name.as_str()).collect();
                    let names = names.join(", ");
                    let reason = format!("already split into {names}: use the rule `folders`");
                    return Err(Error::folder(folder, reason));
                }
                let known = || self.rule.classes().map(|c| c.iter().map(|c| c.to_string()).collect());
                let only: Option<Vec<String>> = self.classes.clone().or_else(known);
                scan::class_folders(folder, only.as_deref())?
            }
        };
        if let Some(order) = self.rule.classes() {
            in_order(folder, &mut classes, order)?;
            if self.labels.is_none() && matches!(self.rule, Rule::Isic2018 {}) {
                notices.push(
                    "the published order of images is that of the ground-truth table; \
                     without it the sorted order is used, the same for files named by image id"
                        .into(),
                );
            }
        }
        let sizes: Vec<usize> = classes.iter().map(|class| class.files.len()).collect();
        let places = self.rule.places(&sizes, self.seed);
        let mut rows = Vec::with_capacity(sizes.iter().sum());
        for (class, places) in classes.into_iter().zip(places) {
            for split in Split::ALL {
                if !places.iter().any(|place| place.0 == split) {
                    notices.push(format!("class {} has no {split} images", class.name));
                }
            }
            rows.extend(to_rows(class, places));
        }
        Ok((rows, notices))
    }

    /// Rows of a tree that is split already.
    fn already_split(&self, folder: &Path) -> Result<(Vec<Row>, Vec<String>), Error> {
        let Some(splits) = scan::split_folders(folder)? else {
            let reason = "no folders training_set and test_set (or train and val, test) in it";
            return Err(Error::folder(folder, reason));
        };
        let (mut rows, mut notices) = (Vec::new(), Vec::new());
        for (split, name) in splits {
            let scan = scan::class_folders(&folder.join(&name), self.classes.as_deref())?;
            notices.extend(scan.notices);
            for mut class in scan.classes {
                class.files.iter_mut().for_each(|file| *file = format!("{name}/{file}"));
                let places = vec![(split, None); class.files.len()];
                rows.extend(to_rows(class, places));
            }
        }
        let has = |class: &str, split| rows.iter().any(|r: &Row| r.class == class && r.split == split);
        let mut names: Vec<&str> = rows.iter().map(|row| row.class.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for class in names {
            if !has(class, Split::Train) {
                let reason = format!("class {class} has no training images");
                return Err(Error::folder(folder, reason));
            }
            for split in [Split::Validation, Split::Test] {
                if !has(class, split) {
                    notices.push(format!("class {class} has no {split} images"));
                }
            }
        }
        Ok((rows, notices))
    }
}

/// Brings classes to the order of a published split, which must have just these.
fn in_order(folder: &Path, classes: &mut [ClassFiles], order: &[&str]) -> Result<(), Error> {
    let place = |name: &str| order.iter().position(|known| *known == name);
    if classes.len() != order.len() || classes.iter().any(|class| place(&class.name).is_none()) {
        let found: Vec<&str> = classes.iter().map(|class| class.name.as_str()).collect();
        let reason = format!("classes {}; the rule is made for {}", found.join(", "), order.join(", "));
        return Err(Error::folder(folder, reason));
    }
    classes.sort_by_key(|class| place(&class.name));
    Ok(())
}

/// Rows whose sizes and hashes [`inspect`] fills in.
fn to_rows(class: ClassFiles, places: Vec<Place>) -> impl Iterator<Item = Row> {
    class.files.into_iter().zip(places).map(move |(path, (split, fold))| Row {
        path,
        class: class.name.clone(),
        split,
        fold,
        ..Default::default()
    })
}

/// Reads every image once: its size in bytes and pixels, its hash, and whether it decodes.
fn inspect_all(folder: &Path, rows: Vec<Row>) -> Result<Vec<Row>, Error> {
    let total = rows.len();
    let results: Vec<Result<Row, Error>> = rows.into_par_iter().map(|row| inspect(folder, row)).collect();
    let (mut rows, mut failures) = (Vec::with_capacity(total), Vec::new());
    for result in results {
        match result {
            Ok(row) => rows.push(row),
            Err(error) => failures.push(error),
        }
    }
    match failures.len() {
        0 => Ok(rows),
        1 => Err(failures.remove(0)),
        _ => Err(Error::Images { failures, total }),
    }
}

/// The row with its image's size in bytes and pixels and its hash, once it has been decoded.
pub(crate) fn inspect(folder: &Path, row: Row) -> Result<Row, Error> {
    let path = folder.join(&row.path);
    let content = decode::read(&path)?;
    let (bytes, blake3) = (content.len() as u64, blake3::hash(&content).to_hex().to_string());
    let picture = decode::decode_bytes(&path, content)?;
    let (width, height) = (picture.width() as u32, picture.height() as u32);
    Ok(Row { bytes, blake3, width, height, ..row })
}
