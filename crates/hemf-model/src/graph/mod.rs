//! A network written down as a list of operations: what its size report counts and what ONNX files are made from.
//!
//! The forward passes of the blocks compute; a graph only says what they would compute, for images of one size. It is
//! told a second time here rather than recorded, and tests hold it to the first: the same weights with the same shapes,
//! and, run operation by operation, the same logits.

mod blocks;
mod networks;
mod op;
mod run;

pub use op::{Op, Shape};

use crate::{Error, ModelConfig};

/// A map between operations: the index of the operation that makes it.
pub type Map = usize;

/// The operations of a network in the order in which they run. The first is [`Op::Image`], the last makes the logits.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    nodes: Vec<Node>,
    held: Vec<Map>,
}

/// An operation at its place in the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it stands in the published state dict, such as `stages.0.1.conv`. Its weights are named below that; two
    /// operations of one path share them.
    pub path: String,
    /// What it does.
    pub op: Op,
    /// The maps that it reads.
    pub inputs: Vec<Map>,
    /// The map that it makes, of one image.
    pub shape: Shape,
}

impl Graph {
    /// The graph of `config`, whose classes must be set, for images of `height` x `width`.
    ///
    /// # Errors
    /// Sizes that no network can be built from, or images that are too small.
    pub fn new(config: &ModelConfig, height: usize, width: usize) -> Result<Self, Error> {
        config.checked()?;
        config.check_image_size(height, width)?;
        let image = Node {
            path: String::new(),
            op: Op::Image {},
            inputs: vec![],
            shape: Shape { height, width, channels: config.in_channels() },
        };
        let mut graph = Self { nodes: vec![image], held: vec![0] };
        match config {
            ModelConfig::Hemf(config) => graph.hemf(config),
            ModelConfig::Came(config) => graph.came(config),
        }
        Ok(graph)
    }

    /// The operations, in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The maps that the forward pass holds until its end: the images and what the stages make.
    pub fn held(&self) -> &[Map] {
        &self.held
    }

    /// The map of the images.
    fn image(&self) -> Map {
        0
    }

    fn shape(&self, map: Map) -> Shape {
        self.nodes[map].shape
    }

    fn channels(&self, map: Map) -> usize {
        self.shape(map).channels
    }

    fn add(&mut self, path: &Path, op: Op, inputs: &[Map]) -> Map {
        let shapes: Vec<Shape> = inputs.iter().map(|map| self.shape(*map)).collect();
        let shape = op.shape(&shapes);
        self.nodes.push(Node { path: path.0.clone(), op, inputs: inputs.to_vec(), shape });
        self.nodes.len() - 1
    }

    /// The end of a stage: its map stays in memory.
    fn hold(&mut self, map: Map) -> Map {
        self.held.push(map);
        map
    }
}

/// A place in the state dict.
#[derive(Clone, Debug)]
struct Path(String);

impl Path {
    fn root() -> Self {
        Self(String::new())
    }

    fn at(&self, name: impl std::fmt::Display) -> Self {
        Self(if self.0.is_empty() { name.to_string() } else { format!("{}.{name}", self.0) })
    }
}
