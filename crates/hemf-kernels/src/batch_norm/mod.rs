//! Batch norm of a channels-last map: `y = w (x - mean) / sqrt(var + eps) + b` for each channel, mean and variance those
//! of the batch (training) or given (evaluation).
//!
//! With n = (x - mean) / sqrt(var + eps), g the gradient of y, sums and means over all N pixels of the batch:
//!
//! - dw = sum of g n, db = sum of g
//! - dx = w (g - db / N - n dw / N) / sqrt(var + eps) in training, where the statistics depend on x
//! - dx = w g / sqrt(var + eps) in evaluation
//!
//! Where the batch is in [parts](crate::Part), mean, variance and the sums in dx are over all of them: forwards the parts
//! add up N, N mean and N (var + mean^2) in f64, backwards dw and db. What each returns as dw and db is its own share. The
//! composed form adds up N, then the values, then their squared distances from the mean; backwards the gradients of both.

mod composed;
mod cpu;
mod cuda;
#[cfg(test)]
mod tests;

use crate::host::{self, host, native, tensor};
use crate::mixed::{in_f32, is_half, wide};
use crate::part;
use crate::tape::{self, Needs};
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, Var, bail};

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
        if crate::cuda::suits(&[&x]) {
            return cuda::statistics(&x.contiguous()?);
        }
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

    /// Moves these running statistics, which are variables, a part of the way to those of a batch, in place: the mean by
    /// `momentum`, and the variance to `unbiased` times the batch's.
    ///
    /// Fails when they are no variables, or their sizes differ.
    pub fn move_towards(&self, batch: &Self, momentum: f64, unbiased: f64) -> Result<()> {
        let all = [&self.mean, &self.variance, &batch.mean, &batch.variance];
        if all.iter().any(|t| t.dims() != self.mean.dims()) {
            bail!("batch_norm: running statistics of {:?} for a batch's of {:?}", self.mean.dims(), batch.mean.dims());
        }
        if !self.mean.is_variable() || !self.variance.is_variable() {
            bail!("batch_norm: running statistics that are no variables cannot be moved");
        }
        if crate::cuda::suits(&all) && all.iter().all(|t| t.dtype() == DType::F32 && t.is_contiguous()) {
            return cuda::move_towards(self, batch, momentum, unbiased);
        }
        let moved = |running: &Tensor, batch: &Tensor, factor: f64| -> Result<()> {
            let value = ((running.detach() * (1.0 - momentum))? + (batch * (momentum * factor))?)?;
            Var::from_tensor(running)?.set(&value)
        };
        moved(&self.mean, &batch.mean, 1.0)?;
        moved(&self.variance, &batch.variance, unbiased)
    }
}

