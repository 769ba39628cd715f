//! The norm from candle's own operations: any device, any float type.

use super::ChannelStats;
use crate::host::rows_of;
use crate::part::Sums;
use crate::tape::sum_over_parts;
use candle_core::{Result, Tensor};
use std::rc::Rc;

fn as_rows(x: &Tensor) -> Result<Tensor> {
    x.reshape(rows_of(x.shape()))
}

pub(super) fn statistics(x: &Tensor) -> Result<ChannelStats> {
    let rows = as_rows(x)?;
    let mean = rows.mean(0)?;
    let variance = rows.broadcast_sub(&mean)?.sqr()?.mean(0)?;
    Ok(ChannelStats { mean, variance })
}

pub(super) fn batch_norm_train(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    normalise(x, weight, bias, &statistics(x)?, eps)
}

/// As [`super::batch_norm_train`], of a part of a batch.
pub(super) fn batch_norm_of_part(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
    sums: &Rc<dyn Sums>,
) -> Result<(Tensor, ChannelStats, usize)> {
    let rows = as_rows(x)?;
    let mut pixels = [rows.dim(0)? as f64];
    sums.sum(&mut pixels)?;
    let mean_of = |rows: &Tensor| sum_over_parts(&rows.sum(0)?, sums)? / pixels[0];
    let mean = mean_of(&rows)?;
    let variance = mean_of(&rows.broadcast_sub(&mean)?.sqr()?)?;
    let stats = ChannelStats { mean, variance };
    let y = normalise(x, weight, bias, &stats, eps)?;
    let [mean, variance] = [stats.mean, stats.variance].map(|t| t.detach());
    Ok((y, ChannelStats { mean, variance }, pixels[0] as usize))
}

pub(super) fn normalise(x: &Tensor, weight: &Tensor, bias: &Tensor, stats: &ChannelStats, eps: f64) -> Result<Tensor> {
    let rstd = (&stats.variance + eps)?.sqrt()?.recip()?;
    x.broadcast_sub(&stats.mean)?.broadcast_mul(&rstd)?.broadcast_mul(weight)?.broadcast_add(bias)
}
