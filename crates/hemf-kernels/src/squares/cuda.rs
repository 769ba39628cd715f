//! Launches of `squares.cu`.

use crate::cuda::{Launch, MOST_NUMBERS, THREADS, View, first_blocks};
use candle_core::{DType, Result, Tensor};

/// Of a block's shared memory, f32: an f64 for each thread.
const SHARED: usize = 2 * THREADS;

/// As many tensors at a time as a launch can be told of.
pub(super) fn run(tensors: &[&Tensor]) -> Result<Tensor> {
    let sums = tensors.chunks(MOST_NUMBERS).map(some).collect::<Result<Vec<_>>>()?;
    Tensor::cat(&sums, 0)
}

fn some(tensors: &[&Tensor]) -> Result<Tensor> {
    let lengths: Vec<usize> = tensors.iter().map(|t| t.elem_count()).collect();
    let (first_block, blocks) = first_blocks(&lengths);
    let (views, count) = (tensors.iter().map(|t| View::of(t)).collect::<Result<Vec<_>>>()?, tensors.len());
    let launch = Launch::new("squares_of_stretches", DType::F32, blocks).shared(SHARED).read_all(&views);
    let launch = launch.sizes(&lengths).sizes(&first_block).size(count);
    let [stretches] = launch.write(DType::F64, blocks).run()?;
    let stretches = stretches.tensor(blocks);
    let view = View::of(&stretches)?;
    let launch = Launch::new("squares_of_tensors", DType::F32, count).shared(SHARED).read(&view);
    let [sums] = launch.sizes(&first_block).size(count).size(blocks).write(DType::F64, count).run()?;
    Ok(sums.tensor(count))
}
