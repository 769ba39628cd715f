//! Launches of `sgd.cu`.

use super::{SgdParameter, SgdStep};
use crate::cuda::{Launch, MOST_NUMBERS, View, first_blocks};
use candle_core::{DType, Result};

/// As many parameters at a time as a launch can be told of.
pub(super) fn run(parameters: &[SgdParameter], step: &SgdStep) -> Result<()> {
    let more = step.more.map(View::of).transpose()?;
    for some in parameters.chunks(MOST_NUMBERS) {
        let lengths: Vec<usize> = some.iter().map(|p| p.parameter.elem_count()).collect();
        let (first_block, blocks) = first_blocks(&lengths);
        let gradients = some.iter().map(|p| View::of(p.gradient)).collect::<Result<Vec<_>>>()?;
        let launch = Launch::new("sgd", DType::F32, blocks)
            .change(some.iter().map(|p| p.parameter).collect())
            .change(some.iter().map(|p| p.momentum).collect())
            .read_all(&gradients)
            .sizes(&lengths)
            .sizes(&first_block)
            .numbers(&some.iter().map(|p| p.rate).collect::<Vec<_>>())
            .numbers(&some.iter().map(|p| p.decay).collect::<Vec<_>>())
            .read_or_null(more.as_ref(), DType::F32)
            .size(some.len())
            .size(step.nesterov.into());
        let [] = launch.number(step.scale).number(step.keep).run()?;
    }
    Ok(())
}
