//! Passes over the map; the inner loop runs over the channels wherever it can.

use crate::parallel;
use crate::simd::vectorised;

type Dims = (usize, usize, usize, usize);

pub(super) fn cells(x: &[f32], (batch, height, width, c): Dims) -> Vec<f32> {
    let (out_height, out_width) = (height / 2, width / 2);
    let mut y = parallel::unwritten(batch * out_height * out_width * c);
    parallel::fill_rows(&mut y, out_width * c, |first, rows| {
        for (i, row) in rows.chunks_exact_mut(out_width * c).enumerate() {
            let (image, line) = ((first + i) / out_height, (first + i) % out_height);
            let above = &x[(image * height + 2 * line) * width * c..][..2 * width * c];
            let (above, below) = above.split_at(width * c);
            for (j, pixel) in row.chunks_exact_mut(c).enumerate() {
                let (a, b) = (&above[2 * j * c..][..2 * c], &below[2 * j * c..][..2 * c]);
                for (k, p) in pixel.iter_mut().enumerate() {
                    *p = 0.25 * ((a[k] + a[k + c]) + (b[k] + b[k + c]));
                }
            }
        }
    });
    y
}

pub(super) fn cells_gradient(g: &[f32], (batch, height, width, c): Dims) -> Vec<f32> {
    let (out_height, out_width) = (height / 2, width / 2);
    let mut dx = vec![0.0; batch * height * width * c];
    parallel::fill_rows(&mut dx, width * c, |first, rows| {
        for (i, row) in rows.chunks_exact_mut(width * c).enumerate() {
            let (image, line) = ((first + i) / height, (first + i) % height / 2);
            if line < out_height {
                let g = &g[(image * out_height + line) * out_width * c..][..out_width * c];
                for (j, pixel) in row[..2 * out_width * c].chunks_exact_mut(c).enumerate() {
                    for (d, g) in pixel.iter_mut().zip(&g[j / 2 * c..][..c]) {
                        *d = 0.25 * g;
                    }
                }
            }
        }
    });
    dx
}

/// The first place of the largest value; a NaN counts as largest, so that it is seen.
fn argmax(values: impl Iterator<Item = f32>) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (i, v) in values.enumerate() {
        if v > best.1 || (v.is_nan() && !best.1.is_nan()) || i == 0 {
            best = (i, v);
        }
    }
    best
}

vectorised! {
    /// Mean, by a sum in f64, and largest value of each pixel's `c` channels; a NaN counts as largest.
    ///
    /// # Safety
    /// It asks for nothing.
    unsafe fn mean_and_largest<V>(x: &[f32], c: usize, out: &mut [f32]) {
        const SIDE: usize = 16;
        let larger = |most: f32, v: f32| if v > most || v.is_nan() { v } else { most };
        for (out, x) in out.chunks_exact_mut(2).zip(x.chunks_exact(c)) {
            let (whole, rest) = x.as_chunks::<SIDE>();
            let (mut sums, mut most) = ([0.0; SIDE], [f32::NEG_INFINITY; SIDE]);
            for values in whole {
                for i in 0..SIDE {
                    sums[i] += f64::from(values[i]);
                    most[i] = if most[i].is_nan() { most[i] } else { larger(most[i], values[i]) };
                }
            }
            let sum = sums.iter().sum::<f64>() + rest.iter().map(|v| f64::from(*v)).sum::<f64>();
            let largest = |m: f32, v: &f32| if m.is_nan() { m } else { larger(m, *v) };
            out[0] = sum as f32 / c as f32;
            out[1] = most.iter().chain(rest).fold(f32::NEG_INFINITY, largest);
        }
    }
}

pub(super) fn channels(x: &[f32], c: usize) -> Vec<f32> {
    let mut y = parallel::unwritten(x.len() / c * 2);
    parallel::fill_bands(&mut y, 2, parallel::rows_per_task(c), |first, rows| {
        // SAFETY: it asks for nothing.
        unsafe { mean_and_largest(&x[first * c..], c, rows) };
    });
    y
}

