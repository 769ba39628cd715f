//! The norm from candle's own operations: any device, any float type.

use super::ChannelStats;
use crate::host::rows_of;
use candle_core::{Result, Tensor};

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

pub(super) fn normalise(x: &Tensor, weight: &Tensor, bias: &Tensor, stats: &ChannelStats, eps: f64) -> Result<Tensor> {
    let rstd = (&stats.variance + eps)?.sqrt()?.recip()?;
    x.broadcast_sub(&stats.mean)?.broadcast_mul(&rstd)?.broadcast_mul(weight)?.broadcast_add(bias)
}
