//! Attention within the windows of a map, with a learned bias by relative position, as the Swin transformer has it. The
//! map is shifted cyclically by s pixels up and left and cut into windows of w x w pixels. For each window and head, with
//! q_i, k_j, v_j the head's d channels of pixels i and j of the window:
//!
//! - S_ij = q_i . k_j / sqrt(d) + T[(y_i - y_j + w - 1) (2w - 1) + x_i - x_j + w - 1] + M_ij
//! - A = softmax over j of S
//! - out_i = sum over j of A_ij v_j, which goes back to where pixel i came from
//!
//! T is the head's column of the bias table. M is -100 for two pixels that are neighbours by the cyclic shift alone, and 0
//! for others.
//!
//! With G the gradient of out, all of them (n, d) matrices of one window and head:
//!
//! - dV = Aᵀ G
//! - dA = G Vᵀ
//! - dS_ij = A_ij (dA_ij - sum over j of A_ij dA_ij), the gradient of a softmax
//! - dQ = dS K / sqrt(d)
//! - dK = dSᵀ Q / sqrt(d)
//! - dT is the sum of dS over all windows and pairs that read the same place of T
//!
//! A is computed anew in the backward pass rather than kept: it is one product of five to make.

mod composed;
mod cpu;
#[cfg(test)]
mod tests;

use crate::host::{self, host, native, tensor};
use crate::tape::{self, Needs};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// How a map is cut into windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Pixels of a window's side, w.
    pub size: usize,
    /// Pixels by which the map is shifted up and left beforehand, s < w.
    pub shift: usize,
}

impl Windows {
    /// For each pair of pixels (i, j) of a window, row-major, which row of the bias table is theirs: (w², w²) values.
    pub fn relative_positions(&self) -> Vec<usize> {
        let w = self.size;
        let place = move |i: usize, j: usize| (i / w + w - 1 - j / w) * (2 * w - 1) + i % w + w - 1 - j % w;
        (0..w * w).flat_map(|i| (0..w * w).map(move |j| place(i, j))).collect()
    }
}

impl Windows {
    /// What is added to the scores of each window of an H x W map, row by row, for each pair of its pixels (i, j):
    /// -100 where only the shift made them neighbours, else 0. (windows, w², w²) values; the sides are multiples of w.
    pub fn mask(&self, height: usize, width: usize) -> Vec<f32> {
        let map = Geometry { images: 1, height, width, channels: 1, heads: 1, windows: *self };
        let pairs = |window: usize| {
            let pixels: Vec<Pixel> = map.pixels(window).collect();
            let n = map.n();
            (0..n * n).map(move |at| {
                let near = pixels[at / n].region == pixels[at % n].region;
                if near { 0.0 } else { MASKED }
            })
        };
        (0..map.windows_per_image()).flat_map(pairs).collect()
    }
}

/// `qkv` (B, H, W, 3C): q, k and v of each pixel side by side, each of them heads of d channels; `table`
/// ((2w - 1)², heads) -> (B, H, W, C).
///
/// Fails when the map is empty or its sides are no multiples of w, when s is not below w, when the table is of another
/// window or its heads do not divide C.
pub fn window_attention(qkv: &Tensor, table: &Tensor, windows: Windows) -> Result<Tensor> {
    let geometry = Geometry::new(qkv.dims4()?, table.dims2()?, windows)?;
    if !(native(qkv) && native(table)) {
        return composed::window_attention(qkv, table, &geometry);
    }
    tape::apply2(geometry, Needs::Inputs, &qkv.contiguous()?, &table.contiguous()?)
}

/// Sizes of map and windows.
#[derive(Clone, Copy)]
struct Geometry {
    images: usize,
    height: usize,
    width: usize,
    /// C
    channels: usize,
    heads: usize,
    windows: Windows,
}

impl Geometry {
    fn new(
        map: (usize, usize, usize, usize),
        (places, heads): (usize, usize),
        windows @ Windows { size, shift }: Windows,
    ) -> Result<Self> {
        let (images, height, width, triple) = map;
        if shift >= size {
            bail!("window_attention: a shift of {shift} is not below the window's {size} pixels");
        }
        if images * height * width * triple == 0 || height % size != 0 || width % size != 0 {
            bail!("window_attention: map {map:?} is empty or does not divide into windows of {size}x{size}");
        }
        if places != (2 * size - 1).pow(2) {
            bail!("window_attention: a table of {places} places is not that of windows of {size}x{size}");
        }
        if heads == 0 || triple % (3 * heads) != 0 {
            bail!("window_attention: {heads} heads do not divide the {triple} channels of q, k and v");
        }
        Ok(Self { images, height, width, channels: triple / 3, heads, windows })
    }

    /// Pixels of a window.
    fn n(&self) -> usize {
        self.windows.size.pow(2)
    }

    /// Channels of a head.
    fn d(&self) -> usize {
        self.channels / self.heads
    }

    /// What q is multiplied by.
    fn scale(&self) -> f64 {
        (self.d() as f64).powf(-0.5)
    }

    /// Windows of an image.
    fn windows_per_image(&self) -> usize {
        self.height / self.windows.size * (self.width / self.windows.size)
    }

    /// The pixels of a window of the shifted map.
    fn pixels(&self, window: usize) -> impl Iterator<Item = Pixel> {
        let Self { height, width, windows: Windows { size, shift }, .. } = *self;
        let (image, window) = (window / self.windows_per_image(), window % self.windows_per_image());
        let across = width / size;
        // By the shift, up to three parts of a side come to lie beside each other: those that were already neighbours,
        // the rest of the last window, and what came around.
        let part = move |at: usize, side: usize| match () {
            () if shift == 0 || at < side - size => 0,
            () if at < side - shift => 1,
            () => 2,
        };
        (0..size * size).map(move |i| {
            let (y, x) = (window / across * size + i / size, window % across * size + i % size);
            let at = (image * height + (y + shift) % height) * width + (x + shift) % width;
            Pixel { at, region: 3 * part(y, height) + part(x, width) }
        })
    }
}

/// A pixel of a window.
#[derive(Clone, Copy)]
struct Pixel {
    /// Its place in the map, in pixels.
    at: usize,
    /// Pixels of one region were neighbours before the shift.
    region: u8,
}

/// What is added to the score of two pixels of different regions.
const MASKED: f32 = -100.0;

impl CustomOp2 for Geometry {
    fn name(&self) -> &'static str {
        "window-attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, lq: &Layout, table: &CpuStorage, lt: &Layout) -> Result<(CpuStorage, Shape)> {
        let out = cpu::forward(host::slice(qkv, lq)?, host::slice(table, lt)?, *self);
        host::output(out, (self.images, self.height, self.width, self.channels))
    }

    fn bwd(&self, qkv: &Tensor, table: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let g = g.contiguous()?;
        let [dqkv, dtable] = cpu::backward(&host(qkv)?, &host(table)?, &host(&g)?, *self);
        let gradient = |t: &Tensor, values| t.track_op().then(|| tensor(values, t.shape())).transpose();
        Ok((gradient(qkv, dqkv)?, gradient(table, dtable)?))
    }
}
