// What surrounds the products of a convolution, which are cuBLAS's: the patches under all output pixels as a matrix, and
// back. Formulas in mod.rs.
#include "../cuda/prelude.cuh"

// The patches, (images out_height out_width, k k inputs), ordered (ky, kx, c): a thread for each of n values.
KERNEL(patches, const T* __restrict__ x, T* __restrict__ columns, u32 n, u32 height, u32 width, u32 inputs, u32 k, u32 stride,
       u32 padding, u32 out_height, u32 out_width) {
    size_t i = place();
    if (i >= n) return;
    u32 c = i % inputs, tap = i / inputs % (k * k);
    size_t pixel = i / inputs / (k * k), image = pixel / out_width / out_height;
    // Before the first row or column wraps around to far beyond the map.
    u32 row = pixel / out_width % out_height * stride + tap / k - padding;
    u32 column = pixel % out_width * stride + tap % k - padding;
    bool inside = row < height && column < width;
    put(&columns[i], inside ? wide(x[((image * height + row) * width + column) * inputs + c]) : 0.0f);
}

// Adds each patch value's gradient to the pixel it came from: a thread for each of n pixels' channels gathers its own.
KERNEL(patches_backward, const T* __restrict__ columns, T* __restrict__ dx, u32 n, u32 height, u32 width, u32 inputs, u32 k,
       u32 stride, u32 padding, u32 out_height, u32 out_width) {
    size_t i = place();
    if (i >= n) return;
    u32 c = i % inputs, column = i / inputs % width, row = i / inputs / width % height;
    size_t image = i / inputs / width / height;
    float sum = 0.0f;
    for (u32 ky = 0; ky < k; ky++) {
        u32 down = row + padding - ky;
        if (down % stride || down / stride >= out_height) continue;
        for (u32 kx = 0; kx < k; kx++) {
            u32 right = column + padding - kx;
            if (right % stride || right / stride >= out_width) continue;
            size_t pixel = (image * out_height + down / stride) * out_width + right / stride;
            sum += wide(columns[(pixel * k * k + ky * k + kx) * inputs + c]);
        }
    }
    put(&dx[i], sum);
}
