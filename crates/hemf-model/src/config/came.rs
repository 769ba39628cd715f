use super::{checked_classes, checked_common, checked_rate};
use crate::Error;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sizes of [`Came`](crate::Came). The default is the published network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CameConfig {
    /// Classes; none means as many as the data set has.
    pub classes: Option<usize>,
    /// Channels of the images: 3, or 1 for grey images.
    pub in_channels: usize,
    /// Channels of the four stages.
    pub dims: [usize; 4],
    /// Local blocks of each stage.
    pub local_depths: [usize; 4],
    /// Global blocks of each stage; the windows of every second one are shifted.
    pub global_depths: [usize; 4],
    /// Heads of each stage's window attention.
    pub heads: [usize; 4],
    /// Pixels of a window's side; every second block shifts its windows by half of it.
    pub window: usize,
    /// Memory slots of the external attention.
    pub slots: usize,
    /// Drop-path rate of the last local block; it rises linearly from 0 at the first.
    pub drop_path: f64,
    /// Drop-path rate of the fusion blocks.
    pub fusion_drop_path: f64,
}

impl Default for CameConfig {
    fn default() -> Self {
        Self {
            classes: None,
            in_channels: 3,
            dims: [96, 192, 384, 768],
            local_depths: [2; 4],
            global_depths: [2; 4],
            heads: [3, 6, 12, 24],
            window: 7,
            slots: 64,
            drop_path: 0.0,
            fusion_drop_path: 0.0,
        }
    }
}

impl CameConfig {
    /// A small network for CPUs and tests: a sixth of the channels, one local block a stage.
    pub(super) fn nano() -> Self {
        Self { dims: [16, 32, 64, 128], local_depths: [1; 4], heads: [1, 2, 4, 8], ..Self::default() }
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        let wrong = |key, message: String| Err(Error::Config { key, message });
        checked_common(self.classes, self.in_channels, self.slots)?;
        if self.window == 0 {
            return wrong("window", "0 is not allowed, at least 1".into());
        }
        if self.heads.contains(&0) {
            return wrong("heads", "0 is not allowed, at least 1 in each stage".into());
        }
        if let Some((dim, heads)) = self.dims.iter().zip(&self.heads).find(|(d, h)| **d == 0 || *d % *h != 0) {
            return wrong("dims", format!("{dim} is not allowed with {heads} heads: multiples of {heads}"));
        }
        if let Some(dim) = self.dims.iter().find(|d| **d % 8 != 0) {
            return wrong("dims", format!("{dim} is not allowed: multiples of 8 (channel attention divides by it)"));
        }
        checked_rate("drop_path", self.drop_path)?;
        checked_rate("fusion_drop_path", self.fusion_drop_path)
    }

    /// The number of classes of a valid configuration that knows it.
    pub(crate) fn checked(&self) -> Result<usize, Error> {
        self.validate()?;
        checked_classes(self.classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_sizes_name_key_and_what_is_allowed() {
        let bad = |change: fn(&mut CameConfig)| {
            let mut config = CameConfig::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert_eq!(bad(|c| c.dims[1] = 200), "model.dims: 200 is not allowed with 6 heads: multiples of 6");
        assert!(bad(|c| c.dims[0] = 36).starts_with("model.dims: 36 is not allowed: multiples of 8"));
        assert!(bad(|c| c.dims[3] = 0).starts_with("model.dims: 0"));
        assert!(bad(|c| c.heads[2] = 0).starts_with("model.heads"));
        assert!(bad(|c| c.window = 0).starts_with("model.window"));
        assert!(bad(|c| c.slots = 0).starts_with("model.slots"));
        assert!(bad(|c| c.fusion_drop_path = 1.0).starts_with("model.fusion_drop_path"));
        assert!(bad(|c| c.classes = Some(0)).contains("at least 2"));
    }
}
