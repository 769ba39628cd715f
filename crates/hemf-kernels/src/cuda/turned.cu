#include "prelude.cuh"

// Matrices (n / rows / width, rows, width), each turned.
template <class Out>
__device__ inline void turned(const T* x, Out* y, u32 n, u32 rows, u32 width) {
    size_t i = place();
    if (i >= n) return;
    size_t matrix = i / rows / width, row = i % rows, column = i / rows % width;
    put(&y[i], wide(x[(matrix * rows + row) * width + column]));
}

KERNEL(turn, const T* __restrict__ x, T* __restrict__ y, u32 n, u32 rows, u32 width) { turned(x, y, n, rows, width); }

KERNEL(turn_wide, const T* __restrict__ x, float* __restrict__ y, u32 n, u32 rows, u32 width) {
    turned(x, y, n, rows, width);
}
