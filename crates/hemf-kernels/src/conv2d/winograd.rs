//! Winograd's F(4x4, 3x3): a 3x3 convolution of stride 1 with 36 instead of 144 multiplications for 16 results.
//!
//! The map is cut into tiles (`winograd_tile.rs`). For each of the 36 points, the tiles of all pixels times the weights of
//! all channels are a matrix product, and these 36 products are all the work that matters:
//!
//! - V = Bᵀ D B of each tile of the input; U = G W Gᵀ of each filter; M = V U for each point; y = Aᵀ M A + bias.
//! - The gradient of the input is the same with the filters turned and their channels swapped.
//! - The gradient of the weight goes the way back: dM = A dy Aᵀ; dU = dMᵀ V for each point; dW = Gᵀ dU G.

use super::winograd_tile::{self as tile, POINTS, SIDE, WIDE};
use super::{Geometry, direct};
use crate::matmul::{Mat, PANEL, Packed, Panelled, Panels, Start, matmul_here, matmul_packed_here};
use crate::packed::Finish;
use crate::parallel::{self, Scattered};
use crate::simd::vectorised;
use rayon::prelude::*;
use std::ops::Range;

/// Channels come in whole vectors of any instruction set.
const CHANNELS: usize = 16;

/// What a convolution asks for besides products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weights {
    /// Nothing: the gradient of the weight.
    None,
    /// Filters that were transformed before, and are four times as large as the weight.
    Kept,
    /// Filters that are transformed for this convolution alone.
    New,
}

/// Whether the tiles can do this convolution, and whether that pays: at few channels the transforms cost more than they
/// save, and at few pixels reading, or making, the transformed filters does. (Measured at 96 to 768 channels on 7x7 to
/// 56x56 pixels.)
pub(super) fn suits(g: &Geometry, weights: Weights) -> bool {
    const LEAST: usize = 48;
    let channels = |n: usize| n.is_multiple_of(CHANNELS) && n >= LEAST;
    let pixels = match weights {
        Weights::None => 0,
        Weights::Kept => 320,
        Weights::New => 640,
    };
    let large = g.batch * g.height * g.width >= pixels;
    g.k == 3 && g.stride == 1 && g.padding == 1 && channels(g.inputs) && channels(g.outputs) && large
}

/// The tiles of a map.
#[derive(Clone, Copy)]
struct Tiles {
    height: usize,
    width: usize,
    across: usize,
    down: usize,
    /// In all images.
    count: usize,
}

impl Tiles {
    fn new(g: &Geometry) -> Self {
        let (across, down) = (g.width.div_ceil(SIDE), g.height.div_ceil(SIDE));
        Self { height: g.height, width: g.width, across, down, count: g.batch * across * down }
    }

    /// The tiles that are worked on at a time: all of their values stay in the second cache where there are few
    /// channels; where there are many, the weights are what is large, and many tiles should share them.
    fn chunks(&self, channels: usize) -> impl IndexedParallelIterator<Item = Range<usize>> + use<> {
        let most = if channels <= 192 { 12_288 / channels } else { 49_152 / channels };
        let chunks = self.count.div_ceil(most.max(1));
        let (each, count) = (self.count.div_ceil(chunks), self.count);
        (0..chunks).into_par_iter().map(move |i| (i * each).min(count)..((i + 1) * each).min(count))
    }

    /// Where in the map the pixels of a tile of `N` x `N` lie that begins `margin` above and left of the tile's results.
    fn pixels<const N: usize>(&self, tile: usize, margin: usize) -> [[Option<usize>; N]; N] {
        let (line, column) = (tile / self.across, tile % self.across);
        let (image, line) = (line / self.down, line % self.down);
        let mut pixels = [[None; N]; N];
        for (i, row) in pixels.iter_mut().enumerate() {
            let Some(y) = (line * SIDE + i).checked_sub(margin).filter(|y| *y < self.height) else { continue };
            for (j, pixel) in row.iter_mut().enumerate() {
                let x = (column * SIDE + j).checked_sub(margin).filter(|x| *x < self.width);
                *pixel = x.map(|x| (image * self.height + y) * self.width + x);
            }
        }
        pixels
    }

    /// Pointers to these pixels; where they lie beside the map, to `nothing`.
    fn values<const N: usize>(&self, tile: usize, margin: usize, map: &[f32], nothing: &[f32]) -> [[*const f32; N]; N] {
        let channels = nothing.len();
        let value = |pixel: Option<usize>| match pixel {
            Some(at) => map[at * channels..][..channels].as_ptr(),
            None => nothing.as_ptr(),
        };
        self.pixels::<N>(tile, margin).map(|row| row.map(value))
    }
}

/// Transformed filters, packed for the products: 36 matrices (inputs, outputs).
#[derive(Clone, Debug)]
pub(crate) struct Filters {
    values: Vec<f32>,
    shape: Panelled,
}

