//! Running a graph, one operation of `hemf-kernels` after the other.

use super::{Graph, Node, Op};
use crate::ParamStore;
use candle_core::{Result, Tensor, bail};
use hemf_kernels::{ChannelStats, RotaryTable};
use std::collections::HashMap;

impl Graph {
    /// The logits (B, classes) of images (B, channels, H, W) in evaluation mode, by the weights of `store`: what the
    /// network's forward pass computes, by the list. For checking the list; nothing is fused or freed on the way.
    ///
    /// # Errors
    /// Images of another size than the graph's, or a weight that `store` lacks.
    pub fn run(&self, store: &ParamStore, images: &Tensor) -> Result<Tensor> {
        let weights: HashMap<String, Tensor> = store.state().into_iter().collect();
        let (batch, channels, height, width) = images.dims4()?;
        let expected = self.nodes[0].shape;
        if (height, width, channels) != (expected.height, expected.width, expected.channels) {
            bail!("a graph for images {expected:?} was given {:?}", images.dims());
        }
        let mut maps: Vec<Tensor> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let inputs: Vec<&Tensor> = node.inputs.iter().map(|map| &maps[*map]).collect();
            let map = match node.op {
                Op::Image {} => images.permute((0, 2, 3, 1))?.contiguous()?,
                _ => Weights { node, weights: &weights }.apply(&inputs)?,
            };
            let shape = node.shape;
            if map.dims() != [batch, shape.height, shape.width, shape.channels] {
                bail!("{} {:?} made {:?} in place of {shape:?}", node.path, node.op, map.dims());
            }
            maps.push(map);
        }
        match maps.pop() {
            Some(logits) => logits.flatten_from(1),
            None => bail!("the graph is empty"),
        }
    }
}

/// An operation and where its weights are found.
struct Weights<'a> {
    node: &'a Node,
    weights: &'a HashMap<String, Tensor>,
}

impl Weights<'_> {
    fn below(&self, path: &str, name: &str) -> Result<&Tensor> {
        let name = format!("{path}.{name}");
        self.weights.get(&name).ok_or_else(|| candle_core::Error::msg(format!("no weight {name}")))
    }

    fn get(&self, name: &str) -> Result<&Tensor> {
        self.below(&self.node.path, name)
    }

    fn bias(&self, has: bool) -> Result<Option<&Tensor>> {
        has.then(|| self.get("bias")).transpose()
    }

    fn apply(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let x = *inputs.first().ok_or_else(|| candle_core::Error::msg("an operation without input"))?;
        let (batch, height, width, channels) = x.dims4()?;
        match &self.node.op {
            Op::Image {} => bail!("images come from outside"),
            Op::Conv { stride, padding, bias, .. } => {
                hemf_kernels::conv2d(x, self.get("weight")?, self.bias(*bias)?, *stride, *padding)
            }
            Op::Depthwise { .. } => hemf_kernels::depthwise(x, self.get("weight")?, self.get("bias")?),
            Op::Linear { bias, .. } => hemf_kernels::linear(x, self.get("weight")?, self.bias(*bias)?),
            Op::LayerNorm { eps, .. } => hemf_kernels::layer_norm(x, self.get("weight")?, self.get("bias")?, *eps),
            Op::BatchNorm {} => {
                let stats = ChannelStats {
                    mean: self.get("running_mean")?.clone(),
                    variance: self.get("running_var")?.clone(),
                };
                hemf_kernels::batch_norm_eval(x, self.get("weight")?, self.get("bias")?, &stats, 1e-5)
            }
            Op::Gelu {} => hemf_kernels::gelu(x),
            Op::Relu {} => hemf_kernels::relu(x),
            Op::Sigmoid {} => hemf_kernels::sigmoid(x),
            Op::Times(factor) => x * *factor,
            Op::Add {} => hemf_kernels::add(x, inputs[1]),
            Op::Mul {} => hemf_kernels::mul(x, inputs[1]),
            Op::Gate {} => hemf_kernels::scale(x, inputs[1]),
            Op::Concat {} => hemf_kernels::concat(inputs),
            Op::AvgPool2 {} => hemf_kernels::avg_pool2(x),
            Op::PixelMean { .. } => hemf_kernels::pixel_mean(x)?.reshape((batch, 1, 1, channels)),
            Op::PixelMax {} => x.flatten(1, 2)?.max(1)?.reshape((batch, 1, 1, channels)),
            Op::ChannelMeanMax {} => hemf_kernels::channel_mean_max(x),
            Op::Rotary { positions } => {
                let table = RotaryTable::new(self.below(positions, "angle")?, height, width)?;
                hemf_kernels::rotary(x, &table)
            }
            Op::AxisAttention { positions, axis, .. } => {
                let decay = self.below(positions, "decay")?.to_vec1()?;
                hemf_kernels::axis_attention(x, inputs[1], inputs[2], &decay, *axis)
            }
            Op::ExternalAttention { heads, .. } => {
                hemf_kernels::external_attention(x, self.get("mk.weight")?, self.get("mv.weight")?, *heads)
            }
            Op::Pad { height: rows, width: columns } => {
                x.pad_with_zeros(1, 0, rows - height)?.pad_with_zeros(2, 0, columns - width)?.contiguous()
            }
            Op::Crop { height, width } => x.narrow(1, 0, *height)?.narrow(2, 0, *width)?.contiguous(),
            Op::WindowAttention { windows, .. } => {
                hemf_kernels::window_attention(x, self.get("relative_position_bias_table")?, *windows)
            }
            Op::Cells {} => {
                let (down, across) = (height / 2, width / 2);
                (x.narrow(1, 0, 2 * down)?.narrow(2, 0, 2 * across)?.contiguous()?)
                    .reshape((batch * down, 2, across, 2, channels))?
                    .permute((0, 2, 3, 1, 4))?
                    .contiguous()?
                    .reshape((batch, down, across, 4 * channels))
            }
            Op::Misread {} => x.reshape((batch, channels, height, width))?.permute((0, 2, 3, 1))?.contiguous(),
            Op::Reread {} => x.permute((0, 3, 1, 2))?.contiguous()?.reshape((batch, height, width, channels)),
        }
    }
}
