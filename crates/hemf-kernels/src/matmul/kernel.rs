//! The innermost loops of a product: a few rows of the left matrix times one panel of the right one, all sums in
//! registers.

use super::{PANEL, Start, VECTOR};
use crate::simd::{Vector, vectorised};
use std::hint::black_box;
use std::sync::atomic::{Ordering, compiler_fence};

/// Steps of the innermost loop that are written out.
const UNROLL: usize = 2;
/// Values of a cache line.
pub(super) const LINE: usize = 16;

/// A view of the left matrix, from its first value that is needed.
#[derive(Clone, Copy)]
pub(super) struct Left {
    pub(super) at: *const f32,
    /// How far apart rows are, and values of a row. One of the two is 1.
    pub(super) row: usize,
    pub(super) step: usize,
}

/// A panel of the right matrix: the values of each step in one piece, `step` apart from those of the next. Whole vectors
/// are read: what lies between the last column and the next multiple of a vector's lanes must be there, and comes to nothing.
#[derive(Clone, Copy)]
pub(super) struct Right {
    pub(super) at: *const f32,
    pub(super) step: usize,
}

/// What will be read next, to be got ready meanwhile.
#[derive(Clone, Copy)]
pub(super) enum Next<'a> {
    /// As many values as the panel has, one after the other.
    Panel(*const f32),
    /// Cache lines below each other: the first, and how far apart they are.
    Lines(&'a [(*const f32, usize)]),
}

/// Where the product goes: its first value that is computed, and how far apart rows are.
#[derive(Clone, Copy)]
pub(super) struct Out {
    pub(super) at: *mut f32,
    pub(super) row: usize,
}

/// What to ask for at each step of a part; nothing new, where it stays at one place.
#[derive(Clone, Copy)]
struct Ahead {
    at: *const f32,
    pace: usize,
}

/// Some rows of the left matrix times some columns of a panel: `k` products for each of `cols` columns.
#[derive(Clone, Copy)]
pub(super) struct Product {
    pub(super) k: usize,
    pub(super) cols: usize,
    pub(super) left: Left,
    pub(super) right: Right,
    pub(super) out: Out,
    pub(super) start: Start<*const f32>,
}

impl Product {
    /// The part that begins so many rows and columns on.
    ///
    /// # Safety
    /// There are so many.
    #[inline(always)]
    unsafe fn from(self, row: usize, column: usize, cols: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            Self {
                cols,
                left: Left { at: self.left.at.add(row * self.left.row), ..self.left },
                right: Right { at: self.right.at.add(column), ..self.right },
                out: Out { at: self.out.at.add(row * self.out.row + column), ..self.out },
                start: self.start.map(|bias| bias.add(column)),
                ..self
            }
        }
    }
}

vectorised! {
    /// The product of `rows` rows with one panel.
    ///
    /// # Safety
    /// There is a row. All that `product` names is readable, its panel in whole vectors; of its output, the rows and columns
    /// are writable and nobody else's; its bias has a value for each column; one of `left.row` and `left.step` is 1.
    pub(super) unsafe fn panel<V>(rows: usize, product: Product, next: Next) {
        // As near to a square as the registers allow: then the fewest instructions are needed for each product, and these are
        // what is waited for where another thread, or another guest of a virtual machine, shares the core.
        let across = if V::LANES == 16 { 4 } else { 2 };
        let most = match (V::LANES, product.cols.div_ceil(V::LANES)) {
            (16, 1 | 2) => 12,
            (16, 3) => 8,
            _ => 6,
        };
        let strips = rows.div_ceil(most);
        let (each, longer) = (rows / strips, rows % strips); // heights that differ by one row at most
        // What is read next is asked for evenly all the while: in a burst, or left to the end, it would be waited for.
        let parts = strips * product.cols.div_ceil(across * V::LANES);
        let pace = PANEL.div_ceil(parts).min(LINE);
        let (mut row, mut asked, mut part_of_all) = (0, 0, 0);
        for strip in 0..strips {
            let height = each + usize::from(strip < longer);
            let mut column = 0;
            while column < product.cols {
                let width = (across * V::LANES).min(product.cols - column);
                // SAFETY: a part of what the caller promised.
                unsafe {
                    let part = product.from(row, column, width);
                    let ahead = match next {
                        Next::Panel(at) => Ahead { at: at.wrapping_add(asked), pace },
                        Next::Lines(lines) => {
                            let (at, pace) = lines.get(part_of_all).copied().unwrap_or((part.right.at, 0));
                            Ahead { at, pace }
                        }
                    };
                    match (part.left.step == 1, width.div_ceil(V::LANES)) {
                        (true, 1) => strip_of::<V, false, 1>(height, part, ahead),
                        (true, 2) => strip_of::<V, false, 2>(height, part, ahead),
                        (true, 3) => strip_of::<V, false, 3>(height, part, ahead),
                        (true, _) => strip_of::<V, false, 4>(height, part, ahead),
                        (false, 1) => strip_of::<V, true, 1>(height, part, ahead),
                        (false, 2) => strip_of::<V, true, 2>(height, part, ahead),
                        (false, 3) => strip_of::<V, true, 3>(height, part, ahead),
                        (false, _) => strip_of::<V, true, 4>(height, part, ahead),
                    }
                }
                asked += product.k * pace;
                part_of_all += 1;
                column += width;
            }
            row += height;
        }
    }
}

