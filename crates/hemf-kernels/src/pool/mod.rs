//! Pooling of a channels-last map.
//!
//! - [`avg_pool2`]: the mean of each 2x2 cell; each of its pixels gets a quarter of the gradient.
//! - [`channel_mean_max`]: mean and maximum over the channels of each pixel, what spatial attention looks at.
//! - [`pixel_mean_max`]: mean and maximum over the pixels for each channel, what channel attention looks at.
//! - [`pixel_mean`]: the mean over the pixels, what the classifier looks at.
//! - [`row_sum`]: the sum over rows, of what channel attention makes of mean and maximum.
//!
//! A mean hands its gradient to all in equal parts, a sum the whole of it to each, a maximum to the first place that holds it, as PyTorch's does.

mod composed;
mod cpu;
mod cuda;
#[cfg(test)]
mod tests;

use crate::host::{self, host, native, tensor};
use crate::tape::{self, Needs};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

/// (B, H, W, C) -> (B, H/2, W/2, C); a last odd row or column is left out.
///
/// Fails when H or W is below 2.
pub fn avg_pool2(x: &Tensor) -> Result<Tensor> {
    let (_, height, width, _) = x.dims4()?;
    if height < 2 || width < 2 {
        bail!("avg_pool2: a map of {height}x{width} has no 2x2 cell");
    }
    apply(x, Pool::Cells)
}

/// (B, H, W, C) -> (B, H, W, 2): mean and maximum over the channels.
pub fn channel_mean_max(x: &Tensor) -> Result<Tensor> {
    apply(x, Pool::Channels)
}

/// (B, H, W, C) -> (B, 2, C): mean and maximum over the pixels.
pub fn pixel_mean_max(x: &Tensor) -> Result<Tensor> {
    apply(x, Pool::Pixels)
}

/// (B, H, W, C) -> (B, C): mean over the pixels.
pub fn pixel_mean(x: &Tensor) -> Result<Tensor> {
    apply(x, Pool::Mean)
}

/// (B, N, C) -> (B, 1, 1, C): sum over N.
pub fn row_sum(x: &Tensor) -> Result<Tensor> {
    apply(x, Pool::Rows)
}

#[derive(Clone, Copy, Debug)]
enum Pool {
    Cells,
    Channels,
    Pixels,
    Mean,
    Rows,
}

fn apply(x: &Tensor, pool: Pool) -> Result<Tensor> {
    pool.dims(x.shape())?;
    match x {
        _ if native(x) => tape::apply1(pool, pool.needs(), &x.contiguous()?),
        _ if crate::cuda::suits(&[x]) => crate::cuda::apply(pool, pool.needs(), &[x]),
        _ => composed::apply(x, pool),
    }
}

impl Pool {
    /// Of a map (B, H, W, C); rows (B, N, C) are pixels below each other.
    fn dims(self, shape: &Shape) -> Result<(usize, usize, usize, usize)> {
        match self {
            Self::Rows => shape.dims3().map(|(batch, rows, channels)| (batch, rows, 1, channels)),
            _ => shape.dims4(),
        }
    }

    /// What the sum over pixels is divided by.
    fn divisor(self, pixels: usize) -> f32 {
        if matches!(self, Self::Rows) { 1.0 } else { pixels as f32 }
    }

    /// A maximum's gradient goes where the largest value is.
    fn needs(self) -> Needs {
        match self {
            Self::Channels | Self::Pixels => Needs::Inputs,
            Self::Cells | Self::Mean | Self::Rows => Needs::Nothing,
        }
    }
}

impl CustomOp1 for Pool {
    fn name(&self) -> &'static str {
        match self {
            Self::Cells => "avg_pool2",
            Self::Channels => "channel_mean_max",
            Self::Pixels => "pixel_mean_max",
            Self::Mean => "pixel_mean",
            Self::Rows => "row_sum",
        }
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = host::slice(x, layout)?;
        let dims @ (batch, height, width, channels) = self.dims(layout.shape())?;
        match self {
            Self::Cells => host::output(cpu::cells(x, dims), (batch, height / 2, width / 2, channels)),
            Self::Channels => host::output(cpu::channels(x, channels), (batch, height, width, 2)),
            Self::Pixels => host::output(cpu::pixels(x, dims), (batch, 2, channels)),
            Self::Mean => host::output(cpu::sum(x, dims, self.divisor(height * width)), (batch, channels)),
            Self::Rows => host::output(cpu::sum(x, dims, self.divisor(height)), (batch, 1, 1, channels)),
        }
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let g = g.contiguous()?;
        let dims = self.dims(x.shape())?;
        let gs = host(&g)?;
        let dx = match self {
            Self::Cells => cpu::cells_gradient(&gs, dims),
            Self::Channels => cpu::channels_gradient(&host(x)?, &gs, dims.3),
            Self::Pixels => cpu::pixels_gradient(&host(x)?, &gs, dims),
            Self::Mean | Self::Rows => cpu::sum_gradient(&gs, dims, self.divisor(dims.1 * dims.2)),
        };
        tensor(dx, x.shape()).map(Some)
    }
}
