//! The products by cuBLAS, as candle calls it; the bias and its gradient by kernels of ours.

use super::Linear;
use crate::cuda::{Kernels, Launch, Output, View, blocks_for_values, column_sums};
use crate::host::rows_of;
use candle_core::{Result, Shape, Tensor};

impl Kernels for Linear {
    fn operation(&self) -> &'static str {
        "linear"
    }

    fn forward(&self, inputs: &[View]) -> Result<(Output, Shape)> {
        let (x, w) = (&inputs[0], &inputs[1]);
        let ((rows, width), outputs) = (rows_of(&x.shape()), w.dims()[0]);
        let product = x.times_transposed(w, rows, width, outputs)?;
        let mut dims = x.dims().to_vec();
        *dims.last_mut().expect("at least one dimension") = outputs;
        Ok((if let Some(bias) = inputs.get(2) { add_bias(product, bias, rows)? } else { product }, dims.into()))
    }

    fn backward(&self, inputs: &[&Tensor], _: &Tensor, g: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (x, w) = (inputs[0].detach(), inputs[1].detach());
        let ((rows, width), outputs) = (rows_of(x.shape()), w.dim(0)?);
        let (x, w, g) = (x.reshape((rows, width))?, w.reshape((outputs, width))?, g.reshape((rows, outputs))?);
        let dx = inputs[0].track_op().then(|| g.matmul(&w)?.reshape(inputs[0].shape()));
        let dw = inputs[1].track_op().then(|| -> Result<Tensor> {
            let dw = View::of(&g)?.transposed_times(&View::of(&x)?, rows, outputs, width)?;
            Ok(dw.tensor(inputs[1].shape()))
        });
        let mut gradients = vec![dx.transpose()?, dw.transpose()?];
        if let Some(bias) = inputs.get(2) {
            let db = bias.track_op().then(|| column_sums(&View::of(&g)?, rows, outputs));
            gradients.push(db.transpose()?.map(|db| db.tensor(outputs)));
        }
        Ok(gradients)
    }
}

/// A product (rows, O) plus the bias (O).
pub(crate) fn add_bias(product: Output, bias: &View, rows: usize) -> Result<Output> {
    let width = bias.count();
    let product = product.tensor((rows, width));
    let (view, n) = (View::of(&product)?, rows * width);
    let launch = Launch::new("add_bias", bias.dtype(), blocks_for_values(n)).read(&view).read(bias);
    let [y] = launch.write(bias.dtype(), n).size(n).size(width).run()?;
    Ok(y)
}
