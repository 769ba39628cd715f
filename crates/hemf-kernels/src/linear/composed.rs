//! The layer from candle's own operations: any device, any float type.

use candle_core::{Result, Tensor};

pub(super) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    let rows = x.elem_count() / inputs;
    let mut shape = x.dims().to_vec();
    *shape.last_mut().expect("at least one dimension") = outputs;
    let y = x.reshape((rows, inputs))?.matmul(&weight.to_dtype(x.dtype())?.t()?)?;
    let y = match bias {
        Some(bias) => y.broadcast_add(&bias.to_dtype(x.dtype())?)?,
        None => y,
    };
    y.reshape(shape)
}
