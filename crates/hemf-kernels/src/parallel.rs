//! Work in fixed chunks: how a task is cut depends on its shape alone, never on the number of threads, so that neither
//! do the bits of the result.

use crate::memory;
use rayon::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;

/// About how many values one task should touch: enough to pay for handing it out, few enough to keep two to sixty-four
/// cores busy.
const TASK: usize = 1 << 13;

/// How many rows of `width` values make one task.
pub(crate) fn rows_per_task(width: usize) -> usize {
    (TASK / width.max(1)).max(1)
}

/// `n` values that nobody has written yet, for an output that is written in whole before it is read: clearing the large
/// buffers of a network first costs a tenth of its time.
#[allow(clippy::uninit_vec)]
pub(crate) fn unwritten(n: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(n);
    // SAFETY: the capacity is there, f32 has no invalid bits, and the callers write every value before they read one.
    unsafe { values.set_len(n) };
    values
}

/// `n` values, which `fill` writes in parallel, in pieces of `piece` values; it gets a piece's first position.
///
/// # Errors
/// One of `fill`'s.
pub fn filled<E: Send>(
    n: usize,
    piece: usize,
    fill: impl Fn(usize, &mut [f32]) -> std::result::Result<(), E> + Sync,
) -> std::result::Result<Vec<f32>, E> {
    let mut values = unwritten(n);
    values.par_chunks_mut(piece.max(1)).enumerate().try_for_each(|(i, part)| {
        memory::hand_out(part);
        part.fill(0.0); // in the cache; nobody sees what was there before
        fill(i * piece, part)
    })?;
    Ok(values)
}

/// Fills `out` in parallel by bands of whole rows; `fill` gets the band's first row and its values.
pub(crate) fn fill_rows(out: &mut [f32], width: usize, fill: impl Fn(usize, &mut [f32]) + Sync) {
    fill_bands(out, width, rows_per_task(width), fill);
}

/// [`fill_rows`] with the number of rows of a band said by the caller, who knows what a row costs.
pub(crate) fn fill_bands(out: &mut [f32], width: usize, band: usize, fill: impl Fn(usize, &mut [f32]) + Sync) {
    if out.is_empty() {
        return;
    }
    if out.len() <= band * width {
        return fill(0, out);
    }
    out.par_chunks_mut(band * width).enumerate().for_each(|(i, rows)| fill(i * band, rows));
}

/// Sums over rows: `add` adds the rows of a range to an accumulator of `width` values. The partial sums of the fixed
/// chunks are added in order, in f64.
pub(crate) fn sum_rows(
    rows: usize,
    band: usize,
    width: usize,
    add: impl Fn(Range<usize>, &mut [f32]) + Sync,
) -> Vec<f32> {
    let partial = |i: usize| {
        let mut acc = vec![0.0; width];
        add(i * band..((i + 1) * band).min(rows), &mut acc);
        acc
    };
    let bands = rows.div_ceil(band);
    if bands <= 1 {
        return partial(0);
    }
    let mut total = vec![0f64; width];
    // A wave at a time, so that the partial sums of a large task do not all live at once.
    const WAVE: usize = 64;
    for wave in (0..bands).step_by(WAVE) {
        let partials: Vec<_> = (wave..(wave + WAVE).min(bands)).into_par_iter().map(partial).collect();
        for p in partials {
            total.iter_mut().zip(p).for_each(|(t, p)| *t += f64::from(p));
        }
    }
    total.into_iter().map(|t| t as f32).collect()
}

/// An output that several tasks write at once, each its own places, where these are no contiguous chunks.
pub(crate) struct Scattered<'a> {
    start: *mut f32,
    len: usize,
    life: PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer is used through `at` alone, whose callers promise disjoint ranges.
unsafe impl Sync for Scattered<'_> {}

impl<'a> Scattered<'a> {
    pub(crate) fn new(out: &'a mut [f32]) -> Self {
        Self { start: out.as_mut_ptr(), len: out.len(), life: PhantomData }
    }

    /// Where it begins.
    pub(crate) fn first(&self) -> *const f32 {
        self.start
    }

    /// The place of the value at `start`.
    ///
    /// # Safety
    /// What is written from there on lies inside the output, and is written by this task alone.
    pub(crate) unsafe fn from(&self, start: usize) -> *mut f32 {
        assert!(start <= self.len);
        // SAFETY: in bounds by the assertion.
        unsafe { self.start.add(start) }
    }

    /// The `len` values from `start` on.
    ///
    /// # Safety
    /// No two calls whose results live at the same time may overlap.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn at(&self, start: usize, len: usize) -> &mut [f32] {
        assert!(start + len <= self.len);
        // SAFETY: in bounds by the assertion; not aliased by the caller's promise; `life` keeps the slice borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_do_not_depend_on_the_number_of_threads() {
        let rows = 10_007;
        let value = |i: usize, c: usize| ((i * 7919 + c * 104_729) % 1000) as f32 * 1e-3 - 0.3;
        let sum = || {
            sum_rows(rows, 100, 5, |range, acc| {
                for i in range {
                    acc.iter_mut().enumerate().for_each(|(c, a)| *a += value(i, c));
                }
            })
        };
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(sum);
        for threads in [2, 3, 8] {
            let many = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(sum);
            assert_eq!(one, many, "{threads} threads");
        }
        let exact: f64 = (0..rows).map(|i| f64::from(value(i, 2))).sum();
        assert!((f64::from(one[2]) - exact).abs() < 1e-3);
    }

    #[test]
    fn no_rows_sum_to_zero() {
        assert_eq!(sum_rows(0, 100, 3, |_, _| ()), vec![0.0; 3]);
    }
}
