//! What is wrong with a data set, before anybody trains on it.
//!
//! Every file is read once, two at a time on two cores, and reduced to a few hundred bytes of facts
//! (`Facts`); the checks then look at facts alone. So memory does not grow with the pictures, and each
//! check is a function of a list.

mod association;
mod balance;
mod duplicates;
mod facts;
mod files;
mod html;
mod leaks;
mod likeness;
mod near;
mod text;
mod thumbnail;

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use crate::manifest::SealBreak;
use crate::scan::{class_folders_or_any, split_folders};
use crate::words::told;
use crate::{Error, Manifest, Reading, Split};
pub use association::Association;
pub use balance::Balance;
use facts::{Facts, Item};
pub use near::Pair;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// May mislead a network or its figures.
    Warning,
    /// Figures from these images cannot be trusted, or images cannot be used.
    Error,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What sort of thing it is, in a word or two joined by `-`.
    pub kind: &'static str,
    /// What it is, and why it matters or what to do.
    pub message: String,
    /// The files concerned, each with what is particular about it, if anything is.
    pub images: Vec<Concerned>,
}

/// A file that a finding is about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Concerned {
    /// Relative to the audited folder.
    pub path: String,
    /// What is particular about it; may be empty.
    pub what: String,
}

impl Finding {
    fn new(severity: Severity, kind: &'static str, message: impl Into<String>, images: Vec<Concerned>) -> Self {
        Self { severity, kind, message: message.into(), images }
    }
}

impl Concerned {
    fn new(facts: &Facts, what: impl Into<String>) -> Self {
        Self { path: facts.item.path.clone(), what: what.into() }
    }
}

/// The result of an audit.
#[derive(Clone, Debug, Serialize)]
pub struct Audit {
    /// The folder that paths are relative to.
    pub folder: PathBuf,
    /// How the images are split, if a manifest says so.
    pub rule: Option<String>,
    /// Files looked at.
    pub images: usize,
    /// Those that decode.
    pub readable: usize,
    /// What was found, worst first.
    pub findings: Vec<Finding>,
    /// Images per class and split.
    pub balance: Balance,
    /// How closely the class goes with properties that should not matter.
    pub associations: Vec<Association>,
    /// Pairs that look nearly alike, at most [`Audit::PAIRS`]: those across splits first, then those of two classes,
    /// then others; the likest first in each.
    pub near_duplicates: Vec<Pair>,
    /// How the files were read.
    pub reading: Reading,
}

impl Audit {
    /// Most near duplicates that are listed.
    pub const PAIRS: usize = 1000;

    /// Looks at a manifest's images, or at all images below a folder: by class, if it has class folders,
    /// and by split, if it has split folders. Nothing is written.
    ///
    /// # Errors
    /// No such folder, a manifest that cannot be understood, or nothing to look at. An image that cannot
    /// be read, or a folder below, is a finding, not an error.
    pub fn run(path: &Path, reading: &Reading) -> Result<Self, Error> {
        let inside = path.join("manifest.csv");
        let file: &Path = if inside.is_file() { &inside } else { path };
        if file.is_dir() { Self::of_folder(file, reading) } else { Self::of_manifest(file, reading) }
    }

    /// Looks at the images of a manifest.
    ///
    /// # Errors
    /// A manifest that cannot be understood.
    pub fn of_manifest(path: &Path, reading: &Reading) -> Result<Self, Error> {
        reading.validate()?;
        let (manifest, changes) = Manifest::read_unsealed(path)?;
        let items = manifest.rows().iter().map(|row| Item {
            path: row.path.clone(),
            class: Some(row.class.clone()),
            split: Some(row.split),
            group: row.group.clone(),
            listed: Some((row.bytes, row.blake3.clone())),
        });
        let mut found = broken_seal(path, changes);
        let unlisted = manifest.unlisted(path).into_iter().map(|path| Concerned { path, what: String::new() });
        let unlisted: Vec<Concerned> = unlisted.collect();
        if !unlisted.is_empty() {
            let what = "images are in the folder, but not in the list: added since prepare, or left out by it";
            found.push(Finding::new(Severity::Note, "not-listed", told(unlisted.len(), what), unlisted));
        }
        Ok(Self::of_items(manifest.root(), Some(manifest.rule().to_string()), items.collect(), found, reading))
    }

