//! The product from candle's own operations: any device, any float type.

use candle_core::{Result, Tensor};

pub(super) fn scale(x: &Tensor, s: &Tensor) -> Result<Tensor> {
    x.broadcast_mul(s)
}
