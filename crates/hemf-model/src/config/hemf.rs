use super::{checked_classes, checked_common, checked_rate};
use crate::Error;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sizes of [`Hemf`](crate::Hemf), and which of its parts it has. The default is the published network; the settings of
/// the paper's ablation are
///
/// | | branches | mhea | gates | mlp |
/// | --- | --- | --- | --- | --- |
/// | S1 | local | | | |
/// | S2 | global | | | |
/// | S3 | both | no | no | irmlp |
/// | S4 | both | yes | no | irmlp |
/// | S5 | both | no | yes | irmlp |
/// | S6 | both | yes | yes | irmlp |
/// | S7 | both | yes | yes | sirmlp |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// Which branches read the image. The last map of a single branch goes to the head, and what follows here about the
    /// fusion has no meaning.
    pub branches: Branches,
    /// Whether the fusion has external attention.
    pub mhea: bool,
    /// Whether the fusion has spatial and channel attention.
    pub gates: bool,
    /// The MLP of the fusion.
    pub mlp: Mlp,
    /// Drop-path rate of the last ELF block; it rises linearly from 0 at the first.
    pub drop_path: f64,
    /// Drop-path rate of the HEF blocks.
    pub hef_drop_path: f64,
}

/// Which branches of HEMF read the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Branches {
    /// ELF and EGF blocks side by side, fused stage by stage.
    Both,
    /// ELF blocks alone.
    Local,
    /// EGF blocks alone.
    Global,
}

/// The MLP at the end of HEMF's fusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mlp {
    /// Inverted residual, squeezed first: the published one.
    Sirmlp,
    /// Inverted residual on three times the channels, as CAME has on four times.
    Irmlp,
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
            branches: Branches::Both,
            mhea: true,
            gates: true,
            mlp: Mlp::Sirmlp,
            drop_path: 0.0,
            hef_drop_path: 0.0,
        }
    }
}

impl HemfConfig {
    /// A small network for CPUs and tests: 0.86 million parameters; one ELF block and one EGF layer a stage, two in the
    /// third.
    pub(super) fn nano() -> Self {
        Self {
            dims: [32, 48, 64, 96],
            elf_depths: [1, 1, 2, 1],
            egf_depths: [1, 1, 2, 1],
            heads: 4,
            slots: 16,
            ..Self::default()
        }
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        let wrong = |key, message: String| Err(Error::Config { key, message });
        checked_common(self.classes, self.in_channels, self.slots)?;
        if self.heads == 0 {
            return wrong("heads", "0 is not allowed, at least 1".into());
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
        if self.branches != Branches::Local && self.egf_depths.contains(&0) {
            return wrong("egf_depths", "0 is not allowed where there is a global branch, at least 1".into());
        }
        checked_rate("drop_path", self.drop_path)?;
        checked_rate("hef_drop_path", self.hef_drop_path)
    }

    /// The number of classes of a valid configuration that knows it.
    pub(crate) fn checked(&self) -> Result<usize, Error> {
        self.validate()?;
        checked_classes(self.classes)
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
    fn impossible_sizes_name_key_and_what_is_allowed() {
        let bad = |change: fn(&mut HemfConfig)| {
            let mut config = HemfConfig::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert!(bad(|c| c.dims[2] = 100).starts_with("model.dims: 100 is not allowed with 8 heads: multiples of 16"));
        assert!(bad(|c| c.heads = 5).contains("multiples of 80"));
        assert!(bad(|c| c.heads = 0).starts_with("model.heads"));
        assert!(bad(|c| c.egf_depths[3] = 0).starts_with("model.egf_depths: 0"));
        assert!(bad(|c| c.slots = 0).starts_with("model.slots"));
        assert!(bad(|c| c.drop_path = 1.0).contains("below 1"));
        assert!(bad(|c| c.hef_drop_path = f64::NAN).starts_with("model.hef_drop_path"));
        assert!(bad(|c| c.classes = Some(1)).contains("at least 2"));
    }
}
