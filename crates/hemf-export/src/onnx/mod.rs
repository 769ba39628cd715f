//! A network as an ONNX model.
//!
//! Maps are (batch, channels, height, width), as ONNX has them; the batch is open, everything else fixed. Each operation
//! of the network's [`Graph`] becomes a few nodes (`lower.rs`; those of attention in `attention.rs`); layouts turn only
//! where an operation works along the channels.

mod attention;
mod lower;
mod writer;

use crate::file::{Error, write_whole};
use crate::protobuf::Message;
use candle_core::Tensor;
use hemf_model::Graph;
use std::collections::HashMap;
use std::path::Path;
use writer::Writer;

/// The version of ONNX's operators that is written: read by onnxruntime from 1.22 on.
pub const OPSET: i64 = 23;

/// The version of the file format that goes with it.
const IR_VERSION: i64 = 11;

/// Writes the network of `graph` with `weights` (by their names in the state dict) as an ONNX model from `images`
/// (batch, channels, height, width), normalised, to `logits` (batch, classes). `notes` go into the model's metadata.
///
/// # Errors
/// A weight that is missing, or a file that cannot be written.
pub fn write_onnx(
    path: &Path,
    graph: &Graph,
    weights: &HashMap<String, Tensor>,
    notes: &[(String, String)],
) -> Result<(), Error> {
    let model = model(graph, weights, notes)?;
    write_whole(path, |out| model.write(out))
}

fn model(graph: &Graph, weights: &HashMap<String, Tensor>, notes: &[(String, String)]) -> Result<Message, Error> {
    let mut writer = Writer::new(weights);
    let logits = lower::graph(&mut writer, graph)?;
    let image = graph.nodes()[0].shape;
    let sides = [image.channels, image.height, image.width].map(|side| side as i64);
    let classes = graph.nodes().last().map_or(0, |node| node.shape.channels as i64);
    let body = writer
        .finish("hemf", &logits)
        .message(11, value(lower::IMAGES, &sides))
        .message(12, value(lower::LOGITS, &[classes]));
    let model = Message::new()
        .int(1, IR_VERSION)
        .text(2, "hemf")
        .text(3, env!("CARGO_PKG_VERSION"))
        .message(7, body)
        .message(8, Message::new().text(1, "").int(2, OPSET));
    Ok(notes.iter().fold(model, |model, (key, text)| model.message(14, Message::new().text(1, key).text(2, text))))
}

/// Name and type of an input or output: f32, any batch, then `sides`.
fn value(name: &str, sides: &[i64]) -> Message {
    let batch = Message::new().message(1, Message::new().text(2, "batch"));
    let shape = sides.iter().fold(batch, |shape, side| shape.message(1, Message::new().int(1, *side)));
    let tensor = Message::new().int(1, writer::FLOAT).message(2, shape);
    Message::new().text(1, name).message(2, Message::new().message(1, tensor))
}
