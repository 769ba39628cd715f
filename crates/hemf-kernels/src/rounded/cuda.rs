//! Launches of `rounded.cu`.

use crate::cuda::{Launch, MOST_NUMBERS, View, first_blocks};
use candle_core::{DType, Result, Tensor};

/// Values between the beginnings of tensors are a multiple of this: 256 bytes, which products by cuBLAS like.
const ALIGN: usize = 128;

/// As many tensors at a time as a launch can be told of.
pub(super) fn run(tensors: &[&Tensor]) -> Result<Vec<Tensor>> {
    Ok(tensors.chunks(MOST_NUMBERS).map(some).collect::<Result<Vec<_>>>()?.concat())
}

fn some(tensors: &[&Tensor]) -> Result<Vec<Tensor>> {
    let lengths: Vec<usize> = tensors.iter().map(|t| t.elem_count()).collect();
    let ((first_block, blocks), mut all) = (first_blocks(&lengths), 0);
    let place = |length: &usize| {
        let place = all;
        all += length.next_multiple_of(ALIGN);
        place
    };
    let places: Vec<usize> = lengths.iter().map(place).collect();
    let views = tensors.iter().map(|t| View::of(t)).collect::<Result<Vec<_>>>()?;
    let launch = Launch::new("round_tensors", DType::BF16, blocks).read_all(&views);
    let launch = launch.sizes(&lengths).sizes(&first_block).sizes(&places).size(tensors.len());
    let [rounded] = launch.write(DType::BF16, all).run()?;
    // Operations make the gradients of what they see tracked.
    let rounded = match tensors.iter().any(|t| t.track_op()) {
        true => rounded.variable(all),
        false => rounded.tensor(all),
    };
    let part = |(t, (place, length)): (&&Tensor, (usize, usize))| rounded.narrow(0, place, length)?.reshape(t.shape());
    tensors.iter().zip(places.into_iter().zip(lengths)).map(part).collect()
}
