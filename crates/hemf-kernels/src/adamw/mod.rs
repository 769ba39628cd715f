//! One step of AdamW over all parameters of a network, in place, by one kernel.
//!
//! For each value of a parameter p with running means m and v, its gradient g and scales s and z, the second a number on the
//! GPU:
//!
//! - g <- g s z
//! - m <- m + (g - m) towards
//! - v <- v keep + g^2 share
//! - p <- p shrink - step m / (sqrt(v) / root_correction + eps)

mod cuda;
#[cfg(test)]
mod tests;

use crate::cuda::{alike, suits_at_once};
use candle_core::{Result, Tensor, bail};

/// A parameter with what belongs to it, of one shape, f32 and contiguous; all but the gradient are changed.
pub struct AdamWParameter<'a> {
    /// p
    pub parameter: &'a Tensor,
    /// m
    pub first: &'a Tensor,
    /// v
    pub second: &'a Tensor,
    /// g
    pub gradient: &'a Tensor,
    /// What p is multiplied by.
    pub shrink: f32,
    /// How far it goes.
    pub step: f32,
    /// What the root of v is divided by.
    pub root_correction: f32,
}

/// What a step has in common for all parameters.
#[derive(Clone, Copy, Debug)]
pub struct AdamWStep<'a> {
    /// How far m moves towards g, from 0 to 1.
    pub towards: f32,
    /// What is kept of v.
    pub keep: f32,
    /// What is added to v of g^2.
    pub share: f32,
    /// Added to the root.
    pub eps: f32,
    /// s
    pub scale: f32,
    /// z, a scalar, f32, on the parameters' device: 1 where there is none.
    pub more: Option<&'a Tensor>,
}

/// Takes the step.
///
/// Fails when a parameter or what belongs to it has [no kernel](suits_at_once), or they differ in shape or device.
pub fn adamw(parameters: &[AdamWParameter], step: &AdamWStep) -> Result<()> {
    for AdamWParameter { parameter, first, second, gradient, .. } in parameters {
        let all = [*parameter, *first, *second, *gradient];
        if !all.iter().all(|t| suits_at_once(t) && alike(t, parameter)) {
            let (dtype, dims) = (parameter.dtype(), all.map(|t| t.dims()));
            bail!("adamw: a parameter of {dtype:?} {dims:?}, or what belongs to it, has no kernel");
        }
    }
    cuda::run(parameters, step)
}
