// External attention; formulas in mod.rs. Nothing of the size of A is kept: scores are made again wherever they are needed.
//
// A block goes over tokens of an image and head, a tile of them at a time, with what it reads in shared memory as float.
// Threads make products as pieces of 4 x 4 values in registers, four terms at a time: 64 multiplications for 8 reads of
// four values. Weights, that is values for each token and slot, take turns in a tile of their own:
//
//     statistics        scores                             -> of each slot the largest, and the sum of exponentials
//     forward           scores, P; P Mvᵀ / r               -> out, 1 / r
//     backward_values   scores, A; Aᵀ G                    -> dMv, and the sums of U over the tokens
//     backward          scores and dA, dL; dL Mk and dLᵀ t -> dt, dMk
//
// The sum over s of dA_ns A_ns is G_n · out_n, and so the sum over n of U_ns is Mv_s · (Aᵀ G)_s less the sum of
// A_ns (G_n · out_n): backward_values needs no dA.
#include "../cuda/prelude.cuh"

// The least normal number: what is below has no direction left.
constexpr float LEAST = 1.17549435e-38f;
// Quads of slots that a thread can have in sixteen threads side by side, as in cuda.rs: there are at most 128 slots.
constexpr u32 MOST_QUADS = 2;

// What a block is for. t (images, tokens, heads, d), Mk (slots, d), Mv (d, slots): the tokens [first, last) of an image and
// head (`task`), of `blocks` blocks; the memories have rows for 4 `quads` slots, those that are too many of zeros.
struct Work {
    u32 tokens, heads, d, slots, tile, per_block, blocks;
    u32 task, first, last, quads, pitch, weights_pitch;

    // As cuda.rs tells them. Pitches are odd numbers of quads: threads side by side over rows use different banks.
    __device__ inline Work(const Sizes& given)
        : tokens(given.of[0]), heads(given.of[1]), d(given.of[2]), slots(given.of[3]), tile(given.of[4]),
          per_block(given.of[5]), blocks(given.of[6]) {
        task = blockIdx.x / blocks, first = blockIdx.x % blocks * per_block, last = min(first + per_block, tokens);
        quads = (slots + 7) / 8 * 2, pitch = ((d + 3) / 4 | 1) * 4, weights_pitch = (quads + 1) * 4;
    }

    __device__ inline u32 depth() const { return (d + 3) / 4 * 4; }
    __device__ inline u32 rows() const { return 4 * quads; }
    // Where token n begins, and how far the next is.
    __device__ inline size_t at(u32 n) const { return ((size_t(task / heads) * tokens + n) * heads + task % heads) * d; }
    __device__ inline size_t apart() const { return size_t(heads) * d; }
};

// Channels [4 quad, 4 quad + 4) of a token, zeros beyond d.
__device__ inline Four<float> load(const T* token, u32 quad, u32 d) {
    const T* from = token + 4 * quad;
    Four<float> to = {};
    if (d % 4 == 0 && size_t(from) % sizeof(Four<T>) == 0) {
        Four<T> all = four(from);
        for (u32 i = 0; i < 4; i++) to.of[i] = wide(all.of[i]);
    } else {
        for (u32 i = 0; i < 4; i++)
            if (4 * quad + i < d) to.of[i] = wide(from[i]);
    }
    return to;
}

// The same channels to memory of this launch's own.
template <class V>
__device__ inline void save(V* token, u32 quad, u32 d, const float (&values)[4], float factor) {
    Four<V> all;
    for (u32 i = 0; i < 4; i++) put(&all.of[i], values[i] * factor);
    if (d % 4 == 0)
        put_four(token + 4 * quad, all);
    else
        for (u32 i = 0; i < 4; i++)
            if (4 * quad + i < d) token[4 * quad + i] = all.of[i];
}

// `count` rows of d channels, `apart` from each other, and zeros up to `all`: four threads for a row.
__device__ inline void fetch(float* to, const T* from, size_t apart, u32 count, u32 all, const Work& w) {
    for (u32 row = threadIdx.x / 4; row < all; row += blockDim.x / 4)
        for (u32 quad = threadIdx.x % 4; 4 * quad < w.d; quad += 4)
            put_four(to + row * w.pitch + 4 * quad, row < count ? load(from + row * apart, quad, w.d) : Four<float>{});
}

