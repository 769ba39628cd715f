//! How large a network is: parameters, multiply-adds, memory and what it sees, for each of its parts.

use crate::graph::{Graph, Map, Node, Op, Shape};
use crate::receptive::fields;
use crate::{Error, ModelConfig, weights};
use serde::Serialize;
use std::collections::HashSet;

/// A network or a part of it, with its parts. The numbers of a part include those of its parts; all are for one image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// Where it stands in the published state dict, such as `stages.0.1`; the network itself is `hemf` or `came`.
    pub name: String,
    /// Learned values.
    pub parameters: Parameters,
    /// Multiplications with an addition each.
    pub multiply_adds: MultiplyAdds,
    /// Maps in memory.
    pub memory: Memory,
    /// The share of the image that one value of the part's result can depend on.
    pub receptive_share: f64,
    /// What it is made of, in the order in which it runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

/// Learned values, counted in three ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Parameters {
    /// Those that results depend on: what is trained here.
    pub used: usize,
    /// Those that the published code builds beside and never uses; its files hold them.
    pub unused: usize,
    /// As `thop` counts, and with it the paper: of the modules that it knows, so without the layer norms that the
    /// published code defines itself and without tables of positions; a module with two names twice.
    pub thop: usize,
}

/// Multiply-adds, counted in two ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MultiplyAdds {
    /// Of all convolutions, linear layers and matrix products.
    pub all: u64,
    /// As `thop` counts, and with it the paper: of modules, so without the products of attention, but with norms,
    /// softmaxes and means at prices of its own; a module with two names four times.
    pub thop: u64,
}

/// Bytes of the maps between operations, in f32. What a kernel needs while it runs, and what the training's optimizer
/// and gradients need, comes on top: see [`Part::training_bytes`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// The most that is alive at any moment of an inference.
    pub inference: u64,
    /// All maps, which training keeps for the way back.
    pub training: u64,
}

impl Part {
    /// Bytes for a training step on `batch` images: the maps, and the parameters four times (values, gradients and
    /// AdamW's two moments), in f32.
    pub fn training_bytes(&self, batch: usize) -> u64 {
        self.memory.training * batch as u64 + 16 * self.parameters.used as u64
    }

    /// Bytes for an inference on `batch` images: the maps, and the parameters, in f32.
    pub fn inference_bytes(&self, batch: usize) -> u64 {
        self.memory.inference * batch as u64 + 4 * self.parameters.used as u64
    }

    /// The part of this name, at any depth.
    pub fn find(&self, name: &str) -> Option<&Part> {
        if self.name == name { Some(self) } else { self.parts.iter().find_map(|part| part.find(name)) }
    }
}

impl ModelConfig {
    /// How large the network and its parts are, for images of `height` x `width`. The classes must be set.
    ///
    /// # Errors
    /// Sizes that no network can be built from, or images that are too small.
    pub fn size_report(&self, height: usize, width: usize) -> Result<Part, Error> {
        let graph = Graph::new(self, height, width)?;
        let counter = Counter {
            config: self,
            unused: weights::unused_parameters(self)?,
            alive: alive(&graph),
            fields: fields(&graph),
            graph: &graph,
        };
        let all: Vec<Map> = (0..graph.nodes().len()).collect();
        let mut network = counter.part(self.kind(), "", &all);
        if let Some(copy) = counter.second_copy(&all) {
            network.parameters.thop += copy.parameters.thop;
            network.multiply_adds.thop += copy.multiply_adds.thop;
            network.parts.push(copy);
        }
        Ok(network)
    }
}

/// What all parts of a report are counted from.
struct Counter<'a> {
    config: &'a ModelConfig,
    graph: &'a Graph,
    /// Names and sizes of what the published code builds beside.
    unused: Vec<(String, usize)>,
    /// Bytes alive while each operation runs.
    alive: Vec<u64>,
    /// What a value of each map depends on, as a share of the image.
    fields: Vec<f64>,
}

