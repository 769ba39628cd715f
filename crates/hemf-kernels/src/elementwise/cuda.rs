//! Launches of `elementwise.cu`.

use super::Elementwise;
use crate::cuda::{Kernels, Launch, Output, View, blocks_for_values};
use candle_core::{CustomOp2, Result, Shape, Tensor};

impl Kernels for Elementwise {
    fn operation(&self) -> &'static str {
        self.name()
    }

    fn forward(&self, inputs: &[View]) -> Result<(Output, Shape)> {
        let [x, y] = inputs else { unreachable!("two inputs") };
        Ok((zip(self.name(), x, y)?, x.shape()))
    }

    fn backward(&self, inputs: &[&Tensor], _: &Tensor, g: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let of = |t: &Tensor, other: &Tensor| -> Result<Option<Tensor>> {
            Ok(match self {
                _ if !t.track_op() => None,
                Self::Add => Some(g.clone()),
                Self::Mul => Some(zip("mul", &View::of(g)?, &View::of(other)?)?.tensor(t.shape())),
            })
        };
        Ok(vec![of(inputs[0], inputs[1])?, of(inputs[1], inputs[0])?])
    }
}

fn zip(kernel: &'static str, x: &View, y: &View) -> Result<Output> {
    let (n, dtype) = (x.count(), x.dtype());
    let [z] = Launch::new(kernel, dtype, blocks_for_values(n)).read(x).read(y).write(dtype, n).size(n).run()?;
    Ok(z)
}
