//! Bands of patches times the weight.

use crate::matmul::{Mat, Packed, Start, matmul, matmul_packed, matmul_packed_here};
use crate::packed::Finish;
use crate::parallel;
use crate::simd::transpose;
use rayon::prelude::*;
use std::ops::Range;

/// The sizes of one convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Geometry {
    pub(super) batch: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) k: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
    pub(super) out_height: usize,
    pub(super) out_width: usize,
}

impl Geometry {
    pub(crate) fn out_shape(&self) -> (usize, usize, usize, usize) {
        (self.batch, self.out_height, self.out_width, self.outputs)
    }

    /// Output pixels in all.
    fn pixels(&self) -> usize {
        self.batch * self.out_height * self.out_width
    }

    /// Values of a patch.
    fn patch(&self) -> usize {
        self.k * self.k * self.inputs
    }

    /// The convolution that takes the gradient of the output to that of the input (stride 1 only).
    pub(super) fn turned(&self) -> Self {
        Self {
            height: self.out_height,
            width: self.out_width,
            inputs: self.outputs,
            outputs: self.inputs,
            padding: self.k - 1 - self.padding,
            out_height: self.height,
            out_width: self.width,
            ..*self
        }
    }

    /// (O, I, k, k)
    pub(crate) fn weight_shape(&self) -> [usize; 4] {
        [self.outputs, self.inputs, self.k, self.k]
    }

    /// The input row (or column) under tap `tap` of output row `at`, where there is one.
    fn source(&self, at: usize, tap: usize, size: usize) -> Option<usize> {
        (at * self.stride + tap).checked_sub(self.padding).filter(|&s| s < size)
    }
}

/// (O, I, ky, kx) -> (O, ky, kx, I), the order of a patch.
fn pack(w: &[f32], g: &Geometry) -> Vec<f32> {
    swap_inner(w, g.outputs, g.inputs, g.k * g.k)
}

/// (O, ky, kx, I) -> (O, I, ky, kx).
fn unpack(w: &[f32], g: &Geometry) -> Vec<f32> {
    swap_inner(w, g.outputs, g.k * g.k, g.inputs)
}

/// (n, a, b) -> (n, b, a).
fn swap_inner(from: &[f32], n: usize, a: usize, b: usize) -> Vec<f32> {
    let mut to = parallel::unwritten(n * a * b);
    parallel::fill_rows(&mut to, a * b, |first, rows| {
        for (i, row) in rows.chunks_exact_mut(a * b).enumerate() {
            transpose(&from[(first + i) * a * b..][..a * b], b, row, a, a, b);
        }
    });
    to
}

/// (O, I, ky, kx) -> (I, turned ky, turned kx, O): the packed weight of [`Geometry::turned`].
fn pack_turned(w: &[f32], g: &Geometry) -> Vec<f32> {
    let taps = g.k * g.k;
    let mut to = parallel::unwritten(w.len());
    parallel::fill_rows(&mut to, taps * g.outputs, |first, rows| {
        for (i, row) in rows.chunks_exact_mut(taps * g.outputs).enumerate() {
            for (tap, line) in row.chunks_exact_mut(g.outputs).enumerate() {
                let from = (first + i) * taps + (taps - 1 - tap);
                line.iter_mut().enumerate().for_each(|(o, v)| *v = w[o * g.inputs * taps + from]);
            }
        }
    });
    to
}

/// Rows of the patch matrix, for the output pixels of `range`.
fn patches(g: &Geometry, x: &[f32], range: Range<usize>, cols: &mut [f32]) {
    let c = g.inputs;
    for (pixel, row) in range.zip(cols.chunks_exact_mut(g.patch())) {
        let (line, j) = (pixel / g.out_width, pixel % g.out_width);
        let (b, i) = (line / g.out_height, line % g.out_height);
        for (ky, taps) in row.chunks_exact_mut(g.k * c).enumerate() {
            let Some(y) = g.source(i, ky, g.height) else {
                taps.fill(0.0);
                continue;
            };
            for (kx, tap) in taps.chunks_exact_mut(c).enumerate() {
                match g.source(j, kx, g.width) {
                    Some(at) => tap.copy_from_slice(&x[((b * g.height + y) * g.width + at) * c..][..c]),
                    None => tap.fill(0.0),
                }
            }
        }
    }
}

/// How many output pixels make a band: its patches stay in the cache, and there are enough bands to go round.
fn band(g: &Geometry) -> usize {
    const CACHE: usize = 1 << 18; // values: 1 MB
    const ENOUGH: usize = 8;
    (CACHE / g.patch()).min(g.pixels().div_ceil(ENOUGH)).clamp(32, 512)
}

