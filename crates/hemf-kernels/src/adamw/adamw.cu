// AdamW over many parameters at once; formulas in mod.rs.
#include "../cuda/several.cuh"

// `first_block` of each parameter. The gradients are multiplied by `scale`, and by `more` where that is not null.
KERNEL(adamw, Changed parameters, Changed firsts, Changed seconds, Unchanged gradients, Sizes lengths, Sizes first_block,
       Numbers shrink, Numbers step, Numbers root_correction, const float* __restrict__ more, u32 count, float scale,
       float towards, float keep, float share, float eps) {
    Stretch mine = stretch_of(lengths, first_block, count);
    u32 which = mine.which;
    float *p = parameters.of[which], *m = firsts.of[which], *v = seconds.of[which];
    const float* gradient = gradients.of[which];
    if (more) scale *= more[0];
    for (u32 i = mine.from + threadIdx.x; i < mine.to; i += blockDim.x) {
        float g = gradient[i] * scale;
        m[i] += (g - m[i]) * towards;
        v[i] = v[i] * keep + g * g * share;
        p[i] = p[i] * shrink.of[which] - step.of[which] * m[i] / (sqrtf(v[i]) / root_correction.of[which] + eps);
    }
}
