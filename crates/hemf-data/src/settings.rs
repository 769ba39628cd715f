//! What can be set about pictures, and what is allowed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Reading};

/// How pictures become tensors. Stored with every checkpoint; training, evaluation and prediction
/// share it.
///
/// In a file, `resize` may be left out: it is then `size * 256 / 224`, the published proportion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "PreprocessingFields")]
pub struct Preprocessing {
    /// Side of the square the network sees, in pixels.
    pub size: usize,
    /// Length of the shorter side before the central crop of evaluation, in pixels.
    pub resize: usize,
    /// Subtracted from values in 0..1: one number for all channels, or one per channel.
    pub mean: Vec<f32>,
    /// Divided by, after that: one number for all channels, or one per channel.
    pub std: Vec<f32>,
    /// 3 (RGB) or 1 (grey).
    pub channels: usize,
    /// How files are read.
    pub reading: Reading,
}

/// [`Preprocessing`] as it is typed.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "Preprocessing")]
struct PreprocessingFields {
    size: usize,
    resize: Option<usize>,
    mean: Vec<f32>,
    std: Vec<f32>,
    channels: usize,
    reading: Reading,
}

impl Default for PreprocessingFields {
    fn default() -> Self {
        Self { size: 224, resize: None, mean: vec![0.5], std: vec![0.5], channels: 3, reading: Reading::default() }
    }
}

impl From<PreprocessingFields> for Preprocessing {
    fn from(typed: PreprocessingFields) -> Self {
        let PreprocessingFields { size, resize, mean, std, channels, reading } = typed;
        let resize = resize.unwrap_or((size.saturating_mul(256) + 112) / 224);
        Self { size, resize, mean, std, channels, reading }
    }
}

impl Default for Preprocessing {
    /// The published values: 224 pixels cut from 256, scaled to -1..1, RGB.
    fn default() -> Self {
        PreprocessingFields::default().into()
    }
}

impl Preprocessing {
    /// The published values at another input size.
    pub fn for_size(size: usize) -> Self {
        PreprocessingFields { size, ..Default::default() }.into()
    }

    /// # Errors
    /// Names the first setting that cannot be, and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        self.reading.validate()?;
        // Beyond this side a single picture takes 3 GiB as f32.
        let allowed = 1..=16_384;
        check(allowed.contains(&self.size), "size", || format!("{} is not between 1 and 16384", self.size))?;
        check((self.size..=16_384).contains(&self.resize), "resize", || {
            format!("{} is not between size ({}) and 16384", self.resize, self.size)
        })?;
        check(matches!(self.channels, 1 | 3), "channels", || format!("{} is not 3 (RGB) or 1 (grey)", self.channels))?;
        for (key, values) in [("mean", &self.mean), ("std", &self.std)] {
            check(values.len() == 1 || values.len() == self.channels, key, || {
                format!("{} values, not 1 or {} (one per channel)", values.len(), self.channels)
            })?;
            check(values.iter().all(|v| v.is_finite()), key, || format!("{values:?} must be finite"))?;
        }
        check(self.std.iter().all(|&v| v > 0.0), "std", || format!("{:?} must be above zero", self.std))
    }

    /// Size of a (width, height) picture once its shorter side is [`Self::resize`]; the longer side
    /// is cut down to whole pixels, as torchvision does.
    pub(crate) fn resized(&self, width: usize, height: usize) -> (usize, usize) {
        let long = |long: usize, short: usize| self.resize * long / short;
        if width <= height { (self.resize, long(height, width)) } else { (long(width, height), self.resize) }
    }
}

pub(crate) fn check(holds: bool, key: &'static str, reason: impl FnOnce() -> String) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::Setting { key, reason: reason() }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Augmentation;

    #[test]
    fn resize_follows_size_unless_given() {
        let typed: Preprocessing = serde_json::from_str(r#"{"size": 112}"#).unwrap();
        assert_eq!((typed.size, typed.resize), (112, 128));
        let typed: Preprocessing = serde_json::from_str(r#"{"size": 112, "resize": 120}"#).unwrap();
        assert_eq!(typed.resize, 120);
        let stored = serde_json::to_string(&typed).unwrap();
        assert_eq!(serde_json::from_str::<Preprocessing>(&stored).unwrap(), typed);
        assert_eq!((Preprocessing::default().size, Preprocessing::default().resize), (224, 256));
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = serde_json::from_str::<Preprocessing>(r#"{"sise": 1}"#).unwrap_err();
        assert!(error.to_string().contains("sise"), "{error}");
        assert!(serde_json::from_str::<Augmentation>(r#"{"flip": 1}"#).is_err());
    }

    #[test]
    fn impossible_settings_name_their_key() {
        let base = Preprocessing::default;
        for (settings, key) in [
            (Preprocessing { size: 0, ..base() }, "size"),
            (Preprocessing { resize: 100, ..base() }, "resize"),
            (Preprocessing { channels: 2, ..base() }, "channels"),
            (Preprocessing { mean: vec![0.5; 2], ..base() }, "mean"),
            (Preprocessing { mean: vec![f32::NAN], ..base() }, "mean"),
            (Preprocessing { std: vec![0.0], ..base() }, "std"),
        ] {
            let error = settings.validate().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{key}:")), "{error}");
        }
        for (scale, ratio, horizontal_flip, key) in [
            ([0.0, 1.0], [1.0, 1.0], 0.5, "scale"),
            ([0.5, 1.5], [1.0, 1.0], 0.5, "scale"),
            ([0.5, 1.0], [2.0, 1.0], 0.5, "ratio"),
            ([0.5, 1.0], [1.0, 2.0], 1.5, "horizontal_flip"),
        ] {
            let settings = Augmentation { scale, ratio, horizontal_flip, ..Augmentation::default() };
            let error = settings.validate().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{key}:")), "{error}");
        }
        assert!(base().validate().is_ok() && Augmentation::default().validate().is_ok());
    }
}
