// Attention along the lines of a map; formulas in mod.rs. A block is for one line and head: all that it reads is first
// brought to shared memory. A warp then works for one query (or key) at a time, its threads side by side over keys (or
// queries), then over channels.
#include "../cuda/prelude.cuh"

// Where the block's line and head begin, and how far its pixels are apart. `inner` lines lie side by side: 1 where lines are
// rows, W where they are columns.
struct Line {
    size_t start, step;
    u32 head;
};

__device__ inline Line line_of(u32 n, u32 inner, u32 heads, u32 d) {
    u32 line = blockIdx.x / heads, head = blockIdx.x % heads;
    size_t channels = size_t(heads) * d;
    return {(size_t(line / inner) * n * inner + line % inner) * channels + head * d, inner * channels, head};
}

// An odd distance between rows, so that threads side by side over rows use different banks.
__device__ inline u32 pitch_of(u32 d) { return d | 1; }

__device__ inline void fetch(float* to, const T* from, Line line, u32 n, u32 d) {
    for (u32 i = threadIdx.x; i < n * d; i += blockDim.x)
        to[i / d * pitch_of(d) + i % d] = wide(from[line.start + i / d * line.step + i % d]);
}

__device__ inline float dot(const float* a, const float* b, u32 d) {
    float sum = 0.0f;
    for (u32 c = 0; c < d; c++) sum += a[c] * b[c];
    return sum;
}

// The score of pixels i and j of the line.
__device__ inline float score(const float* q, const float* k, u32 i, u32 j, u32 d, float decay) {
    return dot(q + i * pitch_of(d), k + j * pitch_of(d), d) + decay * (i > j ? i - j : j - i);
}

// Turns the n scores of query i into exponentials below the largest, in `row`. The largest, and 1 / sum.
__device__ inline float2 exponentials(float* row, const float* q, const float* k, u32 i, u32 n, u32 d, float decay) {
    float most = -INFINITY, sum = 0.0f;
    for (u32 j = threadIdx.x % WARP; j < n; j += WARP) {
        row[j] = score(q, k, i, j, d, decay);
        most = fmaxf(most, row[j]);
    }
    most = warp_max(most);
    for (u32 j = threadIdx.x % WARP; j < n; j += WARP) {
        row[j] = expf(row[j] - most);
        sum += row[j];
    }
    return make_float2(most, 1.0f / warp_sum(sum));
}

// out[c] = factor * sum over j of row[j] matrix[j][c].
__device__ inline void weigh(T* out, const float* row, const float* matrix, u32 n, u32 d, float factor) {
    for (u32 c = threadIdx.x % WARP; c < d; c += WARP) {
        float sum = 0.0f;
        for (u32 j = 0; j < n; j++) sum += row[j] * matrix[j * pitch_of(d) + c];
        put(&out[c], sum * factor);
    }
}

KERNEL(axis_attention_forward, const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v,
       T* __restrict__ out, u32 n, u32 inner, u32 heads, u32 d, Numbers decay) {
    SHARED(float, shared);
    u32 map = n * pitch_of(d), warp = threadIdx.x / WARP;
    float *qs = shared, *ks = qs + map, *vs = ks + map, *row = vs + map + warp * n;
    Line line = line_of(n, inner, heads, d);
    fetch(qs, q, line, n, d);
    fetch(ks, k, line, n, d);
    fetch(vs, v, line, n, d);
    __syncthreads();
    for (u32 i = warp; i < n; i += blockDim.x / WARP) {
        float2 of_row = exponentials(row, qs, ks, i, n, d, decay.of[line.head]);
        __syncwarp();
        weigh(out + line.start + i * line.step, row, vs, n, d, of_row.y);
        __syncwarp();
    }
}

KERNEL(axis_attention_backward, const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v,
       const T* __restrict__ g, T* __restrict__ dq, T* __restrict__ dk, T* __restrict__ dv, u32 n, u32 inner, u32 heads,
       u32 d, Numbers decays) {
    SHARED(float, shared);
    u32 map = n * pitch_of(d), warp = threadIdx.x / WARP, warps = blockDim.x / WARP, lane = threadIdx.x % WARP;
    float *qs = shared, *ks = qs + map, *vs = ks + map, *gs = vs + map;
    // Of each query the largest score, 1 / sum of exponentials, and the sum over j of A_ij dA_ij.
    float *most = gs + map, *inverse = most + n, *common = inverse + n;
    float *weights = common + n + 2 * n * warp, *changes = weights + n;
    Line line = line_of(n, inner, heads, d);
    float decay = decays.of[line.head];
    u32 pitch = pitch_of(d);
    fetch(qs, q, line, n, d);
    fetch(ks, k, line, n, d);
    fetch(vs, v, line, n, d);
    fetch(gs, g, line, n, d);
    __syncthreads();
    // Each query: dq_i = sum over j of dS_ij k_j.
    for (u32 i = warp; i < n; i += warps) {
        float2 of_row = exponentials(weights, qs, ks, i, n, d, decay);
        float sum = 0.0f;
        for (u32 j = lane; j < n; j += WARP) {
            changes[j] = dot(gs + i * pitch, vs + j * pitch, d);
            weights[j] *= of_row.y;
            sum += weights[j] * changes[j];
        }
        sum = warp_sum(sum);
        for (u32 j = lane; j < n; j += WARP) changes[j] = weights[j] * (changes[j] - sum);
        if (lane == 0) most[i] = of_row.x, inverse[i] = of_row.y, common[i] = sum;
        __syncwarp();
        weigh(dq + line.start + i * line.step, changes, ks, n, d, 1.0f);
        __syncwarp();
    }
    __syncthreads();
    // Each key: dk_j = sum over i of dS_ij q_i, dv_j = sum over i of A_ij g_i, with A and dS made again.
    for (u32 j = warp; j < n; j += warps) {
        for (u32 i = lane; i < n; i += WARP) {
            weights[i] = expf(score(qs, ks, i, j, d, decay) - most[i]) * inverse[i];
            changes[i] = weights[i] * (dot(gs + i * pitch, vs + j * pitch, d) - common[i]);
        }
        __syncwarp();
        weigh(dk + line.start + j * line.step, changes, qs, n, d, 1.0f);
        weigh(dv + line.start + j * line.step, weights, gs, n, d, 1.0f);
        __syncwarp();
    }
}
