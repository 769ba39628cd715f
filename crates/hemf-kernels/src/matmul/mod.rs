//! Matrix products over tiles that depend on the shape alone.
//!
//! The right-hand matrix is read in panels of [`PANEL`] columns (the last may have a vector more) and blocks of [`DEPTH`]
//! rows; one block of a panel stays in the first cache while the rows of a tile pass by, and [`kernel`] keeps the sums of a
//! few of these in registers. Each value of the product is the sum over k in order, block by block, whatever the tile it is
//! in: so its bits depend neither on the threads nor on the tiles.

mod kernel;
mod packed;
#[cfg(test)]
mod tests;

use crate::parallel::{self, Scattered};
use kernel::{LINE, Left, Next, Out, Product, Right};
pub(crate) use packed::{Packed, Panelled};
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Values of the widest vector.
const VECTOR: usize = 16;
/// Columns of a panel.
pub(crate) const PANEL: usize = 48;
/// Rows of a block: with [`PANEL`], 24 KB.
const DEPTH: usize = 128;
/// Rows from which on a panel is worth copying together.
const TOGETHER: usize = 48;
/// Values of an output that is still in the second cache when it has been written.
const LITTLE: usize = 1 << 18;

/// A matrix that is a view of a slice.
#[derive(Clone, Copy)]
pub(crate) struct Mat<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Mat<'a> {
    /// Row-major and contiguous.
    pub(crate) fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// Row-major, a row starting every `row_stride` values.
    pub(crate) fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        assert!(rows == 0 || cols == 0 || (rows - 1) * row_stride + cols <= data.len(), "matrix beyond its slice");
        Self { data, rows, cols, row_stride, col_stride: 1 }
    }

    /// The transpose, as a view.
    pub(crate) fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }

    /// Some of the rows.
    fn rows(self, range: Range<usize>) -> Self {
        let data = if range.is_empty() { &[] } else { &self.data[range.start * self.row_stride..] };
        Self { data, rows: range.len(), ..self }
    }

    /// Some of the columns.
    fn cols(self, range: Range<usize>) -> Self {
        self.t().rows(range).t()
    }
}

/// What a sum begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start<B> {
    /// Nothing.
    Zero,
    /// The values that the output already holds.
    Sum,
    /// A value for each column.
    Bias(B),
}

impl<B> Start<B> {
    fn map<C>(self, f: impl FnOnce(B) -> C) -> Start<C> {
        match self {
            Self::Zero => Start::Zero,
            Self::Sum => Start::Sum,
            Self::Bias(bias) => Start::Bias(f(bias)),
        }
    }
}

impl<'a> Start<&'a [f32]> {
    /// With a bias or without one.
    pub(crate) fn bias(bias: Option<&'a [f32]>) -> Self {
        bias.map_or(Self::Zero, Self::Bias)
    }
}