// Mk to rows of slots.
__device__ inline void fetch_keys(float* to, const T* mk, const Work& w) { fetch(to, mk, w.d, w.slots, w.rows(), w); }

// Mv to rows of slots as well.
__device__ inline void fetch_values(float* to, const T* mv, const Work& w) {
    for (u32 c = threadIdx.x / WARP; c < w.depth(); c += blockDim.x / WARP)
        for (u32 s = threadIdx.x % WARP; s < w.rows(); s += WARP)
            to[s * w.pitch + c] = c < w.d && s < w.slots ? wide(mv[size_t(c) * w.slots + s]) : 0.0f;
}

// Values of each slot are kept by quads: those of slots q, q + quads, ..., which a thread has at once.
__device__ inline u32 slot_of(u32 place, const Work& w) { return place % 4 * w.quads + place / 4; }

// Of each slot the base-2 logarithm of the sum of exponentials over all tokens, from what the blocks have; infinity, and so
// no weight, for those that are too many.
__device__ inline void fetch_logarithms(float* to, const float* statistics, const Work& w) {
    for (u32 place = threadIdx.x; place < w.rows(); place += blockDim.x) {
        u32 s = slot_of(place, w);
        const float* of_block = statistics + (size_t(w.task) * w.blocks * w.slots + s) * 2;
        float most = -INFINITY, sum = 0.0f;
        for (u32 b = 0; b < w.blocks && s < w.slots; b++) most = fmaxf(most, of_block[size_t(b) * w.slots * 2]);
        for (u32 b = 0; b < w.blocks && s < w.slots; b++)
            sum += of_block[size_t(b) * w.slots * 2 + 1] * exp2f(of_block[size_t(b) * w.slots * 2] - most);
        to[place] = s < w.slots ? most + log2f(sum) : INFINITY;
    }
}

// A thread's place among pieces of 8 tokens by 64 slots, a warp's: its tokens are row, row + 2, row + 4 and row + 6.
__device__ inline u32 first_row() { return threadIdx.x / WARP * 8; }
__device__ inline u32 row_in_piece() { return threadIdx.x % WARP / 16; }
__device__ inline u32 next_rows() { return blockDim.x / WARP * 8; }

// sums[i][j] = token row + 2 i times slot quad + j quads of a memory.
__device__ inline void multiply(float (&sums)[4][4], const float* tokens, const float* memory, u32 row, u32 quad,
                                const Work& w) {
    for (u32 i = 0; i < 4; i++)
        for (u32 j = 0; j < 4; j++) sums[i][j] = 0.0f;
    const float *of_tokens = tokens + row * w.pitch, *of_slots = memory + quad * w.pitch;
    for (u32 c = 0; c < w.depth(); c += 4) {
        Four<float> slots[4];
        for (u32 j = 0; j < 4; j++) slots[j] = four(of_slots + j * w.quads * w.pitch + c);
        for (u32 i = 0; i < 4; i++) {
            Four<float> token = four(of_tokens + 2 * i * w.pitch + c);
            for (u32 j = 0; j < 4; j++)
                for (u32 k = 0; k < 4; k++) sums[i][j] += token.of[k] * slots[j].of[k];
        }
    }
}

// A token's weights of a quad of slots to their tile.
__device__ inline void keep(const float (&of_token)[4], float* weights, u32 row, u32 quad, const Work& w) {
    put_four(weights + row * w.weights_pitch + 4 * quad, {of_token[0], of_token[1], of_token[2], of_token[3]});
}

