//! Launches of `concat.cu`.

use super::Concat;
use crate::cuda::{Kernels, Launch, Output, View, blocks_for};
use crate::host::rows_of;
use candle_core::{Result, Shape, Tensor};

impl Kernels for Concat {
    fn operation(&self) -> &'static str {
        "concat"
    }

    fn forward(&self, inputs: &[View]) -> Result<(Output, Shape)> {
        let (first, last) = (&inputs[0], inputs.get(2).unwrap_or(&inputs[1]));
        let width = |view: &View| rows_of(&view.shape()).1;
        let widths = [width(first), width(&inputs[1]), inputs.get(2).map_or(0, width)];
        let mut dims = first.dims().to_vec();
        *dims.last_mut().expect("at least one dimension") = widths.iter().sum();
        let shape = Shape::from(dims);
        let (n, dtype) = (shape.elem_count(), first.dtype());
        let launch = Launch::new("concat", dtype, blocks_for(n)).read(first).read(&inputs[1]).read(last);
        let launch = widths.iter().fold(launch.write(dtype, n).size(n), |launch, width| launch.size(*width));
        let [y] = launch.run()?;
        Ok((y, shape))
    }

    fn backward(&self, inputs: &[&Tensor], _: &Tensor, g: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (total, g) = (rows_of(g.shape()).1, View::of(g)?);
        let mut start = 0;
        let part = |t: &&Tensor| {
            let (n, width, first) = (t.elem_count(), rows_of(t.shape()).1, start);
            start += width;
            let launch = || Launch::new("cut", g.dtype(), blocks_for(n)).read(&g).write(g.dtype(), n).size(n);
            let cut = || launch().size(total).size(first).size(width).run();
            let [part] = t.track_op().then(cut).transpose()?.map_or([None], |[part]| [Some(part)]);
            Ok(part.map(|part: Output| part.tensor(t.shape())))
        };
        inputs.iter().map(part).collect()
    }
}
