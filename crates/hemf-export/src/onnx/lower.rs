//! What each operation of a network is in ONNX.

use super::writer::{Attribute, Value, Writer};
use crate::file::Error;
use hemf_model::{Graph, Node, Op, Shape};

/// The model's input.
pub(super) const IMAGES: &str = "images";
/// The model's output.
pub(super) const LOGITS: &str = "logits";

/// All nodes of a network, the logits' last.
pub(super) fn graph(writer: &mut Writer<'_>, graph: &Graph) -> Result<Value, Error> {
    let mut maps: Vec<Value> = vec![];
    for node in graph.nodes() {
        writer.enter(&node.path);
        let inputs: Vec<&str> = node.inputs.iter().map(|map| maps[*map].as_str()).collect();
        let shape = node.inputs.first().map_or(node.shape, |map| graph.nodes()[*map].shape);
        let map = Lowering { writer, node, shape }.apply(&inputs)?;
        maps.push(map);
    }
    let last = maps.pop().unwrap_or_default();
    writer.enter("");
    writer.node_named("Flatten", &[&last], &[Attribute::Int("axis", 1)], &[LOGITS]);
    Ok(LOGITS.to_owned())
}

/// An operation that is being written.
pub(super) struct Lowering<'w, 'a> {
    pub(super) writer: &'w mut Writer<'a>,
    pub(super) node: &'w Node,
    /// Of the first input.
    pub(super) shape: Shape,
}

impl Lowering<'_, '_> {
    /// The name of a weight below this operation.
    pub(super) fn name(&self, weight: &str) -> String {
        format!("{}.{weight}", self.node.path)
    }

    /// (C, H, W) of the first input.
    pub(super) fn sides(&self) -> [i64; 3] {
        [self.shape.channels, self.shape.height, self.shape.width].map(|side| side as i64)
    }

    fn apply(&mut self, inputs: &[&str]) -> Result<Value, Error> {
        let plain = |this: &mut Self, kind: &str| Ok(this.writer.node(kind, inputs, &[]));
        match &self.node.op {
            Op::Image {} => Ok(IMAGES.to_owned()),
            Op::Conv { kernel, stride, padding, bias, .. } => {
                self.conv(inputs[0], [*kernel, *stride, *padding].map(|n| n as i64), 1, *bias)
            }
            Op::Depthwise { kernel } => {
                let [kernel, channels] = [*kernel as i64, self.shape.channels as i64];
                self.conv(inputs[0], [kernel, 1, (kernel - 1) / 2], channels, true)
            }
            Op::Linear { bias, .. } => self.conv(inputs[0], [1, 1, 0], 1, *bias),
            Op::LayerNorm { eps, .. } => self.layer_norm(inputs[0], *eps),
            Op::BatchNorm {} => {
                let mut values = vec![inputs[0].to_owned()];
                for part in ["weight", "bias", "running_mean", "running_var"] {
                    values.push(self.writer.weight(&self.name(part))?);
                }
                let values: Vec<&str> = values.iter().map(String::as_str).collect();
                Ok(self.writer.node("BatchNormalization", &values, &[Attribute::Float("epsilon", 1e-5)]))
            }
            Op::Gelu {} => plain(self, "Gelu"),
            Op::Relu {} => plain(self, "Relu"),
            Op::Sigmoid {} => plain(self, "Sigmoid"),
            Op::Times(factor) => {
                let factor = self.writer.float(*factor as f32)?;
                Ok(self.writer.node("Mul", &[inputs[0], &factor], &[]))
            }
            Op::Add {} => plain(self, "Add"),
            Op::Mul {} | Op::Gate {} => plain(self, "Mul"),
            Op::Concat {} => Ok(self.concat(inputs, 1)),
            Op::AvgPool2 {} => {
                let two = [Attribute::Ints("kernel_shape", &[2, 2]), Attribute::Ints("strides", &[2, 2])];
                Ok(self.writer.node("AveragePool", inputs, &two))
            }
            Op::PixelMean { .. } => plain(self, "GlobalAveragePool"),
            Op::PixelMax {} => plain(self, "GlobalMaxPool"),
            Op::ChannelMeanMax {} => {
                let axis = self.writer.ints(&[1])?;
                let [mean, max] =
                    ["ReduceMean", "ReduceMax"].map(|kind| self.writer.node(kind, &[inputs[0], &axis], &[]));
                Ok(self.concat(&[&mean, &max], 1))
            }
            Op::Rotary { positions } => self.rotary(inputs[0], positions),
            Op::AxisAttention { positions, heads, axis } => self.axis_attention(inputs, positions, *heads, *axis),
            Op::ExternalAttention { heads, .. } => self.external_attention(inputs[0], *heads),
            Op::Pad { height, width } => {
                let [_, h, w] = self.sides();
                let pads = self.writer.ints(&[0, 0, 0, 0, 0, 0, *height as i64 - h, *width as i64 - w])?;
                Ok(self.writer.node("Pad", &[inputs[0], &pads], &[]))
            }
            Op::Crop { height, width } => {
                let rows = self.writer.slice(inputs[0], 2, 0, *height as i64)?;
                self.writer.slice(&rows, 3, 0, *width as i64)
            }
            Op::WindowAttention { heads, windows } => self.window_attention(inputs[0], *heads, *windows),
            Op::Cells {} => self.cells(inputs[0]),
            Op::Misread {} => {
                let [c, h, w] = self.sides();
                let tokens = self.writer.transpose(inputs[0], &[0, 2, 3, 1]);
                self.writer.reshape(&tokens, &[0, c, h, w])
            }
            Op::Reread {} => {
                let [c, h, w] = self.sides();
                let tokens = self.writer.reshape(inputs[0], &[0, h, w, c])?;
                Ok(self.writer.transpose(&tokens, &[0, 3, 1, 2]))
            }
        }
    }

