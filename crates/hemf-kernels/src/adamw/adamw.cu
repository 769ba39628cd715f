// AdamW over many parameters at once; formulas in mod.rs. A block is for up to PER_BLOCK values of one parameter.
#include "../cuda/prelude.cuh"

// As in cuda.rs.
constexpr u32 PER_BLOCK = 4096;

// `first_block` of each parameter. The gradients are multiplied by `scale`, and by `more` where that is not null.
KERNEL(adamw, Changed parameters, Changed firsts, Changed seconds, Unchanged gradients, Sizes lengths, Sizes first_block,
       Numbers shrink, Numbers step, Numbers root_correction, const float* __restrict__ more, u32 count, float scale,
       float towards, float keep, float share, float eps) {
    u32 which = 0;
    while (which + 1 < count && blockIdx.x >= first_block.of[which + 1]) which++;
    float *p = parameters.of[which], *m = firsts.of[which], *v = seconds.of[which];
    const float* gradient = gradients.of[which];
    if (more) scale *= more[0];
    u32 from = (blockIdx.x - first_block.of[which]) * PER_BLOCK, to = min(from + PER_BLOCK, lengths.of[which]);
    for (u32 i = from + threadIdx.x; i < to; i += blockDim.x) {
        float g = gradient[i] * scale;
        m[i] += (g - m[i]) * towards;
        v[i] = v[i] * keep + g * g * share;
        p[i] = p[i] * shrink.of[which] - step.of[which] * m[i] / (sqrtf(v[i]) / root_correction.of[which] + eps);
    }
}