/// A weight (O, I, ky, kx), packed for the product with patches; times a scale (I) and one (O), where there are such.
pub(crate) fn packed(
    w: &[f32],
    [outputs, inputs, k, across]: [usize; 4],
    [of_inputs, of_outputs]: [Option<Vec<f32>>; 2],
) -> Packed {
    let taps = k * across;
    let patch = inputs * taps;
    Packed::by_columns(patch, outputs, |first, columns| {
        for (i, column) in columns.chunks_exact_mut(patch.max(1)).enumerate() {
            let output = first + i;
            let filter = &w[output * patch..][..patch];
            match taps {
                1 => column.copy_from_slice(filter),
                _ => transpose(filter, taps, column, inputs, inputs, taps),
            }
            if let Some(scale) = &of_inputs {
                let taps = column.chunks_exact_mut(inputs);
                taps.for_each(|tap| tap.iter_mut().zip(scale).for_each(|(w, scale)| *w *= scale));
            }
            if let Some(scale) = &of_outputs {
                column.iter_mut().for_each(|w| *w *= scale[output]);
            }
        }
    })
}

/// The same for [`Geometry::turned`].
fn packed_turned(w: &[f32], g: &Geometry) -> Packed {
    Packed::new(Mat::new(&pack_turned(w, g), g.inputs, g.k * g.k * g.outputs).t())
}

/// Values of a patch matrix that is built in whole.
const FEW: usize = 1 << 20;

pub(crate) fn forward(g: &Geometry, x: &[f32], weight: &Packed, b: Option<&[f32]>, finish: Finish) -> Vec<f32> {
    let (patch, outputs) = (g.patch(), g.outputs);
    let mut y = parallel::unwritten(g.pixels() * outputs);
    if g.pixels() * patch <= FEW {
        // The weight is what is large: it should be read once, not once for each band.
        let mut cols = parallel::unwritten(g.pixels() * patch);
        parallel::fill_rows(&mut cols, patch, |first, rows| patches(g, x, first..first + rows.len() / patch, rows));
        let (cols, start) = (Mat::new(&cols, g.pixels(), patch), Start::bias(b));
        matmul_packed(cols, weight.panels(), &mut y, start, true, finish);
        return y;
    }
    parallel::fill_bands(&mut y, outputs, band(g), |first, rows| {
        let n = rows.len() / outputs;
        let mut cols = parallel::unwritten(n * patch);
        patches(g, x, first..first + n, &mut cols);
        matmul_packed_here(Mat::new(&cols, n, patch), weight.panels(), rows, Start::bias(b));
        for (i, row) in rows.chunks_exact_mut(outputs).enumerate() {
            finish(first + i, 0, row);
        }
    });
    y
}

pub(super) fn backward_input(g: &Geometry, gradient: &[f32], w: &[f32]) -> Vec<f32> {
    if g.stride == 1 && g.padding < g.k {
        return forward(&g.turned(), gradient, &packed_turned(w, g), None, &|_, _, _| ());
    }
    let packed = pack(w, g);
    let (pixels, patch) = (g.out_height * g.out_width, g.patch());
    let mut dx = vec![0.0; g.batch * g.height * g.width * g.inputs];
    dx.par_chunks_mut(g.height * g.width * g.inputs).enumerate().for_each(|(b, dx)| {
        let gradient = &gradient[b * pixels * g.outputs..][..pixels * g.outputs];
        let mut cols = parallel::unwritten(pixels * patch);
        matmul(Mat::new(gradient, pixels, g.outputs), Mat::new(&packed, g.outputs, patch), &mut cols, Start::Zero);
        add_patches(g, &cols, dx);
    });
    dx
}

/// The transpose of [`patches`] for one image: adds each patch value back to its pixel.
fn add_patches(g: &Geometry, cols: &[f32], dx: &mut [f32]) {
    let c = g.inputs;
    for (pixel, row) in cols.chunks_exact(g.patch()).enumerate() {
        let (i, j) = (pixel / g.out_width, pixel % g.out_width);
        for (tap, values) in row.chunks_exact(c).enumerate() {
            let (y, x) = (g.source(i, tap / g.k, g.height), g.source(j, tap % g.k, g.width));
            if let (Some(y), Some(x)) = (y, x) {
                dx[(y * g.width + x) * c..][..c].iter_mut().zip(values).for_each(|(d, v)| *d += v);
            }
        }
    }
}

/// The weight's gradient, (O, I, ky, kx).
pub(super) fn backward_weight(g: &Geometry, gradient: &[f32], x: &[f32]) -> Vec<f32> {
    const CHUNK: usize = 1 << 22; // values of patches at a time: 16 MB
    let (patch, pixels) = (g.patch(), g.pixels());
    let chunk = (CHUNK / patch).clamp(64, pixels.max(64));
    let mut dw = vec![0.0; g.outputs * patch];
    let mut cols = parallel::unwritten(chunk.min(pixels) * patch);
    for first in (0..pixels).step_by(chunk) {
        let n = chunk.min(pixels - first);
        let cols = &mut cols[..n * patch];
        parallel::fill_rows(cols, patch, |row, band| {
            patches(g, x, first + row..first + row + band.len() / patch, band);
        });
        let gradient = &gradient[first * g.outputs..][..n * g.outputs];
        matmul(Mat::new(gradient, n, g.outputs).t(), Mat::new(cols, n, patch), &mut dw, Start::Sum);
    }
    unpack(&dw, g)
}
