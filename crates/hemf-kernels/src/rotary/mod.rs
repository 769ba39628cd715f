//! Rotary positions: each pair of channels of a head is turned by an angle that grows with the pixel's position.
//!
//! Pixel (y, x) has position p = y W + x, and channel i of a head the phase p angle[i]. With rot((a, b)) = (-b, a) on each
//! pair of channels (2m, 2m + 1): `y = x cos + rot(x) sin`, that is, for a pair (a, b) of x:
//!
//! - y[2m] = a cos[2m] - b sin[2m]
//! - y[2m + 1] = b cos[2m + 1] + a sin[2m + 1]
//!
//! With (g, h) the gradient of that pair of y, collecting what stands next to a and to b:
//!
//! - da = g cos[2m] + h sin[2m + 1]
//! - db = h cos[2m + 1] - g sin[2m]
//!
//! which is the forward pass on (g, h) with the two sines of each pair swapped and negated: where both channels of a pair
//! share an angle, turning back by it.

mod composed;
mod cpu;
mod cuda;
#[cfg(test)]
mod tests;

use crate::host::{self, host, native, tensor};
use crate::tape::{self, Needs};
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};
use std::sync::{Arc, OnceLock};

/// The sines and cosines of every position of a map, shared by all heads and images. Constants: no gradient reaches them.
#[derive(Clone, Debug)]
pub struct RotaryTable {
    sin: Tensor,
    cos: Tensor,
    /// What [`Self::scaled`] was first asked for.
    scaled: Arc<OnceLock<(f64, [Tensor; 2])>>,
}

impl RotaryTable {
    /// The table of a `height` x `width` map for heads of d channels, `angle` (d) in radians per position.
    ///
    /// The phase is a product in f32 and its sine is correctly rounded, as PyTorch's f32 does to the last bit or so:
    /// at a position of a few thousand, a phase of higher precision would move the sine by 1e-4.
    ///
    /// Fails when d is odd.
    pub fn new(angle: &Tensor, height: usize, width: usize) -> Result<Self> {
        let angles = angle.to_dtype(DType::F32)?.to_vec1::<f32>()?;
        let d = angles.len();
        if d == 0 || d % 2 == 1 {
            bail!("rotary: the channels of a head are turned in pairs, so {d} angles do not go");
        }
        let table = |function: fn(f64) -> f64| {
            let phases = (0..height * width).flat_map(|p| angles.iter().map(move |angle| p as f32 * angle));
            let values = phases.map(|phase| function(f64::from(phase)) as f32).collect();
            Tensor::from_vec(values, (height * width, d), angle.device())
        };
        Ok(Self::of([table(f64::sin)?, table(f64::cos)?]))
    }

    fn of([sin, cos]: [Tensor; 2]) -> Self {
        Self { sin, cos, scaled: Arc::default() }
    }

    /// The table that turns and scales by `factor` at once. The first factor's is kept.
    pub fn scaled(&self, factor: f64) -> Result<Self> {
        if let Some((of, values)) = self.scaled.get()
            && *of == factor
        {
            return Ok(Self::of(values.clone()));
        }
        let values = [(&self.sin * factor)?, (&self.cos * factor)?];
        self.scaled.get_or_init(|| (factor, values.clone()));
        Ok(Self::of(values))
    }

    /// Whether kernels that read `x` can read it.
    fn is_beside(&self, x: &Tensor) -> bool {
        let fits = |t: &Tensor| t.dtype() == DType::F32 && t.device().same_device(x.device()) && t.is_contiguous();
        fits(&self.sin) && fits(&self.cos)
    }

    /// Whether kernels that read `x` (B, H, W, C) can turn its `heads` by it.
    pub(crate) fn suits(&self, x: &Tensor, heads: usize) -> Result<bool> {
        let (_, height, width, channels) = x.dims4()?;
        Ok(self.is_beside(x) && self.sin.dims() == [height * width, channels / heads])
    }

    /// sin(p angle), (H W, d), f32.
    pub fn sin(&self) -> &Tensor {
        &self.sin
    }

    /// cos(p angle), (H W, d), f32.
    pub fn cos(&self) -> &Tensor {
        &self.cos
    }
}

/// `x` (B, H, W, C), its channels C / d heads of d, turned by the table of an H x W map -> (B, H, W, C).
///
/// Fails when the table is of another number of positions, or its d does not divide C.
pub fn rotary(x: &Tensor, table: &RotaryTable) -> Result<Tensor> {
    let (_, height, width, channels) = x.dims4()?;
    let (positions, d) = table.sin.dims2()?;
    if positions != height * width || channels % d != 0 {
        bail!("rotary: a table of {positions} positions and {d} channels does not go with map {:?}", x.dims());
    }
    if table.is_beside(x) && crate::cuda::suits(&[x]) {
        return crate::cuda::apply(Rotary { table: table.clone() }, Needs::Nothing, &[x]);
    }
    if !native(x) || !native(&table.sin) {
        return composed::rotary(x, table);
    }
    tape::apply1(Rotary { table: table.clone() }, Needs::Nothing, &x.contiguous()?)
}

struct Rotary {
    table: RotaryTable,
}

impl CustomOp1 for Rotary {
    fn name(&self) -> &'static str {
        "rotary"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (sin, cos) = (host(&self.table.sin)?, host(&self.table.cos)?);
        let (_, _, _, channels) = layout.shape().dims4()?;
        let d = self.table.sin.dim(1)?;
        host::output(cpu::rotate(host::slice(x, layout)?, &sin, &cos, channels, d), layout.shape())
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let g = g.contiguous()?;
        let (sin, cos) = (host(&self.table.sin)?, host(&self.table.cos)?);
        let (channels, d) = (x.dim(3)?, self.table.sin.dim(1)?);
        let dx = cpu::rotate(&host(&g)?, &cpu::swapped_and_negated(&sin), &cos, channels, d);
        tensor(dx, x.shape()).map(Some)
    }
}
