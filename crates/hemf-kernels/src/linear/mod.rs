//! Linear layer: `y = x Wᵀ + b` over the last dimension; also the 1x1 convolution of a channels-last map.
//!
//! With g the gradient of y, x as (R, I) and g as (R, O), R all other dimensions together:
//!
//! - dx = g W
//! - dW = gᵀ x
//! - db = sum over rows of g

mod composed;
mod cpu;
pub(crate) mod cuda;
#[cfg(test)]
mod tests;

pub(crate) use cpu::sum_rows;

use crate::host::{self, host, native, tensor};
use crate::tape::{self, Needs};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

/// `x` (..., I), `weight` (O, I) or (O, I, 1, 1), `bias` (O) -> (..., O).
///
/// Fails when the last dimension of `x` is not I.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    if !matches!(weight.dims(), [_, _] | [_, _, 1, 1]) {
        bail!("a linear weight is (out, in), not {:?}", weight.dims());
    }
    let (_, inputs) = host::rows_of(x.shape());
    if weight.dim(1)? != inputs {
        bail!("linear: the weight takes {} inputs, the tensor {:?} has {inputs}", weight.dim(1)?, x.dims());
    }
    check_bias(bias, weight.dim(0)?)?;
    let inputs_of = || [Some(x), Some(weight), bias].into_iter().flatten().collect::<Vec<_>>();
    if crate::cuda::suits(&inputs_of()) {
        return crate::cuda::apply(Linear, Needs::Inputs, &inputs_of());
    }
    if !native(x) {
        return composed::linear(x, &weight.reshape((weight.dim(0)?, inputs))?, bias);
    }
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    match bias {
        Some(bias) => tape::apply3(Linear, Needs::Inputs, &x, &weight, &bias.contiguous()?),
        None => tape::apply2(Linear, Needs::Inputs, &x, &weight),
    }
}

/// Fails when a bias is not of as many values as there are outputs.
pub(crate) fn check_bias(bias: Option<&Tensor>, outputs: usize) -> Result<()> {
    match bias {
        Some(bias) if bias.dims() != [outputs] => bail!("a bias of {:?} for {outputs} outputs", bias.dims()),
        _ => Ok(()),
    }
}

struct Linear;

impl Linear {
    fn forward(x: &[f32], shape: &Shape, w: &[f32], w_shape: &Shape, b: Option<&[f32]>) -> Result<(CpuStorage, Shape)> {
        let (rows, inputs) = host::rows_of(shape);
        let outputs = w_shape.dims()[0];
        let mut dims = shape.dims().to_vec();
        *dims.last_mut().expect("at least one dimension") = outputs;
        host::output(cpu::forward(x, w, b, rows, inputs, outputs), dims)
    }

    /// (dx, dW, db), each where its tensor is trained.
    fn backward(x: &Tensor, w: &Tensor, b: Option<&Tensor>, g: &Tensor) -> Result<[Option<Tensor>; 3]> {
        let g = g.contiguous()?;
        let (rows, inputs) = host::rows_of(x.shape());
        let outputs = w.dim(0)?;
        let (xs, ws, gs) = (host(x)?, host(w)?, host(&g)?);
        let dx = x.track_op().then(|| tensor(cpu::backward_input(&gs, &ws, rows, inputs, outputs), x.shape()));
        let dw = w.track_op().then(|| tensor(cpu::backward_weight(&gs, &xs, rows, inputs, outputs), w.shape()));
        let db = b.filter(|b| b.track_op()).map(|_| tensor(sum_rows(&gs, outputs), outputs));
        Ok([dx.transpose()?, dw.transpose()?, db.transpose()?])
    }
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        Self::forward(host::slice(x, lx)?, lx.shape(), host::slice(w, lw)?, lw.shape(), None)
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, _] = Self::backward(x, w, None, g)?;
        Ok((dx, dw))
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Self::forward(host::slice(x, lx)?, lx.shape(), host::slice(w, lw)?, lw.shape(), Some(host::slice(b, lb)?))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, db] = Self::backward(x, w, Some(b), g)?;
        Ok((dx, dw, db))
    }
}
