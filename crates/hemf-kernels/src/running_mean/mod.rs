//! Running means of many tensors, each moved towards what the tensor is now: `m <- m + (x - m) share`, in place, by one kernel.

mod cuda;
#[cfg(test)]
mod tests;

use crate::cuda::{alike, suits_at_once};
use candle_core::{Result, Tensor, bail};

/// Moves each mean towards its tensor, of one shape, by `share` of the way.
///
/// Fails when one has [no kernel](suits_at_once), or the two differ in shape or device.
pub fn move_means(means: &[(&Tensor, &Tensor)], share: f32) -> Result<()> {
    for (mean, tensor) in means {
        if !suits_at_once(mean) || !suits_at_once(tensor) || !alike(mean, tensor) {
            bail!("running means: {:?} {:?} of {:?} has no kernel", mean.dtype(), mean.dims(), tensor.dims());
        }
    }
    cuda::run(means, share)
}
