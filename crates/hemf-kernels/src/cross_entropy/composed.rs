//! The loss from candle's own operations: any device, any float type.

use candle_core::{D, Result, Tensor};

pub(super) fn cross_entropy(logits: &Tensor, targets: &Tensor, focus: f64) -> Result<Tensor> {
    let targets = targets.to_dtype(logits.dtype())?.to_device(logits.device())?;
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    let logarithms = shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)?;
    let mut terms = (targets * &logarithms)?;
    if focus != 0.0 {
        // At least a little above 0, where the power has no gradient.
        let rest = logarithms.exp()?.affine(-1.0, 1.0)?.maximum(1e-12)?;
        terms = (terms * rest.powf(focus)?)?;
    }
    terms.sum_all()?.neg()
}
