//! Heat maps and how they are laid over a picture.

use hemf_data::{Preprocessing, Raster, resize};

use crate::View;

/// How much each part of a picture counts, from 0 to 1, rows from the top.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

/// Stops of the ramp from black over red to pale yellow (matplotlib's *inferno*), whose order is seen without colour.
const RAMP: [[u8; 3]; 9] = [
    [0, 0, 4],
    [31, 12, 72],
    [85, 15, 109],
    [136, 34, 106],
    [186, 54, 85],
    [227, 89, 51],
    [249, 140, 10],
    [249, 201, 50],
    [252, 255, 164],
];

impl HeatMap {
    /// Takes `width * height` values, cuts what is below 0 and divides by the largest. Where nothing is above 0, all
    /// is 0.
    ///
    /// # Panics
    /// When there is another number of values, or none.
    pub fn new(width: usize, height: usize, values: Vec<f32>) -> Self {
        assert_eq!(values.len(), width * height, "values of a {width} x {height} map");
        let largest = values.iter().copied().fold(0.0, f32::max);
        let scale = if largest > 0.0 { 1.0 / largest } else { 0.0 };
        Self { width, height, values: values.into_iter().map(|value| value.max(0.0) * scale).collect() }
    }

    /// Columns and rows.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// All values, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The value at a place given in shares of the width and height, bilinear between the middles of the cells.
    fn at(&self, x: f32, y: f32) -> f32 {
        let side = |share: f32, cells: usize| {
            let place = (share * cells as f32 - 0.5).clamp(0.0, (cells - 1) as f32);
            let low = place as usize;
            (low, (low + 1).min(cells - 1), place - low as f32)
        };
        let ((x0, x1, tx), (y0, y1, ty)) = (side(x, self.width), side(y, self.height));
        let value = |x: usize, y: usize| self.values[y * self.width + x];
        let row = |y: usize| value(x0, y) + (value(x1, y) - value(x0, y)) * tx;
        row(y0) + (row(y1) - row(y0)) * ty
    }

    /// The picture in grey with the map in colours over it, more of them where the map is higher.
    pub fn over(&self, picture: &Raster) -> Raster {
        let (width, height) = (picture.width(), picture.height());
        let grey = picture.clone().into_luma();
        let mut pixels = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            for (x, &luma) in grey.row(y).iter().enumerate() {
                let heat = self.at((x as f32 + 0.5) / width as f32, (y as f32 + 0.5) / height as f32);
                let opacity = 0.7 * heat.sqrt();
                let mix = |colour: u8| f32::from(luma) * (1.0 - opacity) + f32::from(colour) * opacity;
                pixels.extend(ramp(heat).map(|colour| mix(colour).round() as u8));
            }
        }
        Raster::new(width, height, 3, pixels)
    }
}

fn ramp(share: f32) -> [u8; 3] {
    let place = share.clamp(0.0, 1.0) * (RAMP.len() - 1) as f32;
    let low = (place as usize).min(RAMP.len() - 2);
    let t = place - low as f32;
    std::array::from_fn(|c| {
        let (from, to) = (f32::from(RAMP[low][c]), f32::from(RAMP[low + 1][c]));
        (from + (to - from) * t).round() as u8
    })
}

/// What the network saw of a picture, as a picture of `side` x `side` pixels.
pub fn seen(picture: &Raster, settings: &Preprocessing, side: usize) -> Raster {
    let plain = Preprocessing { mean: vec![0.0], std: vec![1.0], ..settings.clone() };
    let (size, channels) = (plain.size, plain.channels);
    let mut planes = vec![0f32; channels * size * size];
    View::PLAIN.apply(picture, &plain, &mut planes);
    let value = |pixel: usize, channel: usize| (planes[channel * size * size + pixel] * 255.0).round() as u8;
    let pixels = (0..size * size).flat_map(|pixel| (0..channels).map(move |channel| (pixel, channel)));
    let seen = Raster::new(size, size, channels, pixels.map(|(pixel, channel)| value(pixel, channel)).collect());
    if side == size { seen } else { resize(&seen, side, side) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_cut_at_zero_and_scaled() {
        let map = HeatMap::new(2, 1, vec![-1.0, 4.0]);
        assert_eq!(map.values(), [0.0, 1.0]);
        assert_eq!(HeatMap::new(1, 1, vec![-2.0]).values(), [0.0]);
    }

    #[test]
    fn what_is_cold_keeps_the_grey_and_what_is_hot_is_coloured() {
        let picture = Raster::new(8, 8, 3, [200, 100, 50].repeat(64));
        let luma = picture.clone().into_luma().pixels()[0];
        let over = HeatMap::new(2, 1, vec![0.0, 1.0]).over(&picture);
        assert_eq!(over.row(3)[..3], [luma; 3]);
        let hot = &over.row(3)[7 * 3..];
        assert!(hot[0] > hot[2] + 40, "{hot:?}");
    }

    #[test]
    fn the_network_sees_the_middle() {
        let mut pixels = vec![0; 20 * 10 * 3];
        for y in 0..10 {
            for x in 5..15 {
                pixels[(y * 20 + x) * 3] = 255;
            }
        }
        let settings = Preprocessing { size: 10, resize: 10, ..Preprocessing::default() };
        let seen = seen(&Raster::new(20, 10, 3, pixels), &settings, 10);
        assert_eq!(seen.pixels(), [255, 0, 0].repeat(100));
    }
}