    fn conv(&mut self, x: &str, [kernel, stride, padding]: [i64; 3], group: i64, bias: bool) -> Result<Value, Error> {
        let weight = self.writer.pointwise(&self.name("weight"))?;
        let bias = if bias { Some(self.writer.weight(&self.name("bias"))?) } else { None };
        let inputs: Vec<&str> = [x, &weight].into_iter().chain(bias.as_deref()).collect();
        let attributes = [
            Attribute::Ints("kernel_shape", &[kernel; 2]),
            Attribute::Ints("strides", &[stride; 2]),
            Attribute::Ints("pads", &[padding; 4]),
            Attribute::Int("group", group),
        ];
        Ok(self.writer.node("Conv", &inputs, &attributes))
    }

    fn layer_norm(&mut self, x: &str, eps: f64) -> Result<Value, Error> {
        let [weight, bias] = [self.writer.weight(&self.name("weight"))?, self.writer.weight(&self.name("bias"))?];
        let x = self.writer.transpose(x, &[0, 2, 3, 1]);
        let attributes = [Attribute::Int("axis", -1), Attribute::Float("epsilon", eps as f32)];
        let y = self.writer.node("LayerNormalization", &[&x, &weight, &bias], &attributes);
        Ok(self.writer.transpose(&y, &[0, 3, 1, 2]))
    }

    pub(super) fn concat(&mut self, inputs: &[&str], axis: i64) -> Value {
        self.writer.node("Concat", inputs, &[Attribute::Int("axis", axis)])
    }

    /// (B, C, H, W) -> (B, 4C, H/2, W/2), a cell's pixels in the order (0, 0), (1, 0), (0, 1), (1, 1).
    fn cells(&mut self, x: &str) -> Result<Value, Error> {
        let [c, h, w] = self.sides();
        let mut x = x.to_owned();
        for (axis, side) in [(2, h), (3, w)] {
            if side % 2 == 1 {
                x = self.writer.slice(&x, axis, 0, side - 1)?;
            }
        }
        let x = self.writer.reshape(&x, &[0, c, h / 2, 2, w / 2, 2])?;
        let x = self.writer.transpose(&x, &[0, 5, 3, 1, 2, 4]); // (B, column, row, C, H/2, W/2)
        self.writer.reshape(&x, &[0, 4 * c, h / 2, w / 2])
    }
}
