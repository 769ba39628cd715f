//! One task per line; in it, head by head: scores, softmax and product, on n x n values that stay in the cache.
//!
//! The scores are held transposed, one row per j, and their columns are filled up to whole vectors: then every product is
//! of whole vectors, and the softmax, which runs over j, is element by element along the rows.

use super::Axis;
use crate::matmul::{Mat, Start, matmul_here, matmul_here_asking};
use crate::parallel::{self, Scattered};
use crate::simd::vectorised;
use crate::softmax::{softmax_gradient_of_columns, softmax_of_columns};
use rayon::prelude::*;

/// Where the lines of a map lie in memory.
#[derive(Clone, Copy)]
pub(super) struct Lines {
    images: usize,
    /// Lines per image, and how far apart they start.
    count: usize,
    stride: usize,
    /// Pixels per line, and how far apart they are.
    n: usize,
    step: usize,
    channels: usize,
}

impl Lines {
    pub(super) fn new((images, height, width, channels): (usize, usize, usize, usize), axis: Axis) -> Self {
        let (along_x, along_y) = ((width, channels), (height, width * channels));
        let ((n, step), (count, stride)) = match axis {
            Axis::Rows => (along_x, along_y),
            Axis::Columns => (along_y, along_x),
        };
        Self { images, count, stride, n, step, channels }
    }

    /// Runs `task` for each line, with the place of its first value and matrices to work in.
    fn for_each(&self, d: usize, task: impl Fn(usize, &mut Work) + Sync) {
        (0..self.images * self.count).into_par_iter().for_each_init(
            || Work::new(self.n, d),
            |work, line| {
                let (image, line) = (line / self.count, line % self.count);
                task(image * self.count * self.n * self.channels + line * self.stride, work);
            },
        );
    }

    /// The (n, d) matrix of the line and head that start at `at`.
    fn head<'a>(&self, map: &'a [f32], at: usize, d: usize) -> Mat<'a> {
        Mat::strided(&map[at..], self.n, d, self.step)
    }

    /// The same with rows of `deep` values, of which those beyond d are anything.
    fn take(&self, map: &[f32], at: usize, d: usize, rows: &mut [f32], deep: usize) {
        if at + (self.n - 1) * self.step + deep <= map.len() && rows.len() >= self.n * deep {
            // SAFETY: `deep` values, a multiple of `LANES`, can be read at each pixel and written to each row.
            unsafe { take_rows(map[at..].as_ptr(), *self, rows.as_mut_ptr(), deep) };
        } else {
            for (i, row) in rows.chunks_exact_mut(deep).enumerate().take(self.n) {
                row[..d].copy_from_slice(&map[at + i * self.step..][..d]);
            }
        }
    }

    /// The same head of the next line of some maps, to be asked for: their lines lie too far apart for the machine to
    /// foresee, and are waited for longer than is computed on them.
    fn next<const N: usize>(&self, maps: [*const f32; N], at: usize) -> [(*const f32, usize); N] {
        maps.map(|map| (map.wrapping_add(at + self.stride), self.step))
    }

    /// Writes the (n, d) matrix of the line and head that start at `at`, from such rows.
    fn put(&self, out: &Scattered, at: usize, d: usize, rows: &[f32], deep: usize) {
        // A few values at a time, since a call that copies so little takes longer than copying it.
        const FEW: usize = 4;
        let piece = |i: usize, from: usize, len: usize| {
            // SAFETY: a line and head are one task's alone, and the slice is gone before the next one is asked for.
            let pixel = unsafe { out.at(at + i * self.step + from, len) };
            pixel.copy_from_slice(&rows[i * deep + from..][..len]);
        };
        let whole = d - d % FEW;
        for from in (0..whole).step_by(FEW) {
            (0..self.n).for_each(|i| piece(i, from, FEW));
        }
        if whole < d {
            (0..self.n).for_each(|i| piece(i, whole, d - whole));
        }
    }
}

vectorised! {
    /// Copies the pixels of a line from `from` on, `deep` values of each.
    ///
    /// # Safety
    /// `deep` values, a multiple of [`LANES`], can be read at each pixel of the line and written to each row.
    unsafe fn take_rows<V>(from: *const f32, lines: Lines, rows: *mut f32, deep: usize) {
        for i in 0..lines.n {
            // SAFETY: the caller's promise; any address may be asked for.
            unsafe {
                let pixel = from.add(i * lines.step);
                for j in (0..deep).step_by(V::LANES) {
                    V::load(pixel.add(j)).store(rows.add(i * deep + j));
                }
            }
        }
    }
}

/// What a task works in, whole vectors on cache lines of their own.
struct Work {
    values: Vec<f32>,
    n: usize,
    /// n and d to the next multiple of a vector's lanes.
    wide: usize,
    deep: usize,
}

