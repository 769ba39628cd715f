//! From a picture of any size to the network's input.
//!
//! What happens to a sample is drawn first ([`Drawn`], plain numbers) and applied second, so
//! that either half is tested without the other.

use crate::resample::resample;
use crate::{Augmentation, Change, CropBox, Draws, Error, Preprocessing, Raster};

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
    /// Resize the shorter side, crop a corner.
    Corner {
        /// The right side and not the left one.
        right: bool,
        /// The lower side and not the upper one.
        below: bool,
    },
}

/// All that happens to one sample before it meets others.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// Where its pixels come from.
    pub geometry: Geometry,
    /// Changes to the square that results, in order.
    pub changes: Vec<Change>,
    /// What becomes 0 once values are scaled.
    pub erased: Option<CropBox>,
}

impl From<Geometry> for Drawn {
    fn from(geometry: Geometry) -> Self {
        Self { geometry, changes: Vec::new(), erased: None }
    }
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
    pub fn draw(&self, draws: &mut Draws, size: (usize, usize)) -> Drawn {
        match self {
            Self::Train { augmentation, preprocessing } => {
                let side = preprocessing.size;
                let geometry = Geometry::Random {
                    crop: CropBox::draw(draws, size, augmentation.scale, augmentation.ratio),
                    flip: draws.uniform() < augmentation.horizontal_flip,
                };
                let changes = augmentation.draw_changes(draws, (side, side));
                let erased = augmentation.erasing.as_ref().and_then(|erasing| erasing.draw(draws, side));
                Drawn { geometry, changes, erased }
            }
            Self::Eval { .. } => Geometry::Central.into(),
        }
    }

    /// Brings a picture to the network's form, (C, size, size) in f32, written to `out`.
    ///
    /// # Panics
    /// When `out` has another length, or the geometry was drawn for another picture.
    pub fn apply(&self, picture: &Raster, drawn: impl Into<Drawn>, out: &mut [f32]) {
        let Drawn { geometry, changes, erased } = drawn.into();
        let settings = self.preprocessing();
        let luma = (settings.channels == 1).then(|| picture.clone().into_luma());
        let picture = luma.as_ref().unwrap_or(picture);
        let size = settings.size;
        let (mut square, mut flip) = match geometry {
            Geometry::Random { crop, flip } => {
                (resample(picture, crop, (size, size), CropBox::whole(size, size)), flip)
            }
            Geometry::Central | Geometry::Corner { .. } => {
                let whole = CropBox::whole(picture.width(), picture.height());
                let (width, height) = settings.resized(picture.width(), picture.height());
                let window = match geometry {
                    Geometry::Corner { right, below } => CropBox {
                        top: if below { height - size } else { 0 },
                        left: if right { width - size } else { 0 },
                        height: size,
                        width: size,
                    },
                    _ => CropBox::center(size, width, height),
                };
                (resample(picture, whole, (width, height), window), false)
            }
        };
        if flip && !changes.is_empty() {
            square = Change::FlipHorizontal.apply(square);
            flip = false;
        }
        let square = changes.iter().fold(square, |square, change| change.apply(square));
        normalise(&square, flip, settings, out);
        if let Some(part) = erased {
            for plane in out.chunks_exact_mut(size * size) {
                let rows = plane.chunks_exact_mut(size).skip(part.top).take(part.height);
                rows.for_each(|row| row[part.left..part.left + part.width].fill(0.0));
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
            transform.apply(&picture, Geometry::Random { crop, flip }, &mut out);
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
        eval(preprocessing).apply(&picture, Geometry::Central, &mut out);
        assert_eq!(out, [124.0 / 255.0]);
    }

    #[test]
    fn long_thin_pictures_keep_their_middle_and_corners() {
        let corner = Geometry::Corner { right: true, below: true };
        // The last ones are resized to millions of pixels' length, of which the crop alone is made.
        for (width, height) in [(1, 500), (500, 1), (3, 2), (1, 60_000), (60_000, 1)] {
            let picture = Raster::new(width, height, 3, vec![128; width * height * 3]);
            for geometry in [Geometry::Central, corner] {
                let mut out = vec![0f32; 3 * 128 * 128];
                let transform = eval(Preprocessing { size: 128, resize: 144, ..Default::default() });
                let begun = std::time::Instant::now();
                transform.apply(&picture, geometry, &mut out);
                assert!(out.iter().all(|&v| (v - 0.003_921_6).abs() < 1e-6), "{width} x {height}");
                assert!(begun.elapsed().as_secs_f64() < 1.0, "{width} x {height}: {:?}", begun.elapsed());
            }
        }
    }

    #[test]
    fn changes_come_after_the_flip_and_erasing_last() {
        let picture = Raster::new(2, 2, 3, (0..12).map(|v| v * 20).collect());
        let preprocessing = Preprocessing { size: 2, resize: 2, ..Default::default() };
        let transform = Transform::Train { preprocessing, augmentation: Augmentation::default() };
        let crop = CropBox { top: 0, left: 0, height: 2, width: 2 };
        let apply = |flip, changes: &[Change], erased| {
            let mut out = [9f32; 12];
            let geometry = Geometry::Random { crop, flip };
            transform.apply(&picture, Drawn { geometry, changes: changes.to_vec(), erased }, &mut out);
            out
        };
        // Two mirrors are none; a flip is the same before another change.
        assert_eq!(apply(true, &[Change::FlipHorizontal], None), apply(false, &[], None));
        assert_eq!(apply(true, &[Change::Posterize(8)], None), apply(true, &[], None));
        let erased = apply(false, &[], Some(CropBox { top: 1, left: 0, height: 1, width: 2 }));
        let plain = apply(false, &[], None);
        for (plane, whole) in erased.chunks(4).zip(plain.chunks(4)) {
            assert_eq!(plane, [whole[0], whole[1], 0.0, 0.0]);
        }
    }

    #[test]
    fn what_is_off_draws_nothing() {
        let preprocessing = Preprocessing::for_size(32);
        let published =
            Transform::Train { preprocessing: preprocessing.clone(), augmentation: Augmentation::default() };
        let more = Augmentation { rotation: 10.0, erasing: Some(Default::default()), ..Default::default() };
        let more = Transform::Train { preprocessing, augmentation: more };
        let mut erased = 0;
        for sample in 0..200 {
            let draw = |transform: &Transform| transform.draw(&mut Draws::new("augment", 1, &[sample]), (50, 40));
            let (plain, changed) = (draw(&published), draw(&more));
            assert!(plain.changes.is_empty() && plain.erased.is_none());
            assert_eq!(plain.geometry, changed.geometry);
            assert_eq!(changed.changes.len(), 1);
            if let Some(part) = changed.erased {
                assert!(part.fits(32, 32));
                erased += 1;
            }
        }
        assert!((70..130).contains(&erased), "{erased} of 200");
    }
}
