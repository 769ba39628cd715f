// What follows a product; formulas in mod.rs.
#include "../activation/activation.cuh"

// As in cuda.rs.
constexpr u32 GELU = 1, RELU = 2;

// `bias` and `residual` where they are not null.
KERNEL(ending_forward, const T* __restrict__ product, const T* __restrict__ bias, const T* __restrict__ residual,
       T* __restrict__ y, u32 n, u32 width, u32 activation) {
    T of_product[VALUES], of_residual[VALUES];
    each_value(n, [&](u32 k, u32 i) {
        of_product[k] = product[i];
        if (residual) of_residual[k] = residual[i];
    });
    each_value(n, [&](u32 k, u32 i) {
        float z = wide(of_product[k]);
        if (bias) z += wide(bias[i % width]);
        if (activation == GELU) z = gelu(z);
        if (activation == RELU) z = relu(z);
        if (residual) z += wide(of_residual[k]);
        put(&y[i], z);
    });
}

// The gradient of product and bias, where there is an activation.
KERNEL(ending_backward, const T* __restrict__ product, const T* __restrict__ bias, const T* __restrict__ g, T* __restrict__ dz,
       u32 n, u32 width, u32 activation) {
    map_values(product, g, dz, n, [&](u32 i, float z, float of_y) {
        if (bias) z += wide(bias[i % width]);
        return activation == GELU ? of_y * gelu_slope(z) : z > 0.0f ? of_y : 0.0f;
    });
}