pub(super) fn channels_gradient(x: &[f32], g: &[f32], c: usize) -> Vec<f32> {
    let mut dx = parallel::unwritten(x.len());
    parallel::fill_rows(&mut dx, c, |first, rows| {
        let inputs = x[first * c..].chunks_exact(c).zip(g[first * 2..].chunks_exact(2));
        for (d, (x, g)) in rows.chunks_exact_mut(c).zip(inputs) {
            d.fill(g[0] / c as f32);
            d[argmax(x.iter().copied()).0] += g[1];
        }
    });
    dx
}

/// Sums of the pixels of one image, (pixels, C) -> C.
fn sum_pixels(x: &[f32], sums: &mut [f32]) {
    for pixel in x.chunks_exact(sums.len()) {
        for (s, v) in sums.iter_mut().zip(pixel) {
            *s += v;
        }
    }
}

pub(super) fn pixels(x: &[f32], (batch, height, width, c): Dims) -> Vec<f32> {
    let pixels = height * width;
    let mut y = vec![0.0; batch * 2 * c];
    parallel::fill_bands(&mut y, 2 * c, 1, |first, images| {
        for (i, out) in images.chunks_exact_mut(2 * c).enumerate() {
            let x = &x[(first + i) * pixels * c..][..pixels * c];
            let (mean, max) = out.split_at_mut(c);
            sum_pixels(x, mean);
            for m in mean.iter_mut() {
                *m /= pixels as f32;
            }
            max.copy_from_slice(&x[..c]);
            for pixel in x.chunks_exact(c) {
                for (m, v) in max.iter_mut().zip(pixel) {
                    *m = if *v > *m || v.is_nan() { *v } else { *m };
                }
            }
        }
    });
    y
}

pub(super) fn pixels_gradient(x: &[f32], g: &[f32], (_, height, width, c): Dims) -> Vec<f32> {
    let pixels = height * width;
    let mut dx = parallel::unwritten(x.len());
    parallel::fill_bands(&mut dx, pixels * c, 1, |first, images| {
        for (i, dx) in images.chunks_exact_mut(pixels * c).enumerate() {
            let x = &x[(first + i) * pixels * c..][..pixels * c];
            let (mean, max) = g[(first + i) * 2 * c..][..2 * c].split_at(c);
            for pixel in dx.chunks_exact_mut(c) {
                for (d, m) in pixel.iter_mut().zip(mean) {
                    *d = m / pixels as f32;
                }
            }
            for (channel, g) in max.iter().enumerate() {
                let (at, _) = argmax(x.iter().skip(channel).step_by(c).copied());
                dx[at * c + channel] += g;
            }
        }
    });
    dx
}

/// Sums of the pixels of each image, divided.
pub(super) fn sum(x: &[f32], (batch, height, width, c): Dims, divisor: f32) -> Vec<f32> {
    let pixels = height * width;
    let mut y = vec![0.0; batch * c];
    parallel::fill_bands(&mut y, c, 1, |first, images| {
        for (i, out) in images.chunks_exact_mut(c).enumerate() {
            sum_pixels(&x[(first + i) * pixels * c..][..pixels * c], out);
            for m in out.iter_mut() {
                *m /= divisor;
            }
        }
    });
    y
}

pub(super) fn sum_gradient(g: &[f32], (batch, height, width, c): Dims, divisor: f32) -> Vec<f32> {
    let pixels = height * width;
    let mut dx = parallel::unwritten(batch * pixels * c);
    parallel::fill_rows(&mut dx, c, |first, rows| {
        for (i, pixel) in rows.chunks_exact_mut(c).enumerate() {
            let g = &g[(first + i) / pixels * c..][..c];
            for (d, g) in pixel.iter_mut().zip(g) {
                *d = g / divisor;
            }
        }
    });
    dx
}
