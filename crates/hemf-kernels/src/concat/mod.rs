//! Two to four maps side by side along the channels.
//!
//! The gradient of each is its part of the gradient of the whole.

mod cpu;
mod cuda;
#[cfg(test)]
mod tests;

use crate::host::{self, host, native, rows_of, tensor};
use crate::tape::{self, Needs};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, D, Layout, Result, Shape, Tensor, bail};

/// (..., C1), (..., C2) and up to two more -> (..., C1 + C2 ...).
///
/// Fails for other than two to four maps, or when they differ in anything but the last dimension.
pub fn concat(maps: &[&Tensor]) -> Result<Tensor> {
    let leading = |t: &Tensor| t.dims().split_last().map(|(_, leading)| leading.to_vec());
    if maps.windows(2).any(|pair| leading(pair[0]) != leading(pair[1])) {
        let shapes: Vec<_> = maps.iter().map(|t| t.dims()).collect();
        bail!("concat: maps {shapes:?} differ in more than their channels");
    }
    match maps {
        [_, _] | [_, _, _] if crate::cuda::suits(maps) => crate::cuda::apply(Concat, Needs::Nothing, maps),
        [a, b, c, d] if crate::cuda::suits(maps) => concat(&[&concat(&[a, b])?, &concat(&[c, d])?]),
        [a, ..] if !native(a) => Tensor::cat(maps, D::Minus1),
        [a, b] => tape::apply2(Concat, Needs::Nothing, &a.contiguous()?, &b.contiguous()?),
        [a, b, c] => tape::apply3(Concat, Needs::Nothing, &a.contiguous()?, &b.contiguous()?, &c.contiguous()?),
        // Candle's own operations take three tensors at most.
        [a, b, c, d] => concat(&[&concat(&[a, b])?, &concat(&[c, d])?]),
        _ => bail!("concat: two to four maps, not {}", maps.len()),
    }
}

struct Concat;

impl Concat {
    fn forward(parts: &[(&CpuStorage, &Layout)]) -> Result<(CpuStorage, Shape)> {
        let mut dims = parts[0].1.dims().to_vec();
        let widths = parts.iter().map(|(_, l)| rows_of(l.shape()).1);
        *dims.last_mut().expect("at least one dimension") = widths.clone().sum();
        let slices: Vec<_> = parts.iter().map(|(s, l)| host::slice(s, l)).collect::<Result<_>>()?;
        host::output(cpu::join(&slices.into_iter().zip(widths).collect::<Vec<_>>()), dims)
    }

    fn backward(parts: &[&Tensor], g: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let g = g.contiguous()?;
        let (_, total) = rows_of(g.shape());
        let mut start = 0;
        let mut gradients = vec![];
        for part in parts {
            let (_, width) = rows_of(part.shape());
            let cut = || tensor(cpu::cut(&host(&g)?, total, start..start + width), part.shape());
            gradients.push(part.track_op().then(cut).transpose()?);
            start += width;
        }
        Ok(gradients)
    }
}

impl CustomOp2 for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn cpu_fwd(&self, a: &CpuStorage, la: &Layout, b: &CpuStorage, lb: &Layout) -> Result<(CpuStorage, Shape)> {
        Self::forward(&[(a, la), (b, lb)])
    }

    fn bwd(&self, a: &Tensor, b: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut gradients = Self::backward(&[a, b], g)?.into_iter();
        Ok((gradients.next().flatten(), gradients.next().flatten()))
    }
}

impl CustomOp3 for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        la: &Layout,
        b: &CpuStorage,
        lb: &Layout,
        c: &CpuStorage,
        lc: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Self::forward(&[(a, la), (b, lb), (c, lc)])
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut gradients = Self::backward(&[a, b, c], g)?.into_iter();
        Ok((gradients.next().flatten(), gradients.next().flatten(), gradients.next().flatten()))
    }
}