// Hands the rows of weights times a memory, (count, d), to `use(row, quad of channels, sums)`.
template <class Use>
__device__ inline void weigh(const float* weights, const float* memory, u32 count, const Work& w, Use use) {
    u32 across = w.depth() / 4, down = blockDim.x / across, quad = threadIdx.x % across, group = threadIdx.x / across;
    if (group >= down) return;
    // A group is of 4 rows; four groups are side by side in 16 rows.
    for (u32 row; (row = group / 4 * 16 + group % 4) < count; group += down) {
        float sums[4][4] = {};
        for (u32 q = 0; q < w.quads; q++) {
            Four<float> slots[4];
            for (u32 j = 0; j < 4; j++) slots[j] = four(memory + (q + j * w.quads) * w.pitch + 4 * quad);
            for (u32 i = 0; i < 4; i++) {
                Four<float> weight = four(weights + (row + 4 * i) * w.weights_pitch + 4 * q);
                for (u32 j = 0; j < 4; j++)
                    for (u32 c = 0; c < 4; c++) sums[i][c] += weight.of[j] * slots[j].of[c];
            }
        }
        for (u32 i = 0; i < 4; i++)
            if (row + 4 * i < count) use(row + 4 * i, quad, sums[i]);
    }
}

// Sums over tokens of weights times channels, (slots, d), in registers: a thread has a piece of 8 slots, two quads, and 4
// channels. There are no more pieces than threads; where there are enough, teams share the tokens.
struct TokenSums {
    u32 pieces, teams, piece, team, quad, half;
    float of[8][4] = {};

    __device__ inline TokenSums(const Work& w) {
        half = w.quads / 2, pieces = half * w.depth() / 4, teams = blockDim.x / pieces;
        piece = threadIdx.x % pieces, team = threadIdx.x / pieces, quad = piece / half;
    }

    // The slot of of[i].
    __device__ inline u32 slot(u32 i, const Work& w) const { return i % 4 * w.quads + piece % half + i / 4 * half; }

    __device__ inline void add(const float* weights, const float* tokens, u32 count, const Work& w) {
        if (team >= teams) return;
        for (u32 n = team; n < count; n += teams) {
            Four<float> token = four(tokens + n * w.pitch + 4 * quad);
            const float* row = weights + n * w.weights_pitch + 4 * (piece % half);
            Four<float> weight[2] = {four(row), four(row + 4 * half)};
            for (u32 i = 0; i < 8; i++)
                for (u32 c = 0; c < 4; c++) of[i][c] += weight[i / 4].of[i % 4] * token.of[c];
        }
    }

    // The first team has the sums of all, and writes them. `room` is for 32 values of each thread of
    // the others.
    __device__ inline void finish(float* room, float* sums, const Work& w) {
        __syncthreads();
        if (team > 0 && team < teams)
            for (u32 i = 0; i < 32; i++) room[((team - 1) * 32 + i) * pieces + piece] = of[i / 4][i % 4];
        __syncthreads();
        if (team > 0) return;
        for (u32 other = 1; other < teams; other++)
            for (u32 i = 0; i < 32; i++) of[i / 4][i % 4] += room[((other - 1) * 32 + i) * pieces + piece];
        for (u32 i = 0; i < 8; i++)
            if (slot(i, w) < w.slots) save(sums + (size_t(blockIdx.x) * w.slots + slot(i, w)) * w.d, quad, w.d, of[i], 1.0f);
    }
};

