//! A data folder to a [`Manifest`]: find the images, read each of them once, split.

mod checks;
mod inspect;
mod lay_out;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scan::{self, ClassFiles, Metadata, Missing, Scan};
use crate::split::{Place, deviation};
use crate::{Error, Manifest, Reading, Row, Rule};
use checks::{check_classes, check_folds, crossing_groups, in_order, other_than_kvasir};
pub(crate) use inspect::inspect;
pub use lay_out::Placing;

/// How to prepare a data folder. The folder is only read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prepare {
    /// How the images are split.
    pub rule: Rule,
    /// Seed of the shuffle. The published splits have 123.
    pub seed: u64,
    /// The class folders to use; if none are named, those the rule is made for, else all.
    pub classes: Option<Vec<String>>,
    /// A table that gives the classes in place of folders; each image may lie anywhere below the data
    /// folder. Either one-hot (`image,CLASS,CLASS,...`) or with the columns `path` and `class`, and if
    /// wanted `group`, `split` and any others.
    pub labels: Option<PathBuf>,
    /// A table about the images (a column `path`, `image` or the like, and any others), whose columns
    /// go into the manifest.
    pub metadata: Option<PathBuf>,
    /// The column of either table that tells which images belong together; if none is named, `group`,
    /// `patient`, `lesion_id` or the like, where there is one.
    pub group: Option<String>,
    /// What becomes of images that cannot be read, and of rows of `labels` whose image is not there; a published split needs
    /// them all.
    pub unreadable: Unreadable,
    /// How the images are read; in a run's configuration, `data.preprocessing.reading`.
    #[serde(skip)]
    pub reading: Reading,
}

/// What becomes of images that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unreadable {
    /// All of them are listed in an error.
    #[default]
    Refuse,
    /// They are left out, after the split, and listed in the notices.
    Skip,
}

impl Default for Prepare {
    fn default() -> Self {
        Self {
            rule: Rule::default(),
            seed: 123,
            classes: None,
            labels: None,
            metadata: None,
            group: None,
            unreadable: Unreadable::default(),
            reading: Reading::default(),
        }
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
        self.reading.validate()?;
        self.validate_tables()?;
        let mut scan = match self.rule {
            Rule::Folders {} => self.split_folders(folder)?,
            _ => self.scan(folder)?,
        };
        if let Some(table) = &self.metadata {
            Metadata { table, group: self.group.as_deref() }.add_to(&mut scan)?;
        }
        if let Some(name) = self.group.as_ref().filter(|_| !scan.has_groups) {
            let there = scan.headers.join(", ");
            let there = if there.is_empty() {
                "no table (--labels, --metadata) is named".into()
            } else {
                format!("there are {there}")
            };
            return Err(Error::Setting { key: "group", reason: format!("no column {name}; {there}") });
        }
        let mut rows = self.split(folder, &mut scan)?;
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        let mut notices = scan.notices;
        let rows = inspect::inspect_all(folder, rows, self, &mut notices)?;
        check_classes(folder, &scan.classes, &rows, &mut notices)?;
        match self.rule.group_shares() {
            Some(wanted) => notices.push(deviation(&rows, wanted)),
            None => notices.extend(crossing_groups(&self.rule, &rows)),
        }
        notices.extend(other_than_kvasir(&self.rule, &scan.classes));
        let manifest = Manifest::new(folder, self.seed, &self.rule.to_string(), rows)?;
        Ok(Prepared { manifest, notices })
    }

    /// Whether the rule and the settings beside it have a use for the table of labels, or need one.
    fn validate_tables(&self) -> Result<(), Error> {
        let refuse = |key, reason: &str| Err(Error::Setting { key, reason: reason.to_owned() });
        match (&self.rule, &self.labels) {
            (Rule::Folders {}, Some(_)) => refuse(
                "labels",
                "--split folders takes classes and splits from folders; for those of the table, take --split table \
                 (data.prepare.rule: its column split), and for its other columns name it with --metadata",
            ),
            (Rule::Table {}, None) => refuse(
                "labels",
                "--split table needs a table with a column split: name it with --labels (data.prepare.labels)",
            ),
            (_, Some(_)) if self.classes.is_some() => {
                refuse("classes", "a table of labels gives the classes; leave out the rows of others")
            }
            _ => Ok(()),
        }
    }

    /// What becomes of rows whose image is not there. A published split is one of all images.
    fn missing(&self) -> Missing {
        match self.unreadable {
            _ if self.rule.is_published() => Missing::All,
            Unreadable::Refuse => Missing::Refuse,
            Unreadable::Skip => Missing::Skip,
        }
    }

