//! Launches of `axis_attention.cu`.

use super::{Axis, AxisAttention};
use crate::RotaryTable;
use crate::cuda::{Kernels, Launch, MOST_NUMBERS, MOST_SHARED, Output, View};
use candle_core::{DType, Result, Shape, Tensor, bail};
use std::sync::OnceLock;

/// Threads of a block, as in `axis_attention.cu`. Of two heads' lines of 56 pixels each thread then makes two tiles of A.
const THREADS: usize = 224;
/// Shared memory that a block keeps to, in bytes, where that is enough for a head: an H100 then runs four blocks at once on a
/// multiprocessor, of whose 228 KiB each takes 1 KiB more than it asks for.
const SHARED: usize = 56 << 10;
/// Maps that the backward pass reads: q, k, v, g.
const BACKWARD_MAPS: usize = 4;

/// How the lines of a map lie in memory.
struct Lines {
    /// How many there are.
    count: usize,
    /// Pixels of a line.
    n: usize,
    /// Lines side by side.
    inner: usize,
    heads: usize,
    /// Channels of a head.
    d: usize,
    /// Pixels of an image.
    positions: usize,
}

/// What a launch does besides attention; without any of it, nothing.
#[derive(Default)]
struct Besides<'a> {
    /// How queries and keys turn, and what keys are multiplied by then.
    turn: Option<(&'a RotaryTable, f32)>,
    /// Of a backward pass the gradients of queries and keys to be added to.
    before: Option<[&'a Tensor; 2]>,
}

impl Lines {
    fn new(dims: &[usize], axis: Axis, heads: usize) -> Result<Self> {
        let (batch, height, width, channels) = Shape::from(dims).dims4()?;
        let (d, positions) = (channels / heads, height * width);
        Ok(match axis {
            Axis::Rows => Self { count: batch * height, n: width, inner: 1, heads, d, positions },
            Axis::Columns => Self { count: batch * width, n: height, inner: width, heads, d, positions },
        })
    }

    /// From a row of a matrix in shared memory to the next.
    fn row(&self) -> usize {
        odd_fours(self.n)
    }

    /// From a pixel of a map in shared memory to the next, with the channels of so many heads.
    fn pitch(&self, heads: usize) -> usize {
        odd_fours(heads * self.d.next_multiple_of(4))
    }

    /// Threads side by side that have all of a line, two tiles of four pixels each; a power of two, and a warp at most where lines
    /// fit into a block's memory.
    fn lanes(&self) -> usize {
        self.n.div_ceil(8).next_power_of_two()
    }

    /// Values of shared memory for so many heads: `maps` maps, and a matrix for each head.
    fn shared(&self, maps: usize, heads: usize) -> usize {
        let pixels = self.n.next_multiple_of(4);
        pixels * maps * self.pitch(heads) + heads * pixels * self.row()
    }

    /// The heads that a block takes: so many that blocks are alike, and not too large.
    fn heads_at_once(&self, maps: usize) -> usize {
        let suits =
            |heads: &usize| self.heads.is_multiple_of(*heads) && self.shared(maps, *heads) * size_of::<f32>() <= SHARED;
        (1..=self.heads).rev().find(suits).unwrap_or(1)
    }

    /// A launch of a kernel that reads `inputs`, so many `maps` of shared memory, and writes `OUTPUTS` maps like them.
    fn run<const OUTPUTS: usize>(
        &self,
        kernel: &'static str,
        inputs: &[&View],
        decay: &[f32],
        besides: &Besides,
    ) -> Result<[Output; OUTPUTS]> {
        let (maps, dtype, values) = (inputs.len(), inputs[0].dtype(), inputs[0].count());
        let heads = self.heads_at_once(maps);
        let table = besides.turn.map(|(table, _)| views_of([table.sin(), table.cos()])).transpose()?;
        let before = besides.before.map(views_of).transpose()?;
        let launch = Launch::new(kernel, dtype, self.count * self.heads / heads).threads(THREADS);
        let launch = inputs.iter().copied().fold(launch.shared(self.shared(maps, heads)), Launch::read);
        let of_table = |i: usize| table.as_ref().map(|table| &table[i]);
        let launch = (0..2).fold(launch, |launch, i| launch.read_or_null(of_table(i), DType::F32));
        let of_before = |i: usize| before.as_ref().map(|before| &before[i]);
        let launch = match maps {
            BACKWARD_MAPS => (0..2).fold(launch, |launch, i| launch.read_or_null(of_before(i), dtype)),
            _ => launch,
        };
        let launch = (0..OUTPUTS).fold(launch, |launch, _| launch.write(dtype, values));
        let launch = launch.size(self.n).size(self.inner).size(self.heads).size(self.d);
        let launch = launch.size(heads).size(self.pitch(heads)).size(self.row()).size(self.lanes()).numbers(decay);
        launch.size(self.positions).number(besides.turn.map_or(1.0, |(_, scale)| scale)).run()
    }

    /// Of q, k and v.
    fn forward(&self, [q, k, v]: [&View; 3], decay: &[f32], besides: &Besides) -> Result<Output> {
        let [out] = self.run("axis_attention_forward", &[q, k, v], decay, besides)?;
        Ok(out)
    }

    /// dq, dk and dv, of q, k, v and the result's gradient.
    fn backward(&self, maps: [&Tensor; BACKWARD_MAPS], decay: &[f32], besides: &Besides) -> Result<[Tensor; 3]> {
        let [q, k, v, g] = maps.map(View::of);
        let gradients = self.run("axis_attention_backward", &[&q?, &k?, &v?, &g?], decay, besides)?;
        Ok(gradients.map(|gradient: Output| gradient.tensor(maps[0].shape())))
    }
}

fn views_of([a, b]: [&Tensor; 2]) -> Result<[View<'_>; 2]> {
    Ok([View::of(a)?, View::of(b)?])
}

/// At least so many values, an odd number of fours: rows of that length, read by fours, begin in different banks.
fn odd_fours(values: usize) -> usize {
    (values.div_ceil(4) | 1) * 4
}

/// Whether lines of this length fit into a block's memory, and the heads into a launch.
pub(super) fn fits(dims: &[usize], decay: &[f32], axis: Axis) -> Result<bool> {
    let lines = Lines::new(dims, axis, decay.len())?;
    let shared = lines.shared(BACKWARD_MAPS, 1) * size_of::<f32>();
    Ok(shared <= MOST_SHARED && lines.heads <= MOST_NUMBERS)
}

impl Kernels for AxisAttention {
    fn operation(&self) -> &'static str {
        "axis-attention"
    }

    fn forward(&self, inputs: &[View]) -> Result<(Output, Shape)> {
        let [q, k, v] = inputs else { unreachable!("three inputs") };
        let lines = Lines::new(q.dims(), self.axis, self.decay.len())?;
        Ok((lines.forward([q, k, v], &self.decay, &Besides::default())?, q.shape()))
    }

    fn backward(&self, inputs: &[&Tensor], _: &Tensor, g: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let lines = Lines::new(g.dims(), self.axis, self.decay.len())?;
        let maps = [inputs[0], inputs[1], inputs[2], g];
        Ok(lines.backward(maps, &self.decay, &Besides::default())?.map(Some).into())
    }
}

