// Pools; meanings in mod.rs.
#include "../cuda/prelude.cuh"

// The mean of each 2x2 cell.
KERNEL(avg_pool2_forward, const T* __restrict__ x, T* __restrict__ y, u32 n, u32 height, u32 width, u32 channels) {
    size_t i = place();
    if (i >= n) return;
    u32 c = i % channels, right = width / 2, down = height / 2;
    size_t pixel = i / channels, image = pixel / right / down;
    size_t row = 2 * (pixel / right % down), column = 2 * (pixel % right);
    const T* at = x + ((image * height + row) * width + column) * channels + c;
    size_t below = size_t(width) * channels;
    put(&y[i], 0.25f * (wide(at[0]) + wide(at[channels]) + wide(at[below]) + wide(at[below + channels])));
}

// A last odd row or column gets nothing.
KERNEL(avg_pool2_backward, const T* __restrict__ g, T* __restrict__ dx, u32 n, u32 height, u32 width, u32 channels) {
    size_t i = place();
    if (i >= n) return;
    u32 c = i % channels, right = width / 2, down = height / 2;
    size_t pixel = i / channels, image = pixel / width / height;
    size_t row = pixel / width % height / 2, column = pixel % width / 2;
    bool inside = row < down && column < right;
    put(&dx[i], inside ? 0.25f * wide(g[((image * down + row) * right + column) * channels + c]) : 0.0f);
}

// The largest of a row of `width` values, known to all threads of the warp.
__device__ inline float row_max(const T* x, u32 width) {
    float most = -INFINITY;
    for (u32 c = threadIdx.x % WARP; c < width; c += WARP) most = fmaxf(most, wide(x[c]));
    return warp_max(most);
}

// Mean and maximum over the channels, a warp for each pixel.
KERNEL(channel_mean_max_forward, const T* __restrict__ x, T* __restrict__ y, u32 pixels, u32 channels) {
    size_t pixel = place() / WARP;
    if (pixel >= pixels) return;
    x += pixel * channels;
    float sum = 0.0f, most = row_max(x, channels);
    for (u32 c = threadIdx.x % WARP; c < channels; c += WARP) sum += wide(x[c]);
    sum = warp_sum(sum);
    if (threadIdx.x % WARP == 0) put(&y[2 * pixel], sum / channels), put(&y[2 * pixel + 1], most);
}

KERNEL(channel_mean_max_backward, const T* __restrict__ x, const T* __restrict__ g, T* __restrict__ dx, u32 pixels,
       u32 channels) {
    size_t pixel = place() / WARP;
    if (pixel >= pixels) return;
    x += pixel * channels, dx += pixel * channels;
    float most = row_max(x, channels);
    // The first place that holds it: places are numbers that a float has exactly.
    float first = -INFINITY;
    for (u32 c = threadIdx.x % WARP; c < channels && first == -INFINITY; c += WARP)
        if (wide(x[c]) == most) first = -float(c);
    first = -warp_max(first);
    float of_mean = wide(g[2 * pixel]) / channels, of_max = wide(g[2 * pixel + 1]);
    for (u32 c = threadIdx.x % WARP; c < channels; c += WARP) put(&dx[c], of_mean + (c == first ? of_max : 0.0f));
}

// Mean and maximum over the pixels of an image, and the first pixel that holds the maximum: y (images, 2, channels), first
// (images, channels). A block is for an image and 32 channels; its threads are 32 channels by as many pixels as fit.
KERNEL(pixel_mean_max_forward, const T* __restrict__ x, T* __restrict__ y, u32* __restrict__ first, u32 pixels,
       u32 channels) {
    SHARED(float, shared);
    u32 deep = blockDim.x / WARP, tiles = (channels + WARP - 1) / WARP;
    u32 c = blockIdx.x % tiles * WARP + threadIdx.x % WARP;
    size_t image = blockIdx.x / tiles;
    float *sums = shared, *largest = sums + blockDim.x;
    u32* places = reinterpret_cast<u32*>(largest + blockDim.x);
    float sum = 0.0f, most = -INFINITY;
    u32 at = threadIdx.x / WARP;
    for (u32 pixel = at; c < channels && pixel < pixels; pixel += deep) {
        float value = wide(x[(image * pixels + pixel) * channels + c]);
        sum += value;
        if (value > most) most = value, at = pixel;
    }
    sums[threadIdx.x] = sum, largest[threadIdx.x] = most, places[threadIdx.x] = at;
    __syncthreads();
    if (threadIdx.x >= WARP || c >= channels) return;
    for (u32 other = threadIdx.x + WARP; other < blockDim.x; other += WARP) {
        sum += sums[other];
        if (largest[other] > most || (largest[other] == most && places[other] < at))
            most = largest[other], at = places[other];
    }
    put(&y[image * 2 * channels + c], sum / pixels);
    put(&y[(image * 2 + 1) * channels + c], most);
    first[image * channels + c] = at;
}

KERNEL(pixel_mean_max_backward, const T* __restrict__ g, const u32* __restrict__ first, T* __restrict__ dx, u32 n,
       u32 pixels, u32 channels) {
    size_t i = place();
    if (i >= n) return;
    u32 c = i % channels, pixel = i / channels % pixels;
    size_t image = i / channels / pixels;
    float of_mean = wide(g[image * 2 * channels + c]) / pixels, of_max = wide(g[(image * 2 + 1) * channels + c]);
    put(&dx[i], of_mean + (pixel == first[image * channels + c] ? of_max : 0.0f));
}

KERNEL(pixel_sum_backward, const T* __restrict__ g, T* __restrict__ dx, u32 n, u32 pixels, u32 channels, float divisor) {
    size_t i = place();
    if (i < n) put(&dx[i], wide(g[i / channels / pixels * channels + i % channels]) / divisor);
}
