//! The norm from candle's own operations: any device, any float type.

use crate::mixed::{in_f32, is_half, wide};
use candle_core::{D, Result, Tensor};

pub(super) fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    if is_half(x) {
        let (weight, bias) = (wide(weight)?, wide(bias)?);
        return in_f32(x, |x| super::layer_norm(x, &weight, &bias, eps));
    }
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    centred.broadcast_div(&(variance + eps)?.sqrt()?)?.broadcast_mul(weight)?.broadcast_add(bias)
}
