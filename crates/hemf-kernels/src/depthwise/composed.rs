//! The convolution from candle's own operations: any device, any float type.

use crate::mixed::{in_f32, is_half, wide};
use candle_core::{Result, Tensor};

pub(super) fn depthwise(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    if is_half(x) {
        let (weight, bias) = (wide(weight)?, wide(bias)?);
        return in_f32(x, |x| super::depthwise(x, &weight, &bias));
    }
    let (_, height, width, _) = x.dims4()?;
    let k = weight.dim(2)?;
    let padded = x.pad_with_zeros(1, k / 2, k / 2)?.pad_with_zeros(2, k / 2, k / 2)?;
    let mut y = x.zeros_like()?.broadcast_add(bias)?;
    for ky in 0..k {
        for kx in 0..k {
            let tap = weight.narrow(2, ky, 1)?.narrow(3, kx, 1)?.flatten_all()?;
            y = (y + padded.narrow(1, ky, height)?.narrow(2, kx, width)?.broadcast_mul(&tap)?)?;
        }
    }
    Ok(y)
}