    /// The classes of a tree with one folder per class, or of a table.
    fn scan(&self, folder: &Path) -> Result<Scan, Error> {
        let mut scan = match &self.labels {
            Some(table) => scan::label_table(folder, table, self.group.as_deref(), self.missing())?,
            None => {
                if let Some(splits) = scan::split_folders(folder)? {
                    let names: Vec<&str> = splits.iter().map(|(_, name)| name.as_str()).collect();
                    let names = names.join(", ");
                    let reason = format!(
                        "already split into {names}: take --split folders (data.prepare.rule: {{kind: folders}})"
                    );
                    return Err(Error::folder(folder, reason));
                }
                let known = match &self.rule {
                    Rule::Lists { folder } => scan::list_classes(folder)?,
                    rule => rule.classes().map(|classes| classes.iter().map(|name| name.to_string()).collect()),
                };
                scan::class_folders(folder, self.classes.as_ref().or(known.as_ref()).map(Vec::as_slice))?
            }
        };
        if let Some(order) = self.rule.classes() {
            in_order(folder, &mut scan.classes, order)?;
            if self.labels.is_none() && matches!(self.rule, Rule::Isic2018 {}) {
                scan.notices.push(
                    "the published order of images is that of the ground-truth table; \
                     without it the sorted order is used, the same for files named by image id"
                        .into(),
                );
            }
        }
        if let Rule::Lists { folder: lists } = &self.rule {
            scan::read_lists(lists, &mut scan)?;
        }
        Ok(scan)
    }

    /// The classes of a tree that is split already.
    fn split_folders(&self, folder: &Path) -> Result<Scan, Error> {
        let Some(splits) = scan::split_folders(folder)? else {
            let reason = "no folders training_set and test_set (or train and val, test) in it";
            return Err(Error::folder(folder, reason));
        };
        let mut all = Scan::default();
        for (split, name) in splits {
            let part = scan::class_folders_of_split(&folder.join(&name), folder, self.classes.as_deref())?;
            all.notices.extend(part.notices);
            for class in part.classes {
                let files: Vec<String> = class.files.iter().map(|file| format!("{name}/{file}")).collect();
                let detail = scan::Detail { split: Some(split), ..Default::default() };
                all.details.extend(files.iter().map(|file| (file.clone(), detail.clone())));
                match all.classes.iter_mut().find(|other| other.name == class.name) {
                    Some(other) => other.files.extend(files),
                    None => all.classes.push(ClassFiles { name: class.name, files }),
                }
            }
        }
        all.classes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Rows whose sizes and hashes are not yet known.
    fn split(&self, folder: &Path, scan: &mut Scan) -> Result<Vec<Row>, Error> {
        let group = |path: &String| scan.details.get(path).and_then(|detail| detail.group.as_deref());
        let grouped = self.rule.group_shares().is_some();
        let alone = scan.classes.iter().flat_map(|class| &class.files).filter(|path| group(path).is_none()).count();
        let total: usize = scan.classes.iter().map(|class| class.files.len()).sum();
        if grouped && alone == total {
            let reason = "no image has a group: name a table with --metadata or --labels, and its column with --group";
            return Err(Error::folder(folder, reason));
        }
        // Without a known group an image is a group of its own; no group is named like a path is.
        let groups: Vec<Vec<&str>> = scan
            .classes
            .iter()
            .map(|class| class.files.iter().map(|path| group(path).unwrap_or(path)).collect())
            .collect();
        check_folds(&self.rule, &groups)?;
        let places = self.rule.places(&groups, self.seed);
        let mut notices = Vec::new();
        if grouped && alone > 0 {
            notices.push(format!("{alone} images have no group; each is taken as one of its own"));
        }
        let (mut rows, mut unplaced) = (Vec::with_capacity(total), 0);
        for (c, class) in scan.classes.iter().enumerate() {
            for (i, path) in class.files.iter().enumerate() {
                let detail = scan.details.get(path);
                let place: Option<Place> = match &places {
                    Some(places) => Some(places[c][i]),
                    None => detail.and_then(|detail| Some((detail.split?, None))),
                };
                let Some((split, fold)) = place else {
                    unplaced += 1;
                    continue;
                };
                let values = detail.map(|detail| detail.extra.clone()).unwrap_or_default();
                let values = values.into_iter().chain(std::iter::repeat(String::new()));
                rows.push(Row {
                    path: path.clone(),
                    class: class.name.clone(),
                    split,
                    fold,
                    group: detail.and_then(|detail| detail.group.clone()),
                    extra: scan.columns.iter().cloned().zip(values).collect(),
                    ..Default::default()
                });
            }
        }
        if rows.is_empty() {
            let what = match &self.rule {
                Rule::Table {} => "no row of the table has a split: expected a column split of train, validation, test",
                _ => "no list names an image that is there",
            };
            return Err(Error::folder(folder, what));
        }
        if unplaced > 0 {
            notices.push(format!("{unplaced} images are in no list or have no split, and are left out"));
        }
        scan.notices.extend(notices);
        Ok(rows)
    }
}
