//! One line of the map: what a kernel of k x k taps makes of the k lines under it.
//!
//! Kernels of 3x3 and 5x5 have their taps, or the sums for them, in registers while a vector of channels goes along the
//! line; channels beyond whole vectors, and other kernels, take plain loops.

use crate::simd::{SIXTEEN, Vector, vectorised};
use std::ops::Range;

/// The taps of a line of the kernel that fall on the map, at pixel `j` of `width`.
#[inline(always)]
fn taps_at(j: usize, width: usize, k: usize) -> Range<usize> {
    let p = k / 2;
    p.saturating_sub(j)..k.min(width + p - j)
}

fn check(line: &[f32], under: &[&[f32]], taps: &[f32], c: usize, k: usize) {
    assert!(under.len() == k && under.iter().all(|x| x.len() == line.len()), "k lines of the same length");
    assert!(c > 0 && line.len().is_multiple_of(c) && taps.len() == k * k * c, "a value for each tap and channel");
}

/// y[j] = b + sum over the taps of x under pixel j times w; `taps` (k, k, C).
pub(super) fn filter_line(y: &mut [f32], under: &[&[f32]], taps: &[f32], b: &[f32], k: usize) {
    let c = b.len();
    check(y, under, taps, c, k);
    // SAFETY: checked.
    unsafe { filter_vectors(y, under, taps, b, k) };
    let done = by_vectors(c, k);
    if done == c {
        return;
    }
    let width = y.len() / c;
    for (j, pixel) in y.chunks_exact_mut(c).enumerate() {
        for channel in done..c {
            let mut sum = b[channel];
            for (ky, x) in under.iter().enumerate() {
                for kx in taps_at(j, width, k) {
                    sum += x[(j + kx - k / 2) * c + channel] * taps[(ky * k + kx) * c + channel];
                }
            }
            pixel[channel] = sum;
        }
    }
}

/// Adds to the gradient of the taps, (k, k, C), the products of a line of gradients with the lines of the map.
pub(super) fn add_products(acc: &mut [f32], g: &[f32], under: &[&[f32]], c: usize, k: usize) {
    check(g, under, acc, c, k);
    // SAFETY: checked.
    unsafe { product_vectors(acc, g, under, c, k) };
    let done = by_vectors(c, k);
    if done == c {
        return;
    }
    let width = g.len() / c;
    for (j, g) in g.chunks_exact(c).enumerate() {
        for (ky, x) in under.iter().enumerate() {
            for kx in taps_at(j, width, k) {
                for channel in done..c {
                    acc[(ky * k + kx) * c + channel] += g[channel] * x[(j + kx - k / 2) * c + channel];
                }
            }
        }
    }
}

/// How many channels go by vectors.
fn by_vectors(c: usize, k: usize) -> usize {
    if matches!(k, 3 | 5) { c / SIXTEEN * SIXTEEN } else { 0 }
}

vectorised! {
    /// # Safety
    /// The sizes were checked.
    unsafe fn filter_vectors<V>(y: &mut [f32], under: &[&[f32]], taps: &[f32], b: &[f32], k: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match k {
                3 => filter::<V, 3>(y, under, taps, b),
                5 => filter::<V, 5>(y, under, taps, b),
                _ => {}
            }
        }
    }
}

vectorised! {
    /// # Safety
    /// The sizes were checked.
    unsafe fn product_vectors<V>(acc: &mut [f32], g: &[f32], under: &[&[f32]], c: usize, k: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match k {
                3 => products::<V, 3>(acc, g, under, c),
                5 => products::<V, 5>(acc, g, under, c),
                _ => {}
            }
        }
    }
}

/// Runs `pixel` along a line of `width` pixels, with where a tap's value lies from the start of its line, in pixels.
/// Where all taps fall on the map there is nothing to ask; elsewhere `None` stands for those beside it.
macro_rules! along {
    ($width:expr, $k:expr, |$j:ident, $at:ident| $pixel:block) => {
        let (p, width) = ($k / 2, $width);
        for $j in 0..width {
            if $j >= p && $j + p < width {
                let $at = |kx: usize| Some($j + kx - p);
                $pixel
            } else {
                let $at = |kx: usize| ($j + kx).checked_sub(p).filter(|at| *at < width);
                $pixel
            }
        }
    };
}

/// # Safety
/// The sizes were checked for K x K taps.
#[inline(always)]
unsafe fn filter<V: Vector, const K: usize>(y: &mut [f32], under: &[&[f32]], taps: &[f32], b: &[f32]) {
    let c = b.len();
    let width = y.len() / c;
    for channel in (0..by_vectors(c, K)).step_by(V::LANES) {
        // SAFETY: every pixel and tap has this vector of channels.
        unsafe {
            let mut w = [[V::splat(0.0); K]; K];
            for ky in 0..K {
                for kx in 0..K {
                    w[ky][kx] = V::load(taps.as_ptr().add((ky * K + kx) * c + channel));
                }
            }
            let bias = V::load(b.as_ptr().add(channel));
            let lines: [*const f32; K] = std::array::from_fn(|ky| under[ky].as_ptr().add(channel));
            along!(width, K, |j, at| {
                let mut sum = bias;
                for ky in 0..K {
                    for kx in 0..K {
                        if let Some(at) = at(kx) {
                            sum = V::load(lines[ky].add(at * c)).mul_add(w[ky][kx], sum);
                        }
                    }
                }
                sum.store(y.as_mut_ptr().add(j * c + channel));
            });
        }
    }
}

/// # Safety
/// The sizes were checked for K x K taps.
#[inline(always)]
unsafe fn products<V: Vector, const K: usize>(acc: &mut [f32], g: &[f32], under: &[&[f32]], c: usize) {
    let width = g.len() / c;
    for channel in (0..by_vectors(c, K)).step_by(V::LANES) {
        // SAFETY: every pixel and tap has this vector of channels.
        unsafe {
            let mut sums = [[V::splat(0.0); K]; K];
            for ky in 0..K {
                for kx in 0..K {
                    sums[ky][kx] = V::load(acc.as_ptr().add((ky * K + kx) * c + channel));
                }
            }
            let lines: [*const f32; K] = std::array::from_fn(|ky| under[ky].as_ptr().add(channel));
            along!(width, K, |j, at| {
                let g = V::load(g.as_ptr().add(j * c + channel));
                for ky in 0..K {
                    for kx in 0..K {
                        if let Some(at) = at(kx) {
                            sums[ky][kx] = V::load(lines[ky].add(at * c)).mul_add(g, sums[ky][kx]);
                        }
                    }
                }
            });
            for ky in 0..K {
                for kx in 0..K {
                    sums[ky][kx].store(acc.as_mut_ptr().add((ky * K + kx) * c + channel));
                }
            }
        }
    }
}
