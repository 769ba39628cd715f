use crate::{Classifier, Error, Hemf};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

/// A network and its sizes, by `kind`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ModelConfig {
    /// The network of the paper.
    Hemf(HemfConfig),
}

/// Sizes of [`Hemf`]. The default is the published network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HemfConfig {
    /// Classes; none means as many as the data set has.
    pub classes: Option<usize>,
    /// Channels of the images: 3, or 1 for grey images.
    pub in_channels: usize,
    /// Channels of the four stages.
    pub dims: [usize; 4],
    /// ELF blocks of each stage.
    pub elf_depths: [usize; 4],
    /// Layers of each stage's EGF block.
    pub egf_depths: [usize; 4],
    /// Heads of the retention and of the external attention.
    pub heads: usize,
    /// Memory slots of the external attention.
    pub slots: usize,
    /// Drop-path rate of the last ELF block; it rises linearly from 0 at the first.
    pub drop_path: f64,
    /// Drop-path rate of the HEF blocks.
    pub hef_drop_path: f64,
}

impl Default for HemfConfig {
    fn default() -> Self {
        Self {
            classes: None,
            in_channels: 3,
            dims: [96, 192, 384, 768],
            elf_depths: [4; 4],
            egf_depths: [3; 4],
            heads: 8,
            slots: 64,
            drop_path: 0.0,
            hef_drop_path: 0.0,
        }
    }
}

impl HemfConfig {
    /// A small network for CPUs and tests: an eighth of the channels' squares, one block a stage but two in the third.
    fn nano() -> Self {
        Self { dims: [16, 32, 64, 128], elf_depths: [1, 1, 2, 1], egf_depths: [1, 1, 2, 1], ..Self::default() }
    }

    fn validate(&self) -> Result<(), Error> {
        let wrong = |key, message: String| Err(Error::Config { key, message });
        if let Some(classes @ 0..2) = self.classes {
            return wrong("classes", format!("{classes} is not enough, a classifier tells at least 2 apart"));
        }
        if self.in_channels == 0 {
            return wrong("in_channels", "0 is not allowed, images have 1 (grey) or 3 (colour)".into());
        }
        if self.heads == 0 {
            return wrong("heads", "0 is not allowed, at least 1".into());
        }
        if self.slots == 0 {
            return wrong("slots", "0 is not allowed, at least 1".into());
        }
        let step = lcm(16, 2 * self.heads);
        if let Some(dim) = self.dims.iter().find(|d| **d == 0 || **d % step != 0) {
            let message = format!(
                "{dim} is not allowed with {} heads: multiples of {step} (channel attention divides by 16, a head has an \
                 even width)",
                self.heads
            );
            return wrong("dims", message);
        }
        for (key, rate) in [("drop_path", self.drop_path), ("hef_drop_path", self.hef_drop_path)] {
            if !(0.0..1.0).contains(&rate) {
                return wrong(key, format!("{rate} is not allowed, a rate is at least 0 and below 1"));
            }
        }
        Ok(())
    }
}

impl ModelConfig {
    /// The names that [`preset`](Self::preset) knows.
    pub const PRESETS: [&str; 2] = ["hemf", "hemf-nano"];

    /// `hemf`, the published network, or `hemf-nano`, a small one for CPUs and tests.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "hemf" => Some(Self::Hemf(HemfConfig::default())),
            "hemf-nano" => Some(Self::Hemf(HemfConfig::nano())),
            _ => None,
        }
    }

    /// Fails for sizes that no network can be built from, naming the key and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        let Self::Hemf(config) = self;
        config.validate()
    }

    /// Fails for images that are too small for four stages. Any size from 32x32 on goes, square or not; where a stage
    /// cannot halve its map evenly, it leaves out a last row or column, as the published code does.
    pub fn check_image_size(&self, height: usize, width: usize) -> Result<(), Error> {
        if height < 32 || width < 32 { Err(Error::ImageSize { height, width }) } else { Ok(()) }
    }

    /// The same network for `classes` classes.
    pub fn with_classes(mut self, classes: usize) -> Self {
        let Self::Hemf(config) = &mut self;
        config.classes = Some(classes);
        self
    }

    /// Classes, where they are known.
    pub fn classes(&self) -> Option<usize> {
        let Self::Hemf(config) = self;
        config.classes
    }

    /// Channels of the images.
    pub fn in_channels(&self) -> usize {
        let Self::Hemf(config) = self;
        config.in_channels
    }

    /// Builds the network. Fails on impossible sizes, and on weights that are missing or of another shape.
    pub fn build(&self, vb: VarBuilder) -> Result<Box<dyn Classifier>, Error> {
        let Self::Hemf(config) = self;
        Ok(Box::new(Hemf::new(config, vb)?))
    }

    /// Creates what the published code builds but never uses: its files hold these weights, and it wants them there.
    pub(crate) fn build_dead(&self, vb: VarBuilder) -> candle_core::Result<()> {
        let Self::Hemf(config) = self;
        crate::hemf::build_dead(config, vb)
    }

    pub(crate) fn checked(config: &HemfConfig) -> Result<usize, Error> {
        config.validate()?;
        config.classes.ok_or(Error::Config {
            key: "classes",
            message: "not set, and there is no data set to take it from".into(),
        })
    }
}

fn lcm(a: usize, b: usize) -> usize {
    let gcd = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    a / gcd(a, b) * b
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
    }

    #[test]
    fn impossible_sizes_name_key_and_what_is_allowed() {
        let bad = |change: fn(&mut HemfConfig)| {
            let mut config = HemfConfig::default();
            change(&mut config);
            ModelConfig::Hemf(config).validate().unwrap_err().to_string()
        };
        assert!(bad(|c| c.dims[2] = 100).starts_with("model.dims: 100 is not allowed with 8 heads: multiples of 16"));
        assert!(bad(|c| c.heads = 5).contains("multiples of 80"));
        assert!(bad(|c| c.heads = 0).starts_with("model.heads"));
        assert!(bad(|c| c.slots = 0).starts_with("model.slots"));
        assert!(bad(|c| c.drop_path = 1.0).contains("below 1"));
        assert!(bad(|c| c.hef_drop_path = f64::NAN).starts_with("model.hef_drop_path"));
        assert!(bad(|c| c.classes = Some(1)).contains("at least 2"));
    }
}
