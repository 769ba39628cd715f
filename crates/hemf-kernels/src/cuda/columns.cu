// The second step of all sums over rows, and the first of plain ones.
#include "columns.cuh"

template <u32 C>
__device__ inline void column_sums_by(const T* x, float* partials, u32 rows, u32 width, u32 chunks, u32 rows_per_chunk) {
    partial_sums<1, C>(partials, rows, width, chunks, rows_per_chunk, [&](size_t row, u32 column, float(&sums)[C][1]) {
        Side<C> of_x = side<C>(x + row * width + column);
        for (u32 i = 0; i < C; i++) sums[i][0] += of_x.of[i];
    });
}

// Here and elsewhere `by_fours`: a thread is for four columns.
KERNEL(column_sums, const T* __restrict__ x, float* __restrict__ partials, u32 rows, u32 width, u32 chunks,
       u32 rows_per_chunk, u32 by_fours) {
    if (by_fours)
        column_sums_by<4>(x, partials, rows, width, chunks, rows_per_chunk);
    else
        column_sums_by<1>(x, partials, rows, width, chunks, rows_per_chunk);
}

// partials (groups, chunks, width) -> sums over the chunks, times `factor`: a warp for each.
template <class Out>
__device__ inline void finish(const float* partials, Out* sums, u32 groups, u32 chunks, u32 width, float factor) {
    size_t i = place() / WARP;
    if (i >= size_t(groups) * width) return;
    size_t group = i / width, column = i % width;
    float sum = 0.0f;
    for (u32 chunk = threadIdx.x % WARP; chunk < chunks; chunk += WARP)
        sum += partials[(group * chunks + chunk) * width + column];
    sum = warp_sum(sum) * factor;
    if (threadIdx.x % WARP == 0) put(&sums[i], sum);
}

KERNEL(finish_sums, const float* __restrict__ partials, T* __restrict__ sums, u32 groups, u32 chunks, u32 width,
       float factor) {
    finish(partials, sums, groups, chunks, width, factor);
}

KERNEL(finish_sums_wide, const float* __restrict__ partials, float* __restrict__ sums, u32 groups, u32 chunks, u32 width,
       float factor) {
    finish(partials, sums, groups, chunks, width, factor);
}