vectorised! {
    /// Copies `k` steps of a panel of `cols` columns, a multiple of any vector's lanes, to `to`, one after the other.
    ///
    /// # Safety
    /// They can be read and written there.
    pub(super) unsafe fn copy<V>(from: Right, k: usize, cols: usize, to: *mut f32) {
        for p in 0..k {
            for column in (0..cols).step_by(V::LANES) {
                // SAFETY: the caller's promise.
                unsafe { V::load(from.at.add(p * from.step + column)).store(to.add(p * cols + column)) };
            }
        }
    }
}

/// [`registers`] for a height that is known when the program runs.
#[inline(always)]
unsafe fn strip_of<V: Vector, const TURNED: bool, const A: usize>(height: usize, product: Product, ahead: Ahead) {
    macro_rules! heights {
        ($($n:literal)*) => {
            match height {
                // SAFETY: the caller's promises.
                $($n => unsafe { registers::<V, TURNED, A, $n>(product, ahead) },)*
                _ => unreachable!("strips are no higher than their registers allow"),
            }
        };
    }
    match (V::LANES, A) {
        (16, 1 | 2) => heights!(1 2 3 4 5 6 7 8 9 10 11 12),
        (16, 3) => heights!(1 2 3 4 5 6 7 8),
        (16, _) | (_, 1 | 2) => heights!(1 2 3 4 5 6),
        _ => unreachable!("fewer registers hold two vectors across"),
    }
}

/// R rows times up to A vectors of columns. `TURNED`: the left matrix lies with its rows side by side.
#[inline(always)]
unsafe fn registers<V: Vector, const TURNED: bool, const A: usize, const R: usize>(product: Product, mut ahead: Ahead) {
    let Product { k, cols, left, right, out, start } = product;
    let whole = cols == A * V::LANES;
    // Values of a part of a row that are in vector v.
    let len = |v: usize| cols.saturating_sub(v * V::LANES).min(V::LANES);
    // SAFETY: the caller's promises; of a part of a row, only what is there is touched.
    unsafe {
        let mut sums = [[V::splat(0.0); A]; R];
        for r in 0..R {
            let from = match start {
                Start::Zero => break,
                Start::Bias(bias) => bias,
                Start::Sum => out.at.add(r * out.row).cast_const(),
            };
            for v in 0..A {
                let at = from.wrapping_add(v * V::LANES);
                sums[r][v] = if whole { V::load(at) } else { V::load_first(at, len(v)) };
            }
        }
        // Every third row has a pointer of its own, so that the others are reached by scaled offsets from it. The compiler
        // must not know how they belong together, or it makes pointers to all rows, which registers do not hold.
        let mut thirds: [*const f32; 4] = [left.at; 4];
        if !TURNED {
            (1..R.div_ceil(3)).for_each(|i| thirds[i] = black_box(left.at.add(3 * i * left.row)));
        }
        let mut panel = right.at;
        // A macro, since the sums leave their registers for a closure.
        macro_rules! steps {
            ($steps:expr) => {
                for p in 0..$steps {
                    V::prefetch(ahead.at);
                    ahead.at = ahead.at.wrapping_add(ahead.pace);
                    let mut b = [V::splat(0.0); A];
                    for v in 0..A {
                        b[v] = V::load(panel.add(v * V::LANES));
                    }
                    panel = panel.wrapping_add(right.step);
                    for r in 0..R {
                        let value = match TURNED {
                            true => *thirds[0].add(p * left.step + r),
                            false => *thirds[r / 3].add(r % 3 * left.row + p),
                        };
                        let a = V::splat(value);
                        for v in 0..A {
                            sums[r][v] = a.mul_add(b[v], sums[r][v]);
                        }
                    }
                    compiler_fence(Ordering::SeqCst); // or what later steps load takes the registers of the sums
                }
                for third in &mut thirds {
                    *third = third.wrapping_add($steps * left.step);
                }
            };
        }
        for _ in 0..k / UNROLL {
            steps!(UNROLL);
        }
        for _ in 0..k % UNROLL {
            steps!(1);
        }
        for (r, sums) in sums.iter().enumerate() {
            for v in 0..A {
                let at = out.at.wrapping_add(r * out.row + v * V::LANES);
                if whole {
                    sums[v].store(at);
                } else {
                    sums[v].store_first(at, len(v));
                }
            }
        }
    }
}

// A panel, and one vector more, are at most four of the widest vectors across.
const _: () = assert!(PANEL == 3 * VECTOR);
