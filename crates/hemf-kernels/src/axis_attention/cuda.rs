//! Launches of `axis_attention.cu`.

use super::{Axis, AxisAttention};
use crate::cuda::{Kernels, Launch, MOST_NUMBERS, MOST_SHARED, Output, THREADS, View};
use candle_core::{Result, Shape, Tensor};

/// How the lines of a map lie in memory.
struct Lines {
    /// How many there are.
    count: usize,
    /// Pixels of a line.
    n: usize,
    /// Lines side by side.
    inner: usize,
    heads: usize,
    /// Channels of a head.
    d: usize,
}

impl Lines {
    fn new(dims: &[usize], axis: Axis, heads: usize) -> Result<Self> {
        let (batch, height, width, channels) = Shape::from(dims).dims4()?;
        let d = channels / heads;
        Ok(match axis {
            Axis::Rows => Self { count: batch * height, n: width, inner: 1, heads, d },
            Axis::Columns => Self { count: batch * width, n: height, inner: width, heads, d },
        })
    }

    /// Values of shared memory for `maps` maps of a line, `of_pixel` values for each of its pixels and `of_warp` for each
    /// pixel and warp.
    fn shared(&self, maps: usize, of_pixel: usize, of_warp: usize) -> usize {
        self.n * (maps * (self.d | 1) + of_pixel + of_warp * THREADS / 32)
    }

    fn forward_shared(&self) -> usize {
        self.shared(3, 0, 1)
    }

    fn backward_shared(&self) -> usize {
        self.shared(4, 3, 2)
    }
}

/// Whether lines of this length fit into a block's memory, and the heads into a launch.
pub(super) fn fits(dims: &[usize], decay: &[f32], axis: Axis) -> Result<bool> {
    let lines = Lines::new(dims, axis, decay.len())?;
    Ok(lines.backward_shared() * size_of::<f32>() <= MOST_SHARED && lines.heads <= MOST_NUMBERS)
}

impl AxisAttention {
    /// With what both passes have in common at the end.
    fn launch<'a>(&self, launch: Launch<'a>, lines: &Lines) -> Launch<'a> {
        launch.size(lines.n).size(lines.inner).size(lines.heads).size(lines.d).numbers(&self.decay)
    }
}

impl Kernels for AxisAttention {
    fn operation(&self) -> &'static str {
        "axis-attention"
    }

    fn forward(&self, inputs: &[View]) -> Result<(Output, Shape)> {
        let q = &inputs[0];
        let lines = Lines::new(q.dims(), self.axis, self.decay.len())?;
        let launch = Launch::new("axis_attention_forward", q.dtype(), lines.count * lines.heads);
        let launch = inputs.iter().fold(launch.shared(lines.forward_shared()), Launch::read);
        let [out] = self.launch(launch.write(q.dtype(), q.count()), &lines).run()?;
        Ok((out, q.shape()))
    }

    fn backward(&self, inputs: &[&Tensor], _: &Tensor, g: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let lines = Lines::new(g.dims(), self.axis, self.decay.len())?;
        let views = [View::of(inputs[0])?, View::of(inputs[1])?, View::of(inputs[2])?, View::of(g)?];
        let launch = Launch::new("axis_attention_backward", g.dtype(), lines.count * lines.heads);
        let launch = views.iter().fold(launch.shared(lines.backward_shared()), Launch::read);
        let launch = (0..3).fold(launch, |launch, _| launch.write(g.dtype(), g.elem_count()));
        let gradients: [Output; 3] = self.launch(launch, &lines).run()?;
        Ok(gradients.into_iter().map(|gradient| Some(gradient.tensor(g.shape()))).collect())
    }
}
