//! What follows a product p on a GPU, by one kernel: `y = residual + activation(p + b)`, with a bias, an activation and a residual
//! where there are such. With g the gradient of y and z = p + b:
//!
//! - dp = g activation'(z), or g without an activation
//! - db = sum over rows of dp
//! - of the residual it is g
//!
//! Each alone is an operation of its own; together they would read and write the whole map once each.

mod cuda;
#[cfg(test)]
mod tests;

use crate::activation::Activation;
use crate::tape::Needs;
use candle_core::{Result, Tensor};

/// What there is besides the product.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ending<'a> {
    /// (C)
    pub(crate) bias: Option<&'a Tensor>,
    pub(crate) activation: Option<Activation>,
    /// Of the product's shape.
    pub(crate) residual: Option<&'a Tensor>,
}

impl Ending<'_> {
    /// Whether it is more than one operation, and there is a kernel for it.
    pub(crate) fn pays(&self) -> bool {
        let operations = [self.bias.is_some(), self.activation.is_some(), self.residual.is_some()];
        let several = operations.into_iter().filter(|there| *there).count() > 1;
        let tensors: Vec<&Tensor> = self.bias.into_iter().chain(self.residual).collect();
        several && self.activation != Some(Activation::Sigmoid) && crate::cuda::suits(&tensors[..1])
    }

    /// After a product (..., C) without bias.
    pub(crate) fn apply(&self, product: &Tensor) -> Result<Tensor> {
        let tensors: Vec<&Tensor> = [product].into_iter().chain(self.bias).chain(self.residual).collect();
        if crate::cuda::suits(&tensors) && self.fits(product) {
            let needs = if self.activation.is_some() { Needs::Inputs } else { Needs::Nothing };
            let op = cuda::OnGpu { bias: self.bias.is_some(), activation: self.activation };
            return crate::cuda::apply(op, needs, &tensors);
        }
        let z = match self.bias {
            Some(bias) => product.broadcast_add(&bias.to_dtype(product.dtype())?)?,
            None => product.clone(),
        };
        let y = self.activation.map_or(Ok(z.clone()), |activation| crate::activate(&z, activation))?;
        self.residual.map_or(Ok(y.clone()), |residual| crate::add(residual, &y))
    }

    fn fits(&self, product: &Tensor) -> bool {
        let width = product.dims().last().copied().unwrap_or(1);
        self.bias.is_none_or(|bias| bias.dims() == [width])
            && self.residual.is_none_or(|residual| residual.shape() == product.shape())
    }
}
