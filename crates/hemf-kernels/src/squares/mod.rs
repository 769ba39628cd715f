//! Sums of squares of many tensors at once, in f64: the norm of a network's gradients.

mod cuda;
#[cfg(test)]
mod tests;

use crate::cuda::suits_at_once;
use candle_core::{Result, Tensor, bail};

/// The sum of the squares of each tensor's values: (tensors), f64, on their device. It is finite where all values are.
///
/// Fails when there is none, or one has [no kernel](suits_at_once).
pub fn sums_of_squares(tensors: &[&Tensor]) -> Result<Tensor> {
    if let Some(odd) = tensors.iter().find(|t| !suits_at_once(t)) {
        bail!("sums of squares: a tensor of {:?} {:?} has no kernel", odd.dtype(), odd.dims());
    }
    cuda::run(tensors)
}
