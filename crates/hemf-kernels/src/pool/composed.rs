//! The pools from candle's own operations: any device, any float type. (Candle shares the gradient of a maximum among
//! equal values.)

use super::Pool;
use crate::mixed::{in_f32, is_half};
use candle_core::{D, Result, Tensor};

pub(super) fn apply(x: &Tensor, pool: Pool) -> Result<Tensor> {
    if is_half(x) {
        return in_f32(x, |x| super::apply(x, pool));
    }
    let (b, h, w, c) = pool.dims(x.shape())?;
    match pool {
        Pool::Cells => {
            let even = x.narrow(1, 0, h / 2 * 2)?.narrow(2, 0, w / 2 * 2)?;
            even.contiguous()?.reshape((b, h / 2, 2, w / 2, 2, c))?.mean((2, 4))
        }
        Pool::Channels => Tensor::cat(&[x.mean_keepdim(D::Minus1)?, x.max_keepdim(D::Minus1)?], D::Minus1),
        Pool::Pixels => {
            let rows = x.reshape((b, h * w, c))?;
            Tensor::cat(&[rows.mean_keepdim(1)?, rows.max_keepdim(1)?], 1)
        }
        Pool::Mean => x.mean((1, 2)),
        Pool::Rows => x.sum(1)?.reshape((b, 1, 1, c)),
    }
}