/// Normalises `x` (..., C) by the statistics of the batch. These are returned for the running averages, with the number
/// of pixels that they are of.
pub fn batch_norm_train(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<(Tensor, ChannelStats, usize)> {
    let by_kernel = part::sums().is_none() && crate::cuda::suits(&[x, weight, bias]);
    if is_half(x) && !by_kernel {
        let (y, stats, pixels) = batch_norm_train(&wide(x)?, &wide(weight)?, &wide(bias)?, eps)?;
        return Ok((y.to_dtype(x.dtype())?, stats, pixels));
    }
    let sums = part::sums();
    if let (Some(sums), false) = (&sums, native(x)) {
        return composed::batch_norm_of_part(x, weight, bias, eps, sums);
    }
    let stats = ChannelStats::of(x)?;
    let (pixels, _) = host::rows_of(x.shape());
    if by_kernel {
        return Ok((cuda::apply(x, weight, bias, &stats, eps, Some(pixels))?, stats, pixels));
    }
    match sums {
        Some(sums) => {
            let (stats, pixels) = of_all_parts(&stats, pixels, &*sums)?;
            let y = apply(x, weight, bias, &stats, eps, Statistics::OfParts(pixels))?;
            Ok((y, stats, pixels))
        }
        None if native(x) => Ok((apply(x, weight, bias, &stats, eps, Statistics::OfBatch(pixels))?, stats, pixels)),
        None => Ok((composed::batch_norm_train(x, weight, bias, eps)?, stats, pixels)),
    }
}

/// The statistics of a batch in parts, of which this part has `pixels` with `stats`; and the number of its pixels. In f64
/// the squares of the means take nothing from the variance that an f32 would keep.
fn of_all_parts(stats: &ChannelStats, pixels: usize, sums: &dyn part::Sums) -> Result<(ChannelStats, usize)> {
    let wide = |t: &Tensor| -> Result<Vec<f64>> { Ok(t.to_vec1::<f32>()?.into_iter().map(f64::from).collect()) };
    let (mean, variance, n) = (wide(&stats.mean)?, wide(&stats.variance)?, pixels as f64);
    let mut all = vec![n];
    all.extend(mean.iter().map(|m| n * m));
    all.extend(mean.iter().zip(&variance).map(|(m, v)| n * (v + m * m)));
    sums.sum(&mut all)?;
    let (n, (means, squares)) = (all[0], all[1..].split_at(mean.len()));
    let variance = means.iter().zip(squares).map(|(m, s)| (s / n - (m / n) * (m / n)).max(0.0) as f32).collect();
    let mean: Vec<f32> = means.iter().map(|m| (m / n) as f32).collect();
    let width = mean.len();
    Ok((ChannelStats { mean: tensor(mean, width)?, variance: tensor(variance, width)? }, n as usize))
}

/// Normalises `x` (..., C) by given statistics (running averages), which are constants to the gradient.
pub fn batch_norm_eval(x: &Tensor, weight: &Tensor, bias: &Tensor, stats: &ChannelStats, eps: f64) -> Result<Tensor> {
    match x {
        _ if native(x) => apply(x, weight, bias, stats, eps, Statistics::Given),
        _ if crate::cuda::suits(&[x, weight, bias]) => cuda::apply(x, weight, bias, stats, eps, None),
        _ if is_half(x) => {
            let stats = ChannelStats { mean: wide(&stats.mean)?, variance: wide(&stats.variance)? };
            let (weight, bias) = (wide(weight)?, wide(bias)?);
            in_f32(x, |x| batch_norm_eval(x, &weight, &bias, &stats, eps))
        }
        _ => composed::normalise(x, weight, bias, stats, eps),
    }
}

fn apply(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    stats: &ChannelStats,
    eps: f64,
    statistics: Statistics,
) -> Result<Tensor> {
    let (_, width) = host::rows_of(x.shape());
    for (name, t) in [("weight", weight), ("bias", bias), ("mean", &stats.mean), ("variance", &stats.variance)] {
        if t.dims() != [width] {
            bail!("batch_norm: {name} {:?} for {width} channels", t.dims());
        }
    }
    let mean = stats.mean.to_vec1::<f32>()?;
    let rstd = stats.variance.to_vec1::<f32>()?.iter().map(|v| (1.0 / (f64::from(*v) + eps).sqrt()) as f32).collect();
    tape::apply3(
        BatchNorm { mean, rstd, statistics },
        Needs::Inputs,
        &x.contiguous()?,
        &weight.contiguous()?,
        &bias.contiguous()?,
    )
}

struct BatchNorm {
    mean: Vec<f32>,
    /// 1 / sqrt(variance + eps)
    rstd: Vec<f32>,
    statistics: Statistics,
}

/// Where mean and variance come from, and of how many pixels they are.
#[derive(Clone, Copy)]
enum Statistics {
    /// Constants.
    Given,
    /// Of x itself.
    OfBatch(usize),
    /// Of x and the other parts of its batch.
    OfParts(usize),
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
            let sums = match self.statistics {
                Statistics::Given => None,
                Statistics::OfBatch(pixels) => Some((dw.clone(), db.clone(), pixels)),
                Statistics::OfParts(pixels) => Some(over_parts(&dw, &db, pixels)?),
            };
            tensor(cpu::backward_input(&xs, &ws, &gs, &self.mean, &self.rstd, sums.as_ref()), x.shape())
        });
        Ok((dx.transpose()?, Some(tensor(dw, w.shape())?), Some(tensor(db, b.shape())?)))
    }
}

/// dw and db of all parts together.
fn over_parts(dw: &[f32], db: &[f32], pixels: usize) -> Result<(Vec<f32>, Vec<f32>, usize)> {
    let Some(sums) = part::sums() else {
        bail!("batch_norm: the backward pass of a batch in parts must run as a part, as the forward pass did")
    };
    let mut all: Vec<f64> = dw.iter().chain(db).map(|d| f64::from(*d)).collect();
    sums.sum(&mut all)?;
    let mut both: Vec<f32> = all.into_iter().map(|d| d as f32).collect();
    let db = both.split_off(dw.len());
    Ok((both, db, pixels))
}
