//! Finding images, their classes and what is known about them: class-per-folder trees, trees already
//! split, tables of labels, tables about patients, lists of names.
//!
//! Everything comes back sorted by name or in a table's order, never in the directory's.

mod folders;
mod lists;
mod metadata;
mod names;
mod table;
mod walk;

use std::collections::HashMap;

pub(crate) use folders::{
    class_folders, class_folders_of_split, class_folders_or_any, images_in_folders, split_folders,
};
pub(crate) use lists::{class_names as list_classes, read_lists};
pub(crate) use metadata::Metadata;
use names::Names;
pub(crate) use table::{Missing, label_table};
use walk::Walk;

use crate::Split;

/// The images of one class.
#[derive(Debug, PartialEq)]
pub(crate) struct ClassFiles {
    pub(crate) name: String,
    /// Paths relative to the data folder, parts joined by `/`.
    pub(crate) files: Vec<String>,
}

/// What tables say about an image.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Detail {
    pub(crate) group: Option<String>,
    pub(crate) split: Option<Split>,
    /// The values of [`Scan::columns`].
    pub(crate) extra: Vec<String>,
}

/// What a data folder holds.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// In sorted order, or that of the table's columns.
    pub(crate) classes: Vec<ClassFiles>,
    /// Columns that tables have beyond what the manifest has a place for.
    pub(crate) columns: Vec<String>,
    /// The columns of all tables, and whether one of them told the groups.
    pub(crate) headers: Vec<String>,
    pub(crate) has_groups: bool,
    /// By path; an image of which no table speaks has none.
    pub(crate) details: HashMap<String, Detail>,
    /// What the user should know, a line each.
    pub(crate) notices: Vec<String>,
}
