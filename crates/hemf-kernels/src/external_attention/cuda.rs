//! Launches of `external_attention.cu`.

use super::Sizes;
use crate::cuda::{Kernels, Launch, MOST_SHARED, Output, Partial, View, turn};
use candle_core::{DType, Result, Shape, Tensor, bail};
use std::sync::OnceLock;

/// Slots that a thread has registers for, as in `external_attention.cu`.
const MOST_SLOTS: usize = 128;
/// Blocks that the tokens should be shared out to, and tokens that a block is not worth its while below.
const BLOCKS: usize = 2048;
const TOKENS: usize = 128;

/// How the tokens of an image and head are shared out, and how much room that takes.
struct Tiling {
    sizes: Sizes,
    /// Pieces of 8 slots by 4 channels: each is a thread's, or that of one thread in each of several teams.
    pieces: usize,
    /// Threads of a block, and tokens that it goes over at a time.
    threads: usize,
    tile: usize,
    /// Tokens of a block, and blocks of an image and head.
    per_block: usize,
    blocks: usize,
    /// Values of shared memory: rows of a memory, of all slots; a memory; tokens of a tile; their weights.
    rows: usize,
    memory: usize,
    tokens: usize,
    weights: usize,
}

/// Four values at a time.
fn quads(n: usize) -> usize {
    n.div_ceil(4)
}

impl Sizes {
    fn tasks(&self) -> usize {
        self.images * self.heads
    }

    /// The largest tile whose products have no more pieces of 4 tokens by 4 channels than there are threads.
    fn tiling(&self) -> Option<Tiling> {
        let pieces = self.slots.div_ceil(8) * quads(self.d());
        let threads = if pieces <= 64 { 128 } else { 256 };
        let tiling = |tile: usize| {
            let wanted = BLOCKS.div_ceil(self.tasks()).clamp(1, self.tokens.div_ceil(TOKENS));
            let per_block = self.tokens.div_ceil(wanted).next_multiple_of(tile);
            // An odd number of rows, as in `external_attention.cu`.
            let (rows, channels) = (self.slots.next_multiple_of(8), 4 * quads(self.d()));
            let (memory, tokens, weights) = (channels * (rows + 1), channels * (tile + 1), rows * (tile + 1));
            let blocks = self.tokens.div_ceil(per_block);
            Tiling { sizes: *self, pieces, threads, tile, per_block, blocks, rows, memory, tokens, weights }
        };
        let fits = |t: &Tiling| {
            t.tile / 4 * quads(self.d()) <= threads && t.backward_shared() * size_of::<f32>() <= MOST_SHARED
        };
        let enough = self.slots <= MOST_SLOTS && pieces <= threads;
        enough.then(|| [128, 64, 32, 16].into_iter().map(tiling).find(fits)).flatten()
    }

    /// Whether the kernels' registers and memory are enough.
    pub(super) fn fit(&self) -> bool {
        self.tiling().is_some()
    }
}

impl Tiling {
    fn statistics_shared(&self) -> usize {
        self.memory + self.tokens.max(2 * self.threads / 16 * self.rows)
    }

    fn forward_shared(&self) -> usize {
        2 * self.memory + self.tokens + self.weights + 2 * self.rows + self.tile
    }

    fn backward_values_shared(&self) -> usize {
        self.memory + 2 * self.rows + 2 * self.tile + self.room()
    }

    fn backward_shared(&self) -> usize {
        2 * self.memory + 3 * self.rows + 2 * self.tile + self.room()
    }

    /// Tokens, gradients and weights of a tile; in the end 32 sums of each thread but the first team's, and then of each
    /// slot a sum for each quad of channels, and for each 16 threads.
    fn room(&self) -> usize {
        let teams = self.threads / self.pieces;
        let of_slots = (quads(self.sizes.d()) + self.threads / 16) * self.rows;
        (2 * self.tokens + self.weights).max(32 * (teams - 1) * self.pieces).max(of_slots)
    }

    /// Blocks of all images and heads.
    fn all_blocks(&self) -> usize {
        self.sizes.tasks() * self.blocks
    }

    /// A kernel with what it reads; what it writes and then [`Tiling::told`] are still to be added.
    fn launch<'a>(&self, kernel: &'static str, shared: usize, reads: &[&'a View<'a>]) -> Launch<'a> {
        let launch = Launch::new(kernel, reads[0].dtype(), self.all_blocks()).threads(self.threads).shared(shared);
        reads.iter().copied().fold(launch, Launch::read)
    }

    /// Sizes as `Work` in `external_attention.cu` takes them.
    fn told(&self) -> [usize; 7] {
        let Sizes { tokens, heads, slots, .. } = self.sizes;
        [tokens, heads, self.sizes.d(), slots, self.tile, self.per_block, self.blocks]
    }
}

/// The attention on a GPU.
pub(super) struct OnGpu {
    heads: usize,
    /// What backward needs of forward: statistics (tasks, blocks, S, 2) and 1 / r (tasks, N).
    kept: OnceLock<[Tensor; 2]>,
}

impl OnGpu {
    pub(super) fn new(heads: usize) -> Self {
        Self { heads, kept: OnceLock::new() }
    }

    fn tiling(&self, t: &View, mk: &View) -> Result<Tiling> {
        match Sizes::of(t.dims(), mk.dims(), self.heads)?.tiling() {
            Some(tiling) => Ok(tiling),
            None => bail!("{}: no kernels for these sizes", self.operation()),
        }
    }
}

