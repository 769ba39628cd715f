//! Convolution of a channels-last map: `y[b, i, j, o] = b[o] + sum over ky, kx, c of x[b, i s + ky - p, j s + kx - p, c]
//! W[o, c, ky, kx]`, with stride s and zero padding p.
//!
//! Let `cols(x)` be the matrix with a row for every output pixel that holds the k x k patch under it, (ky, kx, c) in this
//! order, and W' the weight with its columns in the same order. Then, with g the gradient of y:
//!
//! - y = cols(x) W'ᵀ + b
//! - dx = transpose of cols, applied to g W' (each patch value is added back to the pixel it came from); with stride 1
//!   this is again a convolution, of g with the kernel turned by 180 degrees and its two channel axes swapped
//! - dW' = gᵀ cols(x)
//! - db = sum over pixels of g
//!
//! `cols(x)` is never built in whole, but in bands of rows that stay in the cache (`direct.rs`). 3x3 convolutions of
//! stride 1 are done in a quarter of the multiplications (`winograd.rs`), unless [`winograd`] says otherwise.

mod composed;
mod cuda;
#[cfg(all(feature = "cudnn", not(test)))]
mod cudnn;
pub(crate) mod direct;
#[cfg(test)]
mod tests;
pub(crate) mod winograd;
mod winograd_tile;

use crate::host::{self, host, native, tensor};
use crate::linear::{check_bias, sum_rows};
use crate::tape::{self, Needs};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};
pub(crate) use direct::Geometry;
use std::sync::atomic::{AtomicBool, Ordering};
use winograd::Source;

/// `x` (B, H, W, I), `weight` (O, I, k, k), `bias` (O) -> (B, (H + 2p - k)/s + 1, (W + 2p - k)/s + 1, O).
///
/// Fails when the channels differ or the padded map is smaller than the kernel.
pub fn conv2d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, stride: usize, padding: usize) -> Result<Tensor> {
    let geometry = Geometry::new(x.dims4()?, weight.dims4()?, stride, padding)?;
    check_bias(bias, geometry.outputs)?;
    let inputs = || [Some(x), Some(weight), bias].into_iter().flatten().collect::<Vec<_>>();
    if geometry.fits_a_gpu() && crate::cuda::suits(&inputs()) {
        return crate::cuda::apply(Conv2d(geometry), Needs::Inputs, &inputs());
    }
    if !native(x) {
        return composed::conv2d(x, weight, bias, stride, padding);
    }
    let op = Conv2d(geometry);
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    match bias {
        Some(bias) => tape::apply3(op, Needs::Inputs, &x, &weight, &bias.contiguous()?),
        None => tape::apply2(op, Needs::Inputs, &x, &weight),
    }
}

impl Geometry {
    pub(crate) fn new(
        (batch, height, width, inputs): (usize, usize, usize, usize),
        (outputs, w_inputs, k, k_across): (usize, usize, usize, usize),
        stride: usize,
        padding: usize,
    ) -> Result<Self> {
        if inputs != w_inputs {
            bail!("conv2d: the weight takes {w_inputs} channels, the map has {inputs}");
        }
        if k != k_across || k == 0 || stride == 0 {
            bail!("conv2d: kernels are square and strides positive, not {k}x{k_across} with stride {stride}");
        }
        if height + 2 * padding < k || width + 2 * padding < k {
            bail!("conv2d: a map of {height}x{width} with padding {padding} is smaller than the {k}x{k} kernel");
        }
        let out = |n: usize| (n + 2 * padding - k) / stride + 1;
        let (out_height, out_width) = (out(height), out(width));
        Ok(Self { batch, height, width, inputs, outputs, k, stride, padding, out_height, out_width })
    }
}

static WINOGRAD: AtomicBool = AtomicBool::new(true);

/// Whether 3x3 convolutions with many channels go by Winograd's algorithm (as they do unless told otherwise) or by the
/// direct form, which takes four times the multiplications and rounds a little less. For the whole process.
pub fn winograd(on: bool) {
    WINOGRAD.store(on, Ordering::Relaxed);
}

impl Geometry {
    pub(crate) fn by_winograd(&self) -> bool {
        WINOGRAD.load(Ordering::Relaxed) && winograd::suits(self)
    }
}

/// Winograd's algorithm with filters that are used once.
fn by_tiles(g: &Geometry, x: &[f32], source: Source, bias: Option<&[f32]>) -> Vec<f32> {
    match winograd::by_panels(g, false) {
        true => winograd::forward_by_panels(g, x, source, bias, &|_, _, _| ()),
        false => winograd::forward(g, x, &winograd::Filters::new(source, g), bias, &|_, _, _| ()),
    }
}

struct Conv2d(Geometry);

impl Conv2d {
    fn forward(&self, x: &[f32], w: &[f32], b: Option<&[f32]>) -> Result<(CpuStorage, Shape)> {
        let g = &self.0;
        let y = match g.by_winograd() {
            true => by_tiles(g, x, Source::Weight(w), b),
            false => direct::forward(g, x, &direct::packed(w, g.weight_shape(), [None, None]), b, &|_, _, _| ()),
        };
        host::output(y, g.out_shape())
    }

    /// (dx, dW, db), each where its tensor is trained.
    fn backward(&self, x: &Tensor, w: &Tensor, b: Option<&Tensor>, g: &Tensor) -> Result<[Option<Tensor>; 3]> {
        let g = g.contiguous()?;
        let (xs, ws, gs) = (host(x)?, host(w)?, host(&g)?);
        let geometry = &self.0;
        let dx = x.track_op().then(|| {
            let dx = match geometry.by_winograd() {
                true => by_tiles(&geometry.turned(), &gs, Source::Turned(&ws), None),
                false => direct::backward_input(geometry, &gs, &ws),
            };
            tensor(dx, x.shape())
        });
        let dw = w.track_op().then(|| {
            let dw = match geometry.by_winograd() {
                true => winograd::backward_weight(geometry, &gs, &xs),
                false => direct::backward_weight(geometry, &gs, &xs),
            };
            tensor(dw, w.shape())
        });
        let db = b.filter(|b| b.track_op()).map(|_| tensor(sum_rows(&gs, self.0.outputs), self.0.outputs));
        Ok([dx.transpose()?, dw.transpose()?, db.transpose()?])
    }
}

impl CustomOp2 for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward(host::slice(x, lx)?, host::slice(w, lw)?, None)
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, _] = self.backward(x, w, None, g)?;
        Ok((dx, dw))
    }
}

impl CustomOp3 for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward(host::slice(x, lx)?, host::slice(w, lw)?, Some(host::slice(b, lb)?))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, db] = self.backward(x, w, Some(b), g)?;
        Ok((dx, dw, db))
    }
}
