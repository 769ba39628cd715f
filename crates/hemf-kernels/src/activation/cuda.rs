//! Launches of `activation.cu`.

use super::Activation;
use crate::cuda::{Kernels, Launch, Output, View, blocks_for_values};
use crate::tape::Needs;
use candle_core::{CustomOp1, Result, Shape, Tensor};

impl Kernels for Activation {
    fn operation(&self) -> &'static str {
        self.name()
    }

    fn forward(&self, inputs: &[View]) -> Result<(Output, Shape)> {
        let [x] = inputs else { unreachable!("one input") };
        let kernel = match self {
            Self::Gelu => "gelu_forward",
            Self::Relu => "relu_forward",
            Self::Sigmoid => "sigmoid_forward",
        };
        let n = x.count();
        let [y] = Launch::new(kernel, x.dtype(), blocks_for_values(n)).read(x).write(x.dtype(), n).size(n).run()?;
        Ok((y, x.shape()))
    }

    fn backward(&self, inputs: &[&Tensor], y: &Tensor, g: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let kernel = match self {
            Self::Gelu => "gelu_backward",
            Self::Relu => "relu_backward",
            Self::Sigmoid => "sigmoid_backward",
        };
        let from = View::of(if self.needs() == Needs::Output { y } else { inputs[0] })?;
        let (g, n, dtype) = (View::of(g)?, g.elem_count(), g.dtype());
        let launch = Launch::new(kernel, dtype, blocks_for_values(n)).read(&from).read(&g).write(dtype, n);
        let [dx] = launch.size(n).run()?;
        Ok(vec![Some(dx.tensor(inputs[0].shape()))])
    }
}
