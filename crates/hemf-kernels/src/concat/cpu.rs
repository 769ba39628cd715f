//! Copies, row by row.

use crate::parallel;
use std::ops::Range;

/// Parts (values, width) side by side.
pub(super) fn join(parts: &[(&[f32], usize)]) -> Vec<f32> {
    let total = parts.iter().map(|(_, width)| width).sum::<usize>();
    let mut out = parallel::unwritten(parts.iter().map(|(values, _)| values.len()).sum());
    parallel::fill_rows(&mut out, total, |first, rows| {
        for (i, row) in rows.chunks_exact_mut(total).enumerate() {
            let mut start = 0;
            for (values, width) in parts {
                row[start..start + width].copy_from_slice(&values[(first + i) * width..][..*width]);
                start += width;
            }
        }
    });
    out
}

/// The columns `range` of rows of `total` values.
pub(super) fn cut(from: &[f32], total: usize, range: Range<usize>) -> Vec<f32> {
    let width = range.len();
    let mut out = parallel::unwritten(from.len() / total * width);
    parallel::fill_rows(&mut out, width, |first, rows| {
        for (i, row) in rows.chunks_exact_mut(width).enumerate() {
            row.copy_from_slice(&from[(first + i) * total..][range.clone()]);
        }
    });
    out
}
