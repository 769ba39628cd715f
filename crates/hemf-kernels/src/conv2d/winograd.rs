//! Winograd's F(4x4, 3x3): a 3x3 convolution of stride 1 with 36 instead of 144 multiplications for 16 results.
//!
//! The map is cut into tiles (`winograd_tile.rs`). For each of the 36 points, the tiles of all pixels times the weights of
//! all channels are a matrix product, and these 36 products are all the work that matters:
//!
//! - V = Bᵀ D B of each tile of the input; U = G W Gᵀ of each filter; M = V U for each point; y = Aᵀ M A + bias.
//! - The gradient of the input is the same with the filters turned and their channels swapped.
//! - The gradient of the weight goes the way back: dM = A dy Aᵀ; dU = dMᵀ V for each point; dW = Gᵀ dU G.

use super::Geometry;
use super::winograd_tile::{self as tile, POINTS, SIDE, WIDE};
use crate::matmul::{Mat, PANEL, Packed, Panelled, Panels, Start, matmul_here, matmul_packed_here};
use crate::packed::Finish;
use crate::parallel::{self, Scattered};
use crate::simd::vectorised;
use rayon::prelude::*;
use std::ops::Range;

/// Channels come in whole vectors of any instruction set.
const CHANNELS: usize = 16;

/// Tasks that are enough to go round.
const ENOUGH: usize = 8;
/// Tiles from which on the products are worth the transforms.
const LEAST_TILES: usize = 16;
/// Tiles up to which the weight is what is large, and not the map: it should pass through the caches but once.
const FEW_TILES: usize = 64;
/// The same where transformed filters are kept, and only have to be read.
const FEW_TILES_KEPT: usize = 24;

/// Whether the tiles can do this convolution, and whether that pays: at few channels, or at few pixels, the transforms
/// cost more than they save. (Measured at 96 to 768 channels on 7x7 to 56x56 pixels.)
pub(super) fn suits(g: &Geometry) -> bool {
    const LEAST: usize = 48;
    let channels = |n: usize| n.is_multiple_of(CHANNELS) && n >= LEAST;
    let shape = g.k == 3 && g.stride == 1 && g.padding == 1;
    shape && channels(g.inputs) && channels(g.outputs) && Tiles::new(g).count >= LEAST_TILES
}

/// Whether filters are best transformed panel by panel while they are used, rather than beforehand (and `kept` for the
/// next time): where tiles are few, the transformed filters, four times as large as the weight, are what would be waited
/// for.
pub(crate) fn by_panels(g: &Geometry, kept: bool) -> bool {
    Tiles::new(g).count <= if kept { FEW_TILES_KEPT } else { FEW_TILES }
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

/// How far apart the points lie whose matrices have so many values: an odd number of cache lines, since points that lie
/// whole pages apart would drive each other from the cache.
fn apart(values: usize) -> usize {
    const LINE: usize = 16;
    (values.div_ceil(LINE) | 1) * LINE
}

/// The filters from one input channel to [`PANEL`] output channels, side by side; those that there are not are zero.
type Row = [[f32; PANEL]; 9];

/// Where filters are read.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// A weight (O, I, 3, 3).
    Weight(&'a [f32]),
    /// The same for the gradient of the input: turned by 180 degrees, from O to I channels.
    Turned(&'a [f32]),
    /// A weight that is packed for the direct form.
    Packed(&'a Packed),
}

impl Source<'_> {
    /// The filters of `g` from `input` to the outputs from `first` on; `room` is for those that have to be put together.
    #[inline]
    fn row<'a>(&'a self, g: &Geometry, input: usize, first: usize, room: &'a mut Row) -> [&'a [f32; PANEL]; 9] {
        let width = PANEL.min(g.outputs - first);
        match self {
            Self::Weight(w) => {
                for column in 0..width {
                    let filter: &[f32; 9] = w[((first + column) * g.inputs + input) * 9..].first_chunk().expect("3x3");
                    (0..9).for_each(|tap| room[tap][column] = filter[tap]);
                }
                room.each_ref()
            }
            Self::Turned(w) => {
                let filters = &w[(input * g.outputs + first) * 9..][..width * 9];
                for (column, filter) in filters.as_chunks::<9>().0.iter().enumerate() {
                    (0..9).for_each(|tap| room[tap][column] = filter[8 - tap]);
                }
                room.each_ref()
            }
            Self::Packed(weight) => std::array::from_fn(|tap| weight.row(tap * g.inputs + input, first)),
        }
    }
}

/// Transformed filters, packed for the products: 36 matrices (inputs, outputs).
#[derive(Clone, Debug)]
pub(crate) struct Filters {
    values: Vec<f32>,
    shape: Panelled,
}

impl Filters {
    pub(crate) fn new(source: Source, g: &Geometry) -> Self {
        let shape = Panelled { rows: g.inputs, cols: g.outputs };
        let apart = apart(shape.len());
        let mut values = parallel::unwritten(POINTS * apart);
        let target = Scattered::new(&mut values);
        let places: Vec<_> = shape.places().collect();
        places.into_par_iter().for_each(|(row, col)| {
            let range = shape.range(row, col);
            // SAFETY: panels do not overlap, nor do matrices; every matrix has this panel.
            unsafe {
                transform_filters(source, g, (row, col), range.len() / PANEL, target.from(range.start), apart);
            }
        });
        Self { values, shape }
    }

    /// The matrix of one point.
    fn point(&self, point: usize) -> Panels<'_> {
        Panels::Packed(&self.values[point * apart(self.shape.len())..][..self.shape.len()], self.shape)
    }
}

