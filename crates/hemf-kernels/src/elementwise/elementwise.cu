// Sum and product of two maps, one thread for each value.
#include "../cuda/prelude.cuh"

KERNEL(add, const T* __restrict__ x, const T* __restrict__ y, T* __restrict__ z, u32 n) {
    size_t i = place();
    if (i < n) put(&z[i], wide(x[i]) + wide(y[i]));
}

KERNEL(mul, const T* __restrict__ x, const T* __restrict__ y, T* __restrict__ z, u32 n) {
    size_t i = place();
    if (i < n) put(&z[i], wide(x[i]) * wide(y[i]));
}
