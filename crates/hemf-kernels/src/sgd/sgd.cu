// SGD with momentum over many parameters at once; formulas in mod.rs.
#include "../cuda/several.cuh"

// `first_block` of each parameter. The gradients are multiplied by `scale`, and by `more` where that is not null.
KERNEL(sgd, Changed parameters, Changed momenta, Unchanged gradients, Sizes lengths, Sizes first_block, Numbers rate,
       Numbers decay, const float* __restrict__ more, u32 count, u32 nesterov, float scale, float keep) {
    Stretch mine = stretch_of(lengths, first_block, count);
    u32 which = mine.which;
    float *p = parameters.of[which], *m = momenta.of[which];
    const float* gradient = gradients.of[which];
    if (more) scale *= more[0];
    for (u32 i = mine.from + threadIdx.x; i < mine.to; i += blockDim.x) {
        float g = gradient[i] * scale + decay.of[which] * p[i];
        m[i] = keep * m[i] + g;
        p[i] -= rate.of[which] * (nesterov ? g + keep * m[i] : m[i]);
    }
}
