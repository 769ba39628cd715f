// Many tensors of float rounded to maps' type at once, one after the other in one buffer. In `several.rs`'s stretches.
#include "../cuda/several.cuh"

// Tensors begin at multiples of this, as in cuda.rs; what is between is zero.
constexpr u32 ALIGN = 128;

KERNEL(round_tensors, Unchanged tensors, Sizes lengths, Sizes first_block, Sizes places, u32 count, T* __restrict__ out) {
    Stretch mine = stretch_of(lengths, first_block, count);
    const float* values = tensors.of[mine.which];
    T* to = out + places.of[mine.which];
    u32 end = (mine.to + ALIGN - 1) / ALIGN * ALIGN; // a stretch ends at a multiple of it, but for the last of a tensor
    for (u32 i = mine.from + threadIdx.x; i < end; i += blockDim.x) put(&to[i], i < mine.to ? values[i] : 0.0f);
}