// Of each slot the largest score, times log2 e, of a block's tokens, and the sum of 2^(those less it): statistics
// (tasks, blocks, slots, 2).
KERNEL(external_attention_statistics, const T* __restrict__ t, const T* __restrict__ mk, float* __restrict__ statistics,
       Sizes given) {
    SHARED(float, keys);
    Work w(given);
    float* tokens = keys + w.rows() * w.pitch;
    float most[MOST_QUADS][4], sum[MOST_QUADS][4] = {};
    for (u32 k = 0; k < MOST_QUADS * 4; k++) most[k / 4][k % 4] = -INFINITY;
    fetch_keys(keys, mk, w);
    for (u32 from = w.first; from < w.last; from += w.tile) {
        u32 count = min(w.tile, w.last - from);
        __syncthreads();
        fetch(tokens, t + w.at(from), w.apart(), count, count, w);
        __syncthreads();
        for (u32 row = first_row() + row_in_piece(); row < count; row += next_rows())
            for (u32 k = 0; k < MOST_QUADS; k++) {
                u32 quad = threadIdx.x % 16 + k * 16;
                if (quad >= w.quads) break;
                float scores[4][4];
                multiply(scores, tokens, keys, row, quad, w);
                for (u32 j = 0; j < 4; j++) {
                    float before = most[k][j];
                    for (u32 i = 0; i < 4; i++) {
                        scores[i][j] = row + 2 * i < count ? scores[i][j] * LOG2_E : -INFINITY;
                        most[k][j] = fmaxf(most[k][j], scores[i][j]);
                    }
                    sum[k][j] *= exp2f(before - most[k][j]);
                    for (u32 i = 0; i < 4; i++) sum[k][j] += exp2f(scores[i][j] - most[k][j]);
                }
            }
    }
    // What the threads have that share a slot: (sharers, slots) twice.
    u32 sharers = blockDim.x / 16;
    float *all_most = tokens, *all_sums = tokens + sharers * w.rows();
    __syncthreads();
    for (u32 k = 0; k < MOST_QUADS; k++) {
        u32 quad = threadIdx.x % 16 + k * 16;
        if (quad >= w.quads) break;
        for (u32 j = 0; j < 4; j++) {
            u32 at = threadIdx.x / 16 * w.rows() + quad + j * w.quads;
            all_most[at] = most[k][j], all_sums[at] = sum[k][j];
        }
    }
    __syncthreads();
    for (u32 s = threadIdx.x; s < w.slots; s += blockDim.x) {
        float most = -INFINITY, sum = 0.0f;
        for (u32 i = 0; i < sharers; i++) most = fmaxf(most, all_most[i * w.rows() + s]);
        // A thread without a token has -infinity, and adds nothing.
        for (u32 i = 0; i < sharers; i++) sum += all_sums[i * w.rows() + s] * exp2f(all_most[i * w.rows() + s] - most);
        float* of_slot = statistics + (size_t(blockIdx.x) * w.slots + s) * 2;
        of_slot[0] = most, of_slot[1] = sum;
    }
}

// P of scores, in place: those of 4 tokens with the slots of a quad.
__device__ inline void over_tokens(float (&scores)[4][4], const float* logarithms, u32 quad) {
    Four<float> of_slot = four(logarithms + 4 * quad);
    for (u32 i = 0; i < 4; i++)
        for (u32 j = 0; j < 4; j++) scores[i][j] = exp2f(fmaf(scores[i][j], LOG2_E, -of_slot.of[j]));
}

// out, and of each token 1 / r or 0: inverses (tasks, tokens).
KERNEL(external_attention_forward, const T* __restrict__ t, const T* __restrict__ mk, const T* __restrict__ mv,
       const float* __restrict__ statistics, T* __restrict__ out, float* __restrict__ inverses, Sizes given) {
    SHARED(float, keys);
    Work w(given);
    float *values = keys + w.rows() * w.pitch, *tokens = values + w.rows() * w.pitch, *weights = tokens + w.tile * w.pitch;
    float *logarithms = weights + w.tile * w.weights_pitch, *factors = logarithms + w.rows();
    fetch_keys(keys, mk, w);
    fetch_values(values, mv, w);
    fetch_logarithms(logarithms, statistics, w);
    for (u32 from = w.first; from < w.last; from += w.tile) {
        u32 count = min(w.tile, w.last - from);
        fetch(tokens, t + w.at(from), w.apart(), count, count, w);
        __syncthreads();
        for (u32 base = first_row(); base < count; base += next_rows()) {
            u32 row = base + row_in_piece();
            float r[4] = {};
            for (u32 quad = threadIdx.x % 16; quad < w.quads; quad += 16) {
                float p[4][4];
                multiply(p, tokens, keys, row, quad, w);
                over_tokens(p, logarithms, quad);
                for (u32 i = 0; i < 4; i++) {
                    for (u32 j = 0; j < 4; j++) r[i] += p[i][j];
                    keep(p[i], weights, row + 2 * i, quad, w);
                }
            }
            for (u32 i = 0; i < 4; i++) {
                for (u32 apart = 8; apart > 0; apart /= 2) r[i] += __shfl_xor_sync(0xffffffffu, r[i], apart);
                if (threadIdx.x % 16 > 0 || row + 2 * i >= count) continue;
                factors[row + 2 * i] = r[i] < LEAST ? 0.0f : 1.0f / r[i];
                inverses[size_t(w.task) * w.tokens + from + row + 2 * i] = factors[row + 2 * i];
            }
        }
        __syncthreads();
        weigh(weights, values, count, w, [&](u32 row, u32 quad, const float(&sums)[4]) {
            save(out + w.at(from) + row * w.apart(), quad, w.d, sums, factors[row]);
        });
    }
}

