//! One step of SGD with momentum over all parameters of a network, in place, by one kernel.
//!
//! For each value of a parameter p with momentum m, its gradient g and scales s and z, the second a number on the GPU:
//!
//! - h = g s z + decay p
//! - m <- keep m + h
//! - p <- p - rate m, or with Nesterov's p <- p - rate (h + keep m)

mod cuda;
#[cfg(test)]
mod tests;

use crate::cuda::{alike, suits_at_once};
use candle_core::{Result, Tensor, bail};

/// A parameter with what belongs to it, of one shape, f32 and contiguous; all but the gradient are changed.
pub struct SgdParameter<'a> {
    /// p
    pub parameter: &'a Tensor,
    /// m
    pub momentum: &'a Tensor,
    /// g
    pub gradient: &'a Tensor,
    /// How far it goes.
    pub rate: f32,
    /// Of p, added to g.
    pub decay: f32,
}

/// What a step has in common for all parameters.
#[derive(Clone, Copy, Debug)]
pub struct SgdStep<'a> {
    /// What is kept of m.
    pub keep: f32,
    /// Whether a step looks ahead.
    pub nesterov: bool,
    /// s
    pub scale: f32,
    /// z, a scalar, f32, on the parameters' device: 1 where there is none.
    pub more: Option<&'a Tensor>,
}

/// Takes the step.
///
/// Fails when a parameter or what belongs to it has [no kernel](suits_at_once), or they differ in shape or device.
pub fn sgd(parameters: &[SgdParameter], step: &SgdStep) -> Result<()> {
    for SgdParameter { parameter, momentum, gradient, .. } in parameters {
        let all = [*parameter, *momentum, *gradient];
        if !all.iter().all(|t| suits_at_once(t) && alike(t, parameter)) {
            let (dtype, dims) = (parameter.dtype(), all.map(|t| t.dims()));
            bail!("sgd: a parameter of {dtype:?} {dims:?}, or what belongs to it, has no kernel");
        }
    }
    cuda::run(parameters, step)
}
