// Running means of many tensors at once; formula in mod.rs.
#include "../cuda/several.cuh"

KERNEL(running_means, Changed means, Unchanged tensors, Sizes lengths, Sizes first_block, u32 count, float share) {
    Stretch mine = stretch_of(lengths, first_block, count);
    float* m = means.of[mine.which];
    const float* x = tensors.of[mine.which];
    for (u32 i = mine.from + threadIdx.x; i < mine.to; i += blockDim.x) m[i] += (x[i] - m[i]) * share;
}
