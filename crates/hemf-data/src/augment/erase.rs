//! Random erasing (Z. Zhong, L. Zheng, G. Kang, S. Li, Y. Yang 2020), as torchvision's `RandomErasing`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::check;
use crate::{CropBox, Draws, Error};

/// A rectangle that becomes 0 once values are scaled: the mean colour, that is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Erasing {
    /// How likely it is.
    pub probability: f64,
    /// Share of the picture's area: smallest, largest.
    pub scale: [f64; 2],
    /// Height / width: smallest, largest.
    pub ratio: [f64; 2],
}

impl Default for Erasing {
    fn default() -> Self {
        Self { probability: 0.5, scale: [0.02, 0.33], ratio: [0.3, 3.3] }
    }
}

impl Erasing {
    pub(super) fn validate(&self) -> Result<(), Error> {
        let Self { probability, scale: [small, large], ratio: [flat, tall] } = *self;
        check((0.0..=1.0).contains(&probability), "erasing.probability", || {
            format!("{probability} is not a probability (0 to 1)")
        })?;
        check(0.0 <= small && small <= large && large <= 1.0, "erasing.scale", || {
            format!("[{small}, {large}] is not 0 <= smallest <= largest <= 1")
        })?;
        check(0.0 < flat && flat <= tall && tall.is_finite(), "erasing.ratio", || {
            format!("[{flat}, {tall}] is not 0 < smallest <= largest")
        })
    }

    /// A box in a square of `size`, or none: chance, or ten boxes that did not fit.
    pub(crate) fn draw(&self, draws: &mut Draws, size: usize) -> Option<CropBox> {
        if draws.uniform() >= self.probability {
            return None;
        }
        for _ in 0..10 {
            let area = (size * size) as f64 * draws.between(self.scale[0], self.scale[1]);
            let aspect = draws.between(self.ratio[0].ln(), self.ratio[1].ln()).exp();
            let height = (area * aspect).sqrt().round_ties_even() as usize;
            let width = (area / aspect).sqrt().round_ties_even() as usize;
            if (1..size).contains(&height) && (1..size).contains(&width) {
                let top = draws.below((size - height + 1) as u64) as usize;
                let left = draws.below((size - width + 1) as u64) as usize;
                return Some(CropBox { top, left, height, width });
            }
        }
        None
    }
}