impl Filters {
    /// Of a weight (O, I, 3, 3).
    pub(crate) fn new(w: &[f32], g: &Geometry) -> Self {
        let inputs = g.inputs;
        Self::of(Panelled { rows: inputs, cols: g.outputs }, |i, o| {
            *w[(o * inputs + i) * 9..].first_chunk().expect("nine values for each filter")
        })
    }

    /// The same of a weight that is packed for the direct form.
    pub(crate) fn of_packed(weight: &Packed, g: &Geometry) -> Self {
        let inputs = g.inputs;
        Self::of(Panelled { rows: inputs, cols: g.outputs }, |i, o| direct::filter(weight, inputs, i, o))
    }

    /// Of a weight (O, I, 3, 3), for the gradient of the input: turned by 180 degrees, from O to I channels.
    pub(super) fn turned(w: &[f32], g: &Geometry) -> Self {
        let inputs = g.inputs;
        Self::of(Panelled { rows: g.outputs, cols: inputs }, |o, i| {
            let mut filter: [f32; 9] = *w[(o * inputs + i) * 9..].first_chunk().expect("nine values for each filter");
            filter.reverse();
            filter
        })
    }

    fn of(shape: Panelled, filter: impl Fn(usize, usize) -> [f32; 9] + Sync) -> Self {
        let mut values = parallel::unwritten(POINTS * shape.len());
        let target = Scattered::new(&mut values);
        let places: Vec<_> = shape.places().collect();
        places.into_par_iter().for_each(|(row, col)| {
            let range = shape.range(row, col);
            // SAFETY: panels do not overlap, nor do matrices.
            let mut panels: [_; POINTS] =
                std::array::from_fn(|p| unsafe { target.at(p * shape.len() + range.start, range.len()) });
            let (mut filters, mut points) = ([[0.0; PANEL]; 9], [[0.0; PANEL]; POINTS]);
            for at in 0..range.len() / PANEL {
                for column in 0..PANEL.min(shape.cols - col) {
                    let filter = filter(row + at, col + column);
                    (0..9).for_each(|tap| filters[tap][column] = filter[tap]);
                }
                tile::of_filters(&filters, &mut points);
                for (panel, points) in panels.iter_mut().zip(&points) {
                    panel[at * PANEL..][..PANEL].copy_from_slice(points);
                }
            }
        });
        Self { values, shape }
    }

    /// The matrix of one point.
    fn point(&self, point: usize) -> Panels<'_> {
        Panels::Packed(&self.values[point * self.shape.len()..][..self.shape.len()], self.shape)
    }
}

/// The convolution of `x` with filters from `g.inputs` to `g.outputs` channels.
pub(crate) fn forward(g: &Geometry, x: &[f32], filters: &Filters, bias: Option<&[f32]>, finish: Finish) -> Vec<f32> {
    let tiles = Tiles::new(g);
    let mut y = parallel::unwritten(g.batch * g.height * g.width * g.outputs);
    let target = Scattered::new(&mut y);
    tiles.chunks(g.inputs.max(g.outputs)).for_each(|chunk| {
        let n = chunk.len();
        let v = transform_input(&tiles, x, g.inputs, chunk.clone());
        let mut m = parallel::unwritten(POINTS * n * g.outputs);
        m.par_chunks_mut(n * g.outputs).enumerate().for_each(|(point, m)| {
            let v = &v[point * n * g.inputs..][..n * g.inputs];
            matmul_packed_here(Mat::new(v, n, g.inputs), filters.point(point), m, Start::Zero);
        });
        chunk.clone().into_par_iter().with_min_len(8).for_each(|t| {
            let pixels = tiles.pixels::<SIDE>(t, 0);
            let from = &m[(t - chunk.start) * g.outputs..];
            // SAFETY: `m` has a row of every point for this tile; the pixels of a tile are this task's alone.
            unsafe { put_tile(from, n * g.outputs, g.outputs, bias, &pixels, &target) };
            for pixel in pixels.as_flattened().iter().flatten() {
                // SAFETY: as above, and the slice is gone before the next one is asked for.
                finish(*pixel, 0, unsafe { target.at(pixel * g.outputs, g.outputs) });
            }
        });
    });
    y
}

