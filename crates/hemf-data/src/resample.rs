//! Bilinear resizing, equal to Pillow's bit for bit.
//!
//! For each axis and each output place: the triangle filter, widened by the scale when shrinking
//! (antialias), is sampled at the input pixels it covers, normalised in f64 and rounded to 22-bit
//! fixed point. One pass goes along each axis, and the first rounds its result to 8 bits for the
//! second. The bits depend on the order of the passes and of every operation below, so both are
//! Pillow's (`src/libImaging/Resample.c`, release 13.0): horizontal first, unless the height shrinks
//! by more than twice as many pixels as the width ([`vertical_first`]). Older releases always went
//! horizontal first; the two orders differ by a level here and there.

use std::ops::Range;

use crate::{CropBox, Raster};

/// Fraction bits: 32 for the accumulator, less 8 for the pixel and 2 for overshoot.
const PRECISION: u32 = 32 - 8 - 2;
const HALF: i32 = 1 << (PRECISION - 1);

/// Resizes `source` to `width` x `height`: Pillow's `resize((width, height), BILINEAR)`.
pub fn resize(source: &Raster, width: usize, height: usize) -> Raster {
    resized_crop(source, CropBox::whole(source.width(), source.height()), width, height)
}

/// Crops, then resizes, as torchvision's `resized_crop` does: pixels outside the box have no influence.
///
/// # Panics
/// When the box is empty or reaches outside the picture, or a target side is zero.
pub fn resized_crop(source: &Raster, crop: CropBox, width: usize, height: usize) -> Raster {
    resample(source, crop, (width, height), CropBox::whole(width, height))
}

/// Crops `source` to `crop`, resizes that to (width, height), and keeps `window` of the result. Only
/// what the window needs is computed, so that a long thin picture takes no more memory than another.
pub(crate) fn resample(source: &Raster, crop: CropBox, (width, height): (usize, usize), window: CropBox) -> Raster {
    assert!(crop.fits(source.width(), source.height()), "{crop:?} is not inside the picture");
    assert!(window.fits(width, height), "{window:?} is not inside the result");
    let columns = Taps::new(crop.width, width, window.left..window.left + window.width);
    let rows = Taps::new(crop.height, height, window.top..window.top + window.height);
    let first = vertical_first(crop, (width, height));
    let pixels = match source.channels() {
        1 => two_passes::<1>(source, crop, &columns, &rows, first),
        _ => two_passes::<3>(source, crop, &columns, &rows, first),
    };
    Raster::new(window.width, window.height, source.channels(), pixels)
}

/// Pillow 13's choice of the first pass. The rule was found by comparing both orders with its results
/// on 5000 random sizes.
fn vertical_first(crop: CropBox, (width, height): (usize, usize)) -> bool {
    height < crop.height && crop.height - height > 2 * crop.width.saturating_sub(width)
}

/// Both passes over the part of `crop` that is needed. An axis whose size stays has a filter with one
/// weight of 1, which copies.
fn two_passes<const C: usize>(
    source: &Raster,
    crop: CropBox,
    columns: &Taps,
    rows: &Taps,
    vertical_first: bool,
) -> Vec<u8> {
    let (xs, ys) = (columns.span(), rows.span());
    let needed = ys.clone().map(|y| {
        let row = source.row(crop.top + y);
        &row[(crop.left + xs.start) * C..(crop.left + xs.end) * C]
    });
    let stride = columns.runs.len() * C;
    if vertical_first {
        let tall: Vec<u8> = needed.flatten().copied().collect();
        let low = vertical(&tall, xs.len() * C, rows, ys.start);
        let mut out = vec![0; rows.runs.len() * stride];
        for (row, out) in low.chunks_exact(xs.len() * C).zip(out.chunks_exact_mut(stride)) {
            horizontal::<C>(row, columns, xs.start, out);
        }
        out
    } else {
        let mut narrow = vec![0; ys.len() * stride];
        for (row, out) in needed.zip(narrow.chunks_exact_mut(stride)) {
            horizontal::<C>(row, columns, xs.start, out);
        }
        vertical(&narrow, stride, rows, ys.start)
    }
}

/// One row: each output pixel is a weighted sum of a run of input pixels. `row` begins with input
/// column `start`.
fn horizontal<const C: usize>(row: &[u8], taps: &Taps, start: usize, out: &mut [u8]) {
    for (pixel, (first, weights)) in out.chunks_exact_mut(C).zip(taps.iter()) {
        let mut sums = [HALF; C];
        for (source, &weight) in row[(first - start) * C..].chunks_exact(C).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(source) {
                *sum += i32::from(value) * weight;
            }
        }
        for (target, sum) in pixel.iter_mut().zip(sums) {
            *target = clip(sum);
        }
    }
}

/// All rows: each output row is a weighted sum of a run of input rows of `stride` bytes. `rows` begins
/// with input row `start`.
fn vertical(rows: &[u8], stride: usize, taps: &Taps, start: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(taps.runs.len() * stride);
    let mut sums = vec![0i32; stride];
    for (first, weights) in taps.iter() {
        sums.fill(HALF);
        for (row, &weight) in rows[(first - start) * stride..].chunks_exact(stride).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        out.extend(sums.iter().map(|&sum| clip(sum)));
    }
    out
}

