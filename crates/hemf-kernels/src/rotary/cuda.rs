//! Launches of `rotary.cu`.

use super::Rotary;
use crate::cuda::{Kernels, Launch, Output, View, blocks_for};
use candle_core::{Result, Shape, Tensor};

impl Rotary {
    fn turn(&self, x: &View, back: bool) -> Result<Output> {
        let (sin, cos) = (View::of(&self.table.sin)?, View::of(&self.table.cos)?);
        let (positions, d) = self.table.sin.dims2()?;
        let (pairs, channels) = (x.count() / 2, x.shape().dims4()?.3);
        let launch = Launch::new("rotary", x.dtype(), blocks_for(pairs)).read(x).read(&sin).read(&cos);
        let launch = launch.write(x.dtype(), x.count()).size(pairs).size(channels).size(positions).size(d);
        let [y] = launch.size(back.into()).run()?;
        Ok(y)
    }
}

impl Kernels for Rotary {
    fn operation(&self) -> &'static str {
        "rotary"
    }

    fn forward(&self, inputs: &[View]) -> Result<(Output, Shape)> {
        Ok((self.turn(&inputs[0], false)?, inputs[0].shape()))
    }

    fn backward(&self, inputs: &[&Tensor], _: &Tensor, g: &Tensor) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(self.turn(&View::of(g)?, true)?.tensor(inputs[0].shape()))])
    }
}
