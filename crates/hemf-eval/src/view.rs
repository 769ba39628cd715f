//! How a picture is looked at: once, as in training's validation, or several times (test-time augmentation).

use hemf_data::{Geometry, Preprocessing, Raster, Transform};
use serde::{Deserialize, Serialize};

/// Which views of each picture are averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Views {
    /// The middle, as in validation.
    #[default]
    One,
    /// The middle, and mirrored left-right, top-bottom and both.
    Flips,
    /// The middle and the four corners of the resized picture.
    FiveCrops,
    /// The same, and each mirrored left-right.
    TenCrops,
    /// The middle at three magnifications: 1, 1.15 and 1.3.
    Scales,
}

/// One look at a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    place: Geometry,
    left_right: bool,
    top_bottom: bool,
    magnification: f64,
}

impl View {
    /// The view of validation and training's reports.
    pub const PLAIN: Self = Self { place: Geometry::Central, left_right: false, top_bottom: false, magnification: 1.0 };

    /// Brings a picture to the network's form, (C, size, size), written to `out`.
    ///
    /// # Panics
    /// When `out` has another length.
    pub fn apply(&self, picture: &Raster, settings: &Preprocessing, out: &mut [f32]) {
        let size = settings.size;
        let resize = (settings.resize as f64 * self.magnification).round() as usize;
        let preprocessing = Preprocessing { resize, ..settings.clone() };
        Transform::Eval { preprocessing }.apply(picture, self.place, out);
        if self.left_right {
            out.chunks_exact_mut(size).for_each(<[f32]>::reverse);
        }
        if self.top_bottom {
            for plane in out.chunks_exact_mut(size * size) {
                plane.reverse(); // turned by half a circle, ...
                plane.chunks_exact_mut(size).for_each(<[f32]>::reverse); // ... and back left to right
            }
        }
    }
}

impl Views {
    /// The views, the plain one first.
    pub fn list(self) -> Vec<View> {
        let plain = View::PLAIN;
        let mirrored = |view: View| View { left_right: true, ..view };
        let corners = [(false, false), (true, false), (false, true), (true, true)];
        let corners = corners.map(|(right, below)| View { place: Geometry::Corner { right, below }, ..plain });
        let five = || std::iter::once(plain).chain(corners);
        match self {
            Self::One => vec![plain],
            Self::Flips => {
                let upside_down = View { top_bottom: true, ..plain };
                vec![plain, mirrored(plain), upside_down, mirrored(upside_down)]
            }
            Self::FiveCrops => five().collect(),
            Self::TenCrops => five().chain(five().map(mirrored)).collect(),
            Self::Scales => [1.0, 1.15, 1.3].map(|magnification| View { magnification, ..plain }).to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Raster {
        Raster::new(40, 30, 3, (0..40 * 30 * 3).map(|i| (i * 7 % 251) as u8).collect())
    }

    fn seen(view: View) -> Vec<f32> {
        let settings = Preprocessing { size: 16, resize: 20, ..Preprocessing::default() };
        let mut out = vec![0.0; 3 * 16 * 16];
        view.apply(&picture(), &settings, &mut out);
        out
    }

    #[test]
    fn the_first_view_is_that_of_validation() {
        let preprocessing = Preprocessing { size: 16, resize: 20, ..Preprocessing::default() };
        let mut expected = vec![0.0; 3 * 16 * 16];
        Transform::Eval { preprocessing }.apply(&picture(), Geometry::Central, &mut expected);
        for views in [Views::One, Views::Flips, Views::FiveCrops, Views::TenCrops, Views::Scales] {
            assert_eq!(seen(views.list()[0]), expected, "{views:?}");
        }
    }

    #[test]
    fn every_view_is_another() {
        for (views, count) in
            [(Views::One, 1), (Views::Flips, 4), (Views::FiveCrops, 5), (Views::TenCrops, 10), (Views::Scales, 3)]
        {
            let seen: Vec<Vec<f32>> = views.list().into_iter().map(seen).collect();
            assert_eq!(seen.len(), count);
            for (i, one) in seen.iter().enumerate() {
                assert!(seen[..i].iter().all(|other| other != one), "{views:?}: view {i} is seen twice");
            }
        }
    }

    #[test]
    fn flips_move_the_corners() {
        let [plain, mirrored, upside_down, turned] = Views::Flips.list().map_to_corner();
        assert_eq!(mirrored, [plain[1], plain[0], plain[3], plain[2]]);
        assert_eq!(upside_down, [plain[2], plain[3], plain[0], plain[1]]);
        assert_eq!(turned, [plain[3], plain[2], plain[1], plain[0]]);
    }

    trait Corners {
        fn map_to_corner(self) -> [[f32; 4]; 4];
    }

    impl Corners for Vec<View> {
        /// Upper left, upper right, lower left, lower right of the first channel of each view.
        fn map_to_corner(self) -> [[f32; 4]; 4] {
            let corners = |view: &View| {
                let seen = seen(*view);
                [seen[0], seen[15], seen[15 * 16], seen[16 * 16 - 1]]
            };
            self.iter().map(corners).collect::<Vec<_>>().try_into().unwrap()
        }
    }

    #[test]
    fn a_corner_crop_is_cut_and_not_resized_again() {
        // 40 x 30 at 20 pixels for the shorter side is 26 x 20; the lower right crop ends with its last pixel.
        let resized = hemf_data::resize(&picture(), 26, 20);
        let last = f32::from(resized.pixels()[(26 * 20 - 1) * 3]);
        let seen = seen(View { place: Geometry::Corner { right: true, below: true }, ..View::PLAIN });
        assert!((seen[16 * 16 - 1] - (last / 255.0 - 0.5) / 0.5).abs() < 1e-6);
    }
}
