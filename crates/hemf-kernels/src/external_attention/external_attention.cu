// External attention; formulas in mod.rs. Nothing of the size of A is kept: scores are made again wherever they are needed.
// Both memories are brought to shared memory; a warp works for a token at a time, its threads side by side over the slots,
// then over the channels.
#include "../cuda/prelude.cuh"

// Slots of a thread of a warp, as in cuda.rs: there are at most 128.
constexpr u32 SLOTS = 4;
// The least normal number: what is below has no direction left.
constexpr float LEAST = 1.17549435e-38f;

// t (images, tokens, heads, d), Mk (slots, d), Mv (d, slots).
struct Memories {
    u32 tokens, heads, d, slots;
};

// Where token n of an image and head (`task`) begins.
__device__ inline size_t token_at(Memories sizes, u32 task, u32 n) {
    return ((size_t(task / sizes.heads) * sizes.tokens + n) * sizes.heads + task % sizes.heads) * sizes.d;
}

// Odd, so that threads side by side over rows use different banks.
__device__ inline u32 pitch_of(Memories sizes) { return sizes.d | 1; }

// Mk to (slots, pitch).
__device__ inline void fetch_keys(float* to, const T* mk, Memories sizes) {
    for (u32 i = threadIdx.x; i < sizes.slots * sizes.d; i += blockDim.x)
        to[i / sizes.d * pitch_of(sizes) + i % sizes.d] = wide(mk[i]);
}

// Mv turned to (slots, pitch) as well.
__device__ inline void fetch_values(float* to, const T* mv, Memories sizes) {
    for (u32 i = threadIdx.x; i < sizes.slots * sizes.d; i += blockDim.x)
        to[i % sizes.slots * pitch_of(sizes) + i / sizes.slots] = wide(mv[i]);
}

__device__ inline float product(const T* token, const float* row, u32 d) {
    float sum = 0.0f;
    for (u32 c = 0; c < d; c++) sum += wide(token[c]) * row[c];
    return sum;
}

// Of each slot the largest score of all tokens of an image and head, and 1 / the sum of exponentials below it: statistics
// (tasks, slots, 2). A block for each image and head.
KERNEL(external_attention_statistics, const T* __restrict__ t, const T* __restrict__ mk, float* __restrict__ statistics,
       u32 tokens, u32 heads, u32 d, u32 slots) {
    SHARED(float, keys);
    Memories sizes = {tokens, heads, d, slots};
    u32 warp = threadIdx.x / WARP, warps = blockDim.x / WARP, lane = threadIdx.x % WARP, task = blockIdx.x;
    float *largest = keys + slots * pitch_of(sizes), *sums = largest + warps * slots;
    fetch_keys(keys, mk, sizes);
    __syncthreads();
    for (u32 s = lane; s < slots; s += WARP) {
        float most = -INFINITY, sum = 0.0f;
        for (u32 n = warp; n < tokens; n += warps) {
            float score = product(t + token_at(sizes, task, n), keys + s * pitch_of(sizes), d);
            if (score > most) sum *= expf(most - score), most = score;
            sum += expf(score - most);
        }
        largest[warp * slots + s] = most, sums[warp * slots + s] = sum;
    }
    __syncthreads();
    for (u32 s = threadIdx.x; s < slots; s += blockDim.x) {
        float most = -INFINITY, sum = 0.0f;
        for (u32 w = 0; w < warps; w++) most = fmaxf(most, largest[w * slots + s]);
        // A warp without a token has -infinity, and adds nothing.
        for (u32 w = 0; w < warps; w++) sum += sums[w * slots + s] * expf(largest[w * slots + s] - most);
        statistics[(size_t(task) * slots + s) * 2] = most;
        statistics[(size_t(task) * slots + s) * 2 + 1] = 1.0f / sum;
    }
}

// A token's row of P in `row`; r, the sum over its slots.
__device__ inline float over_tokens(float* row, const T* token, const float* keys, const float* statistics, Memories sizes) {
    float sum = 0.0f;
    for (u32 s = threadIdx.x % WARP; s < sizes.slots; s += WARP) {
        float score = product(token, keys + s * pitch_of(sizes), sizes.d);
        row[s] = expf(score - statistics[2 * s]) * statistics[2 * s + 1];
        sum += row[s];
    }
    return warp_sum(sum);
}

__device__ inline float inverse_of(float r) { return r < LEAST ? 0.0f : 1.0f / r; }

// A block is for `per_block` tokens of an image and head, of `blocks_of_task` blocks.
KERNEL(external_attention_forward, const T* __restrict__ t, const T* __restrict__ mk, const T* __restrict__ mv,
       const float* __restrict__ statistics, T* __restrict__ out, u32 tokens, u32 heads, u32 d, u32 slots, u32 per_block,
       u32 blocks_of_task) {
    SHARED(float, keys);
    Memories sizes = {tokens, heads, d, slots};
    u32 warp = threadIdx.x / WARP, warps = blockDim.x / WARP, lane = threadIdx.x % WARP, pitch = pitch_of(sizes);
    u32 task = blockIdx.x / blocks_of_task, first = blockIdx.x % blocks_of_task * per_block;
    float *values = keys + slots * pitch, *row = values + slots * pitch + warp * slots;
    fetch_keys(keys, mk, sizes);
    fetch_values(values, mv, sizes);
    __syncthreads();
    for (u32 n = first + warp; n < min(first + per_block, tokens); n += warps) {
        size_t at = token_at(sizes, task, n);
        float scale = inverse_of(over_tokens(row, t + at, keys, statistics + size_t(task) * slots * 2, sizes));
        __syncwarp();
        for (u32 c = lane; c < d; c += WARP) {
            float sum = 0.0f;
            for (u32 s = 0; s < slots; s++) sum += row[s] * values[s * pitch + c];
            put(&out[at + c], sum * scale);
        }
        __syncwarp();
    }
}

