//! Layer norm over the channels of each pixel: `y = w (x - mean) / sqrt(var + eps) + b`, the variance biased.
//!
//! With n = (x - mean) / sqrt(var + eps), g the gradient of y, and h = g w:
//!
//! - dx = (h - mean(h) - n mean(h n)) / sqrt(var + eps), means over the channels
//! - dw = sum over pixels of g n
//! - db = sum over pixels of g

mod composed;
mod cpu;
mod cuda;
#[cfg(test)]
mod tests;

pub(crate) use cpu::normalise;

use crate::host::{self, host, native, tensor};
use crate::tape::{self, Needs};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

/// `x` (..., C), `weight` (C), `bias` (C) -> (..., C).
///
/// Fails when C differs.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let (_, width) = host::rows_of(x.shape());
    if width == 0 || weight.dims() != [width] || bias.dims() != [width] {
        bail!("layer_norm: weight {:?} and bias {:?} for {width} channels", weight.dims(), bias.dims());
    }
    let op = LayerNorm { eps: eps as f32 };
    if crate::cuda::suits(&[x, weight, bias]) {
        return crate::cuda::apply(op, Needs::Inputs, &[x, weight, bias]);
    }
    if !native(x) {
        return composed::layer_norm(x, weight, bias, eps);
    }
    tape::apply3(op, Needs::Inputs, &x.contiguous()?, &weight.contiguous()?, &bias.contiguous()?)
}

struct LayerNorm {
    eps: f32,
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
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
        let y = cpu::forward(host::slice(x, lx)?, host::slice(w, lw)?, host::slice(b, lb)?, self.eps);
        host::output(y, lx.shape())
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let g = g.contiguous()?;
        let (xs, ws, gs) = (host(x)?, host(w)?, host(&g)?);
        let (dx, dw, db) = cpu::backward(&xs, &ws, &gs, self.eps);
        let gradient = |t: &Tensor, values| t.track_op().then(|| tensor(values, t.shape())).transpose();
        Ok((gradient(x, dx)?, gradient(w, dw)?, gradient(b, db)?))
    }
}
