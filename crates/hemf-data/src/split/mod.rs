//! Which image goes where.

mod counts;
mod groups;
mod rule;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use groups::deviation;
pub use rule::{COVID19_CT, ISIC2018, Rule};

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
