//! Whether this machine computes right: what it is, and every operation on it against the composed form in f64.
//!
//! The operations are those that networks are made of, forward and backward, on sizes and values that a seed draws. Each
//! is run in every way that the device has: on the processor by the kernels of each instruction set, and from candle's
//! operations in f32 and bf16; on a GPU in f32 and in bf16, as training runs it, by kernels of ours where there are any.

mod again;
mod at_once;
mod forms;
mod machine;
mod memory;
mod operations;
mod replay;

pub use machine::{Fact, processor};

use crate::goldens::values;
use candle_core::{DType, Device, Result, Tensor, Var};
use forms::Form;
use operations::Operation;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// What was found on a device.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// What it is.
    pub machine: Vec<Fact>,
    /// Every operation in every form.
    pub checks: Vec<Check>,
}

/// One operation in one form.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Its name, and what it was run with where it has variants.
    pub operation: String,
    /// Shapes of its inputs.
    pub shapes: Vec<Vec<usize>>,
    /// How it was run.
    pub form: String,
    /// Largest difference of the output from that in f64, relative to its largest value (or to 1).
    pub forward: Option<f64>,
    /// The same, largest over the gradients of all inputs.
    pub backward: Option<f64>,
    /// What both may be.
    pub tolerance: f64,
    /// The kernels of ours that it ran on a GPU, by name: none where it was composed of candle's operations, and on the
    /// processor, where the form tells.
    pub kernels: Vec<&'static str>,
    /// Why it could not be run.
    pub error: Option<String>,
}

impl Check {
    fn failed(operation: &str, error: &candle_core::Error) -> Self {
        Self {
            operation: operation.to_owned(),
            shapes: Vec::new(),
            form: "f32".to_owned(),
            forward: None,
            backward: None,
            tolerance: 0.0,
            kernels: Vec::new(),
            error: Some(first_line(error)),
        }
    }

    /// Whether it ran and is within its tolerance.
    pub fn passed(&self) -> bool {
        let within = |error: Option<f64>| error.is_some_and(|error| error <= self.tolerance);
        within(self.forward) && within(self.backward)
    }
}

impl Diagnosis {
    /// Whether every check passed.
    pub fn passed(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(Check::passed)
    }
}

/// Checks every operation on `device`, with sizes and values drawn from `seed`. What cannot be run is a check that fails.
///
/// # Errors
/// When the composed forms fail on the processor in f64, which is a bug.
pub fn diagnose(device: &Device, seed: u64) -> Result<Diagnosis> {
    let mut checks = Vec::new();
    for operation in operations::all(seed) {
        for form in Form::of(device, &operation.name) {
            checks.push(check(&operation, &form, device)?);
        }
    }
    // A device that an operation before has left in error fails in their preparation too.
    let or_failed = |what, found: Result<Vec<Check>>| found.unwrap_or_else(|error| vec![Check::failed(what, &error)]);
    let tolerance = Form::Usual(DType::F32).tolerance();
    checks.extend(or_failed("kernels over many tensors", at_once::check(device, tolerance)));
    checks.extend(or_failed("a pass repeated as a graph", replay::check(device, seed)));
    checks.extend(again::check(device, seed));
    checks.extend(or_failed("memory that is handed on", memory::check(device, seed)));
    Ok(Diagnosis { device: machine::name(device), machine: machine::of(device), checks })
}

fn check(operation: &Operation, form: &Form, device: &Device) -> Result<Check> {
    let rounded: Vec<Tensor> = operation.inputs.iter().map(|t| t.to_dtype(form.dtype())).collect::<Result<_>>()?;
    let run = |dtype: DType, device: &Device| {
        let inputs = rounded.iter().map(|t| t.to_dtype(dtype)?.to_device(device)).collect::<Result<Vec<_>>>()?;
        outcome(operation, &inputs)
    };
    let (want, want_gradients) = run(DType::F64, &Device::Cpu)?;
    let (outcome, kernels) = hemf_kernels::launched(|| form.run(|| run(form.dtype(), device)));
    // What went wrong on a GPU may not be said before its values are read.
    let distances = outcome.and_then(|(got, gradients)| {
        let mut worst = 0f64;
        for (got, want) in gradients.iter().zip(&want_gradients) {
            worst = worst.max(distance(got, want)?);
        }
        Ok((distance(&got, &want)?, worst))
    });
    let (forward, backward, error) = match distances {
        Ok((forward, backward)) => (Some(forward), Some(backward), None),
        Err(error) => (None, None, Some(first_line(&error))),
    };
    let shapes = operation.inputs.iter().map(|t| t.dims().to_vec()).collect();
    let (operation, form, tolerance) = (operation.name.clone(), form.to_string(), form.tolerance());
    Ok(Check { operation, shapes, form, forward, backward, tolerance, kernels, error })
}

