// Sums over the rows of matrices, of each column alone, in two steps: blocks add up chunks of rows (partial_sums), then
// warps add up what the chunks gave (finish_sums). Chunks are cut by the sizes alone: the order is always the same.
#pragma once
#include "prelude.cuh"

// A block is this many threads wide and rows deep.
constexpr u32 ACROSS = WARP, DEEP = 8;

// Values of columns side by side: of C = 4 read at once, which must begin where that can be done.
template <u32 C>
struct Side {
    float of[C];
};
template <u32 C>
__device__ inline Side<C> side(const T* at) {
    Side<C> values;
    if constexpr (C == 4) {
        Four<float> all = wide_four(at);
        for (u32 i = 0; i < 4; i++) values.of[i] = all.of[i];
    } else {
        values.of[0] = wide(*at);
    }
    return values;
}

// Sums of K values over rows of `width` columns each. There are `groups` matrices of `rows` rows, one after the other, cut
// into `chunks` chunks of `rows_per_chunk` rows; a block is for a chunk and ACROSS times C columns, a thread for C side by
// side. `add(row, column, sums)` adds what they give, from `column` on, to K sums each. partials: (groups, chunks, K, width).
template <u32 K, u32 C, class Add>
__device__ inline void partial_sums(float* partials, u32 rows, u32 width, u32 chunks, u32 rows_per_chunk, Add add) {
    SHARED(float, shared);
    u32 tiles = (width + ACROSS * C - 1) / (ACROSS * C);
    u32 column = (blockIdx.x % tiles * ACROSS + threadIdx.x % ACROSS) * C;
    u32 chunk = blockIdx.x / tiles % chunks, group = blockIdx.x / tiles / chunks;
    u32 first = chunk * rows_per_chunk + threadIdx.x / ACROSS, last = min((chunk + 1) * rows_per_chunk, rows);
    float sums[C][K] = {};
    if (column < width)
        for (u32 row = first; row < last; row += DEEP) add(size_t(group) * rows + row, column, sums);
    for (u32 k = 0; k < K; k++)
        for (u32 c = 0; c < C; c++) {
            shared[threadIdx.x] = sums[c][k];
            __syncthreads();
            if (threadIdx.x < ACROSS && column < width) {
                float sum = 0.0f;
                for (u32 deep = 0; deep < DEEP; deep++) sum += shared[deep * ACROSS + threadIdx.x];
                partials[((size_t(group) * chunks + chunk) * K + k) * width + column + c] = sum;
            }
            __syncthreads();
        }
}
