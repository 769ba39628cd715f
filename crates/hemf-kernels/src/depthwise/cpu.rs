//! Loops over pixels and taps; the innermost runs over the channels.

use crate::parallel;
use crate::simd::multiversion;

type Dims = (usize, usize, usize, usize);

/// (C, 1, k, k) -> (k, k, C), turned by 180 degrees where asked.
pub(super) fn pack(w: &[f32], k: usize, turned: bool) -> Vec<f32> {
    let (taps, channels) = (k * k, w.len() / (k * k));
    let at = |tap: usize| if turned { taps - 1 - tap } else { tap };
    (0..taps * channels).map(|i| w[i % channels * taps + at(i / channels)]).collect()
}

/// The taps of a kernel of size `k` at position `at` of `size` that fall on the map: their first and one past the last.
fn taps_at(at: usize, size: usize, k: usize) -> (usize, usize) {
    let p = k / 2;
    (p.saturating_sub(at), k.min(size + p - at))
}

pub(super) fn forward(x: &[f32], taps: &[f32], b: &[f32], (batch, height, width, c): Dims, k: usize) -> Vec<f32> {
    let mut y = parallel::unwritten(batch * height * width * c);
    let band = parallel::rows_per_task(width * c * k);
    parallel::fill_bands(&mut y, width * c, band, |first, rows| {
        for (i, row) in rows.chunks_exact_mut(width * c).enumerate() {
            let (image, line) = ((first + i) / height, (first + i) % height);
            row.chunks_exact_mut(c).for_each(|pixel| pixel.copy_from_slice(b));
            let (from, to) = taps_at(line, height, k);
            for ky in from..to {
                let source = &x[(image * height + line + ky - k / 2) * width * c..][..width * c];
                add_line(row, source, &taps[ky * k * c..][..k * c], width, c, k);
            }
        }
    });
    y
}

multiversion! {
    /// Adds one line of the map under one line of the kernel.
    fn add_line(out: &mut [f32], x: &[f32], taps: &[f32], width: usize, c: usize, k: usize) {
        for (j, pixel) in out.chunks_exact_mut(c).enumerate() {
            let (from, to) = taps_at(j, width, k);
            for kx in from..to {
                let x = &x[(j + kx - k / 2) * c..][..c];
                let w = &taps[kx * c..][..c];
                for ((p, x), w) in pixel.iter_mut().zip(x).zip(w) {
                    *p += x * w;
                }
            }
        }
    }
}

/// The weight's gradient, as (C, 1, k, k).
pub(super) fn backward_weight(g: &[f32], x: &[f32], (batch, height, width, c): Dims, k: usize) -> Vec<f32> {
    let lines = batch * height;
    let band = lines.div_ceil(64).max(parallel::rows_per_task(width * c * k));
    let packed = parallel::sum_rows(lines, band, k * k * c, |range, acc| {
        for at in range {
            let (image, line) = (at / height, at % height);
            let g = &g[at * width * c..][..width * c];
            let (from, to) = taps_at(line, height, k);
            for ky in from..to {
                let x = &x[(image * height + line + ky - k / 2) * width * c..][..width * c];
                add_products(&mut acc[ky * k * c..][..k * c], g, x, width, c, k);
            }
        }
    });
    let taps = k * k;
    (0..taps * c).map(|i| packed[i % taps * c + i / taps]).collect()
}

multiversion! {
    /// Adds, for one line of the kernel, the products of a line of gradients with a line of the map.
    fn add_products(acc: &mut [f32], g: &[f32], x: &[f32], width: usize, c: usize, k: usize) {
        for (j, g) in g.chunks_exact(c).enumerate() {
            let (from, to) = taps_at(j, width, k);
            for kx in from..to {
                let x = &x[(j + kx - k / 2) * c..][..c];
                for ((a, g), x) in acc[kx * c..][..c].iter_mut().zip(g).zip(x) {
                    *a += g * x;
                }
            }
        }
    }
}