/// The gradient of the weight, (O, I, 3, 3).
pub(super) fn backward_weight(g: &Geometry, gradient: &[f32], x: &[f32]) -> Vec<f32> {
    let (tiles, size) = (Tiles::new(g), g.outputs * g.inputs);
    let mut du = parallel::unwritten(POINTS * size);
    // Chunk after chunk, so that every sum is taken in the same order.
    let chunks: Vec<_> = tiles.chunks(384.max(g.inputs).max(g.outputs)).collect();
    for (i, chunk) in chunks.into_iter().enumerate() {
        let n = chunk.len();
        let (v, dm) = rayon::join(
            || transform_input(&tiles, x, g.inputs, chunk.clone()),
            || transform_gradient(&tiles, gradient, g.outputs, chunk.clone()),
        );
        let start = if i == 0 { Start::Zero } else { Start::Sum };
        du.par_chunks_mut(size).enumerate().for_each(|(point, du)| {
            let v = Mat::new(&v[point * n * g.inputs..][..n * g.inputs], n, g.inputs);
            let dm = Mat::new(&dm[point * n * g.outputs..][..n * g.outputs], n, g.outputs);
            matmul_here(dm.t(), v, du, start);
        });
    }
    let mut dw = parallel::unwritten(size * 9);
    parallel::fill_bands(&mut dw, 9, 8 * PANEL, |first, filters| {
        let (mut points, mut turned) = ([[0.0; PANEL]; POINTS], [[0.0; PANEL]; 9]);
        for (i, filters) in filters.chunks_mut(9 * PANEL).enumerate() {
            let (first, count) = (first + i * PANEL, filters.len() / 9);
            for (point, points) in points.iter_mut().enumerate() {
                points[..count].copy_from_slice(&du[point * size + first..][..count]);
            }
            tile::to_filters(&points, &mut turned);
            for (column, filter) in filters.chunks_exact_mut(9).enumerate() {
                (0..9).for_each(|tap| filter[tap] = turned[tap][column]);
            }
        }
    });
    dw
}

/// V: for each point a matrix (tiles, channels).
fn transform_input(tiles: &Tiles, x: &[f32], channels: usize, chunk: Range<usize>) -> Vec<f32> {
    transform(channels, chunk, |t, nothing, at, apart| {
        let pixels = tiles.values::<WIDE>(t, 1, x, nothing);
        // SAFETY: the pixels have `channels` values each, and so have the places to write to.
        unsafe { take_input(&pixels, channels, at, apart) }
    })
}

/// dM: the same of a gradient.
fn transform_gradient(tiles: &Tiles, gradient: &[f32], channels: usize, chunk: Range<usize>) -> Vec<f32> {
    transform(channels, chunk, |t, nothing, at, apart| {
        let pixels = tiles.values::<SIDE>(t, 0, gradient, nothing);
        // SAFETY: the pixels have `channels` values each, and so have the places to write to.
        unsafe { take_gradient(&pixels, channels, at, apart) }
    })
}

/// Runs `take` for each tile of a chunk, with a pixel of zeros and the place to write to.
fn transform(channels: usize, chunk: Range<usize>, take: impl Fn(usize, &[f32], *mut f32, usize) + Sync) -> Vec<f32> {
    let n = chunk.len();
    let mut values = parallel::unwritten(POINTS * n * channels);
    let nothing = vec![0.0; channels];
    let target = Scattered::new(&mut values);
    chunk.clone().into_par_iter().with_min_len(8).for_each(|t| {
        // SAFETY: of each matrix, this writes the row of this tile, which is this task's alone.
        let at = unsafe { target.from((t - chunk.start) * channels) };
        take(t, &nothing, at, n * channels);
    });
    values
}

vectorised! {
    /// # Safety
    /// `channels` values, a multiple of [`CHANNELS`], can be read at each pixel and written at each of the points.
    unsafe fn take_input<V>(pixels: &[[*const f32; WIDE]; WIDE], channels: usize, at: *mut f32, apart: usize) {
        for channel in (0..channels).step_by(V::LANES) {
            // SAFETY: the caller's promise.
            unsafe { tile::read_input::<V>(pixels, channel, at.add(channel), apart) };
        }
    }
}

vectorised! {
    /// # Safety
    /// `channels` values, a multiple of [`CHANNELS`], can be read at each pixel and written at each of the points.
    unsafe fn take_gradient<V>(pixels: &[[*const f32; SIDE]; SIDE], channels: usize, at: *mut f32, apart: usize) {
        for channel in (0..channels).step_by(V::LANES) {
            // SAFETY: the caller's promise.
            unsafe { tile::read_gradient::<V>(pixels, channel, at.add(channel), apart) };
        }
    }
}

vectorised! {
    /// # Safety
    /// `channels` is a multiple of [`CHANNELS`]; the pixels are nobody else's.
    unsafe fn put_tile<V>(
        from: &[f32],
        apart: usize,
        channels: usize,
        bias: Option<&[f32]>,
        pixels: &[[Option<usize>; SIDE]; SIDE],
        y: &Scattered,
    ) {
        assert!(from.len() >= (POINTS - 1) * apart + channels && bias.is_none_or(|bias| bias.len() == channels));
        for channel in (0..channels).step_by(V::LANES) {
            // SAFETY: by the assertion, a vector is there at every point; the caller's promise.
            unsafe {
                let bias = bias.map(|bias| bias.as_ptr().add(channel));
                let values = tile::result::<V>(from.as_ptr().add(channel), apart, bias);
                for (value, pixel) in values.as_flattened().iter().zip(pixels.as_flattened()) {
                    if let Some(pixel) = pixel {
                        value.store(y.at(pixel * channels + channel, V::LANES).as_mut_ptr());
                    }
                }
            }
        }
    }
}
