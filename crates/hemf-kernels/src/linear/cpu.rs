//! The three matrix products of a linear layer.

use crate::matmul::{Mat, Start, matmul};
use crate::parallel;

pub(super) fn forward(x: &[f32], w: &[f32], b: Option<&[f32]>, rows: usize, inputs: usize, outputs: usize) -> Vec<f32> {
    let mut y = parallel::unwritten(rows * outputs);
    matmul(Mat::new(x, rows, inputs), Mat::new(w, outputs, inputs).t(), &mut y, Start::bias(b));
    y
}

pub(super) fn backward_input(g: &[f32], w: &[f32], rows: usize, inputs: usize, outputs: usize) -> Vec<f32> {
    let mut dx = parallel::unwritten(rows * inputs);
    matmul(Mat::new(g, rows, outputs), Mat::new(w, outputs, inputs), &mut dx, Start::Zero);
    dx
}

pub(super) fn backward_weight(g: &[f32], x: &[f32], rows: usize, inputs: usize, outputs: usize) -> Vec<f32> {
    let mut dw = parallel::unwritten(outputs * inputs);
    matmul(Mat::new(g, rows, outputs).t(), Mat::new(x, rows, inputs), &mut dw, Start::Zero);
    dw
}

/// The sum of the rows of `g`, each `width` values: a bias's gradient.
pub(crate) fn sum_rows(g: &[f32], width: usize) -> Vec<f32> {
    parallel::sum_rows(g.len() / width, parallel::rows_per_task(width), width, |range, acc| {
        add_rows(&g[range.start * width..range.end * width], acc);
    })
}

crate::simd::multiversion! {
    fn add_rows(rows: &[f32], acc: &mut [f32]) {
        for row in rows.chunks_exact(acc.len()) {
            for (a, r) in acc.iter_mut().zip(row) {
                *a += r;
            }
        }
    }
}
