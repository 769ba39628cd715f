//! The attention from candle's own operations: any device, any float type.

use super::Axis;
use crate::mixed::sum_type;
use candle_core::{D, Result, Tensor};

pub(super) fn axis_attention(q: &Tensor, k: &Tensor, v: &Tensor, decay: &[f32], axis: Axis) -> Result<Tensor> {
    if axis == Axis::Columns {
        let [q, k, v] = [q.transpose(1, 2)?, k.transpose(1, 2)?, v.transpose(1, 2)?];
        return axis_attention(&q, &k, &v, decay, Axis::Rows)?.transpose(1, 2)?.contiguous();
    }
    let (batch, height, n, channels) = q.dims4()?;
    let heads = decay.len();
    let by_head = |t: &Tensor| {
        let split = t.reshape((batch * height, n, heads, channels / heads))?;
        split.transpose(1, 2)?.contiguous() // (B H, heads, n, d)
    };
    // Made where it is needed, of a few numbers: a copy of all of it to a GPU would be waited for.
    let at = Tensor::arange(0f32, n as f32, q.device())?;
    let distance = at.reshape((n, 1))?.broadcast_sub(&at.reshape((1, n))?)?.abs()?;
    let mask =
        distance.broadcast_mul(&Tensor::new(decay, q.device())?.reshape((heads, 1, 1))?)?.to_dtype(sum_type(q))?;
    let scores = by_head(q)?.matmul(&by_head(k)?.transpose(2, 3)?.contiguous()?)?;
    let scores = scores.to_dtype(sum_type(q))?.broadcast_add(&mask)?;
    let powers = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    let weights = powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?.to_dtype(q.dtype())?;
    weights.matmul(&by_head(v)?)?.transpose(1, 2)?.reshape(q.dims())
}
