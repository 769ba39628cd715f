//! One task per line; in it, head by head: scores, softmax and product, on n x n values that stay in the cache.
//!
//! The scores are held transposed, one row per j, and their columns are filled up to whole vectors: then every product is
//! of whole vectors, and the softmax, which runs over j, is element by element along the rows.

use super::Axis;
use crate::matmul::{Mat, Start, matmul_here};
use crate::parallel::{self, Scattered};
use crate::softmax::{exponentials_of_columns, scale_columns, softmax_gradient_of_columns, softmax_of_columns};
use rayon::prelude::*;

/// Where the lines of a map lie in memory.
#[derive(Clone, Copy)]
pub(super) struct Lines {
    images: usize,
    /// Lines per image, and how far apart they start.
    count: usize,
    stride: usize,
    /// Pixels per line, and how far apart they are.
    n: usize,
    step: usize,
    channels: usize,
}

impl Lines {
    pub(super) fn new((images, height, width, channels): (usize, usize, usize, usize), axis: Axis) -> Self {
        let (along_x, along_y) = ((width, channels), (height, width * channels));
        let ((n, step), (count, stride)) = match axis {
            Axis::Rows => (along_x, along_y),
            Axis::Columns => (along_y, along_x),
        };
        Self { images, count, stride, n, step, channels }
    }

    /// Runs `task` for each line, with the place of its first value.
    fn for_each(&self, task: impl Fn(usize) + Sync) {
        (0..self.images * self.count).into_par_iter().for_each(|line| {
            let (image, line) = (line / self.count, line % self.count);
            task(image * self.count * self.n * self.channels + line * self.stride);
        });
    }

    /// The (n, d) matrix of the line and head that start at `at`.
    fn head<'a>(&self, map: &'a [f32], at: usize, d: usize) -> Mat<'a> {
        Mat::strided(&map[at..], self.n, d, self.step)
    }

    /// Writes the (n, d) matrix of the line and head that start at `at`, from one of (n, `deep`).
    fn put(&self, out: &Scattered, at: usize, d: usize, values: &[f32], deep: usize) {
        for (i, pixel) in values.chunks_exact(deep).enumerate() {
            // SAFETY: a line and head are one task's alone, and the slice is gone before the next one is asked for.
            unsafe { out.at(at + i * self.step, d) }.copy_from_slice(&pixel[..d]);
        }
    }

    /// The same from its transpose, (d, `wide`).
    fn put_turned(&self, out: &Scattered, at: usize, values: &[f32], wide: usize) {
        for i in 0..self.n {
            // SAFETY: as above.
            let pixel = unsafe { out.at(at + i * self.step, values.len() / wide) };
            for (value, column) in pixel.iter_mut().zip(values.chunks_exact(wide)) {
                *value = column[i];
            }
        }
    }
}

/// What a task works in: the matrices of a line and head, with their columns filled up to whole vectors.
struct Work {
    n: usize,
    /// n, and d, to the next multiple of a vector's lanes.
    wide: usize,
    deep: usize,
}

impl Work {
    fn new(n: usize, d: usize) -> Self {
        Self { n, wide: n.next_multiple_of(LANES), deep: d.next_multiple_of(LANES) }
    }

    /// The transpose of an (n, d) matrix, as (d, wide).
    fn turn(&self, map: Mat, out: &mut [f32]) {
        for i in 0..self.n {
            for (value, out) in map.row(i).iter().zip(out.chunks_exact_mut(self.wide)) {
                out[i] = *value;
            }
        }
    }

    /// An (n, d) matrix as (n, deep).
    fn fill_up(&self, map: Mat, out: &mut [f32]) {
        for (i, out) in out.chunks_exact_mut(self.deep).enumerate() {
            let row = map.row(i);
            out[..row.len()].copy_from_slice(row);
        }
    }
}

/// The widest vector.
const LANES: usize = 16;

pub(super) fn forward(q: &[f32], k: &[f32], v: &[f32], decay: &[f32], lines: Lines) -> Vec<f32> {
    let (n, d) = (lines.n, lines.channels / decay.len());
    let work = Work::new(n, d);
    let mut out = parallel::unwritten(q.len());
    let target = Scattered::new(&mut out);
    lines.for_each(|start| {
        let (mut turned, mut product) = (vec![0.0; d * work.wide], vec![0.0; d * work.wide]);
        let (mut weights, mut inverse) = (vec![0.0; n * work.wide], vec![0.0; work.wide]);
        for (head, &decay) in decay.iter().enumerate() {
            let at = start + head * d;
            let [q, k, v] = [q, k, v].map(|map| lines.head(map, at, d));
            work.turn(q, &mut turned);
            matmul_here(k, Mat::new(&turned, d, work.wide), &mut weights, Start::Zero);
            exponentials_of_columns(&mut weights, decay, &mut inverse);
            matmul_here(v.t(), Mat::new(&weights, n, work.wide), &mut product, Start::Zero);
            // Dividing the product rather than the weights: d values for each pixel, not n.
            scale_columns(&mut product, &inverse);
            lines.put_turned(&target, at, &product, work.wide);
        }
    });
    out
}

/// (dq, dk, dv)
pub(super) fn backward(q: &[f32], k: &[f32], v: &[f32], g: &[f32], decay: &[f32], lines: Lines) -> [Vec<f32>; 3] {
    let (n, d) = (lines.n, lines.channels / decay.len());
    let work = Work::new(n, d);
    let (wide, deep) = (work.wide, work.deep);
    let mut gradients = [(); 3].map(|()| parallel::unwritten(q.len()));
    let [dq, dk, dv] = gradients.each_mut().map(|values| Scattered::new(values));
    lines.for_each(|start| {
        let (mut turned, mut product) = (vec![0.0; d * wide], vec![0.0; d * wide]);
        let (mut filled, mut rows) = (vec![0.0; n * deep], vec![0.0; n * deep]);
        let (mut weights, mut change) = (vec![0.0; n * wide], vec![0.0; n * wide]);
        for (head, &decay) in decay.iter().enumerate() {
            let at = start + head * d;
            let [q, k, v, g] = [q, k, v, g].map(|map| lines.head(map, at, d));
            let square = |values| Mat::strided(values, n, n, wide);
            work.turn(q, &mut turned);
            matmul_here(k, Mat::new(&turned, d, wide), &mut weights, Start::Zero);
            softmax_of_columns(&mut weights, wide, decay);
            work.fill_up(g, &mut filled);
            matmul_here(square(&weights), Mat::new(&filled, n, deep), &mut rows, Start::Zero);
            lines.put(&dv, at, d, &rows, deep);
            work.turn(g, &mut turned);
            matmul_here(v, Mat::new(&turned, d, wide), &mut change, Start::Zero);
            softmax_gradient_of_columns(&weights, &mut change, wide);
            matmul_here(k.t(), Mat::new(&change, n, wide), &mut product, Start::Zero);
            lines.put_turned(&dq, at, &product, wide);
            work.fill_up(q, &mut filled);
            matmul_here(square(&change), Mat::new(&filled, n, deep), &mut rows, Start::Zero);
            lines.put(&dk, at, d, &rows, deep);
        }
    });
    gradients
}