/// Further lines are a backtrace.
fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// The output, and the gradient of each input of sum(output * c), c fixed values of its shape.
fn outcome(operation: &Operation, inputs: &[Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
    let variables: Vec<Var> = inputs.iter().map(Var::from_tensor).collect::<Result<_>>()?;
    let inputs: Vec<Tensor> = variables.iter().map(|v| v.as_tensor().clone()).collect();
    let output = (operation.run)(&inputs)?;
    let c = operations::random(output.dims(), 99)?.to_dtype(output.dtype())?.to_device(output.device())?;
    let gradients = (&output * c)?.sum_all()?.backward()?;
    let of = |v: &Var| match gradients.get(v) {
        Some(gradient) => Ok(gradient.clone()),
        None => candle_core::bail!("an input has no gradient"),
    };
    Ok((output.detach(), variables.iter().map(of).collect::<Result<_>>()?))
}

/// The largest difference, relative to the largest value, or to 1 where all are small. Infinite where one is not finite.
fn distance(got: &Tensor, want: &Tensor) -> Result<f64> {
    if got.dims() != want.dims() {
        candle_core::bail!("the shape is {:?}, not {:?}", got.dims(), want.dims());
    }
    let (got, want) = (values(got)?, values(want)?);
    let scale = want.iter().fold(1f64, |most, w| most.max(w.abs()));
    let far = |g: &f64, w: &f64| if g.is_finite() { (g - w).abs() } else { f64::INFINITY };
    Ok(got.iter().zip(&want).fold(0f64, |most, (g, w)| most.max(far(g, w))) / scale)
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Fact { name, value } in &self.machine {
            writeln!(f, "{name:<18} {value}")?;
        }
        writeln!(f, "\n{:<30} {:<22} {:>9} {:>9} {:>9}", "operation", "form", "forward", "backward", "allowed")?;
        for check in &self.checks {
            let number = |n: Option<f64>| n.map_or_else(|| "-".to_owned(), |n| format!("{n:.1e}"));
            let (forward, backward) = (number(check.forward), number(check.backward));
            let verdict = match (&check.error, check.passed()) {
                (_, true) => String::new(),
                (Some(error), _) => format!("  FAILED: {error}"),
                (None, _) => "  FAILED".to_owned(),
            };
            writeln!(
                f,
                "{:<30} {:<22} {forward:>9} {backward:>9} {:>9.1e}{verdict}",
                check.operation, check.form, check.tolerance
            )?;
        }
        let failed = self.checks.iter().filter(|check| !check.passed()).count();
        writeln!(f, "\n{} checks on {}, {failed} failed", self.checks.len(), self.device)?;
        if self.device == "cpu" {
            return Ok(());
        }
        let ours: BTreeSet<_> = self.checks.iter().flat_map(|check| check.kernels.iter().copied()).collect();
        let composed = self.checks.iter().filter(|check| check.kernels.is_empty() && !check.shapes.is_empty());
        let composed: BTreeSet<_> = composed.map(|check| check.operation.as_str()).collect();
        let names = |set: BTreeSet<&str>| set.into_iter().collect::<Vec<_>>().join(", ");
        writeln!(f, "kernels of ours that ran: {}", names(ours))?;
        writeln!(f, "composed of candle's operations: {}", names(composed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_computes_right() {
        let diagnosis = diagnose(&Device::Cpu, 3).unwrap();
        assert!(diagnosis.passed(), "{diagnosis}");
        assert!(diagnosis.checks.len() > 60);
        let text = diagnosis.to_string();
        let memory = diagnosis.machine.iter().find(|fact| fact.name == "memory").unwrap();
        assert!(memory.value.ends_with(" GiB") || memory.value == "unknown", "{}", memory.value);
        assert!(text.contains(" 2.0e-5\n") && text.contains(" 1.5e-1\n"), "what is allowed is told as it is: {text}");
        assert!(diagnosis.checks.iter().all(|check| check.kernels.is_empty()));
        let elsewhere = Diagnosis { device: "cuda:0".to_owned(), ..diagnosis };
        assert!(elsewhere.to_string().contains("candle's operations: add, avg_pool2"), "{elsewhere}");
    }

    #[test]
    fn a_wrong_operation_is_found() {
        let x = operations::random(&[2, 3], 1).unwrap();
        let wrong = |x: &[Tensor]| match x[0].dtype() {
            DType::F64 => &x[0] * 1.0,
            _ => &x[0] * 1.001,
        };
        let operation = Operation { name: "wrong".to_owned(), inputs: vec![x], run: Box::new(wrong) };
        let check = check(&operation, &Form::Composed(DType::F32), &Device::Cpu).unwrap();
        assert!(!check.passed() && check.forward.unwrap() > 1e-4 && check.backward.unwrap() > 1e-4);
    }

    #[test]
    fn what_does_not_run_is_told() {
        let run = |x: &[Tensor]| match x[0].dtype() {
            DType::F64 => &x[0] * 1.0,
            _ => candle_core::bail!("no such kernel"),
        };
        let inputs = vec![operations::random(&[2], 1).unwrap()];
        let operation = Operation { name: "none".to_owned(), inputs, run: Box::new(run) };
        let check = check(&operation, &Form::Composed(DType::BF16), &Device::Cpu).unwrap();
        assert!(!check.passed() && check.error.unwrap().contains("no such kernel"));
    }
}
