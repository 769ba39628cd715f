//! Launches of `layer_norm.cu`.

use super::LayerNorm;
use crate::cuda::{Columns, Kernels, Launch, Output, View, blocks_for};
use crate::host::rows_of;
use candle_core::{DType, Result, Shape, Tensor};

/// Which of the kernels in `layer_norm.cu` is for rows of a width: the fours of channels that a thread holds of each, 0 for rows
/// that are not held.
fn held(width: usize, views: &[&View]) -> usize {
    const LANES: usize = 32;
    if !width.is_multiple_of(4) || !views.iter().all(|view| view.begins_a_four()) {
        return 0;
    }
    match width.div_ceil(4 * LANES) {
        1 => 1,
        2..=3 => 3,
        4..=6 => 6,
        _ => 0,
    }
}

impl Kernels for LayerNorm {
    fn operation(&self) -> &'static str {
        "layer_norm"
    }

    fn forward(&self, inputs: &[View]) -> Result<(Output, Shape)> {
        let [x, w, b] = inputs else { unreachable!("three inputs") };
        let (rows, width) = rows_of(&x.shape());
        let kernel = match held(width, &[x, w, b]) {
            1 => "layer_norm_forward_1",
            3 => "layer_norm_forward_3",
            6 => "layer_norm_forward_6",
            _ => "layer_norm_forward_0",
        };
        let launch = Launch::new(kernel, x.dtype(), blocks_for(rows * 32)).read(x).read(w).read(b);
        let [y] = launch.write(x.dtype(), x.count()).size(rows).size(width).number(self.eps).run()?;
        Ok((y, x.shape()))
    }

    fn backward(&self, inputs: &[&Tensor], _: &Tensor, g: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let [x, w, b] = inputs else { unreachable!("three inputs") };
        let ((rows, width), dtype) = (rows_of(x.shape()), x.dtype());
        let views = [View::of(x)?, View::of(w)?, View::of(g)?];
        let kernel = match held(width, &[&views[0], &views[1], &views[2]]) {
            1 => "layer_norm_backward_1",
            3 => "layer_norm_backward_3",
            6 => "layer_norm_backward_6",
            _ => "layer_norm_backward_0",
        };
        let launch = Launch::new(kernel, dtype, blocks_for(rows * 32));
        let launch = views.iter().fold(launch, Launch::read).write(dtype, x.elem_count()).write(DType::F32, 2 * rows);
        let [dx, statistics] = launch.size(rows).size(width).number(self.eps).run()?;
        let mut gradients = vec![Some(dx.tensor(x.shape())), None, None];
        if w.track_op() || b.track_op() {
            let statistics = statistics.tensor((rows, 2));
            let statistics = View::of(&statistics)?;
            let sums = Columns::of(&[&views[0], &views[2]], 1, rows, width).partial::<2>(
                "layer_norm_weight_sums",
                dtype,
                &[&views[0], &views[2], &statistics],
            )?;
            let both = sums.finish(DType::F32, 1.0)?.tensor((2, width));
            gradients[1] = Some(both.get(0)?);
            gradients[2] = Some(both.get(1)?);
        }
        Ok(gradients)
    }
}
