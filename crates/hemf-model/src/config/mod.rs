//! Which network, and its sizes.

mod came;
mod hemf;

pub use came::CameConfig;
pub use hemf::{Branches, HemfConfig, Mlp};

use crate::stages::Parts;
use crate::{Came, Classifier, Error, Hemf};
use candle_nn::VarBuilder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A network and its sizes, by `kind`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ModelConfig {
    /// The network of the paper.
    Hemf(HemfConfig),
    /// The network that the paper compares it with.
    Came(CameConfig),
}

impl ModelConfig {
    /// The names that [`preset`](Self::preset) knows.
    pub const PRESETS: [&str; 4] = ["hemf", "hemf-nano", "came", "came-nano"];

    /// `hemf` or `came`, the published networks, or `hemf-nano` or `came-nano`, small ones for CPUs and tests.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "hemf" => Some(Self::Hemf(HemfConfig::default())),
            "hemf-nano" => Some(Self::Hemf(HemfConfig::nano())),
            "came" => Some(Self::Came(CameConfig::default())),
            "came-nano" => Some(Self::Came(CameConfig::nano())),
            _ => None,
        }
    }

    /// The preset that has these sizes, whatever the number of classes and the rates of drop path; `None` where none has.
    pub fn preset_name(&self) -> Option<&'static str> {
        let alike = |preset: Self| match (self, preset) {
            (Self::Hemf(this), Self::Hemf(preset)) => {
                let HemfConfig { classes, drop_path, hef_drop_path, .. } = *this;
                *this == HemfConfig { classes, drop_path, hef_drop_path, ..preset }
            }
            (Self::Came(this), Self::Came(preset)) => {
                let CameConfig { classes, drop_path, fusion_drop_path, .. } = *this;
                *this == CameConfig { classes, drop_path, fusion_drop_path, ..preset }
            }
            _ => false,
        };
        Self::PRESETS.into_iter().find(|name| Self::preset(name).is_some_and(alike))
    }

    /// Fails for sizes that no network can be built from, naming the key and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        match self {
            Self::Hemf(config) => config.validate(),
            Self::Came(config) => config.validate(),
        }
    }

    /// The word that tells the networks apart: `hemf` or `came`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hemf(_) => "hemf",
            Self::Came(_) => "came",
        }
    }

    /// The number of classes of a valid configuration that knows it.
    pub(crate) fn checked(&self) -> Result<usize, Error> {
        match self {
            Self::Hemf(config) => config.checked(),
            Self::Came(config) => config.checked(),
        }
    }

    /// Fails for images that are too small for four stages. Any size from 32x32 on goes, square or not; where a stage
    /// cannot halve its map evenly, it leaves out a last row or column, as the published code does.
    pub fn check_image_size(&self, height: usize, width: usize) -> Result<(), Error> {
        if height < 32 || width < 32 { Err(Error::ImageSize { height, width }) } else { Ok(()) }
    }

    /// The same network for `classes` classes.
    pub fn with_classes(mut self, classes: usize) -> Self {
        match &mut self {
            Self::Hemf(config) => config.classes = Some(classes),
            Self::Came(config) => config.classes = Some(classes),
        }
        self
    }

    /// Classes, where they are known.
    pub fn classes(&self) -> Option<usize> {
        match self {
            Self::Hemf(config) => config.classes,
            Self::Came(config) => config.classes,
        }
    }

    /// Channels of the images.
    pub fn in_channels(&self) -> usize {
        match self {
            Self::Hemf(config) => config.in_channels,
            Self::Came(config) => config.in_channels,
        }
    }

    /// Builds the network. Fails on impossible sizes, and on weights that are missing or of another shape.
    pub fn build(&self, vb: VarBuilder) -> Result<Box<dyn Classifier>, Error> {
        self.build_of(&Parts { vb, packed: false })
    }

    /// Builds the network for inference alone: each part is [packed](hemf_blocks::Pack) as soon as its weights are there, so
    /// that a builder that reads them from a file ([`weights_builder`](crate::weights_builder)) never holds all of them.
    /// Answers are those of the network of [`build`](Self::build) to rounding; training it fails, and changes of the weights
    /// are not seen.
    pub fn build_packed(&self, vb: VarBuilder) -> Result<Box<dyn Classifier>, Error> {
        self.build_of(&Parts { vb, packed: true })
    }

    fn build_of(&self, parts: &Parts) -> Result<Box<dyn Classifier>, Error> {
        Ok(match self {
            Self::Hemf(config) => Box::new(Hemf::of(config, parts)?),
            Self::Came(config) => Box::new(Came::of(config, parts)?),
        })
    }

    /// Creates what the published code builds but never uses, and constants that are computed here: its files hold
    /// these tensors, and it wants them there.
    pub(crate) fn build_dead(&self, vb: VarBuilder) -> candle_core::Result<()> {
        match self {
            Self::Hemf(config) => crate::hemf::build_dead(config, vb),
            Self::Came(config) => crate::came::build_dead(config, vb),
        }
    }

    /// The second name of a tensor that the published code keeps, and writes, under two.
    pub(crate) fn second_name(&self, name: &str) -> Option<String> {
        match self {
            Self::Hemf(_) => None,
            Self::Came(_) => name.strip_prefix("ea.0.").map(|rest| format!("EA_1.{rest}")),
        }
    }
}

/// What every network asks of its sizes.
fn checked_common(classes: Option<usize>, in_channels: usize, slots: usize) -> Result<(), Error> {
    let wrong = |key, message: String| Err(Error::Config { key, message });
    if let Some(classes @ 0..2) = classes {
        return wrong("classes", format!("{classes} is not enough, a classifier tells at least 2 apart"));
    }
    if in_channels == 0 {
        return wrong("in_channels", "0 is not allowed, images have 1 (grey) or 3 (colour)".into());
    }
    if slots == 0 {
        return wrong("slots", "0 is not allowed, at least 1".into());
    }
    Ok(())
}

fn checked_rate(key: &'static str, rate: f64) -> Result<(), Error> {
    if (0.0..1.0).contains(&rate) {
        return Ok(());
    }
    Err(Error::Config { key, message: format!("{rate} is not allowed, a rate is at least 0 and below 1") })
}

fn checked_classes(classes: Option<usize>) -> Result<usize, Error> {
    classes.ok_or_else(|| Error::Config {
        key: "classes",
        message: "not set, and there is no data set to take it from".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid() {
        for name in ModelConfig::PRESETS {
            ModelConfig::preset(name).unwrap().validate().unwrap();
        }
        assert!(ModelConfig::preset("hemf-huge").is_none());
        for name in ModelConfig::PRESETS {
            assert_eq!(ModelConfig::preset(name).unwrap().with_classes(7).preset_name(), Some(name));
        }
        let nano = |config| ModelConfig::Hemf(config).preset_name();
        assert_eq!(nano(HemfConfig { drop_path: 0.5, ..HemfConfig::nano() }), Some("hemf-nano"));
        assert_eq!(nano(HemfConfig { slots: 63, ..HemfConfig::nano() }), None);
    }
}
