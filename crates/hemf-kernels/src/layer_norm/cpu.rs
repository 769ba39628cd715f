//! Row by row: statistics in two passes, then the affine map.

use crate::parallel;
use crate::simd::multiversion;

pub(super) fn forward(x: &[f32], w: &[f32], b: &[f32], eps: f32) -> Vec<f32> {
    let width = w.len();
    let mut y = parallel::unwritten(x.len());
    parallel::fill_rows(&mut y, width, |first, rows| {
        rows.copy_from_slice(&x[first * width..][..rows.len()]);
        normalise(rows, w, b, eps);
    });
    y
}

/// The sum of `term` over a row's places, in sixteen lanes, so that the compiler may keep them in registers: their order
/// is part of the result.
#[inline(always)]
fn sum(width: usize, term: impl Fn(usize) -> f32) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0f32; LANES];
    let whole = width / LANES * LANES;
    let mut at = 0;
    while at < whole {
        for lane in 0..LANES {
            lanes[lane] += term(at + lane);
        }
        at += LANES;
    }
    for (lane, at) in (whole..width).enumerate() {
        lanes[lane] += term(at);
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// Mean and 1 / sqrt(variance + eps) of a row.
#[inline(always)]
fn statistics(row: &[f32], eps: f32) -> (f32, f32) {
    let scale = 1.0 / row.len() as f32;
    let mean = sum(row.len(), |i| row[i]) * scale;
    let variance = sum(row.len(), |i| (row[i] - mean) * (row[i] - mean)) * scale;
    (mean, 1.0 / (variance + eps).sqrt())
}

multiversion! {
    /// Rows of the weight's length, in place.
    pub(crate) fn normalise(rows: &mut [f32], w: &[f32], b: &[f32], eps: f32) {
        for row in rows.chunks_exact_mut(w.len()) {
            let (mean, rstd) = statistics(row, eps);
            for ((y, w), b) in row.iter_mut().zip(w).zip(b) {
                *y = (*y - mean) * rstd * w + b;
            }
        }
    }
}

pub(super) fn backward_input(x: &[f32], w: &[f32], g: &[f32], eps: f32) -> Vec<f32> {
    let width = w.len();
    let mut dx = parallel::unwritten(x.len());
    parallel::fill_rows(&mut dx, width, |first, rows| {
        let at = first * width..first * width + rows.len();
        input_gradient(&x[at.clone()], w, &g[at], eps, rows);
    });
    dx
}

multiversion! {
    fn input_gradient(x: &[f32], w: &[f32], g: &[f32], eps: f32, dx: &mut [f32]) {
        let width = w.len();
        let scale = 1.0 / width as f32;
        for ((x, g), dx) in x.chunks_exact(width).zip(g.chunks_exact(width)).zip(dx.chunks_exact_mut(width)) {
            let (mean, rstd) = statistics(x, eps);
            let mean_h = sum(width, |i| g[i] * w[i]) * scale;
            let mean_hn = sum(width, |i| g[i] * w[i] * ((x[i] - mean) * rstd)) * scale;
            for (((d, x), g), w) in dx.iter_mut().zip(x).zip(g).zip(w) {
                *d = rstd * (g * w - mean_h - (x - mean) * rstd * mean_hn);
            }
        }
    }
}

/// (dw, db)
pub(super) fn backward_affine(x: &[f32], g: &[f32], width: usize, eps: f32) -> (Vec<f32>, Vec<f32>) {
    let rows = x.len() / width;
    let mut both = parallel::sum_rows(rows, parallel::rows_per_task(width), 2 * width, |range, acc| {
        let at = range.start * width..range.end * width;
        affine_gradient(&x[at.clone()], &g[at], eps, acc);
    });
    let db = both.split_off(width);
    (both, db)
}

multiversion! {
    fn affine_gradient(x: &[f32], g: &[f32], eps: f32, acc: &mut [f32]) {
        let width = acc.len() / 2;
        let (dw, db) = acc.split_at_mut(width);
        for (x, g) in x.chunks_exact(width).zip(g.chunks_exact(width)) {
            let (mean, rstd) = statistics(x, eps);
            for (((dw, db), x), g) in dw.iter_mut().zip(db.iter_mut()).zip(x).zip(g) {
                *dw += g * ((x - mean) * rstd);
                *db += g;
            }
        }
    }
}
