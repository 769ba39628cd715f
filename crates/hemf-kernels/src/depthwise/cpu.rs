//! Line by line; in a line, some channels at a time, with the kernel's taps for them in registers.

use super::lines::{add_products, filter_line};
use crate::parallel;

/// (images, height, width, channels)
pub(super) type Dims = (usize, usize, usize, usize);

/// (C, 1, k, k) -> (k, k, C), turned by 180 degrees where asked.
pub(super) fn pack(w: &[f32], k: usize, turned: bool) -> Vec<f32> {
    let (taps, channels) = (k * k, w.len() / (k * k));
    let mut packed = vec![0.0; w.len()];
    for (tap, packed) in packed.chunks_exact_mut(channels).enumerate() {
        let at = if turned { taps - 1 - tap } else { tap };
        packed.iter_mut().zip(w[at..].iter().step_by(taps)).for_each(|(p, w)| *p = *w);
    }
    packed
}

/// The lines of the map under the kernel's, where the kernel's middle is on line `at` of all lines; `beside` where it
/// hangs over the edge.
fn under<'a>(x: &'a [f32], at: usize, (_, height, width, c): Dims, k: usize, beside: &'a [f32]) -> Vec<&'a [f32]> {
    let (image, line) = (at / height, at % height);
    let lines = (0..k).map(|ky| match (line + ky).checked_sub(k / 2).filter(|line| *line < height) {
        Some(line) => &x[(image * height + line) * width * c..][..width * c],
        None => beside,
    });
    lines.collect()
}

pub(super) fn forward(x: &[f32], taps: &[f32], b: &[f32], dims: Dims, k: usize) -> Vec<f32> {
    let (batch, height, width, c) = dims;
    let beside = vec![0.0; width * c];
    let mut y = parallel::unwritten(batch * height * width * c);
    let band = parallel::rows_per_task(width * c * k);
    parallel::fill_bands(&mut y, width * c, band, |first, rows| {
        for (i, row) in rows.chunks_exact_mut(width * c).enumerate() {
            filter_line(row, &under(x, first + i, dims, k, &beside), taps, b, k);
        }
    });
    y
}

/// The weight's gradient, as (C, 1, k, k).
pub(super) fn backward_weight(g: &[f32], x: &[f32], dims: Dims, k: usize) -> Vec<f32> {
    let (batch, height, width, c) = dims;
    let (lines, taps) = (batch * height, k * k);
    let beside = vec![0.0; width * c];
    let band = lines.div_ceil(64).max(parallel::rows_per_task(width * c * k));
    let packed = parallel::sum_rows(lines, band, taps * c, |range, acc| {
        for at in range {
            add_products(acc, &g[at * width * c..][..width * c], &under(x, at, dims, k, &beside), c, k);
        }
    });
    (0..c).flat_map(|channel| packed[channel..].iter().step_by(c).copied()).collect()
}