fn clip(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// The filter of one axis: for each output place, the first input place and the weights from there.
struct Taps {
    weights: Vec<i32>,
    /// (first input place, where its weights begin in `weights`, how many)
    runs: Vec<(usize, usize, usize)>,
}

impl Taps {
    /// The filter that takes `input` places to `output`, for the output places in `window`.
    fn new(input: usize, output: usize, window: Range<usize>) -> Self {
        let scale = input as f64 / output as f64;
        let stretch = scale.max(1.0);
        let support = 1.0 * stretch; // the triangle reaches one pixel to each side
        let shrink = 1.0 / stretch;
        let mut taps = Self { weights: Vec::new(), runs: Vec::with_capacity(window.len()) };
        let mut exact = Vec::new();
        for place in window {
            let center = (place as f64 + 0.5) * scale;
            let first = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(input);
            exact.clear();
            exact.extend((first..end).map(|x| triangle((x as f64 - center + 0.5) * shrink)));
            let total: f64 = exact.iter().sum();
            taps.runs.push((first, taps.weights.len(), exact.len()));
            taps.weights.extend(exact.iter().map(|weight| {
                let weight = if total == 0.0 { *weight } else { weight / total };
                (0.5 + weight * f64::from(1 << PRECISION)) as i32
            }));
        }
        taps
    }

    /// The input places that are used.
    fn span(&self) -> Range<usize> {
        let start = self.runs.first().map_or(0, |run| run.0);
        start..self.runs.last().map_or(0, |run| run.0 + run.2)
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        self.runs.iter().map(|&(first, at, count)| (first, &self.weights[at..at + count]))
    }
}

fn triangle(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 { 1.0 - x } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_pixel_fills_everything() {
        let dot = Raster::new(1, 1, 3, vec![9, 120, 255]);
        assert_eq!(resize(&dot, 5, 2).pixels(), [9, 120, 255].repeat(10));
    }

    #[test]
    fn outside_the_box_has_no_influence() {
        let mut pixels = vec![255u8; 100];
        for y in 2..6 {
            for x in 3..8 {
                pixels[y * 10 + x] = (10 * x + y) as u8;
            }
        }
        let around = Raster::new(10, 10, 1, pixels);
        let inside: Vec<u8> = (2..6).flat_map(|y| around.row(y)[3..8].to_vec()).collect();
        let crop = CropBox { top: 2, left: 3, height: 4, width: 5 };
        let expected = resize(&Raster::new(5, 4, 1, inside), 7, 3);
        assert_eq!(resized_crop(&around, crop, 7, 3), expected);
    }

    #[test]
    fn a_long_thin_picture_takes_little_memory() {
        // The whole result would be 256 x 768 000 000 pixels.
        let thin = Raster::new(1, 3_000_000, 1, vec![77; 3_000_000]);
        let window = CropBox { top: 400_000_000, left: 16, height: 224, width: 224 };
        let out = resample(&thin, CropBox::whole(1, 3_000_000), (256, 768_000_000), window);
        assert!(out.pixels().iter().all(|&v| v == 77));
    }

    #[test]
    fn the_order_of_passes_follows_pillow() {
        let order = |w, h, to_w, to_h| vertical_first(CropBox::whole(w, h), (to_w, to_h));
        // Seen in Pillow 13.0.0: the pass order that gives its bits, on either side of the limit.
        assert!(order(40, 50, 20, 9) && !order(40, 50, 20, 10));
        assert!(order(40, 100, 10, 39) && !order(40, 100, 10, 40));
        assert!(order(40, 50, 60, 49) && !order(40, 50, 60, 50));
        assert!(order(5, 7, 13, 3) && !order(333, 200, 97, 61));
    }

    proptest! {
        #[test]
        fn a_window_is_a_part_of_the_whole(
            seed: u64, w in 1usize..20, h in 1usize..20, to_w in 1usize..30, to_h in 1usize..30,
        ) {
            let mut draws = crate::Draws::new("test", seed, &[]);
            let picture = Raster::new(w, h, 1, (0..w * h).map(|_| draws.below(256) as u8).collect());
            let window = CropBox::draw(&mut draws, (to_w, to_h), [0.1, 1.0], [0.5, 2.0]);
            let part = resample(&picture, CropBox::whole(w, h), (to_w, to_h), window);
            let all = resize(&picture, to_w, to_h);
            for y in 0..window.height {
                let expected = &all.row(window.top + y)[window.left..window.left + window.width];
                prop_assert_eq!(part.row(y), expected);
            }
        }

        #[test]
        fn a_constant_picture_stays_constant(
            value: u8, w in 1usize..60, h in 1usize..60, to_w in 1usize..60, to_h in 1usize..60,
        ) {
            let flat = Raster::new(w, h, 1, vec![value; w * h]);
            let out = resize(&flat, to_w, to_h);
            prop_assert!(out.pixels().iter().all(|&v| v == value));
        }

        #[test]
        fn channels_do_not_mix(
            seed: u64, w in 1usize..20, h in 1usize..20, to_w in 1usize..30, to_h in 1usize..30,
        ) {
            let mut draws = crate::Draws::new("test", seed, &[]);
            let grey: Vec<u8> = (0..w * h).map(|_| draws.below(256) as u8).collect();
            let colour = grey.iter().flat_map(|&v| [v, 255 - v, 40]).collect();
            let one = resize(&Raster::new(w, h, 1, grey), to_w, to_h);
            let three = resize(&Raster::new(w, h, 3, colour), to_w, to_h);
            prop_assert!(three.pixels().chunks_exact(3).map(|p| p[0]).eq(one.pixels().iter().copied()));
            prop_assert!(three.pixels().chunks_exact(3).all(|p| p[2] == 40));
        }
    }
}
