//! One pass each.

use crate::parallel;
use crate::simd::multiversion;

pub(super) fn zip(x: &[f32], y: &[f32], run: fn(&[f32], &[f32], &mut [f32])) -> Vec<f32> {
    let mut z = parallel::unwritten(x.len());
    parallel::fill_rows(&mut z, 1, |first, band| run(&x[first..][..band.len()], &y[first..][..band.len()], band));
    z
}

multiversion! {
    /// z += x
    pub(crate) fn accumulate(z: &mut [f32], x: &[f32]) {
        for (z, x) in z.iter_mut().zip(x) {
            *z += x;
        }
    }
}

multiversion! {
    pub(super) fn sum(x: &[f32], y: &[f32], z: &mut [f32]) {
        for ((z, x), y) in z.iter_mut().zip(x).zip(y) {
            *z = x + y;
        }
    }
}

multiversion! {
    pub(super) fn product(x: &[f32], y: &[f32], z: &mut [f32]) {
        for ((z, x), y) in z.iter_mut().zip(x).zip(y) {
            *z = x * y;
        }
    }
}
