//! Activations, element by element.
//!
//! | | y | dx |
//! |---|---|---|
//! | GELU (exact) | x Φ(x) | g (Φ(x) + x φ(x)) |
//! | ReLU | max(x, 0) | g where x > 0, else 0 |
//! | sigmoid | 1 / (1 + e^-x) | g y (1 - y) |
//!
//! Φ and φ are the standard normal's cumulative function and density.

mod composed;
mod cpu;
mod cuda;
#[cfg(test)]
mod tests;

use crate::host::{self, host, native, tensor};
use crate::tape::{self, Needs};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// GELU in its exact form, `x Φ(x)` (not the tanh approximation), of any shape.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    apply(x, Activation::Gelu)
}

/// `max(x, 0)`, of any shape.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    apply(x, Activation::Relu)
}

/// `1 / (1 + e^-x)`, of any shape.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    apply(x, Activation::Sigmoid)
}

/// One of the functions above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// [`gelu`]
    Gelu,
    /// [`relu`]
    Relu,
    /// [`sigmoid`]
    Sigmoid,
}

/// The function by its name.
pub fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    apply(x, activation)
}

fn apply(x: &Tensor, activation: Activation) -> Result<Tensor> {
    match x {
        _ if native(x) => tape::apply1(activation, activation.needs(), &x.contiguous()?),
        _ if crate::cuda::suits(&[x]) => crate::cuda::apply(activation, activation.needs(), &[x]),
        _ => composed::apply(x, activation),
    }
}

impl Activation {
    /// The sigmoid's gradient is told by its result.
    fn needs(self) -> Needs {
        if self == Self::Sigmoid { Needs::Output } else { Needs::Inputs }
    }
}

impl CustomOp1 for Activation {
    fn name(&self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::Relu => "relu",
            Self::Sigmoid => "sigmoid",
        }
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        host::output(cpu::forward(host::slice(x, layout)?, *self), layout.shape())
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let g = g.contiguous()?;
        let from = if self.needs() == Needs::Output { y } else { x };
        tensor(cpu::backward(&host(from)?, &host(&g)?, *self), x.shape()).map(Some)
    }
}
