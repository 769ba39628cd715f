//! The attention from candle's own operations: any device, any float type.

use super::Sizes;
use crate::mixed::sum_type;
use candle_core::{D, Result, Tensor};

pub(super) fn external_attention(t: &Tensor, mk: &Tensor, mv: &Tensor, sizes: &Sizes) -> Result<Tensor> {
    let &Sizes { images, tokens, heads, .. } = sizes;
    let by_head = t.reshape((images, tokens, heads, sizes.d()))?.transpose(1, 2)?.contiguous()?; // (B, heads, N, d)
    let (mk, mv) = (mk.to_dtype(t.dtype())?, mv.to_dtype(t.dtype())?);
    let scores = by_head.broadcast_matmul(&mk.t()?)?.to_dtype(sum_type(t))?;
    let powers = scores.broadcast_sub(&scores.max_keepdim(2)?.detach())?.exp()?;
    let over_tokens = powers.broadcast_div(&powers.sum_keepdim(2)?)?;
    let sum = over_tokens.sum_keepdim(D::Minus1)?;
    let least = (sum.ones_like()? * f64::from(f32::MIN_POSITIVE))?;
    let weights = over_tokens.broadcast_div(&sum.maximum(&least)?)?.to_dtype(t.dtype())?;
    weights.broadcast_matmul(&mv.t()?)?.transpose(1, 2)?.reshape(t.dims())
}