/// The filters from the inputs from `input` on to the panel that begins with output `first`: for each point as many rows
/// as `depth` says, one point `apart` from the next.
///
/// # Safety
/// From `at` on, `depth` rows of [`PANEL`] values can be written for each of the [`POINTS`].
unsafe fn transform_filters(
    source: Source,
    g: &Geometry,
    (input, first): (usize, usize),
    depth: usize,
    at: *mut f32,
    apart: usize,
) {
    let mut room = [[0.0; PANEL]; 9];
    for row in 0..depth {
        let filters = source.row(g, input + row, first, &mut room);
        // SAFETY: the caller's promise.
        unsafe { tile::of_filters(&filters, at.add(row * PANEL), apart) };
    }
}

/// The convolution of `x` with filters from `g.inputs` to `g.outputs` channels.
pub(crate) fn forward(g: &Geometry, x: &[f32], filters: &Filters, bias: Option<&[f32]>, finish: Finish) -> Vec<f32> {
    let tiles = Tiles::new(g);
    let mut y = parallel::unwritten(g.batch * g.height * g.width * g.outputs);
    let target = Scattered::new(&mut y);
    tiles.chunks(g.inputs.max(g.outputs)).for_each(|chunk| {
        let n = chunk.len();
        let v = transform_input(&tiles, x, g.inputs, g.inputs, chunk.clone());
        let apart_m = apart(n * g.outputs);
        let mut m = parallel::unwritten(POINTS * apart_m);
        m.par_chunks_mut(apart_m).enumerate().for_each(|(point, m)| {
            let v = Mat::new(&v[point * apart(n * g.inputs)..], n, g.inputs);
            matmul_packed_here(v, filters.point(point), &mut m[..n * g.outputs], Start::Zero);
        });
        chunk.clone().into_par_iter().with_min_len(8).for_each(|t| {
            let pixels = tiles.pixels::<SIDE>(t, 0);
            let from = &m[(t - chunk.start) * g.outputs..];
            // SAFETY: `m` has a row of every point for this tile; the pixels of a tile are this task's alone.
            unsafe { put_tile(from, apart_m, 0..g.outputs, g.outputs, bias, &pixels, &target) };
            for pixel in pixels.as_flattened().iter().flatten() {
                // SAFETY: as above, and the slice is gone before the next one is asked for.
                finish(*pixel, 0, unsafe { target.at(pixel * g.outputs, g.outputs) });
            }
        });
    });
    y
}

