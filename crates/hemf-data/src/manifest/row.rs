//! A row of the manifest.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::Split;

/// One image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Relative to the image folder, parts joined by `/`, any characters.
    pub path: String,
    /// Name of the class.
    pub class: String,
    /// Where the image goes.
    pub split: Split,
    /// The fold (from 1) whose test images it is among, where the rule has folds.
    pub fold: Option<u32>,
    /// What must not cross splits (a patient, a lesion), where known.
    pub group: Option<String>,
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Size of the file.
    pub bytes: u64,
    /// Hash of the file, 64 hex digits.
    pub blake3: String,
}

impl Row {
    /// Hash of all fields, each with its length, so that no two rows read alike.
    pub(super) fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        let numbers = [u64::from(self.width), u64::from(self.height), self.bytes];
        let fold = self.fold.map(|fold| fold.to_string()).unwrap_or_default();
        let group = self.group.as_deref().unwrap_or_default();
        for text in [&self.path, &self.class, self.split.name(), &fold, group, &self.blake3] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        numbers.iter().for_each(|number| {
            hasher.update(&number.to_le_bytes());
        });
        hasher.finalize()
    }

    /// What is wrong with the row by itself.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let parts = || Path::new(&self.path).components();
        let hex = self.blake3.len() == 64 && self.blake3.bytes().all(|b| b.is_ascii_hexdigit());
        match () {
            () if parts().count() == 0 => Some("the path is empty"),
            () if !parts().all(|part| matches!(part, Component::Normal(_))) => {
                Some("the path must be relative, without `..`")
            }
            () if self.class.is_empty() => Some("the class is empty"),
            () if !hex => Some("blake3 must have 64 hex digits"),
            () => None,
        }
    }
}
