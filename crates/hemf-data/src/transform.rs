//! From a picture of any size to the network's input.
//!
//! What happens to a sample is drawn first (a [`Geometry`], plain numbers) and applied second, so
//! that either half is tested without the other.

use crate::resample::resample;
use crate::{Augmentation, CropBox, Draws, Error, Preprocessing, Raster};

/// What is done to the pictures of a split.
#[derive(Clone, Debug, PartialEq)]
pub enum Transform {
    /// Random crop and flip.
    Train {
        /// Size and scaling of the result.
        preprocessing: Preprocessing,
        /// What is random.
        augmentation: Augmentation,
    },
    /// The middle of the picture.
    Eval {
        /// Size and scaling of the result.
        preprocessing: Preprocessing,
    },
}

/// Where one sample's pixels come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Geometry {
    /// Crop, resize to the input square, flip.
    Random {
        /// What is kept.
        crop: CropBox,
        /// Left becomes right.
        flip: bool,
    },
    /// Resize the shorter side, crop the middle.
    Central,
}

impl Transform {
    /// Size and scaling of the result.
    pub fn preprocessing(&self) -> &Preprocessing {
        match self {
            Self::Train { preprocessing, .. } | Self::Eval { preprocessing } => preprocessing,
        }
    }

    /// # Errors
    /// Names the first setting that cannot be, and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        if let Self::Train { augmentation, .. } = self {
            augmentation.validate()?;
        }
        self.preprocessing().validate()
    }

    /// Draws what happens to a picture of (width, height).
    pub fn draw(&self, draws: &mut Draws, size: (usize, usize)) -> Geometry {
        match self {
            Self::Train { augmentation, .. } => Geometry::Random {
                crop: CropBox::draw(draws, size, augmentation.scale, augmentation.ratio),
                flip: draws.uniform() < augmentation.horizontal_flip,
            },
            Self::Eval { .. } => Geometry::Central,
        }
    }

    /// Brings a picture to the network's form, (C, size, size) in f32, written to `out`.
    ///
    /// # Panics
    /// When `out` has another length, or the geometry was drawn for another picture.
    pub fn apply(&self, picture: Raster, geometry: Geometry, out: &mut [f32]) {
        let settings = self.preprocessing();
        let picture = if settings.channels == 1 { picture.into_luma() } else { picture };
        let size = settings.size;
        let square = CropBox::whole(size, size);
        match geometry {
            Geometry::Random { crop, flip } => {
                normalise(&resample(&picture, crop, (size, size), square), flip, settings, out);
            }
            Geometry::Central => {
                let whole = CropBox::whole(picture.width(), picture.height());
                let resized = settings.resized(picture.width(), picture.height());
                let middle = CropBox::center(size, resized.0, resized.1);
                normalise(&resample(&picture, whole, resized, middle), false, settings, out);
            }
        }
    }
}

/// Bytes to (value / 255 - mean) / std, channel by channel, mirrored if asked.
fn normalise(picture: &Raster, flip: bool, settings: &Preprocessing, out: &mut [f32]) {
    let (width, channels) = (picture.width(), picture.channels());
    assert_eq!(out.len(), picture.pixels().len(), "room for one sample");
    for (channel, plane) in out.chunks_exact_mut(width * picture.height()).enumerate() {
        let of = |values: &[f32]| values[channel.min(values.len() - 1)];
        let (mean, std) = (of(&settings.mean), of(&settings.std));
        let table: [f32; 256] = std::array::from_fn(|value| (value as f32 / 255.0 - mean) / std);
        let values = picture.pixels()[channel..].iter().step_by(channels);
        for (target, &value) in plane.iter_mut().zip(values) {
            *target = table[usize::from(value)];
        }
        if flip {
            plane.chunks_exact_mut(width).for_each(<[f32]>::reverse);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(preprocessing: Preprocessing) -> Transform {
        Transform::Eval { preprocessing }
    }

    #[test]
    fn flip_mirrors_each_row() {
        let picture = Raster::new(2, 2, 3, (0..12).map(|v| v * 20).collect());
        let preprocessing = Preprocessing { size: 2, resize: 2, ..Default::default() };
        let transform = Transform::Train { preprocessing, augmentation: Augmentation::default() };
        let crop = CropBox { top: 0, left: 0, height: 2, width: 2 };
        let apply = |flip| {
            let mut out = [0f32; 12];
            transform.apply(picture.clone(), Geometry::Random { crop, flip }, &mut out);
            out
        };
        let (plain, flipped) = (apply(false), apply(true));
        for (row, mirrored) in plain.chunks(2).zip(flipped.chunks(2)) {
            assert_eq!([row[0], row[1]], [mirrored[1], mirrored[0]]);
        }
        assert_eq!(plain[0], -1.0);
        assert_ne!(plain, flipped);
    }

    #[test]
    fn one_channel_is_luma() {
        let picture = Raster::new(1, 1, 3, vec![10, 200, 30]);
        let preprocessing =
            Preprocessing { size: 1, resize: 1, channels: 1, mean: vec![0.0], std: vec![1.0], ..Default::default() };
        let mut out = [0f32];
        eval(preprocessing).apply(picture, Geometry::Central, &mut out);
        assert_eq!(out, [124.0 / 255.0]);
    }

    #[test]
    fn long_thin_pictures_keep_their_middle() {
        for (width, height) in [(1, 500), (500, 1), (3, 2)] {
            let picture = Raster::new(width, height, 3, vec![128; width * height * 3]);
            let mut out = vec![0f32; 3 * 8 * 8];
            eval(Preprocessing { size: 8, resize: 9, ..Default::default() }).apply(
                picture,
                Geometry::Central,
                &mut out,
            );
            assert!(out.iter().all(|&v| (v - 0.003_921_6).abs() < 1e-6), "{width} x {height}");
        }
    }
}
