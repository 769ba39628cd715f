//! Memory of tensors that come and go, on a device that has its own.

use super::operations::Draws;
use super::{Check, distance, first_line};
use candle_core::{Device, Result, Tensor};

/// Tensors of all sizes, each full of a number of its own, made and dropped in an order that is drawn: none may change while it
/// is there. Nothing on the processor.
pub(super) fn check(device: &Device, seed: u64) -> Result<Vec<Check>> {
    if device.is_cpu() {
        return Ok(Vec::new());
    }
    const MOST: usize = 40;
    let outcome = || -> Result<f64> {
        let (mut draws, mut there, mut worst) = (Draws(seed), Vec::<(Tensor, f64)>::new(), 0f64);
        for number in 1..=400 {
            let scale = draws.size(2, 22);
            let (length, number) = (draws.size(1, 1 << scale), f64::from(number));
            // A kernel writes it, and another what comes of it.
            let tensor = (Tensor::full(number as f32, length, device)? * 2.0)?;
            there.push((tensor, number));
            while there.len() > MOST || draws.size(0, 2) == 0 && !there.is_empty() {
                let (tensor, number) = there.swap_remove(draws.size(0, there.len() - 1));
                // What is not finite is infinitely far off, where the largest of all values would pass it over.
                worst = worst.max(distance(&tensor, &Tensor::full(2.0 * number, tensor.dims(), &Device::Cpu)?)?);
            }
        }
        let kept = hemf_kernels::kept_gpu_memory().unwrap_or(0);
        if kept == 0 && hemf_kernels::is_memory_to_be_kept().is_ok_and(|kept| kept) {
            candle_core::bail!("memory is to be kept by this process, and is asked of the driver all the same");
        }
        Ok(worst)
    };
    let (forward, error) = match outcome() {
        Ok(worst) => (Some(worst), None),
        Err(error) => (None, Some(first_line(&error))),
    };
    Ok(vec![Check {
        operation: "memory that is handed on".to_owned(),
        shapes: Vec::new(),
        form: "f32".to_owned(),
        forward,
        backward: Some(0.0), // it has none
        tolerance: 0.0,
        kernels: Vec::new(),
        error,
    }])
}
