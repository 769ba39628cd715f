//! Sums of squares of many tensors at once, in f64: the norm of a network's gradients.

mod cuda;
#[cfg(test)]
mod tests;

use crate::cuda::suits;
use candle_core::{DType, Result, Tensor, bail};

/// Whether [`sums_of_squares`] has a kernel for a tensor: f32 on a GPU, contiguous, and not [`crate::composed`].
pub fn squares_suits(t: &Tensor) -> bool {
    t.dtype() == DType::F32 && t.is_contiguous() && suits(&[t])
}

/// The sum of the squares of each tensor's values: (tensors), f64, on their device. It is finite where all values are.
///
/// Fails when there is none, or one has no kernel.
pub fn sums_of_squares(tensors: &[&Tensor]) -> Result<Tensor> {
    if let Some(odd) = tensors.iter().find(|t| !squares_suits(t)) {
        bail!("sums of squares: a tensor of {:?} {:?} has no kernel", odd.dtype(), odd.dims());
    }
    cuda::run(tensors)
}
