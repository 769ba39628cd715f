//! Depthwise convolution of a channels-last map, stride 1, output of the input's size (k odd, padding (k - 1)/2):
//! `y[b, i, j, c] = b[c] + sum over ky, kx of x[b, i + ky - p, j + kx - p, c] W[c, 0, ky, kx]`.
//!
//! With g the gradient of y:
//!
//! - dx is the same convolution of g with each kernel turned by 180 degrees
//! - dW[c, 0, ky, kx] = sum over b, i, j of g[b, i, j, c] x[b, i + ky - p, j + kx - p, c]
//! - db = sum over pixels of g

mod composed;
mod cpu;
mod cuda;
mod lines;
#[cfg(test)]
mod tests;

use crate::host::{self, host, native, tensor};
use crate::linear::{check_bias, sum_rows};
use crate::tape::{self, Needs};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

/// `x` (B, H, W, C), `weight` (C, 1, k, k) with k odd, `bias` (C) -> (B, H, W, C).
pub fn depthwise(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let (channels, one, k, k_across) = weight.dims4()?;
    if one != 1 || k != k_across || k % 2 == 0 || channels != x.dim(candle_core::D::Minus1)? {
        bail!("depthwise: weight {:?} does not go with map {:?}", weight.dims(), x.dims());
    }
    check_bias(Some(bias), channels)?;
    x.dims4()?;
    if cuda::fits(k) && crate::cuda::suits(&[x, weight, bias]) {
        return crate::cuda::apply(Depthwise { k }, Needs::Inputs, &[x, weight, bias]);
    }
    if !native(x) {
        return composed::depthwise(x, weight, bias);
    }
    tape::apply3(Depthwise { k }, Needs::Inputs, &x.contiguous()?, &weight.contiguous()?, &bias.contiguous()?)
}

struct Depthwise {
    k: usize,
}

impl CustomOp3 for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise"
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
        let taps = cpu::pack(host::slice(w, lw)?, self.k, false);
        let dims = lx.shape().dims4()?;
        host::output(cpu::forward(host::slice(x, lx)?, &taps, host::slice(b, lb)?, dims, self.k), dims)
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
        let dims = x.dims4()?;
        let channels = dims.3;
        let (xs, ws, gs) = (host(x)?, host(w)?, host(&g)?);
        let dx = x.track_op().then(|| {
            let turned = cpu::pack(&ws, self.k, true);
            tensor(cpu::forward(&gs, &turned, &vec![0.0; channels], dims, self.k), dims)
        });
        let dw = w.track_op().then(|| tensor(cpu::backward_weight(&gs, &xs, dims, self.k), w.shape()));
        let db = b.track_op().then(|| tensor(sum_rows(&gs, channels), channels));
        Ok((dx.transpose()?, dw.transpose()?, db.transpose()?))
    }
}
