//! How much of the image a value of each map can depend on.

use crate::graph::{Graph, Node, Op};
use hemf_kernels::Axis;

/// What a value of a map depends on: the sides of the smallest rectangle of image pixels that holds it all, away from
/// the borders.
#[derive(Clone, Copy)]
struct Field {
    /// Rows and columns; infinite where it is all of them.
    sides: [f64; 2],
    /// Image pixels from one pixel of the map to the next.
    step: f64,
}

const EVERYTHING: [f64; 2] = [f64::INFINITY; 2];

impl Field {
    /// After an operation that reads `k` x `k` pixels.
    fn widened(self, k: usize) -> Self {
        Self { sides: self.sides.map(|side| side + (k - 1) as f64 * self.step), ..self }
    }

    /// After an operation that makes one pixel of `k` x `k`.
    fn coarser(self, k: usize) -> Self {
        Self { step: self.step * k as f64, ..self }
    }
}

/// For each map of `graph`, the share of the image that a value in it can depend on.
pub(crate) fn fields(graph: &Graph) -> Vec<f64> {
    let image = graph.nodes()[0].shape;
    let mut fields: Vec<Field> = vec![];
    for node in graph.nodes() {
        let inputs: Vec<Field> = node.inputs.iter().map(|map| fields[*map]).collect();
        fields.push(field(node, &inputs));
    }
    let share = |side: f64, of: usize| (side / of as f64).min(1.0);
    fields.iter().map(|field| share(field.sides[0], image.height) * share(field.sides[1], image.width)).collect()
}

fn field(node: &Node, inputs: &[Field]) -> Field {
    let Some(&first) = inputs.first() else { return Field { sides: [1.0; 2], step: 1.0 } };
    let joined = inputs.iter().fold(first, |a, b| Field {
        sides: [a.sides[0].max(b.sides[0]), a.sides[1].max(b.sides[1])],
        step: a.step.min(b.step), // of gates, which have one pixel, and the map that they weigh
    });
    match &node.op {
        Op::Conv { kernel, stride, .. } => joined.widened(*kernel).coarser(*stride),
        Op::Depthwise { kernel } => joined.widened(*kernel),
        Op::AvgPool2 {} | Op::Cells {} => joined.widened(2).coarser(2),
        // The rectangle of the farthest pixels of a window; the shift moves windows, not their size.
        Op::WindowAttention { windows, .. } => joined.widened(2 * windows.size - 1),
        Op::AxisAttention { axis: Axis::Rows, .. } => Field { sides: [joined.sides[0], f64::INFINITY], ..joined },
        Op::AxisAttention { axis: Axis::Columns, .. } => Field { sides: [f64::INFINITY, joined.sides[1]], ..joined },
        // External attention normalises over all pixels; a map read in another order has all of them in each channel.
        Op::ExternalAttention { .. } | Op::PixelMean { .. } | Op::PixelMax {} | Op::Misread {} | Op::Reread {} => {
            Field { sides: EVERYTHING, ..joined }
        }
        _ => joined,
    }
}
