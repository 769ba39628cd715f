// Maps side by side along the channels, a thread for each value.
#include "../cuda/prelude.cuh"

// Of two or three maps; `in_c` is 0 for two, and c is not read.
KERNEL(concat, const T* __restrict__ a, const T* __restrict__ b, const T* __restrict__ c, T* __restrict__ y, u32 n, u32 in_a,
       u32 in_b, u32 in_c) {
    size_t i = place();
    if (i >= n) return;
    u32 width = in_a + in_b + in_c, at = i % width;
    size_t row = i / width;
    if (at < in_a)
        y[i] = a[row * in_a + at];
    else if (at < in_a + in_b)
        y[i] = b[row * in_b + at - in_a];
    else
        y[i] = c[row * in_c + at - in_a - in_b];
}

// The channels from `first` on of rows of `width`, n values in rows of `part`: the gradient of one of the maps.
KERNEL(cut, const T* __restrict__ x, T* __restrict__ y, u32 n, u32 width, u32 first, u32 part) {
    size_t i = place();
    if (i < n) y[i] = x[i / part * width + first + i % part];
}