/// The right-hand matrix as the tiles see it.
#[derive(Clone, Copy)]
pub(crate) enum Panels<'a> {
    /// Row-major with whole vectors: read where it lies.
    Plain(Mat<'a>),
    /// The values of a packed matrix.
    Packed(&'a [f32], Panelled),
}

impl<'a> Panels<'a> {
    /// `b` where it lies, if it lies well.
    fn plain(b: Mat<'a>) -> Option<Self> {
        (b.col_stride == 1 && b.cols.is_multiple_of(VECTOR)).then_some(Self::Plain(b))
    }

    fn size(&self) -> (usize, usize) {
        match self {
            Self::Plain(b) => (b.rows, b.cols),
            Self::Packed(_, shape) => (shape.rows, shape.cols),
        }
    }

    /// How many panels there are. One more vector than panels hold goes with the last of them, where the matrix is read as it
    /// lies: alone it would take as long as two.
    fn count(&self) -> usize {
        match *self {
            Self::Plain(b) if b.cols > PANEL && b.cols % PANEL <= VECTOR => b.cols / PANEL,
            _ => self.size().1.div_ceil(PANEL),
        }
    }

    /// The columns of some of the panels.
    fn columns(&self, panels: Range<usize>) -> Range<usize> {
        let to = if panels.end == self.count() { self.size().1 } else { panels.end * PANEL };
        panels.start * PANEL..to
    }

    /// The panel whose first row and column these are.
    fn panel(&self, row: usize, col: usize) -> Right {
        match self {
            Self::Plain(b) => Right { at: b.data[row * b.row_stride + col..].as_ptr(), step: b.row_stride },
            Self::Packed(values, shape) => Right { at: values[shape.range(row, col)].as_ptr(), step: PANEL },
        }
    }
}

/// out = a b + what it starts with; out is (a.rows, b.cols), contiguous. On all threads; the same bits for any number of
/// them.
pub(crate) fn matmul(a: Mat, b: Mat, out: &mut [f32], start: Start<&[f32]>) {
    assert_eq!(a.cols, b.rows, "inner sizes of a product");
    match Panels::plain(b) {
        Some(panels) => split(a, panels, out, start),
        None => split(a, Packed::new(b).panels(), out, start),
    }
}

/// The same with a right-hand matrix that was packed beforehand. What is finished of the output is handed to `finish`
/// while it is in the cache: a part of a row, or where asked a `whole` one, with its row and the column it begins at.
pub(crate) fn matmul_packed(
    a: Mat,
    b: Panels,
    out: &mut [f32],
    start: Start<&[f32]>,
    whole: bool,
    finish: impl Fn(usize, usize, &mut [f32]) + Sync,
) {
    let n = b.size().1;
    let across = tile_size(a.rows, b.count(), a.cols).1;
    if whole && across < b.count() && a.rows * n <= LITTLE {
        // Few rows: tiles as wide as they are would read the right-hand matrix too often.
        tiles(a, b, out, start, false, |_, _, _| ());
        return parallel::fill_rows(out, n, |first, rows| {
            rows.chunks_exact_mut(n).enumerate().for_each(|(row, values)| finish(first + row, 0, values));
        });
    }
    tiles(a, b, out, start, whole, finish);
}

/// The same as [`matmul`] on the calling thread, for use inside a task.
pub(crate) fn matmul_here(a: Mat, b: Mat, out: &mut [f32], start: Start<&[f32]>) {
    match Panels::plain(b) {
        Some(panels) => whole(a, panels, out, start),
        None => whole(a, Packed::here(b).panels(), out, start),
    }
}

/// [`matmul_here`] of a right-hand matrix with whole vectors, which asks for what will be read after it while it runs:
/// cache lines below each other, the first of each and how far apart they are, as many as `a` has columns; one of these for
/// every strip of rows in registers, as many as there are.
pub(crate) fn matmul_here_asking(a: Mat, b: Mat, out: &mut [f32], ask: &[(*const f32, usize)]) {
    let b = Panels::plain(b).expect("a matrix of whole vectors");
    check(&a, &b, out);
    let cols = b.size().1;
    tile(a, b, &Scattered::new(out), cols, 0..a.rows, 0..b.count(), Start::Zero, ask);
}

/// [`matmul_packed`] on the calling thread.
pub(crate) fn matmul_packed_here(a: Mat, b: Panels, out: &mut [f32], start: Start<&[f32]>) {
    whole(a, b, out, start);
}

fn whole(a: Mat, b: Panels, out: &mut [f32], start: Start<&[f32]>) {
    check(&a, &b, out);
    let cols = b.size().1;
    tile(a, b, &Scattered::new(out), cols, 0..a.rows, 0..b.count(), start, &[]);
}

fn check(a: &Mat, b: &Panels, out: &[f32]) {
    assert_eq!(a.cols, b.size().0, "inner sizes of a product");
    assert_eq!(out.len(), a.rows * b.size().1, "size of a product's output");
}

/// Long sums with a small result (gradients of weights) are cut into parts along k, which are added in order.
fn split(a: Mat, b: Panels, out: &mut [f32], start: Start<&[f32]>) {
    const ENOUGH: usize = 16;
    const ROWS: usize = 96;
    const LEAST: usize = 1024;
    let (m, k, n) = (a.rows, a.cols, b.size().1);
    let parts = (ENOUGH / m.div_ceil(ROWS).max(1)).min(k / LEAST).max(1);
    let plain = match b {
        Panels::Plain(plain) if parts > 1 && m * n > 0 => plain,
        _ => return tiles(a, b, out, start, false, |_, _, _| ()),
    };
    check(&a, &b, out);
    let depth = k.div_ceil(parts).next_multiple_of(DEPTH);
    let partial: Vec<Vec<f32>> = (0..k.div_ceil(depth))
        .into_par_iter()
        .map(|part| {
            let range = part * depth..((part + 1) * depth).min(k);
            let mut sum = parallel::unwritten(m * n);
            let (a, b) = (a.cols(range.clone()), Panels::Plain(plain.rows(range)));
            tiles(a, b, &mut sum, Start::Zero, false, |_, _, _| ());
            sum
        })
        .collect();
    parallel::fill_rows(out, n, |first, rows| {
        for (i, row) in rows.chunks_exact_mut(n).enumerate() {
            match start {
                Start::Zero => row.fill(0.0),
                Start::Sum => {}
                Start::Bias(bias) => row.copy_from_slice(bias),
            }
            for part in &partial {
                let part = &part[(first + i) * n..][..n];
                row.iter_mut().zip(part).for_each(|(r, p)| *r += p);
            }
        }
    });
}

/// The tiles of a product, in parallel; each of `whole` rows, where `finish` asks for them.
fn tiles(
    a: Mat,
    b: Panels,
    out: &mut [f32],
    start: Start<&[f32]>,
    whole: bool,
    finish: impl Fn(usize, usize, &mut [f32]) + Sync,
) {
    check(&a, &b, out);
    let n = b.size().1;
    let panels = b.count();
    let (rows, across) = match tile_size(a.rows, panels, a.cols) {
        // Finer, since whole rows of fewer tiles would leave threads idle.
        (rows, _) if whole => (rows.min(a.rows.div_ceil(8).next_multiple_of(6)), panels),
        size => size,
    };
    let target = Scattered::new(out);
    let tiles_across = panels.div_ceil(across.max(1));
    let task = |i: usize| {
        let (row, panel) = (i / tiles_across * rows, i % tiles_across * across);
        let (last_row, last_panel) = ((row + rows).min(a.rows), (panel + across).min(panels));
        tile(a, b, &target, n, row..last_row, panel..last_panel, start, &[]);
        let columns = b.columns(panel..last_panel);
        for row in row..last_row {
            // SAFETY: inside this task's tile, and the slice is gone before the next one is asked for.
            finish(row, columns.start, unsafe { target.at(row * n + columns.start, columns.len()) });
        }
    };
    match a.rows.div_ceil(rows.max(1)) * tiles_across {
        0 => {}
        1 => task(0),
        tasks => (0..tasks).into_par_iter().for_each(task),
    }
}

/// Rows and panels of a tile: as near to a square as there are enough of them to go round, since what a tile reads for
/// each product falls with both its sides.
fn tile_size(m: usize, panels: usize, k: usize) -> (usize, usize) {
    const SMALL: usize = 1 << 17;
    const ENOUGH: usize = 16;
    const ROWS: Range<usize> = 36..204;
    if m * panels * PANEL * k <= SMALL {
        return (m, panels);
    }
    // Where the right-hand matrix is the larger one, it should be read but once.
    let rows = match m <= 144 && panels >= ENOUGH {
        true => m,
        false => (m * panels * PANEL / ENOUGH).isqrt().clamp(ROWS.start, ROWS.end),
    };
    let rows = m.div_ceil(m.div_ceil(rows).max(1)).next_multiple_of(6);
    let columns = ENOUGH.div_ceil(m.div_ceil(rows.max(1)).max(1)).min(panels).max(1);
    (rows, panels.div_ceil(columns))
}

/// Room for a panel and one vector more.
#[repr(align(64))]
struct Room([MaybeUninit<f32>; DEPTH * (PANEL + VECTOR)]);

/// One tile of the output, whose rows are `n` apart; `ask` is for [`matmul_here_asking`]. Never part of its caller, of which
/// many may be waiting on one stack: it has a panel's room on it.
#[inline(never)]
#[allow(clippy::too_many_arguments)]
fn tile(
    a: Mat,
    b: Panels,
    out: &Scattered,
    n: usize,
    rows: Range<usize>,
    panels: Range<usize>,
    start: Start<&[f32]>,
    ask: &[(*const f32, usize)],
) {
    let k = a.cols;
    if rows.is_empty() || panels.is_empty() {
        return;
    }
    let columns = b.columns(panels.clone());
    crate::profile::product(rows.len(), columns.len(), k);
    if k == 0 {
        for row in rows {
            // SAFETY: inside the tile, which is this call's alone.
            let out = unsafe { out.at(row * n + columns.start, columns.len()) };
            match start {
                Start::Zero => out.fill(0.0),
                Start::Sum => {}
                Start::Bias(bias) => out.copy_from_slice(&bias[columns.clone()]),
            }
        }
        return;
    }
    // Panels of a matrix that is read as it lies drive each other from the first cache: they are copied together, where that
    // is done for enough rows.
    let together = rows.len() >= TOGETHER && matches!(b, Panels::Plain(_));
    let mut room = Room([MaybeUninit::uninit(); _]);
    for first in (0..k).step_by(DEPTH) {
        let start = if first == 0 { start } else { Start::Sum };
        for panel in panels.clone() {
            let columns = b.columns(panel..panel + 1);
            let (from, cols) = (columns.start, columns.len());
            let left = Left {
                at: a.data[rows.start * a.row_stride + first * a.col_stride..].as_ptr(),
                row: a.row_stride,
                step: a.col_stride,
            };
            let start = start.map(|bias| bias[from..from + cols].as_ptr());
            let lines = Lines::after(&a, &b, &rows, &panels, first, panel);
            // SAFETY: `a` and `b` were checked against their slices when made, and the output's size by `check`; the
            // tile lies inside the output and is written by this call alone. A plain matrix has whole vectors, a packed one is
            // filled up to them; there is room for a copy of the widest panel and the deepest block.
            unsafe {
                let out = Out { at: out.from(rows.start * n + from), row: n };
                let k = DEPTH.min(k - first);
                let mut right = b.panel(first, from);
                if together && right.step > cols {
                    let (at, step) = (room.0.as_mut_ptr().cast(), cols);
                    kernel::copy(right, k, cols, at);
                    right = Right { at, step };
                }
                let next = match b {
                    Panels::Plain(_) if panel == 0 && first == 0 && !ask.is_empty() => Next::Lines(ask),
                    Panels::Plain(_) => Next::Lines(&lines.of[..lines.count]),
                    Panels::Packed(..) if panel + 1 == panels.end && first + DEPTH < a.cols => {
                        Next::Panel(b.panel(first + DEPTH, panels.start * PANEL).at)
                    }
                    // What lies behind it in memory, which is the next one but at the end of a tile.
                    Panels::Packed(..) => Next::Panel(right.at.wrapping_add(k * PANEL)),
                };
                kernel::panel(rows.len(), Product { k, cols, left, right, out, start }, next);
            }
        }
    }
}

/// What a tile reads after a panel, as cache lines below each other: the next panel, and a share of what the next block
/// takes of a left matrix whose rows lie side by side. Such places are too far apart for the machine to foresee.
struct Lines {
    of: [(*const f32, usize); Self::MOST],
    count: usize,
}

impl Lines {
    const MOST: usize = 16;

    fn after(a: &Mat, b: &Panels, rows: &Range<usize>, panels: &Range<usize>, first: usize, panel: usize) -> Self {
        let mut lines = Self { of: [(std::ptr::null(), 0); Self::MOST], count: 0 };
        let Panels::Plain(plain) = b else { return lines };
        let (row, next) = if panel + 1 < panels.end { (first, panel + 1) } else { (first + DEPTH, panels.start) };
        lines.add(plain, row, b.columns(next..next + 1));
        if a.row_stride == 1 {
            let each = rows.len().div_ceil(panels.len()).next_multiple_of(LINE);
            let from = rows.start + (panel - panels.start) * each;
            lines.add(&a.t(), first + DEPTH, from..(from + each).min(rows.end));
        }
        lines
    }

    /// These columns of a matrix with contiguous rows, from a row on, if there is such a row.
    fn add(&mut self, matrix: &Mat, row: usize, columns: Range<usize>) {
        if row >= matrix.rows {
            return;
        }
        for column in columns.step_by(LINE).take(Self::MOST - self.count) {
            self.of[self.count] = (matrix.data[row * matrix.row_stride + column..].as_ptr(), matrix.row_stride);
            self.count += 1;
        }
    }
}