/// The same for few tiles: some panels of the output channels after the others, with the filters transformed some input
/// channels at a time, in the cache.
pub(crate) fn forward_by_panels(
    g: &Geometry,
    x: &[f32],
    source: Source,
    bias: Option<&[f32]>,
    finish: Finish,
) -> Vec<f32> {
    const INPUTS: usize = 96;
    const VALUES: usize = 1 << 17; // of the result at all points, in the second cache
    let (tiles, n, outputs) = (Tiles::new(g), Tiles::new(g).count, g.outputs);
    let v = transform_input(&tiles, x, g.inputs, INPUTS, 0..n);
    let mut y = parallel::unwritten(g.batch * g.height * g.width * outputs);
    let target = Scattered::new(&mut y);
    let width = (VALUES / (POINTS * n * PANEL)).clamp(1, outputs.div_ceil(PANEL * ENOUGH).max(1)) * PANEL;
    (0..outputs.div_ceil(width)).into_par_iter().for_each(|task| {
        let (first, last) = (task * width, ((task + 1) * width).min(outputs));
        let panels = (last - first).div_ceil(PANEL);
        let (apart_m, apart_u) = (apart(n * PANEL), apart(INPUTS * PANEL));
        let mut m = parallel::unwritten(panels * POINTS * apart_m);
        let mut u = parallel::unwritten(POINTS * apart_u);
        for input in (0..g.inputs).step_by(INPUTS) {
            let depth = INPUTS.min(g.inputs - input);
            let start = if input == 0 { Start::Zero } else { Start::Sum };
            let v = &v[input / INPUTS * POINTS * apart(n * INPUTS)..];
            for (panel, m) in m.chunks_exact_mut(POINTS * apart_m).enumerate() {
                let at = (input, first + panel * PANEL);
                // SAFETY: there is room for so many rows at every point.
                unsafe { transform_filters(source, g, at, depth, u.as_mut_ptr(), apart_u) };
                for (point, (m, u)) in m.chunks_exact_mut(apart_m).zip(u.chunks_exact(apart_u)).enumerate() {
                    let v = Mat::new(&v[point * apart(n * depth)..], n, depth);
                    let u = Panels::Packed(&u[..depth * PANEL], Panelled { rows: depth, cols: PANEL });
                    matmul_packed_here(v, u, &mut m[..n * PANEL], start);
                }
            }
        }
        for (panel, m) in m.chunks_exact(POINTS * apart_m).enumerate() {
            let columns = first + panel * PANEL..(first + (panel + 1) * PANEL).min(last);
            for t in 0..n {
                let pixels = tiles.pixels::<SIDE>(t, 0);
                // SAFETY: `m` has a row of every point for this tile; of all pixels, this panel is this task's alone.
                unsafe { put_tile(&m[t * PANEL..], apart_m, columns.clone(), outputs, bias, &pixels, &target) };
            }
        }
    });
    parallel::fill_rows(&mut y, outputs, |first, rows| {
        rows.chunks_exact_mut(outputs).enumerate().for_each(|(row, values)| finish(first + row, 0, values));
    });
    y
}

