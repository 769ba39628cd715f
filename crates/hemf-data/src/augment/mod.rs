//! Random changes to training pictures: what may be set, what is drawn, what is done.
//!
//! All are drawn first ([`Drawn`](crate::Drawn), plain numbers, keyed by seed, epoch and sample) and applied
//! second. They mean what torchvision's transforms of the same names mean, on 8-bit pictures as Pillow
//! computes them, in the order of torchvision's reference training: crop, flips, rotation, RandAugment,
//! colour jitter, scaling, erasing; and last, on the batch, MixUp or CutMix.

mod affine;
mod change;
mod colour;
mod erase;
mod mix;
mod rand_augment;
mod tone;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::settings::check;
pub use affine::Affine;
pub use change::Change;
pub use colour::ColourJitter;
pub use erase::Erasing;
pub use mix::Mix;
pub use rand_augment::RandAugment;

/// Random changes to training pictures. What the published recipe does not have is off by default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Share of the picture's area that is kept: smallest, largest.
    pub scale: [f64; 2],
    /// Aspect ratio (width / height) of what is kept: smallest, largest.
    pub ratio: [f64; 2],
    /// Probability of a left-right flip.
    pub horizontal_flip: f64,
    /// Probability of an upside-down flip.
    pub vertical_flip: f64,
    /// Rotation by a uniform angle of at most so many degrees to either side; corners become black.
    pub rotation: f64,
    /// Two or so random operations of one strength.
    pub rand_augment: Option<RandAugment>,
    /// Brightness, contrast, saturation and hue, in random order.
    pub colour_jitter: Option<ColourJitter>,
    /// A rectangle without content.
    pub erasing: Option<Erasing>,
    /// Two pictures in one, with both classes.
    pub mix: Mix,
}

impl Default for Augmentation {
    /// The published values.
    fn default() -> Self {
        Self {
            scale: [0.08, 1.0],
            ratio: [3.0 / 4.0, 4.0 / 3.0],
            horizontal_flip: 0.5,
            vertical_flip: 0.0,
            rotation: 0.0,
            rand_augment: None,
            colour_jitter: None,
            erasing: None,
            mix: Mix::Nothing {},
        }
    }
}

impl Augmentation {
    /// # Errors
    /// Names the first setting that cannot be, and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        let [low, high] = self.scale;
        check(0.0 < low && low <= high && high <= 1.0, "scale", || {
            format!("[{low}, {high}] is not 0 < smallest <= largest <= 1")
        })?;
        let [low, high] = self.ratio;
        check(0.0 < low && low <= high && high.is_finite(), "ratio", || {
            format!("[{low}, {high}] is not 0 < smallest <= largest")
        })?;
        for (key, value) in [("horizontal_flip", self.horizontal_flip), ("vertical_flip", self.vertical_flip)] {
            check((0.0..=1.0).contains(&value), key, || format!("{value} is not a probability (0 to 1)"))?;
        }
        check((0.0..=180.0).contains(&self.rotation), "rotation", || {
            format!("{} is not an angle from 0 to 180 degrees", self.rotation)
        })?;
        self.rand_augment.as_ref().map_or(Ok(()), RandAugment::validate)?;
        self.colour_jitter.as_ref().map_or(Ok(()), ColourJitter::validate)?;
        self.erasing.as_ref().map_or(Ok(()), Erasing::validate)?;
        self.mix.validate()
    }

    /// Draws the changes to a (width, height) picture, flips apart, in the order in which they are made.
    pub(crate) fn draw_changes(&self, draws: &mut crate::Draws, (width, height): (usize, usize)) -> Vec<Change> {
        let mut changes = Vec::new();
        // Nothing is drawn for what is off: the draws of the published recipe stay what they are.
        if self.vertical_flip > 0.0 && draws.uniform() < self.vertical_flip {
            changes.push(Change::FlipVertical);
        }
        if self.rotation > 0.0 {
            let degrees = draws.between(-self.rotation, self.rotation);
            changes.push(Change::Affine(Affine::rotation(degrees, width, height)));
        }
        if let Some(settings) = &self.rand_augment {
            changes.extend(settings.draw(draws, (width, height)));
        }
        if let Some(settings) = &self.colour_jitter {
            changes.extend(settings.draw(draws));
        }
        changes
    }
}
