//! The optimizer's kernel, where a device has one.

use super::operations::random;
use super::{Check, distance};
use candle_core::{DType, Device, Result, Tensor};
use hemf_kernels::{AdamWParameter, AdamWStep, adamw, adamw_suits, launched};

/// One step over parameters of several lengths against the formulas in f64: as `forward` the parameters, as `backward` the
/// running means. `None` where the device has no kernel for it.
pub(super) fn check(device: &Device, tolerance: f64) -> Result<Option<Check>> {
    let shapes: Vec<Vec<usize>> = [1, 7, 4096, 4097, 20_001].map(|n| vec![n]).to_vec();
    let of = |kind: u64| -> Result<Vec<Tensor>> {
        shapes.iter().enumerate().map(|(i, shape)| random(shape, 10 * kind + i as u64)).collect()
    };
    let [parameters, firsts, seconds, gradients] = [of(1)?, of(2)?, of(3)?, of(4)?];
    let seconds: Vec<Tensor> = seconds.iter().map(Tensor::sqr).collect::<Result<_>>()?;
    let there = |all: &[Tensor]| all.iter().map(|t| t.to_device(device)?.copy()).collect::<Result<Vec<_>>>();
    let [p, m, v, g] = [there(&parameters)?, there(&firsts)?, there(&seconds)?, there(&gradients)?];
    if !adamw_suits(&p[0]) {
        return Ok(None);
    }
    let half = Tensor::new(0.5f32, device)?;
    let step = AdamWStep { towards: 0.1, keep: 0.99, share: 0.01, eps: 1e-3, scale: 3.0, more: Some(&half) };
    let update = |i: usize| AdamWParameter {
        parameter: &p[i],
        first: &m[i],
        second: &v[i],
        gradient: &g[i],
        shrink: 0.99,
        step: 0.2,
        root_correction: 0.7,
    };
    let (outcome, kernels) = launched(|| adamw(&(0..shapes.len()).map(update).collect::<Vec<_>>(), &step));
    let (mut forward, mut backward) = (0f64, 0f64);
    for i in 0..shapes.len() {
        let wide = |t: &Tensor| t.to_dtype(DType::F64);
        let gradient = (wide(&gradients[i])? * 1.5)?;
        let first = ((wide(&firsts[i])? * 0.9)? + (&gradient * 0.1)?)?;
        let second = ((wide(&seconds[i])? * 0.99)? + (gradient.sqr()? * 0.01)?)?;
        let walk = ((&first * 0.2)? / (second.sqrt()? / 0.7)?.affine(1.0, 1e-3)?)?;
        let parameter = ((wide(&parameters[i])? * 0.99)? - walk)?;
        forward = forward.max(distance(&p[i], &parameter)?);
        backward = backward.max(distance(&m[i], &first)?).max(distance(&v[i], &second)?);
    }
    let error = outcome.err().map(|error| error.to_string().lines().next().unwrap_or_default().to_owned());
    Ok(Some(Check {
        operation: "adamw".to_owned(),
        shapes,
        form: "f32".to_owned(),
        forward: Some(forward),
        backward: Some(backward),
        tolerance,
        kernels,
        error,
    }))
}
