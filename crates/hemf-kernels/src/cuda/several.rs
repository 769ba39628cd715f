//! Launches over many tensors at once.

/// Values of a block, as in `several.cuh`.
const PER_BLOCK: usize = 4096;

/// The first block of each tensor, and how many there are.
pub(crate) fn first_blocks(lengths: &[usize]) -> (Vec<usize>, usize) {
    let mut blocks = 0;
    let first = |length: &usize| {
        let first = blocks;
        blocks += length.div_ceil(PER_BLOCK);
        first
    };
    (lengths.iter().map(first).collect(), blocks)
}