// The sums over a block's tokens of A G, partials (tasks, blocks, slots, d), and of U, changes (tasks, blocks, slots); of
// each token G_n · out_n, common (tasks, tokens).
KERNEL(external_attention_backward_values, const T* __restrict__ t, const T* __restrict__ mk, const T* __restrict__ mv,
       const T* __restrict__ out, const T* __restrict__ g, const float* __restrict__ statistics,
       const float* __restrict__ inverses, float* __restrict__ partials, float* __restrict__ changes,
       float* __restrict__ common, Sizes given) {
    SHARED(float, keys);
    Work w(given);
    float *logarithms = keys + w.rows() * w.pitch, *factors = logarithms + w.rows(), *commons = factors + w.tile;
    float *room = commons + w.tile, *tokens = room, *gradients = tokens + w.tile * w.pitch;
    float* weights = gradients + w.tile * w.pitch;
    TokenSums sums(w);
    float common_sums[MOST_QUADS][4] = {};
    fetch_keys(keys, mk, w);
    fetch_logarithms(logarithms, statistics, w);
    for (u32 from = w.first; from < w.last; from += w.tile) {
        u32 count = min(w.tile, w.last - from);
        size_t first = size_t(w.task) * w.tokens + from;
        __syncthreads();
        fetch(tokens, t + w.at(from), w.apart(), count, count, w);
        // G as `fetch` does, four threads for a row; whole warps, for they add up.
        for (u32 row = threadIdx.x / 4; row < w.tile; row += blockDim.x / 4) {
            size_t at = w.at(from) + row * w.apart();
            float sum = 0.0f;
            for (u32 quad = threadIdx.x % 4; row < count && 4 * quad < w.d; quad += 4) {
                Four<float> of_g = load(g + at, quad, w.d), of_out = load(out + at, quad, w.d);
                put_four(gradients + row * w.pitch + 4 * quad, of_g);
                for (u32 i = 0; i < 4; i++) sum += of_g.of[i] * of_out.of[i];
            }
            for (u32 apart = 2; apart > 0; apart /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, apart);
            if (threadIdx.x % 4 > 0 || row >= count) continue;
            factors[row] = inverses[first + row];
            commons[row] = common[first + row] = sum;
        }
        __syncthreads();
        for (u32 row = first_row() + row_in_piece(); row < count; row += next_rows())
            for (u32 k = 0; k < MOST_QUADS; k++) {
                u32 quad = threadIdx.x % 16 + k * 16;
                if (quad >= w.quads) break;
                float a[4][4];
                multiply(a, tokens, keys, row, quad, w);
                over_tokens(a, logarithms, quad);
                for (u32 i = 0; i < 4 && row + 2 * i < count; i++) {
                    for (u32 j = 0; j < 4; j++) {
                        a[i][j] *= factors[row + 2 * i];
                        common_sums[k][j] += a[i][j] * commons[row + 2 * i];
                    }
                    keep(a[i], weights, row + 2 * i, quad, w);
                }
            }
        __syncthreads();
        sums.add(weights, gradients, count, w);
    }
    sums.finish(room, partials, w);
    __syncthreads();
    // Mv_s · (Aᵀ G)_s by quads of channels, (quads, slots), and what the threads have that share a slot, (sharers, slots).
    float* of_sharers = room + w.depth() / 4 * w.rows();
    for (u32 i = 0; i < 8 && sums.team == 0; i++) {
        u32 s = sums.slot(i, w);
        float sum = 0.0f;
        for (u32 c = 0; c < 4; c++)
            if (4 * sums.quad + c < w.d && s < w.slots) sum += sums.of[i][c] * wide(mv[size_t(4 * sums.quad + c) * w.slots + s]);
        room[sums.quad * w.rows() + s] = sum;
    }
    for (u32 k = 0; k < MOST_QUADS; k++) {
        u32 quad = threadIdx.x % 16 + k * 16;
        if (quad >= w.quads) break;
        for (u32 j = 0; j < 4; j++) of_sharers[threadIdx.x / 16 * w.rows() + quad + j * w.quads] = common_sums[k][j];
    }
    __syncthreads();
    for (u32 s = threadIdx.x; s < w.slots; s += blockDim.x) {
        float sum = 0.0f;
        for (u32 quad = 0; quad < w.depth() / 4; quad++) sum += room[quad * w.rows() + s];
        for (u32 i = 0; i < blockDim.x / 16; i++) sum -= of_sharers[i * w.rows() + s];
        changes[size_t(blockIdx.x) * w.slots + s] = sum;
    }
}

