// Activations, one thread for each value.
#include "../cuda/prelude.cuh"

// The standard normal's cumulative function and density.
__device__ inline float normal(float x) { return 0.5f * erfcf(-0.70710678f * x); }
__device__ inline float density(float x) { return 0.39894228f * expf(-0.5f * x * x); }

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

KERNEL(gelu_forward, const T* __restrict__ x, T* __restrict__ y, u32 n) {
    size_t i = place();
    if (i >= n) return;
    float v = wide(x[i]);
    put(&y[i], v * normal(v));
}

KERNEL(gelu_backward, const T* __restrict__ x, const T* __restrict__ g, T* __restrict__ dx, u32 n) {
    size_t i = place();
    if (i >= n) return;
    float v = wide(x[i]);
    put(&dx[i], wide(g[i]) * (normal(v) + v * density(v)));
}

// What is not a number stays one.
KERNEL(relu_forward, const T* __restrict__ x, T* __restrict__ y, u32 n) {
    size_t i = place();
    if (i >= n) return;
    float v = wide(x[i]);
    put(&y[i], v < 0.0f ? 0.0f : v);
}

KERNEL(relu_backward, const T* __restrict__ x, const T* __restrict__ g, T* __restrict__ dx, u32 n) {
    size_t i = place();
    if (i >= n) return;
    put(&dx[i], wide(x[i]) > 0.0f ? wide(g[i]) : 0.0f);
}

KERNEL(sigmoid_forward, const T* __restrict__ x, T* __restrict__ y, u32 n) {
    size_t i = place();
    if (i >= n) return;
    put(&y[i], sigmoid(wide(x[i])));
}

// From the result y.
KERNEL(sigmoid_backward, const T* __restrict__ y, const T* __restrict__ g, T* __restrict__ dx, u32 n) {
    size_t i = place();
    if (i >= n) return;
    float s = wide(y[i]);
    put(&dx[i], wide(g[i]) * s * (1.0f - s));
}
