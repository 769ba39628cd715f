//! Launches of `scale.cu`.

use super::{By, Scale};
use crate::cuda::{Columns, Kernels, Launch, Output, View, blocks_for, blocks_for_values};
use candle_core::{Result, Shape, Tensor};

impl Scale {
    fn times(&self, x: &View, s: &View) -> Result<Output> {
        let (outer, inner) = match self.by {
            By::Pixel => (self.channels, 1),
            By::Channel => (self.pixels * self.channels, self.channels),
            By::Sample => (self.pixels * self.channels, 1),
        };
        let n = x.count();
        let launch = Launch::new("scale", x.dtype(), blocks_for_values(n)).read(x).read(s).write(x.dtype(), n);
        let [y] = launch.size(n).size(outer).size(inner).run()?;
        Ok(y)
    }

    fn factor_gradient(&self, x: &View, g: &View) -> Result<Output> {
        let (n, dtype) = (x.count(), x.dtype());
        let (rows, width) = match self.by {
            By::Channel => {
                let columns = Columns::of(&[x, g], n / (self.pixels * self.channels), self.pixels, self.channels);
                let sums = columns.partial::<1>("scale_column_sums", dtype, &[x, g])?;
                return sums.finish(dtype, 1.0);
            }
            By::Pixel => (n / self.channels, self.channels),
            By::Sample => (n / (self.pixels * self.channels), self.pixels * self.channels),
        };
        let launch = Launch::new("scale_row_sums", dtype, blocks_for(rows * 32)).read(x).read(g).write(dtype, rows);
        let [ds] = launch.size(rows).size(width).run()?;
        Ok(ds)
    }
}

impl Kernels for Scale {
    fn operation(&self) -> &'static str {
        "scale"
    }

    fn forward(&self, inputs: &[View]) -> Result<(Output, Shape)> {
        let [x, s] = inputs else { unreachable!("two inputs") };
        Ok((self.times(x, s)?, x.shape()))
    }

    fn backward(&self, inputs: &[&Tensor], _: &Tensor, g: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let [x, s] = inputs else { unreachable!("two inputs") };
        let (vx, vs, g) = (View::of(x)?, View::of(s)?, View::of(g)?);
        let dx = x.track_op().then(|| self.times(&g, &vs)).transpose()?;
        let ds = s.track_op().then(|| self.factor_gradient(&vx, &g)).transpose()?;
        Ok(vec![dx.map(|dx| dx.tensor(x.shape())), ds.map(|ds| ds.tensor(s.shape()))])
    }
}
