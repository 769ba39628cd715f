//! Sum and product of two tensors of one shape, on all cores (candle's run on one).
//!
//! With g the gradient: of x + y it is g for both; of x y it is g y for x and g x for y.

mod cpu;
mod cuda;
#[cfg(test)]
mod tests;

pub(crate) use cpu::accumulate;

use crate::host::{self, host, native, tensor};
use crate::tape::{self, Needs};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// `x + y`, of any one shape.
pub fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    apply(x, y, Elementwise::Add)
}

/// `x y`, element by element, of any one shape.
pub fn mul(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    apply(x, y, Elementwise::Mul)
}

#[derive(Clone, Copy, Debug)]
enum Elementwise {
    Add,
    Mul,
}

fn apply(x: &Tensor, y: &Tensor, op: Elementwise) -> Result<Tensor> {
    if x.shape() != y.shape() {
        bail!("{}: shapes {:?} and {:?} differ", op.name(), x.dims(), y.dims());
    }
    match op {
        _ if native(x) => tape::apply2(op, op.needs(), &x.contiguous()?, &y.contiguous()?),
        _ if crate::cuda::suits(&[x, y]) => crate::cuda::apply(op, op.needs(), &[x, y]),
        Elementwise::Add => x + y,
        Elementwise::Mul => x * y,
    }
}

impl Elementwise {
    fn needs(self) -> Needs {
        match self {
            Self::Add => Needs::Nothing,
            Self::Mul => Needs::Inputs,
        }
    }
}

impl CustomOp2 for Elementwise {
    fn name(&self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Mul => "mul",
        }
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, y: &CpuStorage, ly: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, y) = (host::slice(x, lx)?, host::slice(y, ly)?);
        let z = match self {
            Self::Add => cpu::zip(x, y, cpu::sum),
            Self::Mul => cpu::zip(x, y, cpu::product),
        };
        host::output(z, lx.shape())
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let g = g.contiguous()?;
        let of = |t: &Tensor, other: &Tensor| match self {
            _ if !t.track_op() => Ok(None),
            Self::Add => Ok(Some(g.clone())),
            Self::Mul => tensor(cpu::zip(&host(&g)?, &host(other)?, cpu::product), t.shape()).map(Some),
        };
        Ok((of(x, y)?, of(y, x)?))
    }
}
