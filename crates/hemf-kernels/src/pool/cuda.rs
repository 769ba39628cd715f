//! Launches of `pool.cu`.

use super::Pool;
use crate::cuda::{Columns, Kernels, Launch, Output, View, blocks_for};
use candle_core::{CustomOp1, DType, Result, Shape, Tensor};

/// Threads of a block of `pixel_mean_max_forward`: it goes over all pixels of an image.
const DEEP_THREADS: usize = 1024;

/// The pixels' mean and maximum, (B, 2, C), and the first places of the maxima, (B, C).
fn pixel_mean_max(x: &View) -> Result<[Output; 2]> {
    let (batch, height, width, channels) = x.shape().dims4()?;
    let blocks = batch * channels.div_ceil(32);
    let launch =
        Launch::new("pixel_mean_max_forward", x.dtype(), blocks).threads(DEEP_THREADS).shared(3 * DEEP_THREADS);
    let launch = launch.read(x).write(x.dtype(), batch * 2 * channels).write(DType::U32, batch * channels);
    launch.size(height * width).size(channels).run()
}

impl Kernels for Pool {
    fn operation(&self) -> &'static str {
        self.name()
    }

    fn forward(&self, inputs: &[View]) -> Result<(Output, Shape)> {
        let [x] = inputs else { unreachable!("one input") };
        let (batch, height, width, channels) = self.dims(&x.shape())?;
        let (dtype, pixels) = (x.dtype(), height * width);
        match self {
            Self::Cells => {
                let shape = Shape::from((batch, height / 2, width / 2, channels));
                let n = shape.elem_count();
                let launch = Launch::new("avg_pool2_forward", dtype, blocks_for(n)).read(x).write(dtype, n).size(n);
                let [y] = launch.size(height).size(width).size(channels).run()?;
                Ok((y, shape))
            }
            Self::Channels => {
                let rows = batch * pixels;
                let launch = Launch::new("channel_mean_max_forward", dtype, blocks_for(rows * 32)).read(x);
                let [y] = launch.write(dtype, 2 * rows).size(rows).size(channels).run()?;
                Ok((y, (batch, height, width, 2).into()))
            }
            Self::Pixels => {
                let [y, _] = pixel_mean_max(x)?;
                Ok((y, (batch, 2, channels).into()))
            }
            Self::Mean | Self::Rows => {
                let columns = Columns::of(&[x], batch, pixels, channels);
                let sums =
                    columns.partial::<1>("column_sums", dtype, &[x])?.finish(dtype, 1.0 / self.divisor(pixels))?;
                let rows = matches!(self, Self::Rows);
                Ok((sums, if rows { (batch, 1, 1, channels).into() } else { (batch, channels).into() }))
            }
        }
    }

    fn backward(&self, inputs: &[&Tensor], _: &Tensor, g: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (batch, height, width, channels) = self.dims(inputs[0].shape())?;
        let (dtype, pixels, g) = (g.dtype(), height * width, View::of(g)?);
        let n = batch * pixels * channels;
        let launch = |kernel| Launch::new(kernel, dtype, blocks_for(n)).read(&g);
        let [dx] = match self {
            Self::Cells => {
                launch("avg_pool2_backward").write(dtype, n).size(n).size(height).size(width).size(channels).run()?
            }
            Self::Channels => {
                let (rows, x) = (batch * pixels, View::of(inputs[0])?);
                let launch = Launch::new("channel_mean_max_backward", dtype, blocks_for(rows * 32)).read(&x).read(&g);
                launch.write(dtype, n).size(rows).size(channels).run()?
            }
            Self::Pixels => {
                let [_, first] = pixel_mean_max(&View::of(inputs[0])?)?;
                let first = first.tensor((batch, channels));
                let first = View::of(&first)?;
                let launch = launch("pixel_mean_max_backward").read(&first).write(dtype, n);
                launch.size(n).size(pixels).size(channels).run()?
            }
            Self::Mean | Self::Rows => {
                let launch = launch("pixel_sum_backward").write(dtype, n).size(n).size(pixels).size(channels);
                launch.number(self.divisor(pixels)).run()?
            }
        };
        Ok(vec![Some(dx.tensor(inputs[0].shape()))])
    }
}