/// The gradient of the weight, (O, I, 3, 3).
pub(super) fn backward_weight(g: &Geometry, gradient: &[f32], x: &[f32]) -> Vec<f32> {
    const ROWS: usize = 96;
    const COLUMNS: usize = 2 * PANEL;
    let tiles = Tiles::new(g);
    if tiles.count > FEW_TILES {
        return backward_weight_by_chunks(g, &tiles, gradient, x);
    }
    let n = tiles.count;
    let (v, dm) = transform_both(g, &tiles, gradient, x, 0..n);
    // Some filters after the others, so that their points stay in the cache.
    let mut dw = parallel::unwritten(g.outputs * g.inputs * 9);
    let target = Scattered::new(&mut dw);
    let across = g.inputs.div_ceil(COLUMNS);
    (0..g.outputs.div_ceil(ROWS) * across).into_par_iter().for_each(|task| {
        let (output, input) = (task / across * ROWS, task % across * COLUMNS);
        let (rows, width) = (ROWS.min(g.outputs - output), COLUMNS.min(g.inputs - input));
        let apart_du = apart(rows * width);
        let mut du = parallel::unwritten(POINTS * apart_du);
        for (point, du) in du.chunks_exact_mut(apart_du).enumerate() {
            let v = Mat::strided(&v[point * apart(n * g.inputs) + input..], n, width, g.inputs);
            let dm = Mat::strided(&dm[point * apart(n * g.outputs) + output..], n, rows, g.outputs);
            matmul_here(dm.t(), v, &mut du[..rows * width], Start::Zero);
        }
        for row in 0..rows {
            // SAFETY: these filters are this task's alone.
            let filters = unsafe { target.at(((output + row) * g.inputs + input) * 9, width * 9) };
            for (panel, filters) in filters.chunks_mut(9 * PANEL).enumerate() {
                filters_of_points(&du[row * width + panel * PANEL..], apart_du, filters);
            }
        }
    });
    dw
}

fn backward_weight_by_chunks(g: &Geometry, tiles: &Tiles, gradient: &[f32], x: &[f32]) -> Vec<f32> {
    let size = g.outputs * g.inputs;
    let apart_du = apart(size);
    let mut du = parallel::unwritten(POINTS * apart_du);
    // Chunk after chunk, so that every sum is taken in the same order.
    let chunks: Vec<_> = tiles.chunks(384.max(g.inputs).max(g.outputs)).collect();
    for (i, chunk) in chunks.into_iter().enumerate() {
        let n = chunk.len();
        let (v, dm) = transform_both(g, tiles, gradient, x, chunk);
        let start = if i == 0 { Start::Zero } else { Start::Sum };
        du.par_chunks_mut(apart_du).enumerate().for_each(|(point, du)| {
            let v = Mat::new(&v[point * apart(n * g.inputs)..], n, g.inputs);
            let dm = Mat::new(&dm[point * apart(n * g.outputs)..], n, g.outputs);
            matmul_here(dm.t(), v, &mut du[..size], start);
        });
    }
    let mut dw = parallel::unwritten(size * 9);
    parallel::fill_bands(&mut dw, 9, 8 * PANEL, |first, filters| {
        for (i, filters) in filters.chunks_mut(9 * PANEL).enumerate() {
            filters_of_points(&du[first + i * PANEL..], apart_du, filters);
        }
    });
    dw
}

/// Gᵀ U G for up to [`PANEL`] filters side by side, whose points are `apart` from each other.
fn filters_of_points(du: &[f32], apart: usize, filters: &mut [f32]) {
    let (mut points, mut turned) = ([[0.0; PANEL]; POINTS], [[0.0; PANEL]; 9]);
    let count = filters.len() / 9;
    for (point, points) in points.iter_mut().enumerate() {
        points[..count].copy_from_slice(&du[point * apart..][..count]);
    }
    // SAFETY: it asks for nothing.
    unsafe { tile::to_filters(&points, &mut turned) };
    for (column, filter) in filters.as_chunks_mut::<9>().0.iter_mut().enumerate() {
        (0..9).for_each(|tap| filter[tap] = turned[tap][column]);
    }
}

/// V and dM of a chunk of tiles.
fn transform_both(
    g: &Geometry,
    tiles: &Tiles,
    gradient: &[f32],
    x: &[f32],
    chunk: Range<usize>,
) -> (Vec<f32>, Vec<f32>) {
    rayon::join(
        || transform_input(tiles, x, g.inputs, g.inputs, chunk.clone()),
        || transform_gradient(tiles, gradient, g.outputs, chunk.clone()),
    )
}

/// V: for every `block` of channels and each point a matrix (tiles, channels of the block).
fn transform_input(tiles: &Tiles, x: &[f32], channels: usize, block: usize, chunk: Range<usize>) -> Vec<f32> {
    transform(channels, block, chunk, |t, nothing, columns, at, apart| {
        let pixels = tiles.values::<WIDE>(t, 1, x, nothing);
        // SAFETY: the pixels have all channels, and there is room for these.
        unsafe { take_input(&pixels, columns, at, apart) }
    })
}

