//! The updates of `update.rs` from candle's own operations, for devices without kernels of ours.

use candle_core::{DType, Result, Tensor};

use super::update::{AdamWalk, Descend, Momentum, Nesterov, Towards};

impl Towards {
    /// The new m.
    pub(crate) fn composed(&self, m: &Tensor, g: &Tensor) -> Result<Tensor> {
        m + ((g - m)? * f64::from(self.share))?
    }
}

impl AdamWalk {
    /// The new p, m and v.
    pub(super) fn composed(&self, p: &Tensor, m: &Tensor, v: &Tensor, g: &Tensor) -> Result<[Tensor; 3]> {
        let m = Towards { share: self.towards }.composed(m, g)?;
        let v = ((v * f64::from(self.keep))? + (g.sqr()? * f64::from(self.share))?)?;
        let root = v.sqrt()?.affine(1.0 / f64::from(self.root_correction), self.eps.into())?;
        let p = ((p * f64::from(self.shrink))? - ((&m * f64::from(self.step))? / root)?)?;
        Ok([p, m, v])
    }
}

impl Momentum {
    /// The new m.
    pub(super) fn composed(&self, m: &Tensor, g: &Tensor, p: &Tensor) -> Result<Tensor> {
        (m * f64::from(self.keep))? + (g + (p * f64::from(self.decay))?)?
    }
}

impl Descend {
    /// The new p.
    pub(super) fn composed(&self, p: &Tensor, m: &Tensor) -> Result<Tensor> {
        p - (m * f64::from(self.lr))?
    }
}

impl Nesterov {
    /// The new p.
    pub(super) fn composed(&self, p: &Tensor, g: &Tensor, m: &Tensor) -> Result<Tensor> {
        let direction = ((g + (p * f64::from(self.decay))?)? + (m * f64::from(self.keep))?)?;
        p - (direction * f64::from(self.lr))?
    }
}

/// Sum of the squares of all elements, f64, still on its device.
pub(super) fn sum_of_squares(tensor: &Tensor) -> Result<Tensor> {
    tensor.to_dtype(DType::F64)?.sqr()?.sum_all()
}
