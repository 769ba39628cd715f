//! Launches of `external_attention.cu`.

use super::{ExternalAttention, Sizes};
use crate::cuda::{Kernels, Launch, MOST_SHARED, Output, Partial, THREADS, View};
use candle_core::{DType, Result, Shape, Tensor};

/// Slots that a warp has registers for, as in `external_attention.cu`.
const MOST_SLOTS: usize = 128;
/// Threads of the blocks that go over all tokens of an image and head.
const DEEP_THREADS: usize = 1024;
/// Blocks that the tokens should be shared out to, and tokens that a block is not worth its while below.
const BLOCKS: usize = 1024;
const TOKENS: usize = 64;

impl Sizes {
    fn tasks(&self) -> usize {
        self.images * self.heads
    }

    /// Tokens of a block, and blocks of a task.
    fn blocks(&self) -> (usize, usize) {
        let wanted = BLOCKS.div_ceil(self.tasks()).clamp(1, self.tokens.div_ceil(TOKENS));
        let per_block = self.tokens.div_ceil(wanted);
        (per_block, self.tokens.div_ceil(per_block))
    }

    /// Values of shared memory: so many memories, and values for each slot of a warp.
    fn shared(&self, memories: usize, of_slot: usize, threads: usize) -> usize {
        self.slots * (memories * (self.d() | 1) + of_slot * threads / 32)
    }

    fn backward_shared(&self) -> usize {
        self.shared(2, 2, THREADS) + 2 * self.slots * self.d()
    }

    /// Whether the kernels' memory is enough.
    pub(super) fn fit(&self) -> bool {
        let most = self.backward_shared().max(self.shared(2, 2, DEEP_THREADS));
        self.slots <= MOST_SLOTS && most * size_of::<f32>() <= MOST_SHARED
    }

    fn launch<'a>(&self, launch: Launch<'a>) -> Launch<'a> {
        launch.size(self.tokens).size(self.heads).size(self.d()).size(self.slots)
    }

    /// Of each image, head and slot the largest score and 1 / the sum of exponentials: (tasks, S, 2).
    fn statistics(&self, t: &View, mk: &View) -> Result<Tensor> {
        let launch = Launch::new("external_attention_statistics", t.dtype(), self.tasks()).threads(DEEP_THREADS);
        let launch = launch.shared(self.shared(1, 2, DEEP_THREADS)).read(t).read(mk);
        let shape = (self.tasks(), self.slots, 2);
        let [statistics] = self.launch(launch.write(DType::F32, self.tasks() * self.slots * 2)).run()?;
        Ok(statistics.tensor(shape))
    }
}

impl Kernels for ExternalAttention {
    fn operation(&self) -> &'static str {
        "external-attention"
    }

    fn forward(&self, inputs: &[View]) -> Result<(Output, Shape)> {
        let [t, mk, mv] = inputs else { unreachable!("three inputs") };
        let sizes = Sizes::of(t.dims(), mk.dims(), self.heads)?;
        let (per_block, blocks) = sizes.blocks();
        let statistics = sizes.statistics(t, mk)?;
        let statistics = View::of(&statistics)?;
        let launch = Launch::new("external_attention_forward", t.dtype(), sizes.tasks() * blocks);
        let launch = launch.shared(sizes.shared(2, 1, THREADS)).read(t).read(mk).read(mv).read(&statistics);
        let launch = sizes.launch(launch.write(t.dtype(), t.count()));
        let [out] = launch.size(per_block).size(blocks).run()?;
        Ok((out, t.shape()))
    }

    fn backward(&self, inputs: &[&Tensor], _: &Tensor, g: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let sizes = Sizes::of(inputs[0].dims(), inputs[1].dims(), self.heads)?;
        let (dtype, tasks, slots, d) = (g.dtype(), sizes.tasks(), sizes.slots, sizes.d());
        let [t, mk, mv] = [View::of(inputs[0])?, View::of(inputs[1])?, View::of(inputs[2])?];
        let (of_g, (per_block, blocks)) = (View::of(g)?, sizes.blocks());
        let statistics = sizes.statistics(&t, &mk)?;
        let statistics = View::of(&statistics)?;
        let launch = Launch::new("external_attention_change_sums", dtype, tasks).threads(DEEP_THREADS);
        let launch = launch.shared(sizes.shared(2, 2, DEEP_THREADS));
        let launch = [&t, &mk, &mv, &of_g, &statistics].into_iter().fold(launch, Launch::read);
        let [changes] = sizes.launch(launch.write(DType::F32, tasks * slots)).run()?;
        let changes = changes.tensor((tasks, slots));
        let changes = View::of(&changes)?;

        let launch = Launch::new("external_attention_backward", dtype, tasks * blocks).shared(sizes.backward_shared());
        let launch = [&t, &mk, &mv, &of_g, &statistics, &changes].into_iter().fold(launch, Launch::read);
        let launch = launch.write(dtype, g.elem_count()).write(DType::F32, tasks * blocks * 2 * slots * d);
        let [dt, partials] = sizes.launch(launch).size(per_block).size(blocks).run()?;
        let both = Partial::new(partials, tasks * blocks, 2 * slots * d, dtype).finish(DType::F32, 1.0)?;
        let both = both.tensor((2, slots, d));
        Ok(vec![Some(dt.tensor(g.shape())), Some(both.get(0)?), Some(both.get(1)?.t()?.contiguous()?)])
    }
}
