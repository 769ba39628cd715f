//! The activations from candle's own operations: any device, any float type.

use super::Activation;
use candle_core::{Result, Tensor};

pub(super) fn apply(x: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        // Not `gelu_erf`, whose gradient in candle carries a constant of six digits.
        Activation::Gelu => (x * 0.5)? * ((x / std::f64::consts::SQRT_2)?.erf()? + 1.0)?,
        Activation::Relu => x.relu(),
        Activation::Sigmoid => (x.neg()?.exp()? + 1.0)?.recip(),
    }
}
