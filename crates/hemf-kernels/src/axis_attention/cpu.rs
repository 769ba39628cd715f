//! One task per line; in it, head by head: scores, softmax and product, on n x n values that stay in the cache.
//!
//! The scores are held transposed, one row per j.

use super::Axis;
use crate::matmul::{Mat, Start, matmul_here};
use crate::parallel::{self, Scattered};
use crate::softmax::{exponentials_of_columns, softmax_gradient_of_columns, softmax_of_columns};
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

    /// Writes the (n, d) matrix of the line and head that start at `at`.
    fn put(&self, out: &Scattered, at: usize, d: usize, values: &[f32]) {
        for (i, pixel) in values.chunks_exact(d).enumerate() {
            // SAFETY: a line and head are one task's alone, and the slice is gone before the next one is asked for.
            unsafe { out.at(at + i * self.step, d) }.copy_from_slice(pixel);
        }
    }
}

pub(super) fn forward(q: &[f32], k: &[f32], v: &[f32], decay: &[f32], lines: Lines) -> Vec<f32> {
    let (n, d) = (lines.n, lines.channels / decay.len());
    let mut out = parallel::unwritten(q.len());
    let target = Scattered::new(&mut out);
    lines.for_each(|start| {
        let (mut weights, mut product) = (vec![0.0; n * n], vec![0.0; n * d]);
        let mut inverse = vec![0.0; n];
        for (head, &decay) in decay.iter().enumerate() {
            let at = start + head * d;
            let [q, k, v] = [q, k, v].map(|map| lines.head(map, at, d));
            matmul_here(k, q.t(), &mut weights, Start::Zero);
            exponentials_of_columns(&mut weights, decay, &mut inverse);
            matmul_here(Mat::new(&weights, n, n).t(), v, &mut product, Start::Zero);
            // Dividing the product rather than the weights: d values for each pixel, not n.
            for (pixel, inverse) in product.chunks_exact_mut(d).zip(&inverse) {
                for value in pixel {
                    *value *= inverse;
                }
            }
            lines.put(&target, at, d, &product);
        }
    });
    out
}

/// (dq, dk, dv)
pub(super) fn backward(q: &[f32], k: &[f32], v: &[f32], g: &[f32], decay: &[f32], lines: Lines) -> [Vec<f32>; 3] {
    let (n, d) = (lines.n, lines.channels / decay.len());
    let mut gradients = [(); 3].map(|()| parallel::unwritten(q.len()));
    let [dq, dk, dv] = gradients.each_mut().map(|values| Scattered::new(values));
    lines.for_each(|start| {
        let (mut weights, mut change, mut product) = (vec![0.0; n * n], vec![0.0; n * n], vec![0.0; n * d]);
        for (head, &decay) in decay.iter().enumerate() {
            let at = start + head * d;
            let [q, k, v, g] = [q, k, v, g].map(|map| lines.head(map, at, d));
            matmul_here(k, q.t(), &mut weights, Start::Zero);
            softmax_of_columns(&mut weights, n, decay);
            matmul_here(Mat::new(&weights, n, n), g, &mut product, Start::Zero);
            lines.put(&dv, at, d, &product);
            matmul_here(v, g.t(), &mut change, Start::Zero);
            softmax_gradient_of_columns(&weights, &mut change, n);
            matmul_here(Mat::new(&change, n, n).t(), k, &mut product, Start::Zero);
            lines.put(&dq, at, d, &product);
            matmul_here(Mat::new(&change, n, n), q, &mut product, Start::Zero);
            lines.put(&dk, at, d, &product);
        }
    });
    gradients
}