    /// Looks at all images below a folder.
    ///
    /// # Errors
    /// No such folder, or no images in it.
    pub fn of_folder(root: &Path, reading: &Reading) -> Result<Self, Error> {
        reading.validate()?;
        let mut items = Vec::new();
        let (mut notices, mut closed) = (Vec::new(), Vec::new());
        let parts: Vec<(Option<Split>, String)> = match split_folders(root)? {
            Some(splits) => splits.into_iter().map(|(split, name)| (Some(split), format!("{name}/"))).collect(),
            None => vec![(None, String::new())],
        };
        for (split, prefix) in parts {
            let part = if prefix.is_empty() { root.to_path_buf() } else { root.join(&prefix) };
            let (scan, problems) = class_folders_or_any(&part)?;
            closed.extend(problems.into_iter().map(|(path, what)| Concerned { path: format!("{prefix}{path}"), what }));
            notices.extend(scan.notices);
            for class in scan.classes {
                let named = Some(class.name).filter(|name| !name.is_empty());
                items.extend(class.files.into_iter().map(|file| Item {
                    path: format!("{prefix}{file}"),
                    class: named.clone(),
                    split,
                    group: None,
                    listed: None,
                }));
            }
        }
        if items.is_empty() && closed.is_empty() {
            return Err(Error::folder(root, "no images in it"));
        }
        let left = notices.into_iter().map(|n| Finding::new(Severity::Note, "left-out", n, Vec::new()));
        let mut found: Vec<Finding> = left.collect();
        if !closed.is_empty() {
            let message = format!("{} folders or names cannot be read: what is there was not looked at", closed.len());
            found.push(Finding::new(Severity::Error, "unreadable-folder", message, closed));
        }
        Ok(Self::of_items(root, None, items, found, reading))
    }

    fn of_items(
        root: &Path,
        rule: Option<String>,
        items: Vec<Item>,
        mut findings: Vec<Finding>,
        reading: &Reading,
    ) -> Self {
        let images = items.len();
        let all: Vec<Facts> = items.into_par_iter().map(|item| Facts::of(root, item, reading)).collect();
        findings.extend(files::check(&all));
        findings.extend(duplicates::check(&all));
        findings.extend(leaks::check(&all));
        let (near_duplicates, near) = near::check(&all, Self::PAIRS);
        findings.extend(near);
        let (balance, uneven) = Balance::of(&all);
        findings.extend(uneven);
        let (associations, telling) = association::check(&all);
        findings.extend(telling);
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity)); // stable: checks keep their order
        let readable = all.iter().filter(|facts| facts.seen.is_ok()).count();
        let (folder, reading) = (root.to_path_buf(), reading.clone());
        Self { folder, rule, images, readable, findings, balance, associations, near_duplicates, reading }
    }

    /// The worst of the findings.
    pub fn severity(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// Findings of one kind.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.kind == kind)
    }

    /// The report for reading in a terminal.
    pub fn to_text(&self) -> String {
        text::report(self)
    }

    /// The report as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("names and numbers become JSON")
    }

    /// The report as one HTML file with small pictures in it. Reads the shown images again.
    pub fn to_html(&self) -> String {
        html::report(self)
    }
}

/// What is said of a manifest that is not what was sealed: several rows are one finding.
fn broken_seal(path: &Path, changes: Vec<SealBreak>) -> Vec<Finding> {
    let only = if changes.len() == 1 { changes.first().map(SealBreak::to_string) } else { None };
    let rows = changes.into_iter().filter_map(|change| match change {
        SealBreak::Row { row, path } => Some(Concerned { path, what: format!("row {row}") }),
        SealBreak::Other(_) => None,
    });
    let rows: Vec<Concerned> = rows.collect();
    let what = match (only, rows.len()) {
        (Some(what), _) => what,
        (None, 0) => return Vec::new(),
        (None, count) => format!("{count} rows are not what was sealed"),
    };
    vec![Finding::new(Severity::Error, "manifest-changed", format!("{}: {what}", path.display()), rows)]
}
