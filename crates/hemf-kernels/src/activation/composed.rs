//! The activations from candle's own operations: any device, any float type.

use super::Activation;
use crate::mixed::{in_f32, is_half};
use candle_core::{Result, Tensor};

pub(super) fn apply(x: &Tensor, activation: Activation) -> Result<Tensor> {
    if is_half(x) && activation != Activation::Relu {
        return in_f32(x, |x| super::apply(x, activation));
    }
    match activation {
        // Not `gelu_erf`, whose gradient in candle carries a constant of six digits.
        Activation::Gelu => (x * 0.5)? * ((x / std::f64::consts::SQRT_2)?.erf()? + 1.0)?,
        Activation::Relu => x.relu(),
        Activation::Sigmoid => (x.neg()?.exp()? + 1.0)?.recip(),
    }
}
