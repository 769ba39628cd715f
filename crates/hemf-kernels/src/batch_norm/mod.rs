//! Batch norm of a channels-last map: `y = w (x - mean) / sqrt(var + eps) + b` for each channel, mean and variance those
//! of the batch (training) or given (evaluation).
//!
//! With n = (x - mean) / sqrt(var + eps), g the gradient of y, sums and means over all N pixels of the batch:
//!
//! - dw = sum of g n, db = sum of g
//! - dx = w (g - db / N - n dw / N) / sqrt(var + eps) in training, where the statistics depend on x
//! - dx = w g / sqrt(var + eps) in evaluation

mod composed;
mod cpu;
#[cfg(test)]
mod tests;

use crate::host::{self, host, native, tensor};
use crate::tape;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

/// Mean and variance (biased) of each channel over all pixels.
#[derive(Clone, Debug)]
pub struct ChannelStats {
    /// (C)
    pub mean: Tensor,
    /// (C), divided by the number of pixels
    pub variance: Tensor,
}

impl ChannelStats {
    /// The statistics of `x` (..., C), outside the gradient.
    pub fn of(x: &Tensor) -> Result<Self> {
        let x = x.detach();
        if !native(&x) {
            return composed::statistics(&x);
        }
        let x = x.contiguous()?;
        let (_, width) = host::rows_of(x.shape());
        if x.elem_count() == 0 {
            bail!("batch_norm: {:?} holds no values", x.dims());
        }
        let (mean, variance) = cpu::statistics(&host(&x)?, width);
        Ok(Self { mean: tensor(mean, width)?, variance: tensor(variance, width)? })
    }
}

/// Normalises `x` (..., C) by the statistics of the batch, which are returned for the running averages.
pub fn batch_norm_train(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<(Tensor, ChannelStats)> {
    let stats = ChannelStats::of(x)?;
    let y = if native(x) {
        apply(x, weight, bias, &stats, eps, true)?
    } else {
        composed::batch_norm_train(x, weight, bias, eps)?
    };
    Ok((y, stats))
}

/// Normalises `x` (..., C) by given statistics (running averages), which are constants to the gradient.
pub fn batch_norm_eval(x: &Tensor, weight: &Tensor, bias: &Tensor, stats: &ChannelStats, eps: f64) -> Result<Tensor> {
    if native(x) { apply(x, weight, bias, stats, eps, false) } else { composed::normalise(x, weight, bias, stats, eps) }
}

fn apply(x: &Tensor, weight: &Tensor, bias: &Tensor, stats: &ChannelStats, eps: f64, of_batch: bool) -> Result<Tensor> {
    let (_, width) = host::rows_of(x.shape());
    for (name, t) in [("weight", weight), ("bias", bias), ("mean", &stats.mean), ("variance", &stats.variance)] {
        if t.dims() != [width] {
            bail!("batch_norm: {name} {:?} for {width} channels", t.dims());
        }
    }
    let mean = stats.mean.to_vec1::<f32>()?;
    let rstd = stats.variance.to_vec1::<f32>()?.iter().map(|v| (1.0 / (f64::from(*v) + eps).sqrt()) as f32).collect();
    tape::apply3(BatchNorm { mean, rstd, of_batch }, &x.contiguous()?, &weight.contiguous()?, &bias.contiguous()?)
}

struct BatchNorm {
    mean: Vec<f32>,
    /// 1 / sqrt(variance + eps)
    rstd: Vec<f32>,
    /// Whether the statistics are those of x itself.
    of_batch: bool,
}

impl CustomOp3 for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
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
        let y = cpu::forward(host::slice(x, lx)?, host::slice(w, lw)?, host::slice(b, lb)?, &self.mean, &self.rstd);
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
        let (dw, db) = cpu::backward_affine(&xs, &gs, &self.mean, &self.rstd);
        let dx = x.track_op().then(|| {
            let sums = self.of_batch.then_some((&dw[..], &db[..]));
            tensor(cpu::backward_input(&xs, &ws, &gs, &self.mean, &self.rstd, sums), x.shape())
        });
        Ok((dx.transpose()?, Some(tensor(dw, w.shape())?), Some(tensor(db, b.shape())?)))
    }
}
