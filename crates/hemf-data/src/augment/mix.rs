//! MixUp (H. Zhang and others 2018) and CutMix (S. Yun and others 2019), as torchvision's: each picture of a
//! batch meets its neighbour, and brings its class along.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::check;
use crate::{CropBox, Draws, Error};

/// Whether pictures of a batch are mixed, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Mix {
    /// They are not.
    Nothing {},
    /// Both shine through: lambda of the one, 1 - lambda of the other, lambda ~ Beta(alpha, alpha).
    MixUp {
        /// Small: mostly one of the two.
        alpha: f64,
    },
    /// A rectangle of the other, of a share 1 - lambda of the area before it is cut off at the border.
    CutMix {
        /// 1: lambda is uniform.
        alpha: f64,
    },
    /// One of the two for each batch, with equal chances.
    Either {
        /// MixUp's alpha.
        mix_up: f64,
        /// CutMix's alpha.
        cut_mix: f64,
    },
}

/// How one batch is mixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mixture {
    /// The share of a picture; the rest is its neighbour's.
    Whole(f64),
    /// A box taken from the neighbour.
    Box(CropBox),
}

impl Mix {
    pub(super) fn validate(&self) -> Result<(), Error> {
        let positive =
            |key, value: f64| check(value > 0.0 && value.is_finite(), key, || format!("{value} is not above 0"));
        match *self {
            Self::Nothing {} => Ok(()),
            Self::MixUp { alpha } | Self::CutMix { alpha } => positive("mix.alpha", alpha),
            Self::Either { mix_up, cut_mix } => {
                positive("mix.mix_up", mix_up)?;
                positive("mix.cut_mix", cut_mix)
            }
        }
    }

    /// What happens to a batch of (size, size) pictures.
    pub(crate) fn draw(&self, draws: &mut Draws, size: usize) -> Option<Mixture> {
        let cut = |draws: &mut Draws, alpha: f64| {
            let half = 0.5 * (1.0 - beta(draws, alpha)).sqrt();
            let half = (half * size as f64) as usize;
            let (x, y) = (draws.below(size as u64) as usize, draws.below(size as u64) as usize);
            let (left, top) = (x.saturating_sub(half), y.saturating_sub(half));
            let (right, bottom) = ((x + half).min(size), (y + half).min(size));
            Mixture::Box(CropBox { top, left, height: bottom - top, width: right - left })
        };
        match *self {
            Self::Nothing {} => None,
            Self::MixUp { alpha } => Some(Mixture::Whole(beta(draws, alpha))),
            Self::CutMix { alpha } => Some(cut(draws, alpha)),
            Self::Either { mix_up, .. } if draws.below(2) == 0 => Some(Mixture::Whole(beta(draws, mix_up))),
            Self::Either { cut_mix, .. } => Some(cut(draws, cut_mix)),
        }
    }
}

impl Mixture {
    /// The share of each picture that stays its own.
    pub(crate) fn share(&self, size: usize) -> f64 {
        match self {
            Self::Whole(share) => *share,
            Self::Box(part) => 1.0 - (part.width * part.height) as f64 / (size * size) as f64,
        }
    }

    /// Mixes (channels, size, size) pictures side by side in `images`, each with the one before it, the
    /// first with the last.
    pub(crate) fn apply(&self, images: &mut [f32], channels: usize, size: usize) {
        let each = channels * size * size;
        let Some(last) = images.len().checked_sub(each) else { return };
        let first = images[last..].to_vec();
        let mut other = first;
        for image in images.chunks_exact_mut(each) {
            let own = image.to_vec();
            match *self {
                Self::Whole(share) => {
                    let (mine, theirs) = (share as f32, (1.0 - share) as f32);
                    image.iter_mut().zip(&other).for_each(|(a, b)| *a = *a * mine + b * theirs);
                }
                Self::Box(part) => {
                    for plane in (0..each).step_by(size * size) {
                        for y in part.top..part.top + part.height {
                            let at = plane + y * size + part.left;
                            image[at..at + part.width].copy_from_slice(&other[at..at + part.width]);
                        }
                    }
                }
            }
            other = own;
        }
    }

    /// (B, classes): the share of each class in each picture.
    pub(crate) fn targets(&self, labels: &[u32], classes: usize, size: usize) -> Vec<f32> {
        let share = self.share(size) as f32;
        let mut targets = vec![0.0; labels.len() * classes];
        for (i, row) in targets.chunks_exact_mut(classes).enumerate() {
            let before = labels[(i + labels.len() - 1) % labels.len()];
            row[labels[i] as usize] += share;
            row[before as usize] += 1.0 - share;
        }
        targets
    }
}

/// Beta(alpha, alpha): the share of one of two gamma variates.
fn beta(draws: &mut Draws, alpha: f64) -> f64 {
    let (a, b) = (log_gamma_variate(draws, alpha), log_gamma_variate(draws, alpha));
    1.0 / (1.0 + (b - a).exp())
}

/// The logarithm of a gamma variate (G. Marsaglia, W. Tsang 2000), so that a tiny alpha does not end in 0 / 0.
fn log_gamma_variate(draws: &mut Draws, alpha: f64) -> f64 {
    // Below 1: Gamma(alpha) = Gamma(alpha + 1) U^(1 / alpha).
    let (shape, boost) = if alpha < 1.0 { (alpha + 1.0, positive(draws).ln() / alpha) } else { (alpha, 0.0) };
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(draws);
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && positive(draws).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return (d * v).ln() + boost;
        }
    }
}

/// Box and Muller.
fn normal(draws: &mut Draws) -> f64 {
    (-2.0 * positive(draws).ln()).sqrt() * (std::f64::consts::TAU * draws.uniform()).cos()
}

/// Uniform in (0, 1].
fn positive(draws: &mut Draws) -> f64 {
    1.0 - draws.uniform()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beta_has_its_mean_and_spread() {
        for alpha in [0.2, 1.0, 3.0] {
            let draws: Vec<f64> = (0..20_000).map(|i| beta(&mut Draws::new("beta", 1, &[i]), alpha)).collect();
            let n = draws.len() as f64;
            let mean = draws.iter().sum::<f64>() / n;
            let variance = draws.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            assert!((mean - 0.5).abs() < 0.01, "{alpha}: mean {mean}");
            let expected = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!((variance / expected - 1.0).abs() < 0.04, "{alpha}: variance {variance}, not {expected}");
        }
    }

    #[test]
    fn each_picture_meets_the_one_before() {
        // Three pictures of one channel and 2 x 2 pixels: all 1, all 2, all 4.
        let batch = || [1.0f32, 2.0, 4.0].iter().flat_map(|&v| [v; 4]).collect::<Vec<f32>>();
        let mut mixed = batch();
        let whole = Mixture::Whole(0.75);
        whole.apply(&mut mixed, 1, 2);
        assert_eq!([mixed[0], mixed[4], mixed[8]], [1.75, 1.75, 3.5]);
        assert_eq!(whole.targets(&[0, 1, 1], 2, 2), [0.75, 0.25, 0.25, 0.75, 0.0, 1.0]);

        let mut cut = batch();
        let corner = Mixture::Box(CropBox { top: 1, left: 0, height: 1, width: 1 });
        corner.apply(&mut cut, 1, 2);
        assert_eq!(cut, [1.0, 1.0, 4.0, 1.0, 2.0, 2.0, 1.0, 2.0, 4.0, 4.0, 2.0, 4.0]);
        assert_eq!(corner.share(2), 0.75);
    }
}
