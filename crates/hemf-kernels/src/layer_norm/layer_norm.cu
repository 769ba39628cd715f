// Layer norm, a warp for each row; formulas in mod.rs.
//
// Rows that come in fours of channels and are not too wide are read once, by fours, into registers: kernels of a number are for
// rows of up to so many fours in each thread. That of 0 reads its rows again whenever it needs them.
#include "../cuda/columns.cuh"

// Calls run(k, channel) for the thread's fours of a row.
template <u32 HELD, class Run>
__device__ inline void each_four(u32 width, Run run) {
    for (u32 k = 0; k < HELD; k++) {
        u32 c = (k * WARP + threadIdx.x % WARP) * 4;
        if (c < width) run(k, c);
    }
}

// Mean and 1 / sqrt(variance + eps) of a row, known to all threads of the warp. The variance is around the mean.
template <u32 HELD>
__device__ inline float2 statistics_of(const Four<float> (&x)[HELD], u32 width, float eps) {
    float sum = 0.0f, squares = 0.0f;
    each_four<HELD>(width, [&](u32 k, u32) {
        for (u32 i = 0; i < 4; i++) sum += x[k].of[i];
    });
    float mean = warp_sum(sum) / width;
    each_four<HELD>(width, [&](u32 k, u32) {
        for (u32 i = 0; i < 4; i++) squares += (x[k].of[i] - mean) * (x[k].of[i] - mean);
    });
    return make_float2(mean, 1.0f / sqrtf(warp_sum(squares) / width + eps));
}

// The same of a row that is read twice, the second time from the cache.
__device__ inline float2 statistics_of(const T* x, u32 width, float eps) {
    float sum = 0.0f, squares = 0.0f;
    for (u32 c = threadIdx.x % WARP; c < width; c += WARP) sum += wide(x[c]);
    float mean = warp_sum(sum) / width;
    for (u32 c = threadIdx.x % WARP; c < width; c += WARP) squares += (wide(x[c]) - mean) * (wide(x[c]) - mean);
    return make_float2(mean, 1.0f / sqrtf(warp_sum(squares) / width + eps));
}

template <u32 HELD>
__device__ inline void normalise(const T* x, const T* w, const T* b, T* y, u32 width, float eps) {
    Four<float> values[HELD];
    each_four<HELD>(width, [&](u32 k, u32 c) { values[k] = wide_four(x + c); });
    float2 of_row = statistics_of(values, width, eps);
    each_four<HELD>(width, [&](u32 k, u32 c) {
        Four<float> of_w = wide_four(w + c), of_b = wide_four(b + c);
        for (u32 i = 0; i < 4; i++)
            values[k].of[i] = (values[k].of[i] - of_row.x) * of_row.y * of_w.of[i] + of_b.of[i];
        put_wide_four(y + c, values[k]);
    });
}

template <>
__device__ inline void normalise<0>(const T* x, const T* w, const T* b, T* y, u32 width, float eps) {
    float2 of_row = statistics_of(x, width, eps);
    for (u32 c = threadIdx.x % WARP; c < width; c += WARP)
        put(&y[c], (wide(x[c]) - of_row.x) * of_row.y * wide(w[c]) + wide(b[c]));
}

// dx; the row's mean and 1 / deviation.
template <u32 HELD>
__device__ inline float2 normalise_back(const T* x, const T* w, const T* g, T* dx, u32 width, float eps) {
    Four<float> n[HELD], h[HELD];
    each_four<HELD>(width, [&](u32 k, u32 c) { n[k] = wide_four(x + c), h[k] = wide_four(g + c); });
    float2 of_row = statistics_of(n, width, eps);
    float h_sum = 0.0f, hn_sum = 0.0f;
    each_four<HELD>(width, [&](u32 k, u32 c) {
        Four<float> of_w = wide_four(w + c);
        for (u32 i = 0; i < 4; i++) {
            n[k].of[i] = (n[k].of[i] - of_row.x) * of_row.y, h[k].of[i] *= of_w.of[i];
            h_sum += h[k].of[i], hn_sum += h[k].of[i] * n[k].of[i];
        }
    });
    float h_mean = warp_sum(h_sum) / width, hn_mean = warp_sum(hn_sum) / width;
    each_four<HELD>(width, [&](u32 k, u32 c) {
        for (u32 i = 0; i < 4; i++) h[k].of[i] = (h[k].of[i] - h_mean - n[k].of[i] * hn_mean) * of_row.y;
        put_wide_four(dx + c, h[k]);
    });
    return of_row;
}

template <>
__device__ inline float2 normalise_back<0>(const T* x, const T* w, const T* g, T* dx, u32 width, float eps) {
    float2 of_row = statistics_of(x, width, eps);
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
    return of_row;
}

// Backward also gives each row's mean and 1 / deviation for the sums over rows below: statistics (rows, 2).
#define LAYER_NORM(HELD)                                                                                                   \
    KERNEL(layer_norm_forward_##HELD, const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b,           \
           T* __restrict__ y, u32 rows, u32 width, float eps) {                                                            \
        size_t row = place() / WARP;                                                                                       \
        if (row < rows) normalise<HELD>(x + row * width, w, b, y + row * width, width, eps);                                 \
    }                                                                                                                      \
    KERNEL(layer_norm_backward_##HELD, const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ g,          \
           T* __restrict__ dx, float* __restrict__ statistics, u32 rows, u32 width, float eps) {                           \
        size_t row = place() / WARP;                                                                                       \
        if (row >= rows) return;                                                                                           \
        float2 of_row = normalise_back<HELD>(x + row * width, w, g + row * width, dx + row * width, width, eps);                 \
        if (threadIdx.x % WARP == 0) statistics[2 * row] = of_row.x, statistics[2 * row + 1] = of_row.y;                   \
    }

// As in cuda.rs.
LAYER_NORM(0)
LAYER_NORM(1)
LAYER_NORM(3)
LAYER_NORM(6)

template <u32 C>
__device__ inline void layer_norm_weight_sums_by(const T* x, const T* g, const float* statistics, float* partials, u32 rows,
                                                 u32 width, u32 chunks, u32 rows_per_chunk) {
    partial_sums<2, C>(partials, rows, width, chunks, rows_per_chunk, [&](size_t row, u32 column, float(&sums)[C][2]) {
        Side<C> of_x = side<C>(x + row * width + column), of_y = side<C>(g + row * width + column);
        float mean = statistics[2 * row], inverse = statistics[2 * row + 1];
        for (u32 i = 0; i < C; i++) {
            sums[i][0] += of_y.of[i] * (of_x.of[i] - mean) * inverse;
            sums[i][1] += of_y.of[i];
        }
    });
}

// dw and db.
KERNEL(layer_norm_weight_sums, const T* __restrict__ x, const T* __restrict__ g, const float* __restrict__ statistics,
       float* __restrict__ partials, u32 rows, u32 width, u32 chunks, u32 rows_per_chunk, u32 by_fours) {
    if (by_fours)
        layer_norm_weight_sums_by<4>(x, g, statistics, partials, rows, width, chunks, rows_per_chunk);
    else
        layer_norm_weight_sums_by<1>(x, g, statistics, partials, rows, width, chunks, rows_per_chunk);
}