// From a token's row of P: A in `row`, and U in `change`; r.
__device__ inline float changes(float* row, float* change, const T* token, const T* g, const float* keys,
                                const float* values, const float* statistics, Memories sizes) {
    float r = over_tokens(row, token, keys, statistics, sizes), scale = inverse_of(r), common = 0.0f;
    for (u32 s = threadIdx.x % WARP; s < sizes.slots; s += WARP) {
        row[s] *= scale;
        change[s] = product(g, values + s * pitch_of(sizes), sizes.d);
        common += row[s] * change[s];
    }
    common = warp_sum(common);
    for (u32 s = threadIdx.x % WARP; s < sizes.slots; s += WARP) change[s] = row[s] * (change[s] - common);
    return r;
}

// The sums of U over the tokens of an image and head: (tasks, slots). A block for each.
KERNEL(external_attention_change_sums, const T* __restrict__ t, const T* __restrict__ mk, const T* __restrict__ mv,
       const T* __restrict__ g, const float* __restrict__ statistics, float* __restrict__ sums, u32 tokens, u32 heads, u32 d,
       u32 slots) {
    SHARED(float, keys);
    Memories sizes = {tokens, heads, d, slots};
    u32 warp = threadIdx.x / WARP, warps = blockDim.x / WARP, lane = threadIdx.x % WARP, task = blockIdx.x;
    float *values = keys + slots * pitch_of(sizes), *rows = values + slots * pitch_of(sizes);
    float *row = rows + 2 * warp * slots, *change = row + slots;
    fetch_keys(keys, mk, sizes);
    fetch_values(values, mv, sizes);
    __syncthreads();
    float mine[SLOTS] = {};
    for (u32 n = warp; n < tokens; n += warps) {
        size_t at = token_at(sizes, task, n);
        changes(row, change, t + at, g + at, keys, values, statistics + size_t(task) * slots * 2, sizes);
        for (u32 i = 0; i < SLOTS; i++)
            if (lane + i * WARP < slots) mine[i] += change[lane + i * WARP];
    }
    for (u32 i = 0; i < SLOTS; i++)
        if (lane + i * WARP < slots) row[lane + i * WARP] = mine[i];
    __syncthreads();
    for (u32 s = threadIdx.x; s < slots; s += blockDim.x) {
        float sum = 0.0f;
        for (u32 w = 0; w < warps; w++) sum += rows[2 * w * slots + s];
        sums[size_t(task) * slots + s] = sum;
    }
}

// dt, and of each block's tokens the sums that make dMk and, turned, dMv: partials (blocks, 2, slots, d).
KERNEL(external_attention_backward, const T* __restrict__ t, const T* __restrict__ mk, const T* __restrict__ mv,
       const T* __restrict__ g, const float* __restrict__ statistics, const float* __restrict__ change_sums,
       T* __restrict__ dt, float* __restrict__ partials, u32 tokens, u32 heads, u32 d, u32 slots, u32 per_block,
       u32 blocks_of_task) {
    SHARED(float, keys);
    Memories sizes = {tokens, heads, d, slots};
    u32 warp = threadIdx.x / WARP, warps = blockDim.x / WARP, lane = threadIdx.x % WARP, pitch = pitch_of(sizes);
    u32 task = blockIdx.x / blocks_of_task, first = blockIdx.x % blocks_of_task * per_block;
    float *values = keys + slots * pitch, *rows = values + slots * pitch, *sums = rows + 2 * warps * slots;
    float *row = rows + 2 * warp * slots, *change = row + slots;
    fetch_keys(keys, mk, sizes);
    fetch_values(values, mv, sizes);
    for (u32 i = threadIdx.x; i < 2 * slots * d; i += blockDim.x) sums[i] = 0.0f;
    __syncthreads();
    u32 last = min(first + per_block, tokens);
    // As many tokens at a time as there are warps.
    for (u32 from = first; from < last; from += warps) {
        u32 n = from + warp;
        if (n < last) {
            size_t at = token_at(sizes, task, n);
            float r = changes(row, change, t + at, g + at, keys, values, statistics + size_t(task) * slots * 2, sizes);
            for (u32 s = lane; s < slots; s += WARP) change[s] -= r * row[s] * change_sums[size_t(task) * slots + s];
            __syncwarp();
            for (u32 c = lane; c < d; c += WARP) {
                float sum = 0.0f;
                for (u32 s = 0; s < slots; s++) sum += change[s] * keys[s * pitch + c];
                put(&dt[at + c], sum);
            }
        }
        __syncthreads();
        // Each thread adds to sums of its own, token by token.
        for (u32 i = threadIdx.x; i < slots * d; i += blockDim.x) {
            u32 s = i / d, c = i % d;
            float of_key = 0.0f, of_value = 0.0f;
            for (u32 w = 0; w < warps && from + w < last; w++) {
                size_t at = token_at(sizes, task, from + w) + c;
                of_key += rows[(2 * w + 1) * slots + s] * wide(t[at]);
                of_value += rows[2 * w * slots + s] * wide(g[at]);
            }
            sums[i] += of_key, sums[slots * d + i] += of_value;
        }
        __syncthreads();
    }
    for (u32 i = threadIdx.x; i < 2 * slots * d; i += blockDim.x) partials[size_t(blockIdx.x) * 2 * slots * d + i] = sums[i];
}
