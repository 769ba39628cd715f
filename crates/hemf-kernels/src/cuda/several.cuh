// Launches over many tensors at once: a block is for up to PER_BLOCK values of one of them.
#pragma once
#include "prelude.cuh"

// As in several.rs.
constexpr u32 PER_BLOCK = 4096;

// A block's tensor and its values [from, to).
struct Stretch {
    u32 which, from, to;
};

// `first_block` of each of `count` tensors, and their `lengths`.
__device__ inline Stretch stretch_of(const Sizes& lengths, const Sizes& first_block, u32 count) {
    u32 which = 0;
    while (which + 1 < count && blockIdx.x >= first_block.of[which + 1]) which++;
    u32 from = (blockIdx.x - first_block.of[which]) * PER_BLOCK;
    return {which, from, min(from + PER_BLOCK, lengths.of[which])};
}
