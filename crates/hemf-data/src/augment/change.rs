//! One change to an 8-bit picture, with nothing random left in it.

use super::{Affine, colour, tone};
use crate::Raster;

/// A change to a picture, as Pillow makes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// Left becomes right.
    FlipHorizontal,
    /// Up becomes down.
    FlipVertical,
    /// Moves pixels; uncovered ones become black.
    Affine(Affine),
    /// Towards black (below 1) or away from it.
    Brightness(f64),
    /// Towards the mean grey (below 1) or away from it.
    Contrast(f64),
    /// Towards the picture's own grey (below 1) or away from it.
    Saturation(f64),
    /// Turns the hue by this share of the circle, -0.5 to 0.5.
    Hue(f64),
    /// Towards a smoothed picture (below 1) or away from it.
    Sharpness(f64),
    /// Keeps so many upper bits.
    Posterize(u32),
    /// Inverts values from here on, 0 to 256.
    Solarize(u32),
    /// Stretches each channel to the full range.
    AutoContrast,
    /// Evens out each channel's histogram.
    Equalize,
}

impl Change {
    /// The changed picture. Grey pictures have no saturation and no hue to change.
    pub fn apply(&self, picture: Raster) -> Raster {
        let coloured = picture.channels() == 3;
        match *self {
            Self::FlipHorizontal => flip_horizontal(&picture),
            Self::FlipVertical => flip_vertical(&picture),
            Self::Affine(affine) => affine.apply(&picture),
            Self::Brightness(factor) => colour::brightness(picture, factor),
            Self::Contrast(factor) => colour::contrast(picture, factor),
            Self::Saturation(factor) if coloured => colour::saturation(picture, factor),
            Self::Hue(turn) if coloured => colour::hue(picture, turn),
            Self::Saturation(_) | Self::Hue(_) => picture,
            Self::Sharpness(factor) => tone::sharpness(picture, factor),
            Self::Posterize(bits) => {
                let mask = !((1u32 << (8 - bits.min(8))) - 1) as u8;
                tone::map(picture, |value| value & mask)
            }
            Self::Solarize(threshold) => {
                tone::map(picture, |value| if u32::from(value) < threshold { value } else { 255 - value })
            }
            Self::AutoContrast => tone::autocontrast(picture),
            Self::Equalize => tone::equalize(picture),
        }
    }
}

fn flip_horizontal(picture: &Raster) -> Raster {
    let rows = (0..picture.height()).flat_map(|y| picture.row(y).chunks_exact(picture.channels()).rev().flatten());
    Raster::new(picture.width(), picture.height(), picture.channels(), rows.copied().collect())
}

fn flip_vertical(picture: &Raster) -> Raster {
    let rows = (0..picture.height()).rev().flat_map(|y| picture.row(y));
    Raster::new(picture.width(), picture.height(), picture.channels(), rows.copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of 23 x 17 pixels by formula.
    fn source() -> Raster {
        let mut pixels = Vec::new();
        for y in 0..17usize {
            for x in 0..23usize {
                pixels.extend(
                    [x * 37 + y * 91 + x * y * 13, x * x * 7 + y * 29 + 40, x * 11 + y * y * 5 + x * y * 3 + 90]
                        .map(|value| value as u8),
                );
            }
        }
        Raster::new(23, 17, 3, pixels)
    }

    fn fnv1a(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3))
    }

    #[test]
    fn the_same_bytes_as_torchvision_on_pillow() {
        // torchvision 0.29.2 on Pillow 13.0.0: F.adjust_brightness(image, 0.4) and so on; the affine ones by
        // autoaugment._apply_op(image, "ShearX", 0.09, NEAREST, None). FNV-1a of the result's bytes.
        let affine = |affine| Change::Affine(affine);
        let expected = [
            (Change::Brightness(0.4), 0xb091e9882d2b72cd),
            (Change::Brightness(1.7), 0x4069879e67306c59),
            (Change::Contrast(0.4), 0x5ed2df170d3d6a73),
            (Change::Contrast(1.7), 0xa8bca0aca24a79f0),
            (Change::Saturation(0.4), 0xf7f07e67768b3f5a),
            (Change::Saturation(1.7), 0x80111c9aa7c70d0a),
            (Change::Hue(0.1), 0x2f8d724439a50174),
            (Change::Hue(-0.3), 0x582f76c412b1ce4a),
            (Change::Sharpness(0.4), 0x9f8c6c42f7544ef2),
            (Change::Sharpness(1.7), 0xd2aab6747f0cf5eb),
            (Change::Posterize(5), 0x3d0644275bbab47f),
            (Change::Solarize(179), 0xdeb5763056c3baf7),
            (Change::Equalize, 0x28713b3c8a33d04e),
            (Change::FlipVertical, 0x59d8cad5f7a1ac96),
            (Change::FlipHorizontal, 0x7f07db65acdb0316),
            (affine(Affine::rotation(9.0, 23, 17)), 0x8a34a9b8418780ea),
            (affine(Affine::rotation(-25.5, 23, 17)), 0xcf96e9a3a96f354a),
            (affine(Affine::rotation(90.0, 23, 17)), 0xf646ccfb3aa4bbfe),
            (affine(Affine::shear_x(0.09)), 0x51f46946a6554ebf),
            (affine(Affine::shear_y(-0.2)), 0xbaf712acdf176778),
            (affine(Affine::translation(3.0, 0.0)), 0x5a280f1bd8cc2ee3),
            (affine(Affine::translation(0.0, -4.0)), 0xd7ad421c16269436),
        ];
        assert_eq!(fnv1a(source().pixels()), 0xea8db716ce79cc66);
        for (change, hash) in expected {
            assert_eq!(fnv1a(change.apply(source()).pixels()), hash, "{change:?}");
        }
        let pale = tone::map(source(), |value| value / 2 + 30);
        assert_eq!(fnv1a(Change::AutoContrast.apply(pale).pixels()), 0xa232c2b161ed2008);
    }

    #[test]
    fn every_change_takes_grey_and_single_pixels() {
        let all = [
            Change::FlipHorizontal,
            Change::Affine(Affine::rotation(30.0, 1, 1)),
            Change::Contrast(0.5),
            Change::Saturation(0.1),
            Change::Hue(0.5),
            Change::Sharpness(2.0),
            Change::Posterize(4),
            Change::Solarize(0),
            Change::AutoContrast,
            Change::Equalize,
        ];
        for channels in [1, 3] {
            let dot = Raster::new(1, 1, channels, vec![77; channels]);
            for change in all {
                let changed = change.apply(dot.clone());
                assert_eq!((changed.width(), changed.height(), changed.channels()), (1, 1, channels), "{change:?}");
            }
            assert_eq!(Change::Solarize(0).apply(dot.clone()).pixels()[0], 255 - 77);
            assert_eq!(Change::Hue(0.5).apply(dot.clone()), dot);
        }
    }
}
