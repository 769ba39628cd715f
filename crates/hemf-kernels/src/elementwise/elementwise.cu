// Sum and product of two maps, value by value.
#include "../cuda/prelude.cuh"

KERNEL(add, const T* __restrict__ x, const T* __restrict__ y, T* __restrict__ z, u32 n) {
    map_values(x, y, z, n, [](u32, float a, float b) { return a + b; });
}

KERNEL(mul, const T* __restrict__ x, const T* __restrict__ y, T* __restrict__ z, u32 n) {
    map_values(x, y, z, n, [](u32, float a, float b) { return a * b; });
}
