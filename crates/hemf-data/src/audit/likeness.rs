//! How alike two pictures look, whatever their size, format, brightness and contrast.
//!
//! A picture is reduced to 17 x 16 grey pixels. The signs of the differences between neighbours in a row
//! are 256 bits (a difference hash), quick to compare; the 272 grey values themselves, freed of mean and
//! spread, tell by their correlation how good a match is.

use crate::{Raster, resize};

const WIDTH: usize = 17;
const HEIGHT: usize = 16;

/// A picture as far as likeness goes.
pub(super) struct Likeness {
    bits: [u64; 4],
    grey: Box<[u8; WIDTH * HEIGHT]>,
    /// Half the range of the grey values: hardly any contrast, hardly any likeness to speak of.
    spread: f64,
}

impl Likeness {
    pub(super) fn of(picture: Raster) -> Self {
        let small = resize(&picture.into_luma(), WIDTH, HEIGHT);
        let mut bits = [0u64; 4];
        for y in 0..HEIGHT {
            let row = small.row(y);
            for x in 0..WIDTH - 1 {
                let at = y * (WIDTH - 1) + x;
                bits[at / 64] |= u64::from(row[x] > row[x + 1]) << (at % 64);
            }
        }
        let grey: Box<[u8; WIDTH * HEIGHT]> =
            small.pixels().to_vec().try_into().expect("the small picture has so many pixels");
        let values = grey.iter().map(|&v| f64::from(v));
        let mean = values.clone().sum::<f64>() / grey.len() as f64;
        let spread = (values.map(|v| (v - mean).powi(2)).sum::<f64>() / grey.len() as f64).sqrt();
        Self { bits, grey, spread }
    }

    /// How many of the 256 bits differ.
    pub(super) fn distance(&self, other: &Self) -> u32 {
        self.bits.iter().zip(&other.bits).map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    /// Correlation of the grey values, -1 to 1; 0 where one of the two has no contrast.
    pub(super) fn correlation(&self, other: &Self) -> f64 {
        let n = self.grey.len() as f64;
        let mean = |picture: &Self| picture.grey.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let (a, b) = (mean(self), mean(other));
        let products = self.grey.iter().zip(other.grey.iter()).map(|(&x, &y)| (f64::from(x) - a) * (f64::from(y) - b));
        let scale = self.spread * other.spread * n;
        if scale > 0.0 { products.sum::<f64>() / scale } else { 0.0 }
    }

    /// Whether there is anything to see.
    pub(super) fn is_blank(&self) -> bool {
        self.spread < 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Draws;

    fn picture(seed: u64) -> Raster {
        let mut draws = Draws::new("likeness", seed, &[]);
        let coarse = Raster::new(9, 9, 3, (0..243).map(|_| draws.below(200) as u8).collect());
        resize(&coarse, 120, 90)
    }

    #[test]
    fn resized_brighter_pictures_stay_alike_and_others_are_not() {
        let one = picture(1);
        let smaller = resize(&one, 70, 53);
        let brighter = Raster::new(70, 53, 3, smaller.pixels().iter().map(|&v| v / 2 + 90).collect());
        let (a, b, c) = (Likeness::of(one), Likeness::of(brighter), Likeness::of(picture(2)));
        assert!(a.distance(&b) < 20 && a.correlation(&b) > 0.99, "{} {}", a.distance(&b), a.correlation(&b));
        assert!(a.distance(&c) > 70 && a.correlation(&c) < 0.7, "{} {}", a.distance(&c), a.correlation(&c));
        assert!(Likeness::of(Raster::new(5, 5, 3, vec![7; 75])).is_blank());
    }
}
