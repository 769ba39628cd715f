//! Launches of `cross_entropy.cu`.

use crate::cuda::{Kernels, Launch, Output, Partial, View, blocks_for};
use candle_core::{DType, Result, Shape, Tensor};

pub(super) struct OnGpu {
    /// T of mod.rs, (B, K), f32, on the logits' device.
    pub(super) targets: Tensor,
    pub(super) focus: f32,
}

impl Kernels for OnGpu {
    fn operation(&self) -> &'static str {
        "cross-entropy"
    }

    fn forward(&self, inputs: &[View]) -> Result<(Output, Shape)> {
        let [x] = inputs else { unreachable!("one input") };
        let ((rows, classes), targets) = (self.targets.dims2()?, View::of(&self.targets)?);
        let launch = Launch::new("cross_entropy_forward", x.dtype(), blocks_for(rows * 32)).read(x).read(&targets);
        let [losses] = launch.write(DType::F32, rows).size(rows).size(classes).number(self.focus).run()?;
        Ok((Partial::new(losses, rows, 1, x.dtype()).finish(x.dtype(), 1.0)?, ().into()))
    }

    fn backward(&self, inputs: &[&Tensor], _: &Tensor, g: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let ((rows, classes), dtype) = (self.targets.dims2()?, g.dtype());
        let (x, targets, g) = (View::of(inputs[0])?, View::of(&self.targets)?, View::of(g)?);
        let launch = Launch::new("cross_entropy_backward", dtype, blocks_for(rows * 32)).read(&x).read(&targets);
        let launch = launch.read(&g).write(dtype, rows * classes).size(rows).size(classes);
        let [dx] = launch.number(self.focus).run()?;
        Ok(vec![Some(dx.tensor(inputs[0].shape()))])
    }
}
