//! The rotation from candle's own operations: any device, any float type.

use super::RotaryTable;
use crate::mixed::{in_f32, is_half};
use candle_core::{D, Result, Tensor};

pub(super) fn rotary(x: &Tensor, table: &RotaryTable) -> Result<Tensor> {
    if is_half(x) {
        return in_f32(x, |x| super::rotary(x, table));
    }
    let (batch, height, width, channels) = x.dims4()?;
    let (positions, d) = table.sin.dims2()?;
    let like_x = |t: &Tensor| t.to_device(x.device())?.to_dtype(x.dtype())?.unsqueeze(1); // (H W, 1, d)
    let heads = x.reshape((batch, height * width, channels / d, d))?;
    let pairs = x.reshape((batch, positions, channels / d, d / 2, 2))?;
    let (a, b) = (pairs.narrow(D::Minus1, 0, 1)?, pairs.narrow(D::Minus1, 1, 1)?);
    let turned = Tensor::cat(&[b.neg()?, a], D::Minus1)?.reshape(heads.dims())?;
    let y = (heads.broadcast_mul(&like_x(&table.cos)?)? + turned.broadcast_mul(&like_x(&table.sin)?)?)?;
    y.reshape((batch, height, width, channels))
}