// dt, and the sums over a block's tokens of dL t: partials (tasks, blocks, slots, d).
KERNEL(external_attention_backward, const T* __restrict__ t, const T* __restrict__ mk, const T* __restrict__ mv,
       const T* __restrict__ g, const float* __restrict__ statistics, const float* __restrict__ inverses,
       const float* __restrict__ changes, const float* __restrict__ common, T* __restrict__ dt,
       float* __restrict__ partials, Sizes given) {
    SHARED(float, keys);
    Work w(given);
    float *values = keys + w.rows() * w.pitch, *logarithms = values + w.rows() * w.pitch;
    float *change_sums = logarithms + w.rows(), *factors = change_sums + w.rows(), *commons = factors + w.tile;
    float *room = commons + w.tile, *tokens = room, *gradients = tokens + w.tile * w.pitch;
    float* weights = gradients + w.tile * w.pitch;
    TokenSums sums(w);
    fetch_keys(keys, mk, w);
    fetch_values(values, mv, w);
    fetch_logarithms(logarithms, statistics, w);
    for (u32 place = threadIdx.x; place < w.rows(); place += blockDim.x) {
        u32 s = slot_of(place, w);
        float sum = 0.0f;
        for (u32 b = 0; b < w.blocks && s < w.slots; b++) sum += changes[(size_t(w.task) * w.blocks + b) * w.slots + s];
        change_sums[place] = sum;
    }
    for (u32 from = w.first; from < w.last; from += w.tile) {
        u32 count = min(w.tile, w.last - from);
        size_t first = size_t(w.task) * w.tokens + from;
        __syncthreads();
        fetch(tokens, t + w.at(from), w.apart(), count, count, w);
        fetch(gradients, g + w.at(from), w.apart(), count, count, w);
        for (u32 row = threadIdx.x; row < count; row += blockDim.x)
            factors[row] = inverses[first + row], commons[row] = common[first + row];
        __syncthreads();
        for (u32 row = first_row() + row_in_piece(); row < count; row += next_rows())
            for (u32 quad = threadIdx.x % 16; quad < w.quads; quad += 16) {
                float scores[4][4], da[4][4];
                multiply(scores, tokens, keys, row, quad, w);
                multiply(da, gradients, values, row, quad, w);
                over_tokens(scores, logarithms, quad);
                Four<float> of_slot = four(change_sums + 4 * quad);
                for (u32 i = 0; i < 4; i++) {
                    float factor = factors[row + 2 * i], of_token = commons[row + 2 * i];
                    for (u32 j = 0; j < 4; j++) {
                        float change = (da[i][j] - of_token) * factor - of_slot.of[j];
                        scores[i][j] = factor > 0.0f ? scores[i][j] * change : 0.0f;
                    }
                    keep(scores[i], weights, row + 2 * i, quad, w);
                }
            }
        __syncthreads();
        weigh(weights, keys, count, w, [&](u32 row, u32 quad, const float(&sums)[4]) {
            save(dt + w.at(from) + row * w.apart(), quad, w.d, sums, 1.0f);
        });
        sums.add(weights, tokens, count, w);
    }
    sums.finish(room, partials, w);
}
