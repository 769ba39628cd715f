//! One pass over the pixels.

use crate::parallel;
use crate::simd::multiversion;

/// `x` of pixels of `channels`, in heads of `d`; `sin` and `cos` of rows of `d`, one per position, repeated for each image.
pub(super) fn rotate(x: &[f32], sin: &[f32], cos: &[f32], channels: usize, d: usize) -> Vec<f32> {
    let mut y = parallel::unwritten(x.len());
    let positions = sin.len() / d;
    parallel::fill_rows(&mut y, channels, |first, rows| {
        let x = &x[first * channels..][..rows.len()];
        for (i, (y, x)) in rows.chunks_exact_mut(channels).zip(x.chunks_exact(channels)).enumerate() {
            let row = (first + i) % positions * d;
            rotate_pixel(y, x, &sin[row..][..d], &cos[row..][..d]);
        }
    });
    y
}

multiversion! {
    fn rotate_pixel(y: &mut [f32], x: &[f32], sin: &[f32], cos: &[f32]) {
        for (y, x) in y.chunks_exact_mut(sin.len()).zip(x.chunks_exact(sin.len())) {
            let table = sin.chunks_exact(2).zip(cos.chunks_exact(2));
            for ((y, x), (sin, cos)) in y.chunks_exact_mut(2).zip(x.chunks_exact(2)).zip(table) {
                y[0] = x[0] * cos[0] - x[1] * sin[0];
                y[1] = x[1] * cos[1] + x[0] * sin[1];
            }
        }
    }
}

/// The sines that turn a gradient back.
pub(super) fn swapped_and_negated(sin: &[f32]) -> Vec<f32> {
    sin.chunks_exact(2).flat_map(|pair| [-pair[1], -pair[0]]).collect()
}