impl Kernels for OnGpu {
    fn operation(&self) -> &'static str {
        "external-attention"
    }

    fn forward(&self, inputs: &[View]) -> Result<(Output, Shape)> {
        let [t, mk, mv] = inputs else { unreachable!("three inputs") };
        let tiling = self.tiling(t, mk)?;
        let (Sizes { tokens, slots, .. }, told) = (tiling.sizes, tiling.told());
        let launch = tiling.launch("external_attention_statistics", tiling.statistics_shared(), &[t, mk]);
        let [statistics] = launch.write(DType::F32, tiling.all_blocks() * slots * 2).sizes(&told).run()?;
        let statistics = statistics.tensor((tiling.all_blocks(), slots, 2));
        let view = View::of(&statistics)?;
        let launch = tiling.launch("external_attention_forward", tiling.forward_shared(), &[t, mk, mv, &view]);
        let launch = launch.write(t.dtype(), t.count()).write(DType::F32, tiling.sizes.tasks() * tokens);
        let [out, inverses] = launch.sizes(&told).run()?;
        drop(view);
        // Of the same inputs, the only ones it is applied to, it is always the same.
        let _ = self.kept.set([statistics, inverses.tensor((tiling.sizes.tasks(), tokens))]);
        Ok((out, t.shape()))
    }

    fn backward(&self, inputs: &[&Tensor], output: &Tensor, g: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let Some(kept) = self.kept.get() else { bail!("{}: backward without forward", self.operation()) };
        let output = output.to_dtype(g.dtype())?.contiguous()?;
        let [t, mk, mv] = [View::of(inputs[0])?, View::of(inputs[1])?, View::of(inputs[2])?];
        let [out, of_g] = [View::of(&output)?, View::of(g)?];
        let [statistics, inverses] = [View::of(&kept[0])?, View::of(&kept[1])?];
        let tiling = self.tiling(&t, &mk)?;
        let (Sizes { tokens, slots, .. }, told) = (tiling.sizes, tiling.told());
        let (tasks, blocks, d) = (tiling.sizes.tasks(), tiling.all_blocks(), tiling.sizes.d());
        let total = |partials| Partial::new(partials, blocks, slots * d, g.dtype()).finish(DType::F32, 1.0);

        let reads = [&t, &mk, &mv, &out, &of_g, &statistics, &inverses];
        let shared = tiling.backward_values_shared();
        let launch = tiling.launch("external_attention_backward_values", shared, &reads);
        let launch = launch.write(DType::F32, blocks * slots * d).write(DType::F32, blocks * slots);
        let [partials, changes, common] = launch.write(DType::F32, tasks * tokens).sizes(&told).run()?;
        let dmv = total(partials)?.tensor((slots, d));
        let dmv = turn(&View::of(&dmv)?, slots, d, DType::F32)?.tensor((d, slots));

        let (changes, common) = (changes.tensor((blocks, slots)), common.tensor((tasks, tokens)));
        let (changes, common) = (View::of(&changes)?, View::of(&common)?);
        let reads = [&t, &mk, &mv, &of_g, &statistics, &inverses, &changes, &common];
        let launch = tiling.launch("external_attention_backward", tiling.backward_shared(), &reads);
        let launch = launch.write(g.dtype(), g.elem_count()).write(DType::F32, blocks * slots * d);
        let [dt, partials] = launch.sizes(&told).run()?;
        let dmk = total(partials)?.tensor((slots, d));
        Ok(vec![Some(dt.tensor(g.shape())), Some(dmk), Some(dmv)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(images: usize, tokens: usize, heads: usize, d: usize, slots: usize) -> Sizes {
        Sizes { images, tokens, channels: heads * d, heads, slots }
    }

    #[test]
    fn blocks_are_all_tokens_once_and_threads_enough_for_the_sums() {
        for (images, tokens) in [(1, 1), (1, 3136), (3, 129), (32, 196), (32, 3136), (500, 49)] {
            for d in [1, 7, 12, 33, 64, 96, 128] {
                for slots in [1, 9, 30, 64] {
                    let Some(t) = sizes(images, tokens, 8, d, slots).tiling() else { panic!("{d} x {slots}") };
                    assert!((t.blocks - 1) * t.per_block < tokens && t.blocks * t.per_block >= tokens);
                    assert!(t.per_block % t.tile == 0 && t.tile % 16 == 0 && t.threads % 32 == 0);
                    assert!(d.div_ceil(4) * slots.div_ceil(8) <= t.threads);
                    let shared = t.statistics_shared().max(t.forward_shared()).max(t.backward_values_shared());
                    assert!(shared.max(t.backward_shared()) * 4 <= MOST_SHARED);
                }
            }
        }
    }

    #[test]
    fn several_blocks_are_on_a_multiprocessor_at_the_model_s_sizes() {
        let at = |tokens, d| {
            let t = sizes(32, tokens, 8, d, 64).tiling().expect("kernels");
            // An H100 has 228 KiB for each multiprocessor, and takes 1 KiB more for a block.
            let most = t.backward_shared().max(t.backward_values_shared()).max(t.forward_shared());
            (t.threads, t.tile, t.blocks, (228 << 10) / (most * 4 + 1024))
        };
        let got = [at(3136, 12), at(784, 24), at(196, 48), at(49, 96)];
        assert_eq!(got, [(128, 128, 7, 4), (128, 64, 7, 5), (256, 64, 2, 3), (256, 32, 1, 2)]);
    }

    #[test]
    fn what_registers_or_memory_do_not_hold_is_refused() {
        assert!(sizes(1, 9, 1, 64, 128).fit() && sizes(1, 9, 1, 128, 64).fit());
        assert!(!sizes(1, 9, 1, 12, 129).fit() && !sizes(1, 9, 1, 132, 64).fit() && !sizes(1, 9, 1, 65, 128).fit());
    }
}
