//! Launches of `running_mean.cu`.

use crate::cuda::{Launch, MOST_NUMBERS, View, first_blocks};
use candle_core::{DType, Result, Tensor};

/// As many tensors at a time as a launch can be told of.
pub(super) fn run(means: &[(&Tensor, &Tensor)], share: f32) -> Result<()> {
    for some in means.chunks(MOST_NUMBERS) {
        let lengths: Vec<usize> = some.iter().map(|(mean, _)| mean.elem_count()).collect();
        let (first_block, blocks) = first_blocks(&lengths);
        let tensors = some.iter().map(|(_, t)| View::of(t)).collect::<Result<Vec<_>>>()?;
        let launch = Launch::new("running_means", DType::F32, blocks)
            .change(some.iter().map(|(mean, _)| *mean).collect())
            .read_all(&tensors)
            .sizes(&lengths)
            .sizes(&first_block);
        let [] = launch.size(some.len()).number(share).run()?;
    }
    Ok(())
}