/// Its matrices, filled up to whole vectors.
struct Matrices<'a> {
    /// (wide, deep): rows as they lie in a map.
    rows: [&'a mut [f32]; 3],
    /// (deep, wide): their transpose.
    turned: &'a mut [f32],
    /// (n, deep): a product.
    product: &'a mut [f32],
    /// (n, wide): the weights, and their gradient.
    weights: [&'a mut [f32]; 2],
}

impl Work {
    fn new(n: usize, d: usize) -> Self {
        let (wide, deep) = (n.next_multiple_of(LANES), d.next_multiple_of(LANES));
        Self { values: vec![0.0; 4 * wide * deep + n * deep + 2 * n * wide + LANES], n, wide, deep }
    }

    fn matrices(&mut self) -> Matrices<'_> {
        let Self { n, wide, deep, .. } = *self;
        let start = self.values.as_ptr().align_offset(4 * LANES).min(LANES);
        let mut rest = &mut self.values[start..];
        let mut next = |len: usize| rest.split_off_mut(..len).expect("room for every matrix");
        Matrices {
            rows: [(); 3].map(|()| next(wide * deep)),
            turned: next(deep * wide),
            product: next(n * deep),
            weights: [(); 2].map(|()| next(n * wide)),
        }
    }
}

/// The widest vector.
const LANES: usize = 16;

vectorised! {
    /// The transpose of (`wide`, `deep`), both multiples of [`LANES`].
    ///
    /// # Safety
    /// None beyond the machine's.
    unsafe fn turn<V>(rows: &[f32], wide: usize, deep: usize, turned: &mut [f32]) {
        assert!(rows.len() >= wide * deep && turned.len() >= wide * deep);
        for i in (0..wide).step_by(V::LANES) {
            for j in (0..deep).step_by(V::LANES) {
                // SAFETY: the square lies within both matrices, by the assertion.
                unsafe {
                    let mut square = [V::splat(0.0); LANES];
                    for k in 0..V::LANES {
                        square[k] = V::load(rows.as_ptr().add((i + k) * deep + j));
                    }
                    V::transpose(&mut square[..V::LANES]);
                    for k in 0..V::LANES {
                        square[k].store(turned.as_mut_ptr().add((j + k) * wide + i));
                    }
                }
            }
        }
    }
}

pub(super) fn forward(q: &[f32], k: &[f32], v: &[f32], decay: &[f32], lines: Lines) -> Vec<f32> {
    let (n, d) = (lines.n, lines.channels / decay.len());
    let mut out = parallel::unwritten(q.len());
    let target = Scattered::new(&mut out);
    lines.for_each(d, |start, work| {
        let (wide, deep) = (work.wide, work.deep);
        let Matrices { rows: [q_rows, k_rows, v_rows], turned, product, weights: [weights, _] } = work.matrices();
        for (head, &decay) in decay.iter().enumerate() {
            let at = start + head * d;
            for (map, rows) in [(q, &mut *q_rows), (k, &mut *k_rows), (v, &mut *v_rows)] {
                lines.take(map, at, d, rows, deep);
            }
            // SAFETY: it asks for nothing.
            unsafe { turn(q_rows, wide, deep, turned) };
            let keys = Mat::strided(k_rows, n, d, deep);
            matmul_here(keys, Mat::new(turned, d, wide), weights, Start::Zero);
            softmax_of_columns(weights, wide, decay);
            let square = Mat::strided(weights, n, n, wide);
            let ask = lines.next([q.as_ptr(), k.as_ptr(), v.as_ptr(), target.first()], at);
            matmul_here_asking(square.t(), Mat::new(&v_rows[..n * deep], n, deep), product, &ask);
            lines.put(&target, at, d, product, deep);
        }
    });
    out
}

/// (dq, dk, dv)
pub(super) fn backward(q: &[f32], k: &[f32], v: &[f32], g: &[f32], decay: &[f32], lines: Lines) -> [Vec<f32>; 3] {
    let (n, d) = (lines.n, lines.channels / decay.len());
    let mut gradients = [(); 3].map(|()| parallel::unwritten(q.len()));
    let [dq, dk, dv] = gradients.each_mut().map(|values| Scattered::new(values));
    lines.for_each(d, |start, work| {
        let (wide, deep) = (work.wide, work.deep);
        let Matrices { rows: [q_rows, k_rows, g_rows], turned, product, weights: [weights, change] } = work.matrices();
        for (head, &decay) in decay.iter().enumerate() {
            let at = start + head * d;
            for (map, rows) in [(q, &mut *q_rows), (k, &mut *k_rows), (g, &mut *g_rows)] {
                lines.take(map, at, d, rows, deep);
            }
            let maps = [q.as_ptr(), k.as_ptr(), g.as_ptr(), v.as_ptr()];
            let [q, k, g] = [&*q_rows, &*k_rows, &*g_rows].map(|rows| Mat::new(&rows[..n * deep], n, deep));
            let narrow = |rows| Mat::strided(rows, n, d, deep);
            // SAFETY: it asks for nothing.
            unsafe { turn(q_rows, wide, deep, turned) };
            matmul_here(narrow(k_rows), Mat::new(turned, d, wide), weights, Start::Zero);
            softmax_of_columns(weights, wide, decay);
            let square = |values| Mat::strided(values, n, n, wide);
            matmul_here_asking(square(weights), g, product, &lines.next(maps, at));
            lines.put(&dv, at, d, product, deep);
            // SAFETY: as above.
            unsafe { turn(g_rows, wide, deep, turned) };
            matmul_here(lines.head(v, at, d), Mat::new(turned, d, wide), change, Start::Zero);
            softmax_gradient_of_columns(weights, change, wide);
            let ask = lines.next([&dq, &dk, &dv].map(Scattered::first), at);
            matmul_here_asking(square(change).t(), k, product, &ask);
            lines.put(&dq, at, d, product, deep);
            matmul_here(square(change), q, product, Start::Zero);
            lines.put(&dk, at, d, product, deep);
        }
    });
    gradients
}
