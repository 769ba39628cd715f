//! The softmax of an attention whose scores are held transposed, one row per j: it runs over j, so that it is element by
//! element along the rows, and needs no sum across a vector.

use crate::math;
use crate::simd::multiversion;

/// Turns each column of `n` columns into its softmax, after `decay` times the distance |i - j| was added.
pub(crate) fn softmax_of_columns(scores: &mut [f32], n: usize, decay: f32) {
    let mut inverse = vec![0.0; n];
    exponentials_of_columns(scores, decay, &mut inverse);
    scale_columns(scores, &inverse);
}

multiversion! {
    /// Multiplies each column by its factor.
    pub(crate) fn scale_columns(values: &mut [f32], factors: &[f32]) {
        for row in values.chunks_exact_mut(factors.len()) {
            for (v, factor) in row.iter_mut().zip(factors) {
                *v *= factor;
            }
        }
    }
}

multiversion! {
    /// Adds `decay` times the distance |i - j| to the scores of row j and column i, and turns each column into its
    /// exponentials below its largest value; `inverse`, one for each column, is what makes them a softmax.
    pub(crate) fn exponentials_of_columns(scores: &mut [f32], decay: f32, inverse: &mut [f32]) {
        // Some columns at a time, so that what is kept for each stays in registers.
        let n = inverse.len();
        let mut column = 0;
        while column + 16 <= n {
            strip::<16, FUSED>(scores, n, column, decay, inverse);
            column += 16;
        }
        while column + 4 <= n {
            strip::<4, FUSED>(scores, n, column, decay, inverse);
            column += 4;
        }
        while column < n {
            strip::<1, FUSED>(scores, n, column, decay, inverse);
            column += 1;
        }
    }
}

/// [`exponentials_of_columns`] for W columns.
#[inline(always)]
fn strip<const W: usize, const FUSED: bool>(
    scores: &mut [f32],
    n: usize,
    column: usize,
    decay: f32,
    inverse: &mut [f32],
) {
    let rows = scores.len() / n;
    let mut largest = [f32::NEG_INFINITY; W];
    for j in 0..rows {
        let row: &mut [f32; W] = (&mut scores[j * n + column..][..W]).try_into().expect("W values");
        for i in 0..W {
            let distance = (column as i32 + i as i32 - j as i32).abs() as f32;
            row[i] = math::mul_add::<FUSED>(decay, distance, row[i]);
            largest[i] = if row[i] > largest[i] { row[i] } else { largest[i] };
        }
    }
    let mut sum = [0f32; W];
    for j in 0..rows {
        let row: &mut [f32; W] = (&mut scores[j * n + column..][..W]).try_into().expect("W values");
        for i in 0..W {
            row[i] = math::exp_below::<FUSED>(row[i] - largest[i]);
            sum[i] += row[i];
        }
    }
    for i in 0..W {
        inverse[column + i] = 1.0 / sum[i];
    }
}

multiversion! {
    /// From the gradient of the transposed attention to that of the scores, in place.
    pub(crate) fn softmax_gradient_of_columns(weights: &[f32], change: &mut [f32], n: usize) {
        let mut sum = vec![0f32; n];
        for (row, weights) in change.chunks_exact(n).zip(weights.chunks_exact(n)) {
            for ((sum, c), w) in sum.iter_mut().zip(row).zip(weights) {
                *sum += c * w;
            }
        }
        for (row, weights) in change.chunks_exact_mut(n).zip(weights.chunks_exact(n)) {
            for ((c, w), sum) in row.iter_mut().zip(weights).zip(&sum) {
                *c = w * (*c - sum);
            }
        }
    }
}
