//! Moving pixels: rotation, shear, translation; nearest neighbour, as Pillow's `Image.transform`.

use crate::Raster;

/// Where the pixel at (x, y) comes from: (a x + b y + c, d x + e y + f).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    matrix: [f64; 6],
}

impl Affine {
    /// Turns a (width, height) picture about its middle, counter-clockwise.
    pub fn rotation(degrees: f64, width: usize, height: usize) -> Self {
        let angle = -degrees.to_radians();
        // Pillow rounds to 15 places, so that a right angle is one.
        let round = |value: f64| (value * 1e15).round() / 1e15;
        let (cos, sin) = (round(angle.cos()), round(angle.sin()));
        let (x, y) = (width as f64 / 2.0, height as f64 / 2.0);
        Self { matrix: [cos, sin, x - (cos * x + sin * y), -sin, cos, y - (-sin * x + cos * y)] }
    }

    /// Rows slide by `shear` times their distance from the top.
    pub fn shear_x(shear: f64) -> Self {
        Self { matrix: [1.0, shear, 0.0, 0.0, 1.0, 0.0] }
    }

    /// Columns slide by `shear` times their distance from the left.
    pub fn shear_y(shear: f64) -> Self {
        Self { matrix: [1.0, 0.0, 0.0, shear, 1.0, 0.0] }
    }

    /// Moves right and down.
    pub fn translation(x: f64, y: f64) -> Self {
        Self { matrix: [1.0, 0.0, -x, 0.0, 1.0, -y] }
    }

    /// The moved picture, of the same size. In 16-bit fixed point, as Pillow does it.
    pub(super) fn apply(&self, picture: &Raster) -> Raster {
        const ONE: f64 = 65_536.0;
        let [a, b, c, d, e, f] = self.matrix;
        let fixed = |value: f64| (value * ONE + 0.5).floor() as i64;
        let (width, height, channels) = (picture.width(), picture.height(), picture.channels());
        let mut pixels = vec![0; width * height * channels];
        // The source of each row's first pixel, by pixel centres.
        let (mut row_x, mut row_y) = (fixed(c + a * 0.5 + b * 0.5), fixed(f + d * 0.5 + e * 0.5));
        for row in pixels.chunks_exact_mut(width * channels) {
            let (mut x, mut y) = (row_x, row_y);
            for pixel in row.chunks_exact_mut(channels) {
                let (from_x, from_y) = (x >> 16, y >> 16);
                if (0..width as i64).contains(&from_x) && (0..height as i64).contains(&from_y) {
                    let at = from_x as usize * channels;
                    pixel.copy_from_slice(&picture.row(from_y as usize)[at..at + channels]);
                }
                x += fixed(a);
                y += fixed(d);
            }
            row_x += fixed(b);
            row_y += fixed(e);
        }
        Raster::new(width, height, channels, pixels)
    }
}
