//! The softmax of an attention whose scores are held transposed, one row per j: it runs over j, so that it is element by
//! element along the rows, and needs no sum across a vector.

use crate::simd::multiversion;

multiversion! {
    /// Turns each column of `n` columns into its softmax.
    pub(crate) fn softmax_of_columns(scores: &mut [f32], n: usize) {
        let (mut largest, mut sum) = (vec![f32::NEG_INFINITY; n], vec![0f32; n]);
        for row in scores.chunks_exact(n) {
            for (s, m) in row.iter().zip(&mut largest) {
                *m = m.max(*s);
            }
        }
        for row in scores.chunks_exact_mut(n) {
            for ((s, m), sum) in row.iter_mut().zip(&largest).zip(&mut sum) {
                *s = crate::math::exp(*s - m);
                *sum += *s;
            }
        }
        for sum in sum.iter_mut() {
            *sum = 1.0 / *sum;
        }
        for row in scores.chunks_exact_mut(n) {
            for (s, inverse) in row.iter_mut().zip(&sum) {
                *s *= inverse;
            }
        }
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