/// dM: for each point a matrix (tiles, channels), of a gradient.
fn transform_gradient(tiles: &Tiles, gradient: &[f32], channels: usize, chunk: Range<usize>) -> Vec<f32> {
    transform(channels, channels, chunk, |t, nothing, columns, at, apart| {
        let pixels = tiles.values::<SIDE>(t, 0, gradient, nothing);
        // SAFETY: as above.
        unsafe { take_gradient(&pixels, columns, at, apart) }
    })
}

/// Runs `take` for the tiles of a chunk and blocks of channels, with a pixel of zeros, the channels, the place to write to,
/// and how far apart the points are.
fn transform(
    channels: usize,
    block: usize,
    chunk: Range<usize>,
    take: impl Fn(usize, &[f32], Range<usize>, *mut f32, usize) + Sync,
) -> Vec<f32> {
    let n = chunk.len();
    let whole = POINTS * apart(n * block);
    let mut values = parallel::unwritten(channels.div_ceil(block) * whole);
    let nothing = vec![0.0; channels];
    let target = Scattered::new(&mut values);
    chunk.clone().into_par_iter().with_min_len(8).for_each(|t| {
        for from in (0..channels).step_by(block) {
            let columns = from..(from + block).min(channels);
            // SAFETY: of each matrix, this writes the row of this tile, which is this task's alone.
            let at = unsafe { target.from(from / block * whole + (t - chunk.start) * columns.len()) };
            take(t, &nothing, columns.clone(), at, apart(n * columns.len()));
        }
    });
    values
}

vectorised! {
    /// # Safety
    /// These columns, as many as a multiple of [`CHANNELS`], can be read of each pixel and written at each of the points.
    unsafe fn take_input<V>(pixels: &[[*const f32; WIDE]; WIDE], columns: Range<usize>, at: *mut f32, apart: usize) {
        for channel in columns.clone().step_by(V::LANES) {
            // SAFETY: the caller's promise.
            unsafe { tile::read_input::<V>(pixels, channel, at.add(channel - columns.start), apart) };
        }
    }
}

vectorised! {
    /// # Safety
    /// These columns, as many as a multiple of [`CHANNELS`], can be read of each pixel and written at each of the points.
    unsafe fn take_gradient<V>(pixels: &[[*const f32; SIDE]; SIDE], columns: Range<usize>, at: *mut f32, apart: usize) {
        for channel in columns.clone().step_by(V::LANES) {
            // SAFETY: the caller's promise.
            unsafe { tile::read_gradient::<V>(pixels, channel, at.add(channel - columns.start), apart) };
        }
    }
}

vectorised! {
    /// Writes some of the `channels` of a tile's pixels.
    ///
    /// # Safety
    /// The number of `columns` is a multiple of [`CHANNELS`]; of the pixels, they are nobody else's.
    unsafe fn put_tile<V>(
        from: &[f32],
        apart: usize,
        columns: Range<usize>,
        channels: usize,
        bias: Option<&[f32]>,
        pixels: &[[Option<usize>; SIDE]; SIDE],
        y: &Scattered,
    ) {
        assert!(from.len() >= (POINTS - 1) * apart + columns.len());
        assert!(columns.end <= channels && bias.is_none_or(|bias| bias.len() == channels));
        for channel in columns.clone().step_by(V::LANES) {
            // SAFETY: by the assertions, a vector is there at every point, and in the bias; the caller's promise.
            unsafe {
                let bias = bias.map(|bias| bias.as_ptr().add(channel));
                let values = tile::result::<V>(from.as_ptr().add(channel - columns.start), apart, bias);
                for (value, pixel) in values.as_flattened().iter().zip(pixels.as_flattened()) {
                    if let Some(pixel) = pixel {
                        value.store(y.at(pixel * channels + channel, V::LANES).as_mut_ptr());
                    }
                }
            }
        }
    }
}
