//! RandAugment (E. Cubuk, B. Zoph, J. Shlens, Q. Le 2020), as torchvision's of that name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Affine, Change};
use crate::settings::check;
use crate::{Draws, Error};

/// Random operations of one strength.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RandAugment {
    /// How many, one after the other.
    pub operations: usize,
    /// Their strength, 0 to 30.
    pub magnitude: usize,
}

/// Strengths from 0 to the strongest.
const BINS: usize = 31;

impl Default for RandAugment {
    fn default() -> Self {
        Self { operations: 2, magnitude: 9 }
    }
}

impl RandAugment {
    pub(super) fn validate(&self) -> Result<(), Error> {
        check((1..=16).contains(&self.operations), "rand_augment.operations", || {
            format!("{} is not from 1 to 16", self.operations)
        })?;
        check(self.magnitude < BINS, "rand_augment.magnitude", || format!("{} is not from 0 to 30", self.magnitude))
    }

    /// Each operation is one of fourteen, of which one changes nothing.
    pub(super) fn draw(&self, draws: &mut Draws, (width, height): (usize, usize)) -> Vec<Change> {
        let strength = self.magnitude as f64 / (BINS - 1) as f64;
        let mut changes = Vec::new();
        for _ in 0..self.operations {
            let operation = draws.below(14);
            let sign = if draws.below(2) == 0 { 1.0 } else { -1.0 };
            let signed = |most: f64| sign * most * strength;
            let change = match operation {
                0 => continue,
                1 => Change::Affine(Affine::shear_x(signed(0.3))),
                2 => Change::Affine(Affine::shear_y(signed(0.3))),
                3 => Change::Affine(Affine::translation(signed(150.0 / 331.0 * width as f64).trunc(), 0.0)),
                4 => Change::Affine(Affine::translation(0.0, signed(150.0 / 331.0 * height as f64).trunc())),
                5 => Change::Affine(Affine::rotation(signed(30.0), width, height)),
                6 => Change::Brightness(1.0 + signed(0.9)),
                7 => Change::Saturation(1.0 + signed(0.9)),
                8 => Change::Contrast(1.0 + signed(0.9)),
                9 => Change::Sharpness(1.0 + signed(0.9)),
                10 => Change::Posterize(8 - (4.0 * strength).round_ties_even() as u32),
                11 => Change::Solarize((255.0 * (1.0 - strength)).ceil() as u32),
                12 => Change::AutoContrast,
                _ => Change::Equalize,
            };
            changes.push(change);
        }
        changes
    }
}
