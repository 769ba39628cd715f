//! One task per image and head: two matrix products forward, five backward, and passes over the (N, S) weights between
//! them that run along the slots.

use super::Sizes;
use crate::matmul::{Mat, Packed, Start, matmul_here, matmul_packed_here};
use crate::parallel::{self, Scattered};
use crate::simd::{multiversion, transpose};
use rayon::prelude::*;

/// Sums over tokens are taken in blocks of this many, so that their error grows with the number of blocks and not of
/// tokens.
const BLOCK: usize = 64;

impl Sizes {
    /// Where the task of an image and head finds its first value.
    fn start(&self, task: usize) -> usize {
        task / self.heads * self.tokens * self.channels + task % self.heads * self.d()
    }

    /// The (N, d) matrix of a task.
    fn head<'a>(&self, t: &'a [f32], task: usize) -> Mat<'a> {
        Mat::strided(&t[self.start(task)..], self.tokens, self.d(), self.channels)
    }

    /// Writes the (N, d) matrix of a task.
    fn put(&self, out: &Scattered, task: usize, values: &[f32]) {
        for (n, token) in values.chunks_exact(self.d()).enumerate() {
            // SAFETY: an image and head are one task's alone, and the slice is gone before the next one is asked for.
            unsafe { out.at(self.start(task) + n * self.channels, self.d()) }.copy_from_slice(token);
        }
    }
}

pub(super) fn forward(t: &[f32], mk: &[f32], mv: &[f32], sizes: Sizes) -> Vec<f32> {
    let mut out = parallel::unwritten(t.len());
    let target = Scattered::new(&mut out);
    let keys = keys(mk, sizes);
    let mv = Packed::new(Mat::new(mv, sizes.d(), sizes.slots).t());
    (0..sizes.images * sizes.heads).into_par_iter().for_each(|task| {
        let (weights, _) = attend(sizes.head(t, task), &keys, sizes);
        let mut product = parallel::unwritten(sizes.tokens * sizes.d());
        let weights = Mat::new(&weights, sizes.tokens, sizes.slots);
        matmul_packed_here(weights, mv.panels(), &mut product, Start::Zero);
        sizes.put(&target, task, &product);
    });
    out
}

/// (dt, dMk, dMv)
pub(super) fn backward(t: &[f32], mk: &[f32], mv: &[f32], g: &[f32], sizes: Sizes) -> [Vec<f32>; 3] {
    let Sizes { tokens, slots, .. } = sizes;
    let (d, keys) = (sizes.d(), keys(mk, sizes));
    let mut dt = parallel::unwritten(t.len());
    let target = Scattered::new(&mut dt);
    // Each task writes its part of dt and adds its part of the memories' gradients: dMk, then dMv.
    let mut dmk = parallel::sum_rows(sizes.images * sizes.heads, 1, 2 * slots * d, |tasks, sum| {
        let (dmk, dmv) = sum.split_at_mut(slots * d);
        for task in tasks {
            let (t, g) = (sizes.head(t, task), sizes.head(g, task));
            let (weights, sums) = attend(t, &keys, sizes);
            matmul_here(g.t(), Mat::new(&weights, tokens, slots), dmv, Start::Sum);
            let mut change = parallel::unwritten(tokens * slots);
            matmul_here(g, Mat::new(mv, d, slots), &mut change, Start::Zero);
            score_gradient(&weights, &sums, &mut change, slots);
            let change = Mat::new(&change, tokens, slots);
            matmul_here(change.t(), t, dmk, Start::Sum);
            let mut product = parallel::unwritten(tokens * d);
            matmul_here(change, Mat::new(mk, slots, d), &mut product, Start::Zero);
            sizes.put(&target, task, &product);
        }
    });
    let dmv = dmk.split_off(slots * d);
    [dt, dmk, dmv]
}

/// Mk as (d, S), once for all heads: as it lies, 64 slots are one panel of a product; packed they would be two.
fn keys(mk: &[f32], sizes: Sizes) -> Vec<f32> {
    let Sizes { slots, .. } = sizes;
    let mut keys = vec![0.0; mk.len()];
    transpose(mk, sizes.d(), &mut keys, slots, slots, sizes.d());
    keys
}

/// A (N, S) and r (N) of one image and head.
fn attend(t: Mat, keys: &[f32], sizes: Sizes) -> (Vec<f32>, Vec<f32>) {
    let (mut weights, mut sums) = (parallel::unwritten(sizes.tokens * sizes.slots), vec![0.0; sizes.tokens]);
    matmul_here(t, Mat::new(keys, sizes.d(), sizes.slots), &mut weights, Start::Zero);
    normalise(&mut weights, &mut sums, sizes.slots);
    (weights, sums)
}

multiversion! {
    /// From L to A and r.
    fn normalise(scores: &mut [f32], sums: &mut [f32], slots: usize) {
        let mut largest = vec![f32::NEG_INFINITY; slots];
        for row in scores.chunks_exact(slots) {
            for (m, &s) in largest.iter_mut().zip(row) {
                *m = m.max(s);
            }
        }
        let mut inverse = vec![0f32; slots];
        for block in scores.chunks_mut(BLOCK * slots) {
            let mut part = vec![0f32; slots];
            for row in block.chunks_exact_mut(slots) {
                for ((s, m), part) in row.iter_mut().zip(&largest).zip(&mut part) {
                    *s = crate::math::exp::<FUSED>(*s - m);
                    *part += *s;
                }
            }
            for (sum, part) in inverse.iter_mut().zip(&part) {
                *sum += part;
            }
        }
        for sum in inverse.iter_mut() {
            *sum = 1.0 / *sum;
        }
        for (row, r) in scores.chunks_exact_mut(slots).zip(sums) {
            *r = dot(row, &inverse);
            let scale = if *r < f32::MIN_POSITIVE { 0.0 } else { 1.0 / *r };
            for (s, inverse) in row.iter_mut().zip(&inverse) {
                *s = *s * inverse * scale;
            }
        }
    }
}

multiversion! {
    /// From dA to dL, in place.
    fn score_gradient(weights: &[f32], sums: &[f32], change: &mut [f32], slots: usize) {
        let mut over_tokens = vec![0f32; slots];
        for (change, weights) in change.chunks_mut(BLOCK * slots).zip(weights.chunks(BLOCK * slots)) {
            let mut part = vec![0f32; slots];
            for (row, weights) in change.chunks_exact_mut(slots).zip(weights.chunks_exact(slots)) {
                let over_slots = dot(row, weights);
                for ((u, a), part) in row.iter_mut().zip(weights).zip(&mut part) {
                    *u = a * (*u - over_slots);
                    *part += *u;
                }
            }
            for (sum, part) in over_tokens.iter_mut().zip(&part) {
                *sum += part;
            }
        }
        for ((row, weights), r) in change.chunks_exact_mut(slots).zip(weights.chunks_exact(slots)).zip(sums) {
            for ((u, a), sum) in row.iter_mut().zip(weights).zip(&over_tokens) {
                *u -= r * a * sum;
            }
        }
    }
}

/// A sum of products in eight lanes, said out loud since the compiler may not reorder a sum by itself.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f32>() + rest
}
