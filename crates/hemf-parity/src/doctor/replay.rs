//! Forward passes repeated as one, where a device does that.

use super::operations::random;
use super::{Check, distance};
use candle_core::{DType, Device, Result, Tensor};
use hemf_kernels::{Replay, launched};

/// A pass of several operations noted and repeated, with other values each time, against the same simply run. `None` on the
/// processor, where nothing is noted.
pub(super) fn check(device: &Device) -> Result<Option<Check>> {
    if device.is_cpu() {
        return Ok(None);
    }
    let there = |shape: &[usize], seed| random(shape, seed)?.to_dtype(DType::F32)?.to_device(device);
    let (weight, bias) = (there(&[24, 8, 3, 3], 2)?, there(&[24], 3)?);
    let (scale, shift, turned) = (there(&[24], 4)?, there(&[24], 5)?, there(&[6, 24], 6)?);
    let pass = |x: &Tensor| {
        let y = hemf_kernels::conv2d(x, &weight, Some(&bias), 1, 1)?;
        let y = hemf_kernels::gelu(&hemf_kernels::layer_norm(&y, &scale, &shift, 1e-6)?)?;
        // Candle's own operations too, whose kernels are told of strides.
        hemf_kernels::linear(&y.transpose(1, 2)?.contiguous()?.mean((1, 2))?, &turned, None)
    };
    let (replay, mut forward, mut error) = (Replay::default(), 0f64, None);
    let (outcome, kernels) = launched(|| -> Result<()> {
        for seed in 10..14 {
            let x = there(&[2, 9, 7, 8], seed)?;
            forward = forward.max(distance(&replay.run(&x, pass)?, &pass(&x)?)?);
        }
        Ok(())
    });
    if let Err(failed) = outcome {
        error = failed.to_string().lines().next().map(str::to_owned);
    }
    match replay.graphs() {
        (0, refused) if refused.is_empty() => return Ok(None), // a build that notes nothing
        (0, refused) => error = error.or_else(|| Some(format!("not noted: {}", refused.join("; ")))),
        _ => {}
    }
    Ok(Some(Check {
        operation: "a pass repeated as a graph".to_owned(),
        shapes: vec![vec![2, 9, 7, 8]],
        form: "f32".to_owned(),
        forward: error.is_none().then_some(forward),
        backward: Some(0.0), // it has none
        tolerance: 0.0,
        kernels,
        error,
    }))
}
