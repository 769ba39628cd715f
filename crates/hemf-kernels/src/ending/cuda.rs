//! Launches of `ending.cu`.

use crate::activation::Activation;
use crate::cuda::{Kernels, Launch, Output, View, blocks_for_values, column_sums};
use crate::host::rows_of;
use candle_core::{Result, Shape, Tensor};

pub(super) struct OnGpu {
    /// Whether a bias is the second of what it is applied to. A residual is the last.
    pub(super) bias: bool,
    pub(super) activation: Option<Activation>,
}

impl OnGpu {
    /// The bias and the residual among the inputs.
    fn parts<'a, T>(&self, inputs: &'a [T]) -> (Option<&'a T>, Option<&'a T>) {
        (inputs.get(1).filter(|_| self.bias), inputs.get(1 + usize::from(self.bias)))
    }

    /// As `ending.cu` has it.
    fn code(&self) -> usize {
        match self.activation {
            None => 0,
            Some(Activation::Gelu) => 1,
            Some(Activation::Relu) => 2,
            Some(Activation::Sigmoid) => unreachable!("a sigmoid is an operation of its own"),
        }
    }
}

impl Kernels for OnGpu {
    fn operation(&self) -> &'static str {
        "ending"
    }

    fn forward(&self, inputs: &[View]) -> Result<(Output, Shape)> {
        let (product, (bias, residual)) = (&inputs[0], self.parts(inputs));
        let (n, dtype, (_, width)) = (product.count(), product.dtype(), rows_of(&product.shape()));
        let launch = Launch::new("ending_forward", dtype, blocks_for_values(n)).read(product);
        let launch = launch.read_or_null(bias, dtype).read_or_null(residual, dtype).write(dtype, n);
        let [y] = launch.size(n).size(width).size(self.code()).run()?;
        Ok((y, product.shape()))
    }

    fn backward(&self, inputs: &[&Tensor], _: &Tensor, g: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (bias, residual) = self.parts(inputs);
        let ((rows, width), n, dtype) = (rows_of(g.shape()), g.elem_count(), g.dtype());
        let dz = match self.activation {
            None => g.clone(),
            Some(_) => {
                let (product, of_g) = (View::of(inputs[0])?, View::of(g)?);
                let bias = bias.map(|bias| View::of(bias)).transpose()?;
                let launch = Launch::new("ending_backward", dtype, blocks_for_values(n)).read(&product);
                let launch = launch.read_or_null(bias.as_ref(), dtype).read(&of_g).write(dtype, n);
                let [dz] = launch.size(n).size(width).size(self.code()).run()?;
                dz.tensor(g.shape())
            }
        };
        let mut gradients = vec![Some(dz.clone())];
        if let Some(bias) = bias {
            let db = bias.track_op().then(|| column_sums(&View::of(&dz)?, rows, width));
            gradients.push(db.transpose()?.map(|db| db.tensor(width)));
        }
        gradients.extend(residual.map(|_| Some(g.clone())));
        Ok(gradients)
    }
}
