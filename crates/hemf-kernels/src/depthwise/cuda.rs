//! Launches of `depthwise.cu`.

use super::Depthwise;
use crate::cuda::{Columns, Kernels, Launch, Output, Partial, View, blocks_for, turn};
use candle_core::{DType, Result, Shape, Tensor};

/// Pixels of a strip, as in `depthwise.cu`.
const STRIP: usize = 4;

/// Whether there are kernels of this size.
pub(super) fn fits(k: usize) -> bool {
    matches!(k, 3 | 5 | 7)
}

impl Depthwise {
    /// `x` with the kernels, or with them turned and without the bias.
    fn convolve(&self, x: &View, w: &View, b: &View, turned: bool) -> Result<Output> {
        let (images, height, width, channels) = x.shape().dims4()?;
        let strips = images * height * width.div_ceil(STRIP);
        let kernel = match self.k {
            3 => "depthwise_3",
            5 => "depthwise_5",
            _ => "depthwise_7",
        };
        let launch = Launch::new(kernel, x.dtype(), blocks_for(strips * channels)).read(x).read(w).read(b);
        let launch = launch.write(x.dtype(), x.count()).size(strips).size(height).size(width).size(channels);
        let [y] = launch.size(turned.into()).run()?;
        Ok(y)
    }

    /// (k k + 1, C): dW by tap, and db.
    fn weight_sums(&self, x: &View, g: &View) -> Result<Partial> {
        let (images, height, width, channels) = x.shape().dims4()?;
        let columns = Columns::new(1, images * height * width, channels);
        let (inputs, sizes) = ([x, g], [height, width]);
        match self.k {
            3 => columns.partial_with::<10>("depthwise_weight_sums_3", x.dtype(), &inputs, &sizes, &[]),
            5 => columns.partial_with::<26>("depthwise_weight_sums_5", x.dtype(), &inputs, &sizes, &[]),
            _ => columns.partial_with::<50>("depthwise_weight_sums_7", x.dtype(), &inputs, &sizes, &[]),
        }
    }
}

impl Kernels for Depthwise {
    fn operation(&self) -> &'static str {
        "depthwise"
    }

    fn forward(&self, inputs: &[View]) -> Result<(Output, Shape)> {
        let [x, w, b] = inputs else { unreachable!("three inputs") };
        Ok((self.convolve(x, w, b, false)?, x.shape()))
    }

    fn backward(&self, inputs: &[&Tensor], _: &Tensor, g: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let [x, w, b] = inputs else { unreachable!("three inputs") };
        let (channels, taps) = (b.elem_count(), self.k * self.k);
        let (vx, vw, vb, vg) = (View::of(x)?, View::of(w)?, View::of(b)?, View::of(g)?);
        let dx = x.track_op().then(|| self.convolve(&vg, &vw, &vb, true)).transpose()?;
        let mut gradients = vec![dx.map(|dx| dx.tensor(x.shape())), None, None];
        if w.track_op() || b.track_op() {
            let sums = self.weight_sums(&vx, &vg)?.finish(DType::F32, 1.0)?.tensor((taps + 1, channels));
            let of_taps = sums.narrow(0, 0, taps)?;
            gradients[1] = Some(turn(&View::of(&of_taps)?, taps, channels, DType::F32)?.tensor(w.shape()));
            gradients[2] = Some(sums.get(taps)?);
        }
        Ok(gradients)
    }
}
