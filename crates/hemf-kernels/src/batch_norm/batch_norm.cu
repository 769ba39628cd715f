// Batch norm; formulas in mod.rs. Statistics and sums of gradients are sums over rows in two steps (columns.cuh), always in
// float; the rest goes value by value.
#include "../cuda/columns.cuh"

template <u32 C>
__device__ inline void batch_norm_squares_by(const T* x, const float* mean, float* partials, u32 rows, u32 width, u32 chunks,
                                             u32 rows_per_chunk) {
    partial_sums<1, C>(partials, rows, width, chunks, rows_per_chunk, [&](size_t row, u32 column, float(&sums)[C][1]) {
        Side<C> of_x = side<C>(x + row * width + column);
        for (u32 i = 0; i < C; i++) {
            float apart = of_x.of[i] - mean[column + i];
            sums[i][0] += apart * apart;
        }
    });
}

KERNEL(batch_norm_squares, const T* __restrict__ x, const float* __restrict__ mean, float* __restrict__ partials, u32 rows,
       u32 width, u32 chunks, u32 rows_per_chunk, u32 by_fours) {
    if (by_fours)
        batch_norm_squares_by<4>(x, mean, partials, rows, width, chunks, rows_per_chunk);
    else
        batch_norm_squares_by<1>(x, mean, partials, rows, width, chunks, rows_per_chunk);
}

__device__ inline float inverse_deviation(float variance, float eps) { return 1.0f / sqrtf(variance + eps); }

KERNEL(batch_norm_forward, const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b,
       const float* __restrict__ mean, const float* __restrict__ variance, T* __restrict__ y, u32 n, u32 width, float eps) {
    map_values(x, y, n, [&](u32 i, float v) {
        u32 c = i % width;
        return (v - mean[c]) * (wide(w[c]) * inverse_deviation(variance[c], eps)) + wide(b[c]);
    });
}

template <u32 C>
__device__ inline void batch_norm_weight_sums_by(const T* x, const T* g, const float* mean, const float* variance,
                                                 float* partials, u32 rows, u32 width, u32 chunks, u32 rows_per_chunk,
                                                 float eps) {
    partial_sums<2, C>(partials, rows, width, chunks, rows_per_chunk, [&](size_t row, u32 column, float(&sums)[C][2]) {
        Side<C> of_x = side<C>(x + row * width + column), of_y = side<C>(g + row * width + column);
        for (u32 i = 0; i < C; i++) {
            float inverse = inverse_deviation(variance[column + i], eps);
            sums[i][0] += of_y.of[i] * (of_x.of[i] - mean[column + i]) * inverse;
            sums[i][1] += of_y.of[i];
        }
    });
}

// Sums of g n and of g.
KERNEL(batch_norm_weight_sums, const T* __restrict__ x, const T* __restrict__ g, const float* __restrict__ mean,
       const float* __restrict__ variance, float* __restrict__ partials, u32 rows, u32 width, u32 chunks,
       u32 rows_per_chunk, u32 by_fours, float eps) {
    if (by_fours)
        batch_norm_weight_sums_by<4>(x, g, mean, variance, partials, rows, width, chunks, rows_per_chunk, eps);
    else
        batch_norm_weight_sums_by<1>(x, g, mean, variance, partials, rows, width, chunks, rows_per_chunk, eps);
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
