//! Which image goes where.

mod counts;
mod groups;
mod rule;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use groups::deviation;
pub use rule::{COVID19_CT, ISIC2018, KVASIR, Rule};

/// Where one image of a class goes: its split, and the fold (from 1) whose test images it is among.
pub(crate) type Place = (Split, Option<u32>);

/// A part of a data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What the network learns from.
    #[default]
    Train,
    /// What chooses the best checkpoint.
    Validation,
    /// What is reported.
    Test,
}

impl Split {
    /// The three parts in order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// As written in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    /// What the part is called in folders, lists and tables, as they are found.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Train => &["train", "training", "training_set"],
            Self::Validation => &["validation", "val", "valid", "validation_set"],
            Self::Test => &["test", "testing", "test_set"],
        }
    }

    /// The part that a folder, list or table calls so, in any case.
    pub(crate) fn called(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|split| split.names().iter().any(|known| known.eq_ignore_ascii_case(name)))
    }

    /// The part whose name `text` begins with, in any case, and what follows the longest such name.
    pub(crate) fn beginning(text: &str) -> Option<(Self, &str)> {
        let lower = text.to_ascii_lowercase();
        let all =
            Self::ALL.into_iter().flat_map(|split| split.names().iter().map(move |name| (split, name.len(), *name)));
        let (split, length, _) =
            all.filter(|(_, _, name)| lower.starts_with(name)).max_by_key(|(_, length, _)| *length)?;
        Some((split, &text[length..]))
    }

    /// The inverse of [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|split| split.name() == name)
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
