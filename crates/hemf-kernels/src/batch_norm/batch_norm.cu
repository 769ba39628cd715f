// Batch norm; formulas in mod.rs. Statistics and sums of gradients are sums over rows in two steps (columns.cuh), always in
// float; the rest goes value by value.
#include "../cuda/columns.cuh"

KERNEL(batch_norm_squares, const T* __restrict__ x, const float* __restrict__ mean, float* __restrict__ partials, u32 rows,
       u32 width, u32 chunks, u32 rows_per_chunk) {
    partial_sums<1>(partials, rows, width, chunks, rows_per_chunk, [&](size_t row, u32 c, float* sums) {
        float apart = wide(x[row * width + c]) - mean[c];
        sums[0] += apart * apart;
    });
}

__device__ inline float inverse_deviation(float variance, float eps) { return 1.0f / sqrtf(variance + eps); }

KERNEL(batch_norm_forward, const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b,
       const float* __restrict__ mean, const float* __restrict__ variance, T* __restrict__ y, u32 n, u32 width, float eps) {
    map_values(x, y, n, [&](u32 i, float v) {
        u32 c = i % width;
        return (v - mean[c]) * (wide(w[c]) * inverse_deviation(variance[c], eps)) + wide(b[c]);
    });
}

// Sums of g n and of g.
KERNEL(batch_norm_weight_sums, const T* __restrict__ x, const T* __restrict__ g, const float* __restrict__ mean,
       const float* __restrict__ variance, float* __restrict__ partials, u32 rows, u32 width, u32 chunks,
       u32 rows_per_chunk, float eps) {
    partial_sums<2>(partials, rows, width, chunks, rows_per_chunk, [&](size_t row, u32 c, float* sums) {
        float of_y = wide(g[row * width + c]);
        sums[0] += of_y * (wide(x[row * width + c]) - mean[c]) * inverse_deviation(variance[c], eps);
        sums[1] += of_y;
    });
}

// dx by the sums (dw, db) of a batch of 1 / `share` pixels; `share` is 0 where the statistics are constants.
KERNEL(batch_norm_backward, const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ g,
       const float* __restrict__ mean, const float* __restrict__ variance, const float* __restrict__ sums,
       T* __restrict__ dx, u32 n, u32 width, float eps, float share) {
    map_values(x, g, dx, n, [&](u32 i, float v, float of_y) {
        u32 c = i % width;
        float inverse = inverse_deviation(variance[c], eps), normal = (v - mean[c]) * inverse;
        return wide(w[c]) * inverse * (of_y - share * (sums[width + c] + normal * sums[c]));
    });
}

// Running mean and variance, (width) each, moved towards those of a batch: `keep` of what they are and a share of these.
KERNEL(batch_norm_move, Changed running, Unchanged batch, u32 width, float keep, float of_mean, float of_variance) {
    size_t i = place();
    if (i >= 2 * size_t(width)) return;
    u32 which = i / width, c = i % width;
    float* value = &running.of[which][c];
    *value = *value * keep + batch.of[which][c] * (which == 0 ? of_mean : of_variance);
}
