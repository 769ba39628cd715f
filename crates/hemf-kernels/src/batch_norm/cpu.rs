//! Passes over the rows (pixels) of the map; the inner loop runs over the channels.

use crate::linear::sum_rows;
use crate::parallel::{self, rows_per_task};
use crate::simd::multiversion;

/// (mean, biased variance), the variance in a second pass around the mean.
pub(super) fn statistics(x: &[f32], width: usize) -> (Vec<f32>, Vec<f32>) {
    let rows = x.len() / width;
    let scale = |sums: Vec<f32>| sums.into_iter().map(|s| (f64::from(s) / rows as f64) as f32).collect::<Vec<_>>();
    let mean = scale(sum_rows(x, width));
    let variance = scale(parallel::sum_rows(rows, rows_per_task(width), width, |range, acc| {
        add_squares(&x[range.start * width..range.end * width], &mean, acc);
    }));
    (mean, variance)
}

multiversion! {
    fn add_squares(x: &[f32], mean: &[f32], acc: &mut [f32]) {
        for row in x.chunks_exact(acc.len()) {
            for ((a, x), m) in acc.iter_mut().zip(row).zip(mean) {
                *a += (x - m) * (x - m);
            }
        }
    }
}

pub(super) fn forward(x: &[f32], w: &[f32], b: &[f32], mean: &[f32], rstd: &[f32]) -> Vec<f32> {
    let width = w.len();
    let scale: Vec<f32> = w.iter().zip(rstd).map(|(w, r)| w * r).collect();
    let mut y = parallel::unwritten(x.len());
    parallel::fill_rows(&mut y, width, |first, rows| {
        affine(&x[first * width..][..rows.len()], mean, &scale, b, rows);
    });
    y
}

multiversion! {
    fn affine(x: &[f32], mean: &[f32], scale: &[f32], shift: &[f32], y: &mut [f32]) {
        for (x, y) in x.chunks_exact(mean.len()).zip(y.chunks_exact_mut(mean.len())) {
            for ((((y, x), m), s), t) in y.iter_mut().zip(x).zip(mean).zip(scale).zip(shift) {
                *y = (x - m) * s + t;
            }
        }
    }
}

/// (dw, db)
pub(super) fn backward_affine(x: &[f32], g: &[f32], mean: &[f32], rstd: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let width = mean.len();
    let rows = x.len() / width;
    let mut both = parallel::sum_rows(rows, rows_per_task(width), 2 * width, |range, acc| {
        let at = range.start * width..range.end * width;
        affine_gradient(&x[at.clone()], &g[at], mean, acc);
    });
    let db = both.split_off(width);
    for (d, r) in both.iter_mut().zip(rstd) {
        *d *= r;
    }
    (both, db)
}

multiversion! {
    /// Adds g (x - mean) to the first half of `acc` and g to the second.
    fn affine_gradient(x: &[f32], g: &[f32], mean: &[f32], acc: &mut [f32]) {
        let width = mean.len();
        let (dw, db) = acc.split_at_mut(width);
        for (x, g) in x.chunks_exact(width).zip(g.chunks_exact(width)) {
            for ((((dw, db), x), g), m) in dw.iter_mut().zip(db.iter_mut()).zip(x).zip(g).zip(mean) {
                *dw += g * (x - m);
                *db += g;
            }
        }
    }
}

/// `sums` are (dw, db, pixels) of the whole batch where the statistics depend on x.
pub(super) fn backward_input(
    x: &[f32],
    w: &[f32],
    g: &[f32],
    mean: &[f32],
    rstd: &[f32],
    sums: Option<&(Vec<f32>, Vec<f32>, usize)>,
) -> Vec<f32> {
    let width = w.len();
    // dx = scale g - shift - slope (x - mean), with everything that a channel shares worked out once.
    let scale: Vec<f32> = w.iter().zip(rstd).map(|(w, r)| w * r).collect();
    let (shift, slope): (Vec<f32>, Vec<f32>) = match sums {
        Some((dw, db, pixels)) => {
            let n = *pixels as f32;
            (0..width).map(|c| (scale[c] * db[c] / n, scale[c] * rstd[c] * dw[c] / n)).unzip()
        }
        None => (vec![0.0; width], vec![0.0; width]),
    };
    let mut dx = parallel::unwritten(x.len());
    parallel::fill_rows(&mut dx, width, |first, rows| {
        let at = first * width..first * width + rows.len();
        input_gradient(&x[at.clone()], &g[at], mean, &scale, &shift, &slope, rows);
    });
    dx
}

multiversion! {
    fn input_gradient(
        x: &[f32],
        g: &[f32],
        mean: &[f32],
        scale: &[f32],
        shift: &[f32],
        slope: &[f32],
        dx: &mut [f32],
    ) {
        let width = mean.len();
        let (scale, shift, slope) = (&scale[..width], &shift[..width], &slope[..width]);
        for ((x, g), dx) in x.chunks_exact(width).zip(g.chunks_exact(width)).zip(dx.chunks_exact_mut(width)) {
            for c in 0..width {
                dx[c] = scale[c] * g[c] - shift[c] - slope[c] * (x[c] - mean[c]);
            }
        }
    }
}
