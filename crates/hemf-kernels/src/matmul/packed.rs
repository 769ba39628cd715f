//! A right-hand matrix in the order in which a product reads it.

use super::{DEPTH, Mat, PANEL, Panels};
use crate::memory;
use crate::parallel::{self, Scattered};
use crate::simd::transpose;
use rayon::prelude::*;
use std::ops::Range;

/// A (k, n) matrix cut into blocks of [`DEPTH`] rows, and these into panels of [`PANEL`] columns, each panel contiguous;
/// the last one is filled up with zeros. Made once, it serves any number of products.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    values: Vec<f32>,
    shape: Panelled,
}

/// Where a packed matrix of some size has its panels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panelled {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
}

impl Panelled {
    /// Values in all.
    pub(crate) fn len(&self) -> usize {
        self.rows * self.cols.next_multiple_of(PANEL)
    }

    /// The panels, in the order in which they lie in memory: the first row and column of each.
    pub(crate) fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let cols = self.cols;
        (0..self.rows).step_by(DEPTH).flat_map(move |row| (0..cols).step_by(PANEL).map(move |col| (row, col)))
    }

    /// Where in memory the panel lies whose first row and column these are.
    pub(crate) fn range(&self, row: usize, col: usize) -> Range<usize> {
        let depth = DEPTH.min(self.rows - row);
        let start = row * self.cols.next_multiple_of(PANEL) + col * depth;
        start..start + depth * PANEL
    }
}

impl Packed {
    /// On all threads.
    pub(crate) fn new(b: Mat) -> Self {
        let shape = Panelled { rows: b.rows, cols: b.cols };
        let mut values = parallel::unwritten(shape.len());
        let target = Scattered::new(&mut values);
        let places: Vec<_> = shape.places().collect();
        places.into_par_iter().for_each(|(row, col)| {
            let range = shape.range(row, col);
            // SAFETY: panels do not overlap.
            pack(b, row, col, unsafe { target.at(range.start, range.len()) });
        });
        Self { values, shape }
    }

    /// Of a (k, n) matrix that is made as it is packed: `columns` writes some of its columns, from a first one on, one after
    /// the other.
    pub(crate) fn by_columns(rows: usize, cols: usize, columns: impl Fn(usize, &mut [f32]) + Sync) -> Self {
        let shape = Panelled { rows, cols };
        let mut values = parallel::unwritten(shape.len());
        let target = Scattered::new(&mut values);
        (0..cols.div_ceil(PANEL)).into_par_iter().for_each(|panel| {
            let col = panel * PANEL;
            let width = PANEL.min(cols - col);
            let mut some = parallel::unwritten(width * rows);
            columns(col, &mut some);
            let some = Mat::new(&some, width, rows).t();
            for row in (0..rows).step_by(DEPTH) {
                let range = shape.range(row, col);
                // SAFETY: panels do not overlap.
                let panel = unsafe { target.at(range.start, range.len()) };
                memory::hand_out(panel);
                pack(some, row, 0, panel);
            }
        });
        Self { values, shape }
    }

    /// As [`new`](Self::new), on the calling thread.
    pub(super) fn here(b: Mat) -> Self {
        let shape = Panelled { rows: b.rows, cols: b.cols };
        let mut values = parallel::unwritten(shape.len());
        shape.places().for_each(|(row, col)| pack(b, row, col, &mut values[shape.range(row, col)]));
        Self { values, shape }
    }

    /// The values of a row that are in the panel whose first column is `col`.
    pub(crate) fn row(&self, row: usize, col: usize) -> &[f32; PANEL] {
        let first = row - row % DEPTH;
        let start = self.shape.range(first, col).start + (row - first) * PANEL;
        self.values[start..].first_chunk().expect("a row of a panel")
    }

    /// To be multiplied with.
    pub(crate) fn panels(&self) -> Panels<'_> {
        Panels::Packed(&self.values, self.shape)
    }
}

/// Fills a panel, whose length tells its number of rows.
fn pack(b: Mat, first: usize, from: usize, out: &mut [f32]) {
    let width = PANEL.min(b.cols - from);
    let start = &b.data[first * b.row_stride + from * b.col_stride..];
    if width < PANEL {
        out.fill(0.0);
    }
    if b.col_stride == 1 {
        for (row, out) in out.chunks_exact_mut(PANEL).enumerate() {
            out[..width].copy_from_slice(&start[row * b.row_stride..][..width]);
        }
        return;
    }
    debug_assert_eq!(b.row_stride, 1, "a matrix has its rows or its columns in one piece");
    let rows = out.len() / PANEL;
    transpose(start, b.col_stride, out, PANEL, width, rows);
}
