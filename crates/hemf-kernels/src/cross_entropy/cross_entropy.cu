// Cross entropy; formulas in mod.rs. A warp for each row of logits.
#include "../cuda/prelude.cuh"

// ln of the sum of the exponentials of a row, known to all threads of the warp.
__device__ inline float log_sum_exp(const T* x, u32 classes) {
    float most = -INFINITY, sum = 0.0f;
    for (u32 k = threadIdx.x % WARP; k < classes; k += WARP) most = fmaxf(most, wide(x[k]));
    most = warp_max(most);
    for (u32 k = threadIdx.x % WARP; k < classes; k += WARP) sum += expf(wide(x[k]) - most);
    return most + logf(warp_sum(sum));
}

// (1 - p)^focus of the class whose -ln p is `surprise`; 1 - p keeps its digits where p is nearly 1.
__device__ inline float focused(float surprise, float focus) {
    return focus == 0.0f ? 1.0f : powf(-expm1f(-surprise), focus);
}

// Each row's part of the loss: losses (rows).
KERNEL(cross_entropy_forward, const T* __restrict__ x, const float* __restrict__ targets, float* __restrict__ losses,
       u32 rows, u32 classes, float focus) {
    size_t row = place() / WARP;
    if (row >= rows) return;
    x += row * classes, targets += row * classes;
    float total = log_sum_exp(x, classes), sum = 0.0f;
    for (u32 k = threadIdx.x % WARP; k < classes; k += WARP) {
        // A class that is no target may have a logit of minus infinity: 0 times that is left out.
        if (targets[k] <= 0.0f) continue;
        float surprise = total - wide(x[k]);
        sum += targets[k] * focused(surprise, focus) * surprise;
    }
    sum = warp_sum(sum);
    if (threadIdx.x % WARP == 0) losses[row] = sum;
}

// h / T of mod.rs: f p (1 - p)^(f - 1) ln p - (1 - p)^f, with its limits at p = 0 and p = 1.
__device__ inline float pull(float surprise, float focus) {
    if (focus == 0.0f) return -1.0f;
    float p = expf(-surprise), rest = -expm1f(-surprise);
    if (rest <= 0.0f) return 0.0f;
    if (p == 0.0f) return -1.0f;
    return -focus * p * powf(rest, focus - 1.0f) * surprise - powf(rest, focus);
}

KERNEL(cross_entropy_backward, const T* __restrict__ x, const float* __restrict__ targets, const T* __restrict__ g,
       T* __restrict__ dx, u32 rows, u32 classes, float focus) {
    size_t row = place() / WARP;
    if (row >= rows) return;
    x += row * classes, targets += row * classes, dx += row * classes;
    float total = log_sum_exp(x, classes), sum = 0.0f;
    for (u32 k = threadIdx.x % WARP; k < classes; k += WARP) sum += targets[k] * pull(total - wide(x[k]), focus);
    sum = warp_sum(sum);
    for (u32 k = threadIdx.x % WARP; k < classes; k += WARP) {
        float surprise = total - wide(x[k]);
        put(&dx[k], wide(g[0]) * (targets[k] * pull(surprise, focus) - expf(-surprise) * sum));
    }
}
