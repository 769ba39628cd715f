// Depthwise convolution, stride 1; formulas in mod.rs. A thread is for one channel of a strip of pixels in a row, so that
// threads side by side read channels side by side, and what the strip's windows share is read once.
#include "../cuda/columns.cuh"

// Pixels of a strip, as in cuda.rs.
constexpr u32 STRIP = 4;

// y = x convolved, with the kernel turned by 180 degrees and without the bias where `turned` (the gradient of x).
template <u32 K>
__device__ inline void convolve(const T* x, const T* w, const T* b, T* y, u32 strips, u32 height, u32 width, u32 channels,
                                u32 turned) {
    size_t i = place();
    if (i >= size_t(strips) * channels) return;
    u32 c = i % channels, strip = i / channels;
    u32 in_row = (width + STRIP - 1) / STRIP, left = strip % in_row * STRIP, row = strip / in_row % height;
    size_t image = size_t(strip / in_row / height) * height * width;
    float taps[K * K];
    for (u32 tap = 0; tap < K * K; tap++) taps[tap] = wide(w[c * K * K + (turned ? K * K - 1 - tap : tap)]);
    float sums[STRIP];
    for (u32 j = 0; j < STRIP; j++) sums[j] = turned ? 0.0f : wide(b[c]);
    for (u32 ky = 0; ky < K; ky++) {
        // Below 0 wraps around to far beyond the map.
        u32 from = row + ky - K / 2;
        if (from >= height) continue;
        for (u32 kx = 0; kx < K + STRIP - 1; kx++) {
            u32 at = left + kx - K / 2;
            float value = at < width ? wide(x[(image + size_t(from) * width + at) * channels + c]) : 0.0f;
            for (u32 j = 0; j < STRIP; j++)
                if (kx >= j && kx - j < K) sums[j] += taps[ky * K + kx - j] * value;
        }
    }
    for (u32 j = 0; j < STRIP && left + j < width; j++)
        put(&y[(image + size_t(row) * width + left + j) * channels + c], sums[j]);
}

// dW and db: K * K sums of g times the value under each tap, and the sum of g. Rows are pixels.
template <u32 K>
__device__ inline void weight_sums(const T* x, const T* g, float* partials, u32 pixels, u32 channels, u32 chunks,
                                   u32 rows_per_chunk, u32 height, u32 width) {
    partial_sums<K * K + 1, 1>(partials, pixels, channels, chunks, rows_per_chunk, [&](size_t pixel, u32 c, float(&all)[1][K * K + 1]) {
        float(&sums)[K * K + 1] = all[0];
        float of_y = wide(g[pixel * channels + c]);
        u32 column = pixel % width, row = pixel / width % height;
        for (u32 ky = 0; ky < K; ky++)
            for (u32 kx = 0; kx < K; kx++) {
                u32 from = row + ky - K / 2, at = column + kx - K / 2;
                if (from < height && at < width)
                    sums[ky * K + kx] += of_y * wide(x[(pixel - row * width - column + size_t(from) * width + at) * channels + c]);
            }
        sums[K * K] += of_y;
    });
}

#define DEPTHWISE(K)                                                                                                       \
    KERNEL(depthwise_##K, const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b, T* __restrict__ y,    \
           u32 strips, u32 height, u32 width, u32 channels, u32 turned) {                                                  \
        convolve<K>(x, w, b, y, strips, height, width, channels, turned);                                                  \
    }                                                                                                                      \
    KERNEL(depthwise_weight_sums_##K, const T* __restrict__ x, const T* __restrict__ g, float* __restrict__ partials,      \
           u32 pixels, u32 channels, u32 chunks, u32 rows_per_chunk, u32 height, u32 width) {                              \
        weight_sums<K>(x, g, partials, pixels, channels, chunks, rows_per_chunk, height, width);                           \
    }

DEPTHWISE(3)
DEPTHWISE(5)
DEPTHWISE(7)