impl Counter<'_> {
    /// The part at `path`, which consists of the operations `maps`.
    fn part(&self, name: &str, path: &str, maps: &[Map]) -> Part {
        let mut part = Part {
            name: name.to_owned(),
            parameters: Parameters { unused: self.unused_below(path), ..Parameters::default() },
            multiply_adds: MultiplyAdds::default(),
            memory: Memory::default(),
            receptive_share: maps.last().map_or(0.0, |last| self.fields[*last]),
            parts: self.parts(path, maps),
        };
        let mut counted = HashSet::new();
        for &map in maps {
            let node = &self.graph.nodes()[map];
            part.memory.inference = part.memory.inference.max(self.alive[map]);
            part.memory.training += bytes(node.shape);
            part.multiply_adds.all += multiply_adds(node, self.input(node));
            let twice = u64::from(self.second_name(&node.path).is_some());
            part.multiply_adds.thop += (1 + twice) * thop_operations(node, self.input(node));
            let parameters = self.parameters(node);
            if parameters > 0 && counted.insert(&node.path) {
                part.parameters.used += parameters;
                part.parameters.thop += if thop_knows(&node.op) { parameters } else { 0 };
            }
        }
        part
    }

    /// The parts directly below `path`, in the order in which they first run.
    fn parts(&self, path: &str, maps: &[Map]) -> Vec<Part> {
        let mut groups: Vec<(String, Vec<Map>)> = vec![];
        for &map in maps {
            let Some(name) = child(path, &self.graph.nodes()[map].path) else { continue };
            match groups.iter_mut().find(|(other, _)| *other == name) {
                Some((_, group)) => group.push(map),
                None => groups.push((name, vec![map])),
            }
        }
        groups.iter().map(|(name, group)| self.part(name, name, group)).collect()
    }

    /// What the published code has a second name for: a part of which nothing but thop's numbers is counted.
    fn second_copy(&self, maps: &[Map]) -> Option<Part> {
        let nodes = maps.iter().map(|map| &self.graph.nodes()[*map]);
        let copied: Vec<&Node> = nodes.filter(|node| self.second_name(&node.path).is_some()).collect();
        let name = self.second_name(&copied.first()?.path)?;
        let known = copied.iter().filter(|node| thop_knows(&node.op));
        let operations: u64 = copied.iter().map(|node| thop_operations(node, self.input(node))).sum();
        Some(Part {
            name: name.split('.').next().unwrap_or(&name).to_owned(),
            parameters: Parameters { thop: known.map(|node| self.parameters(node)).sum(), ..Parameters::default() },
            multiply_adds: MultiplyAdds { all: 0, thop: 2 * operations },
            memory: Memory::default(),
            receptive_share: 0.0,
            parts: vec![],
        })
    }

    fn second_name(&self, path: &str) -> Option<String> {
        self.config.second_name(&format!("{path}."))
    }

    fn input(&self, node: &Node) -> Shape {
        node.inputs.first().map_or(node.shape, |map| self.graph.nodes()[*map].shape)
    }

    fn parameters(&self, node: &Node) -> usize {
        let shapes = node.op.parameters(self.input(node).channels);
        shapes.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    fn unused_below(&self, path: &str) -> usize {
        self.unused.iter().filter(|(name, _)| child(path, name).is_some()).map(|(_, size)| size).sum()
    }
}

/// The name of what lies directly below `path` on the way to `other`.
fn child(path: &str, other: &str) -> Option<String> {
    let rest = match path {
        "" => other,
        _ => other.strip_prefix(path)?.strip_prefix('.')?,
    };
    let first = rest.split('.').next().filter(|first| !first.is_empty())?;
    Some(if path.is_empty() { first.to_owned() } else { format!("{path}.{first}") })
}

fn bytes(shape: Shape) -> u64 {
    4 * shape.elements() as u64
}

/// Bytes of maps that are alive while each operation runs: its result, and what it or a later one reads.
fn alive(graph: &Graph) -> Vec<u64> {
    let nodes = graph.nodes();
    let mut last_use: Vec<Map> = (0..nodes.len()).collect();
    for (at, node) in nodes.iter().enumerate() {
        node.inputs.iter().for_each(|map| last_use[*map] = at);
    }
    graph.held().iter().for_each(|map| last_use[*map] = nodes.len());
    let living = |at: Map| nodes[..=at].iter().zip(&last_use).filter(move |(_, last)| **last >= at);
    (0..nodes.len()).map(|at| living(at).map(|(node, _)| bytes(node.shape)).sum()).collect()
}

/// Multiply-adds of convolutions, linear layers and matrix products, for an input `x`.
fn multiply_adds(node: &Node, x: Shape) -> u64 {
    let out = node.shape;
    let count = match &node.op {
        Op::Conv { kernel, .. } => out.elements() * x.channels * kernel * kernel,
        Op::Depthwise { kernel } => out.elements() * kernel * kernel,
        Op::Linear { .. } => out.elements() * x.channels,
        Op::ExternalAttention { slots, .. } => 2 * x.elements() * slots,
        Op::AxisAttention { axis: hemf_kernels::Axis::Rows, .. } => 2 * x.elements() * x.width,
        Op::AxisAttention { axis: hemf_kernels::Axis::Columns, .. } => 2 * x.elements() * x.height,
        Op::WindowAttention { windows, .. } => 2 * out.elements() * windows.size * windows.size,
        _ => 0,
    };
    count as u64
}

/// What thop charges for the modules that it knows: multiply-adds of convolutions and linear layers (external
/// attention's memories are such), four operations for each value of a norm, 3 n - 1 for a softmax over n values, n + 1
/// for a mean over n values of the whole map and 1 for one over a cell. Attention as the published code writes it has
/// no modules but CAME's softmax.
fn thop_operations(node: &Node, x: Shape) -> u64 {
    let softmax = |rows: usize, n: usize| (rows * (3 * n - 1)) as u64;
    match &node.op {
        Op::Conv { .. } | Op::Depthwise { .. } | Op::Linear { .. } => multiply_adds(node, x),
        Op::LayerNorm { framework: true, .. } | Op::BatchNorm {} => 4 * x.elements() as u64,
        Op::ExternalAttention { heads, slots } => multiply_adds(node, x) + softmax(heads * slots, x.pixels()),
        Op::WindowAttention { heads, windows } => softmax(x.pixels() * heads, windows.size * windows.size),
        Op::PixelMean { module: true } => (x.channels * (x.pixels() + 1)) as u64,
        Op::AvgPool2 {} => node.shape.elements() as u64,
        _ => 0,
    }
}

/// Whether thop counts the operation's parameters.
fn thop_knows(op: &Op) -> bool {
    !matches!(op, Op::LayerNorm { framework: false, .. } | Op::WindowAttention { .. })
}
