//! Forward passes repeated as one, where a device does that.

use super::again::Litter;
use super::operations::random;
use super::{Check, distance, first_line};
use candle_core::{DType, Device, Result, Tensor};
use hemf_kernels::{Activation, Epilogue, Replay, RotaryTable, launched};

/// A pass of several operations noted and repeated, with other values each time and other tensors between, against the same
/// simply run; what it gave stays as it was. Nothing on the processor, where nothing is noted.
pub(super) fn check(device: &Device, seed: u64) -> Result<Vec<Check>> {
    if device.is_cpu() {
        return Ok(Vec::new());
    }
    let there = |shape: &[usize], seed| random(shape, seed)?.to_dtype(DType::F32)?.to_device(device);
    let (weight, bias) = (there(&[24, 8, 3, 3], 2)?, there(&[24], 3)?);
    let (scale, shift, turned) = (there(&[24], 4)?, there(&[24], 5)?, there(&[6, 24], 6)?);
    let (keys, values) = (there(&[10, 12], 7)?, there(&[12, 10], 8)?);
    let angles: Vec<f32> = (0..12).map(|i| 1.0 / (1.0 + i as f32)).collect();
    let table = RotaryTable::new(&Tensor::new(angles, device)?, 9, 7)?;
    let pass = |x: &Tensor| {
        let epilogue = Epilogue::activation(Activation::Gelu);
        let y = epilogue.after(Some(&bias), |bias| hemf_kernels::conv2d(x, &weight, bias, 1, 1))?;
        let y = hemf_kernels::layer_norm(&y, &scale, &shift, 1e-6)?;
        let y = hemf_kernels::rotary_attention(&y, &y, &y, &table, 0.5, &[-0.5, -0.1])?;
        let y = hemf_kernels::gelu(&hemf_kernels::external_attention(&y, &keys, &values, 2)?)?;
        // Candle's own operations too, whose kernels are told of strides.
        hemf_kernels::linear(&y.transpose(1, 2)?.contiguous()?.mean((1, 2))?, &turned, None)
    };
    let (replay, mut forward, mut error) = (Replay::default(), 0f64, None);
    let (outcome, kernels) = launched(|| -> Result<()> {
        let (mut litter, mut all) = (Litter::new(seed), Vec::new());
        for seed in 10..16 {
            let x = there(&[2, 9, 7, 8], seed)?;
            all.push((replay.run(&x, pass)?, pass(&x)?));
            litter.again(device)?;
        }
        for (got, want) in all {
            forward = forward.max(distance(&got, &want)?);
        }
        Ok(())
    });
    if let Err(failed) = outcome {
        error = Some(first_line(&failed));
    }
    match replay.graphs() {
        (0, refused) if refused.is_empty() => return Ok(Vec::new()), // a build that notes nothing
        (0, refused) => error = error.or_else(|| Some(format!("not noted: {}", refused.join("; ")))),
        _ => {}
    }
    Ok(vec![Check {
        operation: "a pass repeated as a graph".to_owned(),
        shapes: vec![vec![2, 9, 7, 8]],
        form: "f32".to_owned(),
        forward: error.is_none().then_some(forward),
        backward: Some(0.0), // it has none
        tolerance: 0.0,
        kernels,
        error,
    }])
}
