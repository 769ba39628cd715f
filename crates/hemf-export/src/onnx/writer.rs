//! Nodes and constants of an ONNX graph under construction. The numbers are the fields of `onnx.proto`.

use crate::file::Error;
use crate::protobuf::Message;
use candle_core::{DType, Device, Tensor};
use std::collections::{HashMap, HashSet};

/// `TensorProto.DataType`
pub(super) const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// The name of a value: what a node makes, or a constant.
pub(super) type Value = String;

/// An attribute of a node.
pub(super) enum Attribute<'a> {
    Int(&'a str, i64),
    Float(&'a str, f32),
    Ints(&'a str, &'a [i64]),
}

/// Collects nodes and constants; each value gets a name of its own.
pub(super) struct Writer<'a> {
    weights: &'a HashMap<String, Tensor>,
    nodes: Vec<Message>,
    constants: Vec<Message>,
    named: HashSet<String>,
    place: String,
}

impl<'a> Writer<'a> {
    pub(super) fn new(weights: &'a HashMap<String, Tensor>) -> Self {
        Self { weights, nodes: vec![], constants: vec![], named: HashSet::new(), place: String::new() }
    }

    /// Nodes are named after their place in the network from here on.
    pub(super) fn enter(&mut self, place: &str) {
        self.place = place.replace('.', "/");
    }

    /// A node of one output, whose name is returned.
    pub(super) fn node(&mut self, kind: &str, inputs: &[&str], attributes: &[Attribute<'_>]) -> Value {
        let name = format!("/{}/{kind}_{}", self.place, self.nodes.len());
        self.node_named(kind, inputs, attributes, &[&name]);
        name
    }

    /// A node whose outputs are called `outputs`.
    pub(super) fn node_named(&mut self, kind: &str, inputs: &[&str], attributes: &[Attribute<'_>], outputs: &[&str]) {
        let mut node = inputs.iter().fold(Message::new(), |node, input| node.text(1, input));
        node = outputs.iter().fold(node, |node, output| node.text(2, output)).text(3, outputs[0]).text(4, kind);
        self.nodes.push(attributes.iter().fold(node, |node, attribute| node.message(5, attribute.message())));
    }

    /// A weight of the network.
    pub(super) fn weight(&mut self, name: &str) -> Result<Value, Error> {
        let tensor = self.tensor(name)?.clone();
        self.constant(name.to_owned(), &tensor)
    }

    /// A weight (O, I) as the kernel of a convolution (O, I, 1, 1).
    pub(super) fn pointwise(&mut self, name: &str) -> Result<Value, Error> {
        let tensor = self.tensor(name)?;
        let tensor = if tensor.rank() == 2 { tensor.unsqueeze(2)?.unsqueeze(3)? } else { tensor.clone() };
        self.constant(name.to_owned(), &tensor)
    }

    /// The values of a weight.
    pub(super) fn tensor(&self, name: &str) -> Result<&'a Tensor, Error> {
        self.weights.get(name).ok_or_else(|| Error::Missing(name.to_owned()))
    }

    /// A constant by a name that stands for its values: asked for twice, it is written once.
    pub(super) fn constant(&mut self, name: String, tensor: &Tensor) -> Result<Value, Error> {
        if self.named.insert(name.clone()) {
            let kind = if tensor.dtype() == DType::I64 { INT64 } else { FLOAT };
            let dims = tensor.dims().iter().fold(Message::new(), |message, side| message.int(1, *side as i64));
            let values = tensor.to_device(&Device::Cpu)?.contiguous()?;
            self.constants.push(dims.int(2, kind).text(8, &name).values(9, values));
        }
        Ok(name)
    }

    /// Whole numbers: a shape, axes, places.
    pub(super) fn ints(&mut self, values: &[i64]) -> Result<Value, Error> {
        let words: Vec<String> = values.iter().map(i64::to_string).collect();
        self.constant(format!("ints:{}", words.join(",")), &Tensor::new(values, &Device::Cpu)?)
    }

    /// A number.
    pub(super) fn float(&mut self, value: f32) -> Result<Value, Error> {
        self.constant(format!("float:{value:e}"), &Tensor::new(value, &Device::Cpu)?)
    }

    /// `x` in another shape; 0 keeps a side, -1 takes what is left.
    pub(super) fn reshape(&mut self, x: &str, shape: &[i64]) -> Result<Value, Error> {
        let shape = self.ints(shape)?;
        Ok(self.node("Reshape", &[x, &shape], &[]))
    }

    /// Dimension i of the result is dimension `order[i]` of `x`.
    pub(super) fn transpose(&mut self, x: &str, order: &[i64]) -> Value {
        self.node("Transpose", &[x], &[Attribute::Ints("perm", order)])
    }

    /// Places `from..to` of an axis; to the end for `i64::MAX`.
    pub(super) fn slice(&mut self, x: &str, axis: i64, from: i64, to: i64) -> Result<Value, Error> {
        let [from, to, axis] = [self.ints(&[from])?, self.ints(&[to])?, self.ints(&[axis])?];
        Ok(self.node("Slice", &[x, &from, &to, &axis], &[]))
    }

    /// The graph with all that was collected; the value `last` is its output.
    pub(super) fn finish(self, name: &str, last: &str) -> Message {
        debug_assert_eq!(last, super::lower::LOGITS);
        let nodes = self.nodes.into_iter().fold(Message::new(), |graph, node| graph.message(1, node));
        self.constants.into_iter().fold(nodes.text(2, name), |graph, constant| graph.message(5, constant))
    }
}

impl Attribute<'_> {
    /// `AttributeProto`: name 1, float 2, int 3, ints 8, type 20.
    fn message(&self) -> Message {
        let named = |name: &str, kind: i64| Message::new().text(1, name).int(20, kind);
        match *self {
            Attribute::Float(name, value) => named(name, 1).float(2, value),
            Attribute::Int(name, value) => named(name, 2).int(3, value),
            Attribute::Ints(name, values) => {
                values.iter().fold(named(name, 7), |message, value| message.int(8, *value))
            }
        }
    }
}