/// [`super::rotary_attention`] on a GPU.
pub(super) struct Turned {
    pub(super) table: RotaryTable,
    pub(super) key_scale: f32,
    pub(super) decay: Vec<f32>,
    /// What backward needs of forward: the result of the rows.
    pub(super) of_rows: OnceLock<Tensor>,
}

impl Turned {
    /// The rows of a map, and its columns.
    fn lines(&self, dims: &[usize]) -> Result<[Lines; 2]> {
        let of = |axis| Lines::new(dims, axis, self.decay.len());
        Ok([of(Axis::Rows)?, of(Axis::Columns)?])
    }

    fn besides<'a>(&'a self, before: Option<[&'a Tensor; 2]>) -> Besides<'a> {
        Besides { turn: Some((&self.table, self.key_scale)), before }
    }
}

impl Kernels for Turned {
    fn operation(&self) -> &'static str {
        "rotary-attention"
    }

    fn forward(&self, inputs: &[View]) -> Result<(Output, Shape)> {
        let [q, k, v] = inputs else { unreachable!("three inputs") };
        let ([rows, columns], besides) = (self.lines(q.dims())?, self.besides(None));
        let of_rows = rows.forward([q, k, v], &self.decay, &besides)?.tensor(q.shape());
        let out = columns.forward([q, k, &View::of(&of_rows)?], &self.decay, &besides)?;
        // Of the same inputs, the only ones it is applied to, it is always the same.
        let _ = self.of_rows.set(of_rows);
        Ok((out, q.shape()))
    }

    fn backward(&self, inputs: &[&Tensor], _: &Tensor, g: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let Some(of_rows) = self.of_rows.get() else { bail!("{}: backward without forward", self.operation()) };
        let &[q, k, v] = inputs else { unreachable!("three inputs") };
        let ([rows, columns], of_rows) = (self.lines(g.dims())?, of_rows.to_dtype(g.dtype())?);
        let [dq, dk, of_rows] = columns.backward([q, k, &of_rows, g], &self.decay, &self.besides(None))?;
        let besides = self.besides(Some([&dq, &dk]));
        Ok(rows.backward([q, k, v, &of_rows], &self.decay, &besides)?.map(Some).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(n: usize, heads: usize, d: usize) -> Lines {
        Lines::new(&[32, n, n, heads * d], Axis::Columns, heads).unwrap()
    }

    #[test]
    fn blocks_take_heads_that_leave_room_for_others() {
        // The four maps of the network at 224 pixels.
        let of_block = |n, d| [3, 4].map(|maps| lines(n, 8, d).heads_at_once(maps));
        assert_eq!(
            [of_block(56, 12), of_block(28, 24), of_block(14, 48), of_block(7, 96)],
            [[2, 2], [4, 4], [4, 4], [4, 4]]
        );
        // Three heads would fit; five do not come in threes. One head is taken in any case.
        assert_eq!([lines(28, 5, 24).heads_at_once(4), lines(28, 3, 24).heads_at_once(4)], [1, 3]);
        assert_eq!(lines(112, 8, 12).heads_at_once(4), 1);
    }

    #[test]
    fn rows_of_any_length_begin_in_different_banks() {
        for values in 1..200 {
            let banks: std::collections::BTreeSet<_> = (0..8).map(|row| row * odd_fours(values) / 4 % 8).collect();
            assert!(banks.len() == 8 && (values..values + 8).contains(&odd_fours(values)), "{values}");
        }
    }

    #[test]
    fn lines_fit_up_to_what_is_documented() {
        let longest =
            |d: usize| (1..).take_while(|n| fits(&[1, *n, *n, d], &[0.0], Axis::Rows).unwrap()).last().unwrap();
        assert_eq!([12, 24, 48, 96].map(longest), [132, 108, 84, 52]);
        assert!(lines(longest(1), 1, 1).lanes() <= 32);
    }
}
