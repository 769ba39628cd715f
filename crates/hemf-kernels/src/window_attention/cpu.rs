//! One task per window; in it, head by head: scores, softmax and product, on n x n values that stay in the cache. The
//! scores are held transposed, one row per j.

use super::{Geometry, MASKED, Pixel};
use crate::matmul::{Mat, Start, matmul_here};
use crate::parallel::{self, Scattered};
use crate::simd::multiversion;
use crate::softmax::{softmax_gradient_of_columns, softmax_of_columns};
use rayon::prelude::*;

pub(super) fn forward(qkv: &[f32], table: &[f32], geometry: Geometry) -> Vec<f32> {
    let (n, d, c) = (geometry.n(), geometry.d(), geometry.channels);
    let bias = biases(table, &geometry);
    let mut out = vec![0.0; qkv.len() / 3];
    let target = Scattered::new(&mut out);
    (0..geometry.images * geometry.windows_per_image()).into_par_iter().for_each(|window| {
        let window = Window::read(qkv, window, geometry);
        let (mut weights, mut product) = (vec![0.0; n * n], vec![0.0; n * d]);
        let mut attended = vec![0.0; n * c];
        for head in 0..geometry.heads {
            window.attend(head, &bias, &mut weights);
            matmul_here(Mat::new(&weights, n, n).t(), window.v(head), &mut product, Start::Zero);
            put(&mut attended, c, head * d, &product, d);
        }
        window.write(&target, &attended, c);
    });
    out
}

/// (dqkv, dtable)
pub(super) fn backward(qkv: &[f32], table: &[f32], g: &[f32], geometry: Geometry) -> [Vec<f32>; 2] {
    let (n, d, c, heads) = (geometry.n(), geometry.d(), geometry.channels, geometry.heads);
    let (bias, places, scale) =
        (biases(table, &geometry), geometry.windows.relative_positions(), geometry.scale() as f32);
    let mut dqkv = vec![0.0; qkv.len()];
    let target = Scattered::new(&mut dqkv);
    let tasks = geometry.images * geometry.windows_per_image();
    // Each task writes its part of dqkv and adds its part of the table's gradient.
    let dtable = parallel::sum_rows(tasks, 1, table.len(), |tasks, dtable| {
        for task in tasks {
            let window = Window::read(qkv, task, geometry);
            let g = window.gather(g, c);
            let (mut weights, mut change, mut product) = (vec![0.0; n * n], vec![0.0; n * n], vec![0.0; n * d]);
            let mut gradient = vec![0.0; n * 3 * c];
            for head in 0..heads {
                let g = Mat::strided(&g[head * d..], n, d, c);
                window.attend(head, &bias, &mut weights);
                matmul_here(Mat::new(&weights, n, n), g, &mut product, Start::Zero);
                put(&mut gradient, 3 * c, 2 * c + head * d, &product, d);
                matmul_here(window.v(head), g.t(), &mut change, Start::Zero);
                softmax_gradient_of_columns(&weights, &mut change, n);
                matmul_here(Mat::new(&change, n, n).t(), window.k(head), &mut product, Start::Zero);
                product.iter_mut().for_each(|p| *p *= scale);
                put(&mut gradient, 3 * c, head * d, &product, d);
                matmul_here(Mat::new(&change, n, n), window.q(head), &mut product, Start::Zero);
                put(&mut gradient, 3 * c, c + head * d, &product, d);
                for (at, change) in change.iter().enumerate() {
                    let (j, i) = (at / n, at % n);
                    dtable[places[i * n + j] * heads + head] += change;
                }
            }
            window.write(&target, &gradient, 3 * c);
        }
    });
    [dqkv, dtable]
}

/// The bias of every head, transposed as the scores are: (heads, n, n) with j before i.
fn biases(table: &[f32], geometry: &Geometry) -> Vec<f32> {
    let (n, heads, places) = (geometry.n(), geometry.heads, geometry.windows.relative_positions());
    let of = |head: usize| {
        let places = &places;
        (0..n * n).map(move |at| table[places[at % n * n + at / n] * heads + head])
    };
    (0..heads).flat_map(of).collect()
}

/// Puts an (n, d) matrix into columns `start..start + d` of rows of `width`.
fn put(rows: &mut [f32], width: usize, start: usize, values: &[f32], d: usize) {
    for (row, values) in rows.chunks_exact_mut(width).zip(values.chunks_exact(d)) {
        row[start..start + d].copy_from_slice(values);
    }
}

/// One window's pixels and their q, already scaled, k and v.
struct Window {
    geometry: Geometry,
    pixels: Vec<Pixel>,
    /// Whether all pixels are of one region.
    whole: bool,
    qkv: Vec<f32>,
}

impl Window {
    fn read(qkv: &[f32], window: usize, geometry: Geometry) -> Self {
        let pixels: Vec<Pixel> = geometry.pixels(window).collect();
        let whole = pixels.iter().all(|pixel| pixel.region == pixels[0].region);
        let mut window = Self { geometry, pixels, whole, qkv: vec![] };
        window.qkv = window.gather(qkv, 3 * geometry.channels);
        let scale = geometry.scale() as f32;
        for pixel in window.qkv.chunks_exact_mut(3 * geometry.channels) {
            pixel[..geometry.channels].iter_mut().for_each(|q| *q *= scale);
        }
        window
    }

    /// The window's pixels of a map of `width` channels, side by side.
    fn gather(&self, map: &[f32], width: usize) -> Vec<f32> {
        self.pixels.iter().flat_map(|pixel| &map[pixel.at * width..][..width]).copied().collect()
    }

    /// Puts the window's pixels back.
    fn write(&self, map: &Scattered, values: &[f32], width: usize) {
        for (pixel, values) in self.pixels.iter().zip(values.chunks_exact(width)) {
            // SAFETY: a pixel is in one window alone, and the slice is gone before the next one is asked for.
            unsafe { map.at(pixel.at * width, width) }.copy_from_slice(values);
        }
    }

    fn q(&self, head: usize) -> Mat<'_> {
        self.part(0, head)
    }

    fn k(&self, head: usize) -> Mat<'_> {
        self.part(1, head)
    }

    fn v(&self, head: usize) -> Mat<'_> {
        self.part(2, head)
    }

    fn part(&self, part: usize, head: usize) -> Mat<'_> {
        let (c, d) = (self.geometry.channels, self.geometry.d());
        Mat::strided(&self.qkv[part * c + head * d..], self.pixels.len(), d, 3 * c)
    }

    /// The attention of one head, transposed.
    fn attend(&self, head: usize, bias: &[f32], weights: &mut [f32]) {
        let n = self.pixels.len();
        matmul_here(self.k(head), self.q(head).t(), weights, Start::Zero);
        add(weights, &bias[head * n * n..][..n * n]);
        if !self.whole {
            for (row, j) in weights.chunks_exact_mut(n).zip(&self.pixels) {
                for (score, i) in row.iter_mut().zip(&self.pixels) {
                    *score += if i.region == j.region { 0.0 } else { MASKED };
                }
            }
        }
        softmax_of_columns(weights, n, 0.0);
    }
}

multiversion! {
    fn add(scores: &mut [f32], bias: &[f32]) {
        scores.iter_mut().zip(bias).for_each(|(s, b)| *s += b);
    }
}
