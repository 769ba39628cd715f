// Sums of squares of many tensors, in two steps: blocks add up stretches, then a block each tensor's stretches. In double, which
// holds the square of every float.
#include "../cuda/several.cuh"

// The sum over the threads of a block, known to the first. `shared`: a value for each thread.
__device__ inline double block_sum(double* shared, double mine) {
    shared[threadIdx.x] = mine;
    for (u32 apart = blockDim.x / 2; apart > 0; apart /= 2) {
        __syncthreads();
        if (threadIdx.x < apart) shared[threadIdx.x] += shared[threadIdx.x + apart];
    }
    return shared[0];
}

KERNEL(squares_of_stretches, Unchanged tensors, Sizes lengths, Sizes first_block, u32 count, double* __restrict__ sums) {
    SHARED(double, shared);
    Stretch mine = stretch_of(lengths, first_block, count);
    const float* values = tensors.of[mine.which];
    double sum = 0.0;
    for (u32 i = mine.from + threadIdx.x; i < mine.to; i += blockDim.x) sum += double(values[i]) * values[i];
    sum = block_sum(shared, sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// A block for each tensor, whose stretches are those of the blocks `first_block` up to that of the next one, or `blocks`.
KERNEL(squares_of_tensors, const double* __restrict__ stretches, Sizes first_block, u32 count, u32 blocks,
       double* __restrict__ sums) {
    SHARED(double, shared);
    u32 last = blockIdx.x + 1 < count ? first_block.of[blockIdx.x + 1] : blocks;
    double sum = 0.0;
    for (u32 i = first_block.of[blockIdx.x] + threadIdx.x; i < last; i += blockDim.x) sum += stretches[i];
    sum = block_sum(shared, sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}
