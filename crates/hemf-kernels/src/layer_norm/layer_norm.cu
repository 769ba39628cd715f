// Layer norm, a warp for each row; formulas in mod.rs.
#include "../cuda/columns.cuh"

// Mean and 1 / sqrt(variance + eps) of a row, known to all threads of the warp. The variance is around the mean: the row is
// read twice, the second time from the cache.
__device__ inline float2 row_statistics(const T* x, u32 width, float eps) {
    float sum = 0.0f, squares = 0.0f;
    for (u32 c = threadIdx.x % WARP; c < width; c += WARP) sum += wide(x[c]);
    float mean = warp_sum(sum) / width;
    for (u32 c = threadIdx.x % WARP; c < width; c += WARP) squares += (wide(x[c]) - mean) * (wide(x[c]) - mean);
    return make_float2(mean, 1.0f / sqrtf(warp_sum(squares) / width + eps));
}

KERNEL(layer_norm_forward, const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b, T* __restrict__ y,
       u32 rows, u32 width, float eps) {
    size_t row = place() / WARP;
    if (row >= rows) return;
    x += row * width, y += row * width;
    float2 of_row = row_statistics(x, width, eps);
    for (u32 c = threadIdx.x % WARP; c < width; c += WARP)
        put(&y[c], (wide(x[c]) - of_row.x) * of_row.y * wide(w[c]) + wide(b[c]));
}

// dx, and each row's mean and 1 / deviation for the sums over rows below: statistics (rows, 2).
KERNEL(layer_norm_backward, const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ g,
       T* __restrict__ dx, float* __restrict__ statistics, u32 rows, u32 width, float eps) {
    size_t row = place() / WARP;
    if (row >= rows) return;
    x += row * width, g += row * width, dx += row * width;
    float2 of_row = row_statistics(x, width, eps);
    float h_sum = 0.0f, hn_sum = 0.0f;
    for (u32 c = threadIdx.x % WARP; c < width; c += WARP) {
        float h = wide(g[c]) * wide(w[c]);
        h_sum += h;
        hn_sum += h * (wide(x[c]) - of_row.x) * of_row.y;
    }
    float h_mean = warp_sum(h_sum) / width, hn_mean = warp_sum(hn_sum) / width;
    for (u32 c = threadIdx.x % WARP; c < width; c += WARP) {
        float n = (wide(x[c]) - of_row.x) * of_row.y;
        put(&dx[c], (wide(g[c]) * wide(w[c]) - h_mean - n * hn_mean) * of_row.y);
    }
    if (threadIdx.x % WARP == 0) statistics[2 * row] = of_row.x, statistics[2 * row + 1] = of_row.y;
}

// dw and db.
KERNEL(layer_norm_weight_sums, const T* __restrict__ x, const T* __restrict__ g, const float* __restrict__ statistics,
       float* __restrict__ partials, u32 rows, u32 width, u32 chunks, u32 rows_per_chunk) {
    partial_sums<2>(partials, rows, width, chunks, rows_per_chunk, [&](size_t row, u32 c, float* sums) {
        float of_y = wide(g[row * width + c]);
        sums[0] += of_y * (wide(x[row * width + c]) - statistics[2 * row]) * statistics[2 * row + 1];
        sums[1] += of_y;
    });
}
