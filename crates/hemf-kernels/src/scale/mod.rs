//! Scaling of a channels-last map by a factor for each pixel, each channel or each sample: `y = x s`, s broadcast.
//!
//! With g the gradient of y: dx = g s, and ds = g x summed over what shares a factor.

mod composed;
mod cpu;
mod cuda;
#[cfg(test)]
mod tests;

use crate::host::{self, host, native, tensor};
use crate::tape::{self, Needs};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// `x` (B, H, W, C) times `s`: (B, H, W, 1) for each pixel, (B, 1, 1, C) for each channel, or (B, 1, 1, 1) for each
/// sample -> (B, H, W, C).
///
/// Fails for any other shape of `s`.
pub fn scale(x: &Tensor, s: &Tensor) -> Result<Tensor> {
    let dims @ (batch, height, width, channels) = x.dims4()?;
    let by = match s.dims4()? {
        d if d == (batch, 1, 1, channels) => By::Channel,
        d if d == (batch, height, width, 1) => By::Pixel,
        d if d == (batch, 1, 1, 1) => By::Sample,
        d => bail!("scale: factors {d:?} do not go with map {dims:?}"),
    };
    let op = Scale { by, pixels: height * width, channels };
    if crate::cuda::suits(&[x, s]) {
        return crate::cuda::apply(op, Needs::Inputs, &[x, s]);
    }
    if !native(x) {
        return composed::scale(x, s);
    }
    tape::apply2(op, Needs::Inputs, &x.contiguous()?, &s.contiguous()?)
}

/// What has a factor of its own.
#[derive(Clone, Copy, Debug)]
enum By {
    Pixel,
    Channel,
    Sample,
}

struct Scale {
    by: By,
    pixels: usize,
    channels: usize,
}

impl CustomOp2 for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, s: &CpuStorage, ls: &Layout) -> Result<(CpuStorage, Shape)> {
        host::output(cpu::apply(self, host::slice(x, lx)?, host::slice(s, ls)?), lx.shape())
    }

    fn bwd(&self, x: &Tensor, s: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let g = g.contiguous()?;
        let (xs, ss, gs) = (host(x)?, host(s)?, host(&g)?);
        let dx = x.track_op().then(|| tensor(cpu::apply(self, &gs, &ss), x.shape()));
        let ds = s.track_op().then(|| tensor(cpu::backward_factor(self, &xs, &gs), s.shape()));
        Ok((dx.transpose()?, ds.transpose()?))
    }
}
