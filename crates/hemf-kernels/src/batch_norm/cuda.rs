//! Launches of `batch_norm.cu`.

use super::ChannelStats;
use crate::cuda::{self, Columns, Kernels, Launch, Output, View, blocks_for, blocks_for_values};
use crate::host::rows_of;
use crate::tape::Needs;
use candle_core::{DType, Result, Shape, Tensor};

/// Mean and biased variance of each channel of `x` (contiguous), f32, the variance in a second pass around the mean.
pub(super) fn statistics(x: &Tensor) -> Result<ChannelStats> {
    let (rows, width) = rows_of(x.shape());
    let view = View::of(x)?;
    let columns = Columns::of(&[&view], 1, rows, width);
    let share = 1.0 / rows as f32;
    let sums = columns.partial::<1>("column_sums", x.dtype(), &[&view])?;
    let mean = sums.finish(DType::F32, share)?.tensor(width);
    let of_mean = View::of(&mean)?;
    let squares = columns.partial::<1>("batch_norm_squares", x.dtype(), &[&view, &of_mean])?;
    let variance = squares.finish(DType::F32, share)?.tensor(width);
    drop(of_mean);
    Ok(ChannelStats { mean, variance })
}

/// [`ChannelStats::move_towards`] of statistics in f32.
pub(super) fn move_towards(running: &ChannelStats, batch: &ChannelStats, momentum: f64, unbiased: f64) -> Result<()> {
    let width = running.mean.elem_count();
    let views = [View::of(&batch.mean)?, View::of(&batch.variance)?];
    let launch = Launch::new("batch_norm_move", DType::F32, blocks_for(2 * width));
    let launch = launch.change(vec![&running.mean, &running.variance]).read_all(&views).size(width);
    let launch = launch.number((1.0 - momentum) as f32).number(momentum as f32).number((momentum * unbiased) as f32);
    let [] = launch.run()?;
    Ok(())
}

/// Normalises by `stats`, which are of a batch of so many pixels, or constants.
pub(super) fn apply(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    stats: &ChannelStats,
    eps: f64,
    pixels: Option<usize>,
) -> Result<Tensor> {
    let wide = |t: &Tensor| t.detach().to_dtype(DType::F32)?.contiguous();
    let op = OnGpu { mean: wide(&stats.mean)?, variance: wide(&stats.variance)?, eps: eps as f32, pixels };
    cuda::apply(op, Needs::Inputs, &[x, weight, bias])
}

struct OnGpu {
    /// (C), f32
    mean: Tensor,
    /// (C), f32
    variance: Tensor,
    eps: f32,
    /// Of the batch that the statistics are of.
    pixels: Option<usize>,
}

impl Kernels for OnGpu {
    fn operation(&self) -> &'static str {
        "batch_norm"
    }

    fn forward(&self, inputs: &[View]) -> Result<(Output, Shape)> {
        let x = &inputs[0];
        let (n, (_, width)) = (x.count(), rows_of(&x.shape()));
        let stats = [View::of(&self.mean)?, View::of(&self.variance)?];
        let launch = Launch::new("batch_norm_forward", x.dtype(), blocks_for_values(n));
        let launch = inputs.iter().chain(&stats).fold(launch, Launch::read).write(x.dtype(), n);
        let [y] = launch.size(n).size(width).number(self.eps).run()?;
        Ok((y, x.shape()))
    }

    fn backward(&self, inputs: &[&Tensor], _: &Tensor, g: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let [x, w] = [View::of(inputs[0])?, View::of(inputs[1])?];
        let [mean, variance] = [View::of(&self.mean)?, View::of(&self.variance)?];
        let (dtype, n, (rows, width), g) = (g.dtype(), g.elem_count(), rows_of(g.shape()), View::of(g)?);
        let columns = Columns::of(&[&x, &g], 1, rows, width);
        let partial = columns.partial_with::<2>(
            "batch_norm_weight_sums",
            dtype,
            &[&x, &g, &mean, &variance],
            &[columns.by_fours()],
            &[self.eps],
        )?;
        let both = partial.finish(DType::F32, 1.0)?.tensor((2, width));
        let sums = View::of(&both)?;
        let launch = Launch::new("batch_norm_backward", dtype, blocks_for_values(n));
        let launch = [&x, &w, &g, &mean, &variance, &sums].into_iter().fold(launch, Launch::read).write(dtype, n);
        let share = self.pixels.map_or(0.0, |pixels| 1.0 / pixels as f32);
        let [dx] = launch.size(n).size(width).number(self.eps).number(share).run()?;
        Ok(vec![Some(dx.tensor(inputs[0].shape())), Some(both.get(0)?), Some(both.get(1)?)])
    }
}
