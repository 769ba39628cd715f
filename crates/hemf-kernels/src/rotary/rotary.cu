// Rotary positions, a thread for each pair of channels; formulas in mod.rs.
#include "../cuda/prelude.cuh"

// `back` for the gradient: the same with the two sines of a pair swapped and negated.
KERNEL(rotary, const T* __restrict__ x, const float* __restrict__ sin, const float* __restrict__ cos, T* __restrict__ y,
       u32 pairs, u32 channels, u32 positions, u32 d, u32 back) {
    size_t i = place();
    if (i >= pairs) return;
    i *= 2;
    size_t at = i / channels % positions * d + i % channels % d;
    float a = wide(x[i]), b = wide(x[i + 1]);
    float of_b = back ? sin[at + 1] : -sin[at], of_a = back ? -sin[at] : sin[at + 1];
    put(&y[i], a * cos[at] + b * of_b);
    put(&y[i + 1], b * cos[at + 1] + a * of_a);
}
