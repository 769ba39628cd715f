//! Launches of `adamw.cu`.

use super::{AdamWParameter, AdamWStep};
use crate::cuda::{Launch, MOST_NUMBERS, View, first_blocks};
use candle_core::{DType, Result};

/// As many parameters at a time as a launch can be told of.
pub(super) fn run(parameters: &[AdamWParameter], step: &AdamWStep) -> Result<()> {
    let more = step.more.map(View::of).transpose()?;
    for some in parameters.chunks(MOST_NUMBERS) {
        let lengths: Vec<usize> = some.iter().map(|p| p.parameter.elem_count()).collect();
        let (first_block, blocks) = first_blocks(&lengths);
        let gradients = some.iter().map(|p| View::of(p.gradient)).collect::<Result<Vec<_>>>()?;
        let launch = Launch::new("adamw", DType::F32, blocks)
            .change(some.iter().map(|p| p.parameter).collect())
            .change(some.iter().map(|p| p.first).collect())
            .change(some.iter().map(|p| p.second).collect())
            .read_all(&gradients)
            .sizes(&lengths)
            .sizes(&first_block)
            .numbers(&some.iter().map(|p| p.shrink).collect::<Vec<_>>())
            .numbers(&some.iter().map(|p| p.step).collect::<Vec<_>>())
            .numbers(&some.iter().map(|p| p.root_correction).collect::<Vec<_>>())
            .read_or_null(more.as_ref(), DType::F32)
            .size(some.len());
        let numbers = [step.scale, step.towards, step.keep, step.share, step.eps];
        let [] = numbers.into_iter().fold(launch, Launch::number).run()?;
    }
    Ok(())
}
