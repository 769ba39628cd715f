//! Row by row: statistics in two passes, then the affine map.

use crate::parallel::{self, Scattered};
use crate::simd::{SIXTEEN, Sixteen, Vector, vectorised};

pub(super) fn forward(x: &[f32], w: &[f32], b: &[f32], eps: f32) -> Vec<f32> {
    let width = w.len();
    let mut y = parallel::unwritten(x.len());
    parallel::fill_rows(&mut y, width, |first, rows| {
        rows.copy_from_slice(&x[first * width..][..rows.len()]);
        normalise(rows, w, b, eps);
    });
    y
}

/// Rows of the weight's length, in place.
pub(crate) fn normalise(rows: &mut [f32], w: &[f32], b: &[f32], eps: f32) {
    // SAFETY: it asks for nothing.
    unsafe { normalise_rows(rows, w, b, eps) }
}

/// Mean and 1 / sqrt(variance + eps) of a row.
///
/// # Safety
/// The machine has the vector's instructions.
#[inline(always)]
unsafe fn statistics<V: Vector>(row: &[f32], eps: f32) -> (f32, f32) {
    // SAFETY: the caller's promise.
    unsafe {
        let scale = 1.0 / row.len() as f32;
        let mut sum = Sixteen::<V>::splat(0.0);
        for at in (0..row.len()).step_by(SIXTEEN) {
            sum = sum.add(Sixteen::load(row, at, 0.0));
        }
        let mean = sum.sum() * scale;
        let middle = Sixteen::<V>::splat(mean);
        let mut squares = Sixteen::<V>::splat(0.0);
        for at in (0..row.len()).step_by(SIXTEEN) {
            let apart = Sixteen::load(row, at, mean).sub(middle);
            squares = squares.add(apart.mul(apart));
        }
        (mean, 1.0 / (squares.sum() * scale + eps).sqrt())
    }
}

vectorised! {
    /// # Safety
    /// None is asked for.
    unsafe fn normalise_rows<V>(rows: &mut [f32], w: &[f32], b: &[f32], eps: f32) {
        for row in rows.chunks_exact_mut(w.len()) {
            // SAFETY: the machine has the instructions.
            unsafe {
                let (mean, rstd) = statistics::<V>(row, eps);
                let (mean, rstd) = (Sixteen::<V>::splat(mean), Sixteen::splat(rstd));
                for at in (0..w.len()).step_by(SIXTEEN) {
                    let n = Sixteen::load(row, at, 0.0).sub(mean).mul(rstd);
                    // Rounded after each step, as in PyTorch: see docs/architecture.md on kinks.
                    n.mul(Sixteen::load(w, at, 0.0)).add(Sixteen::load(b, at, 0.0)).store(row, at);
                }
            }
        }
    }
}

/// (dx, dw, db)
pub(super) fn backward(x: &[f32], w: &[f32], g: &[f32], eps: f32) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let width = w.len();
    let rows = x.len() / width;
    let mut dx = parallel::unwritten(x.len());
    let target = Scattered::new(&mut dx);
    let mut both = parallel::sum_rows(rows, parallel::rows_per_task(width), 2 * width, |range, acc| {
        let at = range.start * width..range.end * width;
        // SAFETY: ranges do not overlap; the gradient asks for nothing.
        unsafe { gradients(&x[at.clone()], w, &g[at.clone()], eps, target.at(at.start, at.len()), acc) }
    });
    let db = both.split_off(width);
    (dx, both, db)
}

vectorised! {
    /// Writes dx, and adds to dw and db, which lie one after the other.
    ///
    /// # Safety
    /// None is asked for.
    unsafe fn gradients<V>(x: &[f32], w: &[f32], g: &[f32], eps: f32, dx: &mut [f32], affine: &mut [f32]) {
        let width = w.len();
        let (dw, db) = affine.split_at_mut(width);
        for ((x, g), dx) in x.chunks_exact(width).zip(g.chunks_exact(width)).zip(dx.chunks_exact_mut(width)) {
            // SAFETY: the machine has the instructions.
            unsafe {
                let (mean, rstd) = statistics::<V>(x, eps);
                let (mean, rstd) = (Sixteen::<V>::splat(mean), Sixteen::splat(rstd));
                let (mut sum_h, mut sum_hn) = (Sixteen::<V>::splat(0.0), Sixteen::splat(0.0));
                for at in (0..width).step_by(SIXTEEN) {
                    let n = Sixteen::load(x, at, 0.0).sub(mean).mul(rstd);
                    let g = Sixteen::load(g, at, 0.0);
                    let h = g.mul(Sixteen::load(w, at, 0.0));
                    (sum_h, sum_hn) = (sum_h.add(h), h.mul_add(n, sum_hn));
                    g.mul_add(n, Sixteen::load(dw, at, 0.0)).store(dw, at);
                    g.add(Sixteen::load(db, at, 0.0)).store(db, at);
                }
                let scale = 1.0 / width as f32;
                let mean_h = Sixteen::<V>::splat(sum_h.sum() * scale);
                let mean_hn = Sixteen::<V>::splat(sum_hn.sum() * -scale);
                for at in (0..width).step_by(SIXTEEN) {
                    let n = Sixteen::load(x, at, 0.0).sub(mean).mul(rstd);
                    let h = Sixteen::load(g, at, 0.0).mul(Sixteen::load(w, at, 0.0)).sub(mean_h);
                    n.mul_add(mean_hn, h).mul(rstd).store(dx, at);
                }
            }
        }
    }
}
