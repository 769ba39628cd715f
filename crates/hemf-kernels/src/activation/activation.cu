// Activations, value by value.
#include "activation.cuh"

KERNEL(gelu_forward, const T* __restrict__ x, T* __restrict__ y, u32 n) {
    map_values(x, y, n, [](u32, float v) { return gelu(v); });
}

KERNEL(gelu_backward, const T* __restrict__ x, const T* __restrict__ g, T* __restrict__ dx, u32 n) {
    map_values(x, g, dx, n, [](u32, float v, float of_y) { return of_y * gelu_slope(v); });
}

KERNEL(relu_forward, const T* __restrict__ x, T* __restrict__ y, u32 n) {
    map_values(x, y, n, [](u32, float v) { return relu(v); });
}

KERNEL(relu_backward, const T* __restrict__ x, const T* __restrict__ g, T* __restrict__ dx, u32 n) {
    map_values(x, g, dx, n, [](u32, float v, float of_y) { return v > 0.0f ? of_y : 0.0f; });
}

KERNEL(sigmoid_forward, const T* __restrict__ x, T* __restrict__ y, u32 n) {
    map_values(x, y, n, [](u32, float v) { return sigmoid(v); });
}

// From the result y.
KERNEL(sigmoid_backward, const T* __restrict__ y, const T* __restrict__ g, T* __restrict__ dx, u32 n) {
    map_values(y, g, dx, n, [](u32, float s, float of_y) { return of_y * s * (1.0f - s); });
}
