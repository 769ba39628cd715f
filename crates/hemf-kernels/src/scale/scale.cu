// Scaling by factors for each pixel, channel or sample; formulas in mod.rs.
#include "../cuda/columns.cuh"

// y = x s. Value i has factor i / outer * inner + i % inner: outer and inner are C and 1 for factors of pixels, H W C and C
// for those of channels, H W C and 1 for those of samples.
KERNEL(scale, const T* __restrict__ x, const T* __restrict__ s, T* __restrict__ y, u32 n, u32 outer, u32 inner) {
    map_values(x, y, n, [&](u32 i, float v) { return v * wide(s[i / outer * inner + i % inner]); });
}

// ds of pixels, or of samples: a warp for each sum of x g.
KERNEL(scale_row_sums, const T* __restrict__ x, const T* __restrict__ g, T* __restrict__ ds, u32 rows, u32 width) {
    size_t row = place() / WARP;
    if (row >= rows) return;
    float sum = 0.0f;
    for (size_t i = row * width + threadIdx.x % WARP; i < (row + 1) * width; i += WARP) sum += wide(x[i]) * wide(g[i]);
    sum = warp_sum(sum);
    if (threadIdx.x % WARP == 0) put(&ds[row], sum);
}

// ds of channels.
template <u32 C>
__device__ inline void scale_column_sums_by(const T* x, const T* g, float* partials, u32 rows, u32 width, u32 chunks,
                                            u32 rows_per_chunk) {
    partial_sums<1, C>(partials, rows, width, chunks, rows_per_chunk, [&](size_t row, u32 column, float(&sums)[C][1]) {
        Side<C> of_x = side<C>(x + row * width + column), of_y = side<C>(g + row * width + column);
        for (u32 i = 0; i < C; i++) sums[i][0] += of_x.of[i] * of_y.of[i];
    });
}

KERNEL(scale_column_sums, const T* __restrict__ x, const T* __restrict__ g, float* __restrict__ partials, u32 rows,
       u32 width, u32 chunks, u32 rows_per_chunk, u32 by_fours) {
    if (by_fours)
        scale_column_sums_by<4>(x, g, partials, rows, width, chunks, rows_per_chunk);
    else
        scale_column_sums_by<1>(x, g, partials, rows, width, chunks, rows_per_chunk);
}
