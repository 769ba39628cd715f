//! One pass over the map; the inner loop runs over the channels.

use super::{By, Scale};
use crate::parallel;
use crate::simd::multiversion;

pub(super) fn apply(op: &Scale, x: &[f32], s: &[f32]) -> Vec<f32> {
    let c = op.channels;
    let mut y = parallel::unwritten(x.len());
    parallel::fill_rows(&mut y, c, |first, rows| {
        let x = &x[first * c..][..rows.len()];
        for (i, (x, y)) in x.chunks_exact(c).zip(rows.chunks_exact_mut(c)).enumerate() {
            let pixel = first + i;
            match op.by {
                By::Pixel => times(x, s[pixel], y),
                By::Sample => times(x, s[pixel / op.pixels], y),
                By::Channel => times_each(x, &s[pixel / op.pixels * c..][..c], y),
            }
        }
    });
    y
}

multiversion! {
    fn times(x: &[f32], s: f32, y: &mut [f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = x * s;
        }
    }
}

multiversion! {
    fn times_each(x: &[f32], s: &[f32], y: &mut [f32]) {
        for ((y, x), s) in y.iter_mut().zip(x).zip(s) {
            *y = x * s;
        }
    }
}

pub(super) fn backward_factor(op: &Scale, x: &[f32], g: &[f32]) -> Vec<f32> {
    let (c, per_sample) = (op.channels, op.pixels * op.channels);
    match op.by {
        By::Pixel => {
            let mut ds = parallel::unwritten(x.len() / c);
            parallel::fill_bands(&mut ds, 1, parallel::rows_per_task(c), |first, band| {
                let at = first * c..(first + band.len()) * c;
                dot_rows(&x[at.clone()], &g[at], band);
            });
            ds
        }
        By::Channel => {
            let mut ds = vec![0.0; x.len() / op.pixels];
            parallel::fill_bands(&mut ds, c, 1, |sample, acc| {
                let at = sample * per_sample..(sample + 1) * per_sample;
                add_products(&x[at.clone()], &g[at], acc);
            });
            ds
        }
        By::Sample => (x.chunks_exact(per_sample).zip(g.chunks_exact(per_sample)))
            .map(|(x, g)| x.iter().zip(g).map(|(x, g)| f64::from(*x) * f64::from(*g)).sum::<f64>() as f32)
            .collect(),
    }
}

multiversion! {
    /// The dot product of each row of x and g.
    fn dot_rows(x: &[f32], g: &[f32], out: &mut [f32]) {
        let c = x.len() / out.len();
        for ((x, g), out) in x.chunks_exact(c).zip(g.chunks_exact(c)).zip(out.iter_mut()) {
            let mut lanes = [0f32; 8];
            for (i, (x, g)) in x.iter().zip(g).enumerate() {
                lanes[i % 8] += x * g;
            }
            *out = lanes.iter().sum();
        }
    }
}

multiversion! {
    fn add_products(x: &[f32], g: &[f32], acc: &mut [f32]) {
        for (x, g) in x.chunks_exact(acc.len()).zip(g.chunks_exact(acc.len())) {
            for ((a, x), g) in acc.iter_mut().zip(x).zip(g) {
                *a += x * g;
            }
        }
    }
}
