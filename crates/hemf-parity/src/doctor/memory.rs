//! Memory of tensors that come and go, on a device that has its own.

use super::Check;
use super::operations::Draws;
use candle_core::{DType, Device, Result, Tensor};

/// Tensors of all sizes, each full of a number of its own, made and dropped in an order that is drawn: none may change while it
/// is there. `None` on the processor.
pub(super) fn check(device: &Device, seed: u64) -> Result<Option<Check>> {
    if device.is_cpu() {
        return Ok(None);
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
                let [least, most] =
                    [tensor.min(0)?, tensor.max(0)?].map(|t| t.to_dtype(DType::F64)?.to_scalar::<f64>());
                worst = worst.max((least? - 2.0 * number).abs()).max((most? - 2.0 * number).abs());
            }
        }
        Ok(worst)
    };
    let (forward, error) = match outcome() {
        Ok(worst) => (Some(worst), None),
        Err(error) => (None, error.to_string().lines().next().map(str::to_owned)),
    };
    Ok(Some(Check {
        operation: "memory that is handed on".to_owned(),
        shapes: Vec::new(),
        form: "f32".to_owned(),
        forward,
        backward: Some(0.0), // it has none
        tolerance: 0.0,
        kernels: Vec::new(),
        error,
    }))
}
