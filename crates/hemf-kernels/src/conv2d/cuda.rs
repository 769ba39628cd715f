//! The convolution by cuDNN where that is linked and has it, and else as products of patches, by cuBLAS as candle calls it;
//! patches, bias and its gradient by kernels of ours.

#[cfg(all(feature = "cudnn", not(test)))]
use super::cudnn::{Pass, run as by_cudnn};
use super::{Conv2d, Geometry};
use crate::cuda::{Kernels, Launch, Output, View, blocks_for, column_sums, turn};
use crate::linear::cuda::add_bias;
use candle_core::{DType, Result, Shape, Tensor};

impl Geometry {
    /// Output pixels.
    fn out_pixels(&self) -> usize {
        self.batch * self.out_height * self.out_width
    }

    /// Values of a patch.
    fn patch_values(&self) -> usize {
        self.k * self.k * self.inputs
    }

    /// Whether the kernels can count the patches' values.
    pub(super) fn fits_a_gpu(&self) -> bool {
        u32::try_from(self.out_pixels() * self.patch_values()).is_ok()
    }

    fn launch<'a>(&self, kernel: &'static str, from: &'a View<'a>, n: usize) -> Launch<'a> {
        let launch = Launch::new(kernel, from.dtype(), blocks_for(n)).read(from).write(from.dtype(), n).size(n);
        let launch = launch.size(self.height).size(self.width).size(self.inputs).size(self.k);
        launch.size(self.stride).size(self.padding).size(self.out_height).size(self.out_width)
    }

    fn patches(&self, x: &View) -> Result<Tensor> {
        let [columns] = self.launch("patches", x, self.out_pixels() * self.patch_values()).run()?;
        Ok(columns.tensor((self.out_pixels(), self.patch_values())))
    }

    /// The weight (O, I, k, k) as (O, k k I).
    fn weight(&self, w: &View) -> Result<Tensor> {
        Ok(turn(w, self.inputs, self.k * self.k, w.dtype())?.tensor((self.outputs, self.patch_values())))
    }
}

/// The passes by cuDNN, which this build is without.
#[cfg(not(all(feature = "cudnn", not(test))))]
enum Pass {
    Forward,
    Input,
    Weight,
}

#[cfg(not(all(feature = "cudnn", not(test))))]
fn by_cudnn(_: &Geometry, _: Pass, _: &View, _: &View) -> Result<Option<Output>> {
    Ok(None)
}

impl Kernels for Conv2d {
    fn operation(&self) -> &'static str {
        "conv2d"
    }

    fn forward(&self, inputs: &[View]) -> Result<(Output, Shape)> {
        let g = &self.0;
        let weight = g.weight(&inputs[1])?;
        let weight = View::of(&weight)?;
        let product = match by_cudnn(g, Pass::Forward, &inputs[0], &weight)? {
            Some(product) => product,
            None => {
                let columns = g.patches(&inputs[0])?;
                View::of(&columns)?.times_transposed(&weight, g.out_pixels(), g.patch_values(), g.outputs)?
            }
        };
        let y = if let Some(bias) = inputs.get(2) { add_bias(product, bias, g.out_pixels())? } else { product };
        Ok((y, g.out_shape().into()))
    }

    fn backward(&self, inputs: &[&Tensor], _: &Tensor, gradient: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (g, x, w) = (&self.0, inputs[0], inputs[1]);
        let of_y = gradient.reshape((g.out_pixels(), g.outputs))?;
        let mut gradients = vec![None, None];
        if x.track_op() {
            let weight = g.weight(&View::of(w)?)?;
            let dx = match by_cudnn(g, Pass::Input, &View::of(&of_y)?, &View::of(&weight)?)? {
                Some(dx) => dx,
                None => {
                    let columns = of_y.matmul(&weight)?;
                    let [dx] = g.launch("patches_backward", &View::of(&columns)?, x.elem_count()).run()?;
                    dx
                }
            };
            gradients[0] = Some(dx.tensor(x.shape()));
        }
        if w.track_op() {
            let turned = match by_cudnn(g, Pass::Weight, &View::of(x)?, &View::of(&of_y)?)? {
                Some(turned) => turned.tensor((g.outputs, g.patch_values())),
                None => {
                    let columns = g.patches(&View::of(x)?)?;
                    let (pixels, values) = (g.out_pixels(), g.patch_values());
                    let turned = View::of(&of_y)?.transposed_times(&View::of(&columns)?, pixels, g.outputs, values)?;
                    turned.tensor((g.outputs, values))
                }
            };
            gradients[1] = Some(turn(&View::of(&turned)?, g.k * g.k, g.inputs, DType::F32)?.tensor(w.shape()));
        }
        if let Some(bias) = inputs.get(2) {
            let db = bias.track_op().then(|| column_sums(&View::of(&of_y)?, g.out_pixels(), g.outputs));
            gradients.push(db.transpose()?.map(|db| db.tensor(g.outputs)));
        }
        Ok(gradients)
    }
}
