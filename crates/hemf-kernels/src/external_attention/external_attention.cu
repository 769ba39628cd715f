// External attention; formulas in mod.rs. Nothing of the size of A is kept: scores are made again wherever they are needed.
//
// A block goes over tokens of an image and head, a tile of them at a time, with what it reads in shared memory as float.
// Threads make products as pieces of 4 x 4 values in registers, four terms at a time: 64 multiplications for 8 reads of
// four values. Weights, that is values for each token and slot, have a tile of their own:
//
//     statistics        scores                             -> of each slot the largest, and the sum of exponentials
//     forward           scores, P; P Mvᵀ / r               -> out, 1 / r
//     backward_values   scores, A; Aᵀ G                    -> dMv, and the sums of U over the tokens
//     backward          scores and dA, dL; dL Mk and dLᵀ t -> dt, dMk
//
// The sum over s of dA_ns A_ns is G_n · out_n, and so the sum over n of U_ns is Mv_s · (Aᵀ G)_s less the sum of
// A_ns (G_n · out_n): backward_values needs no dA.
//
// Shared memory is in fours. Of tokens and memories they are 4 channels of a row, of weights 4 slots of a token; rows are
// side by side, and from a four of a row to its next it is an odd number: threads side by side over either use different
// banks. The 4 slots of a thread or of a four are q, q + quads, q + 2 quads and q + 3 quads.
#include "../cuda/prelude.cuh"

// The least normal number: what is below has no direction left.
constexpr float LEAST = 1.17549435e-38f;
// Fours of slots that a thread can have among sixteen side by side, as in cuda.rs: there are at most 128 slots.
constexpr u32 MOST_QUADS = 2;

// What a block is for. t (images, tokens, heads, d), Mk (slots, d), Mv (d, slots): the tokens [first, last) of an image and
// head (`task`), of `blocks` blocks.
struct Work {
    u32 tokens, heads, d, slots, tile, per_block, blocks;
    // Fours of channels and of slots; from a four to the next of the same token, and of the same slot.
    u32 task, first, last, fours, quads, reach, span;
    // The thread's number where there are more threads than work: it is not always the last warps that have none, since
    // which quarter of a multiprocessor a warp is on goes by its number.
    u32 thread;

    // As cuda.rs tells them.
    __device__ inline Work(const Sizes& given)
        : tokens(given.of[0]), heads(given.of[1]), d(given.of[2]), slots(given.of[3]), tile(given.of[4]),
          per_block(given.of[5]), blocks(given.of[6]) {
        task = blockIdx.x / blocks, first = blockIdx.x % blocks * per_block, last = min(first + per_block, tokens);
        fours = (d + 3) / 4, quads = (slots + 7) / 8 * 2, reach = tile + 1, span = 4 * quads + 1;
        thread = (threadIdx.x + task * WARP) % blockDim.x;
    }

    // Slots with those that are too many: their rows of memories are zeros.
    __device__ inline u32 rows() const { return 4 * quads; }
    // Where token n begins, and how far the next is.
    __device__ inline size_t at(u32 n) const { return ((size_t(task / heads) * tokens + n) * heads + task % heads) * d; }
    __device__ inline size_t apart() const { return size_t(heads) * d; }
};

// The four `c` of a row of channels, zeros beyond d.
__device__ inline Four<float> load(const T* row, u32 c, u32 d) {
    const T* from = row + 4 * c;
    Four<float> to = {};
    if (d % 4 == 0 && size_t(from) % sizeof(Four<T>) == 0) {
        Four<T> narrow = four(from);
        for (u32 i = 0; i < 4; i++) to.of[i] = wide(narrow.of[i]);
    } else {
        for (u32 i = 0; i < 4; i++)
            if (4 * c + i < d) to.of[i] = wide(from[i]);
    }
    return to;
}

// The same, times a factor, to a buffer of this launch's own.
template <class V>
__device__ inline void save(V* row, u32 c, u32 d, const float (&values)[4], float factor) {
    Four<V> narrow;
    for (u32 i = 0; i < 4; i++) put(&narrow.of[i], values[i] * factor);
    if (d % 4 == 0)
        put_four(row + 4 * c, narrow);
    else
        for (u32 i = 0; i < 4; i++)
            if (4 * c + i < d) row[4 * c + i] = narrow.of[i];
}

// `count` tokens, four threads for each; then the last of them up to the end of the tile.
__device__ inline void fetch_tokens(Four<float>* to, const T* from, u32 count, const Work& w) {
    for (u32 n = threadIdx.x / 4; n < w.tile; n += blockDim.x / 4)
        for (u32 c = threadIdx.x % 4; c < w.fours; c += 4)
            to[c * w.reach + n] = load(from + min(n, count - 1) * w.apart(), c, w.d);
}

__device__ inline void fetch_keys(Four<float>* to, const T* mk, const Work& w) {
    for (u32 s = threadIdx.x / 4; s < w.rows(); s += blockDim.x / 4)
        for (u32 c = threadIdx.x % 4; c < w.fours; c += 4)
            to[c * w.span + s] = s < w.slots ? load(mk + size_t(s) * w.d, c, w.d) : Four<float>{};
}

__device__ inline void fetch_values(Four<float>* to, const T* mv, const Work& w) {
    for (u32 c = threadIdx.x / WARP; c < w.fours; c += blockDim.x / WARP)
        for (u32 s = threadIdx.x % WARP; s < w.rows(); s += WARP) {
            Four<float> values = {};
            for (u32 i = 0; i < 4; i++)
                if (4 * c + i < w.d && s < w.slots) values.of[i] = wide(mv[size_t(4 * c + i) * w.slots + s]);
            to[c * w.span + s] = values;
        }
}

// What there is of each slot, by fours: `of_slot(s)`, and `otherwise` for those that are too many.
template <class OfSlot>
__device__ inline void fetch_of_slots(Four<float>* to, float otherwise, const Work& w, OfSlot of_slot) {
    for (u32 place = threadIdx.x; place < w.rows(); place += blockDim.x) {
        u32 s = place % 4 * w.quads + place / 4;
        to[place / 4].of[place % 4] = s < w.slots ? of_slot(s) : otherwise;
    }
}

// exp(score - most). The difference comes first: of large scores a product with log2 e would be off by many units.
__device__ inline float power(float score, float most) { return power_of_two((score - most) * LOG2_E); }

// Of each slot, from what the blocks have, the largest score of all tokens, and after those of all slots the base-2
// logarithm of the sum of exp(scores - largest): infinity, and so no weight, for slots that are too many. The two are not
// added up, since next to a large score the logarithm would be lost.
__device__ inline void fetch_statistics(Four<float>* to, const float* statistics, const Work& w) {
    const float* of_task = statistics + size_t(w.task) * w.blocks * w.slots * 2;
    auto largest = [&](u32 s) {
        float most = -INFINITY;
        for (u32 b = 0; b < w.blocks; b++) most = fmaxf(most, of_task[(b * w.slots + s) * 2]);
        return most;
    };
    fetch_of_slots(to, 0.0f, w, largest);
    fetch_of_slots(to + w.quads, INFINITY, w, [&](u32 s) {
        float most = largest(s), sum = 0.0f;
        for (u32 b = 0; b < w.blocks; b++) {
            const float* of_block = of_task + (b * w.slots + s) * 2;
            sum += of_block[1] * power(of_block[0], most);
        }
        return log2f(sum);
    });
}

// A thread's place among products of tokens and slots. A warp is for 8 tokens by 64 slots, the same four of slots for two
// threads: a thread's tokens are row, row + 2, row + 4 and row + 6.
__device__ inline u32 first_row() { return threadIdx.x / WARP * 8 + threadIdx.x % WARP / 16; }
__device__ inline u32 next_row() { return blockDim.x / WARP * 8; }
// The first row of its warp, which alone tells whether the warp is done.
__device__ inline u32 warp_row(u32 row) { return row / 8 * 8; }

// sums[i][j] = token row + 2 i times slot quad + j quads. Each is rounded as the language says, so that a score is the same
// to the bit in all kernels, and none is above the largest.
__device__ inline void multiply(float (&sums)[4][4], const Four<float>* tokens, const Four<float>* memory, u32 row,
                                u32 quad, const Work& w) {
    for (u32 i = 0; i < 4; i++)
        for (u32 j = 0; j < 4; j++) sums[i][j] = 0.0f;
    tokens += row, memory += quad;
    for (u32 c = 0; c < w.fours; c++) {
        Four<float> slots[4];
        for (u32 j = 0; j < 4; j++) slots[j] = memory[j * w.quads];
        for (u32 i = 0; i < 4; i++) {
            Four<float> token = tokens[2 * i];
            for (u32 j = 0; j < 4; j++)
                for (u32 k = 0; k < 4; k++) sums[i][j] = fmaf(token.of[k], slots[j].of[k], sums[i][j]);
        }
        tokens += w.reach, memory += w.span;
    }
}

// P of scores, in place, by the statistics of their four slots.
__device__ inline void over_tokens(float (&scores)[4][4], const Four<float>* statistics, const Work& w) {
    Four<float> most = *statistics, logarithms = statistics[w.quads];
    for (u32 i = 0; i < 4; i++)
        for (u32 j = 0; j < 4; j++)
            scores[i][j] = power_of_two(fmaf(scores[i][j] - most.of[j], LOG2_E, -logarithms.of[j]));
}

// A thread's weights to their tile.
__device__ inline void keep(const float (&of)[4][4], Four<float>* weights, u32 row, u32 quad, const Work& w) {
    for (u32 i = 0; i < 4; i++) weights[quad * w.reach + row + 2 * i] = {of[i][0], of[i][1], of[i][2], of[i][3]};
}

// Hands the tokens' weights times a memory, (count, d), to `use(token, four of channels, sums)`.
template <class Use>
__device__ inline void weigh(const Four<float>* weights, const Four<float>* memory, u32 count, const Work& w, Use use) {
    u32 down = blockDim.x / w.fours, c = w.thread % w.fours, group = w.thread / w.fours;
    if (group >= down) return;
    // A group is of 4 tokens; four groups are side by side in 16 tokens.
    for (u32 row; (row = group / 4 * 16 + group % 4) < count; group += down) {
        const Four<float> *of_tokens = weights + row, *of_slots = memory + c * w.span;
        float sums[4][4] = {};
        for (u32 q = 0; q < w.quads; q++) {
            Four<float> slots[4];
            for (u32 j = 0; j < 4; j++) slots[j] = of_slots[j * w.quads];
            for (u32 i = 0; i < 4; i++) {
                Four<float> weight = of_tokens[4 * i];
                for (u32 j = 0; j < 4; j++)
                    for (u32 k = 0; k < 4; k++) sums[i][k] += weight.of[j] * slots[j].of[k];
            }
            of_tokens += w.reach, of_slots++;
        }
        for (u32 i = 0; i < 4; i++)
            if (row + 4 * i < count) use(row + 4 * i, c, sums[i]);
    }
}

// Sums over tokens of weights times channels, (slots, d), in registers: a thread has a piece of 8 slots, two fours, by 4
// channels. There are no more pieces than threads; where there are enough, teams share the tokens.
struct TokenSums {
    u32 pieces, teams, piece, team, c, quad, half;
    float of[8][4] = {};

    __device__ inline TokenSums(const Work& w) {
        half = w.quads / 2, pieces = half * w.fours, teams = blockDim.x / pieces;
        piece = w.thread % pieces, team = w.thread / pieces, c = piece / half, quad = piece % half;
    }

    // The slot of of[i].
    __device__ inline u32 slot(u32 i, const Work& w) const { return i % 4 * w.quads + quad + i / 4 * half; }

    __device__ inline void add(const Four<float>* weights, const Four<float>* tokens, u32 count, const Work& w) {
        if (team >= teams) return;
        weights += quad * w.reach, tokens += c * w.reach;
        for (u32 n = team; n < count; n += teams) {
            Four<float> token = tokens[n], weight[2] = {weights[n], weights[half * w.reach + n]};
            for (u32 i = 0; i < 8; i++)
                for (u32 k = 0; k < 4; k++) of[i][k] += weight[i / 4].of[i % 4] * token.of[k];
        }
    }

    // The first team has the sums of all, and writes them. `room` is for 32 values of each thread of the others.
    __device__ inline void finish(float* room, float* sums, const Work& w) {
        __syncthreads();
        if (team > 0 && team < teams)
            for (u32 i = 0; i < 32; i++) room[((team - 1) * 32 + i) * pieces + piece] = of[i / 4][i % 4];
        __syncthreads();
        if (team > 0) return;
        for (u32 other = 1; other < teams; other++)
            for (u32 i = 0; i < 32; i++) of[i / 4][i % 4] += room[((other - 1) * 32 + i) * pieces + piece];
        for (u32 i = 0; i < 8; i++)
            if (slot(i, w) < w.slots) save(sums + (size_t(blockIdx.x) * w.slots + slot(i, w)) * w.d, c, w.d, of[i], 1.0f);
    }
};

// What threads have of each slot that they share to (threads / 16, slots).
__device__ inline void share(float* to, const float (&of)[MOST_QUADS][4], const Work& w) {
    for (u32 k = 0; k < MOST_QUADS; k++) {
        u32 quad = threadIdx.x % 16 + k * 16;
        for (u32 j = 0; j < 4 && quad < w.quads; j++)
            to[threadIdx.x / 16 * w.rows() + quad + j * w.quads] = of[k][j];
    }
}

// Of each slot the largest score of a block's tokens, and the sum of exp(scores - largest): statistics (tasks, blocks, slots,
// 2).
KERNEL_OF(256, 3, external_attention_statistics, const T* __restrict__ t, const T* __restrict__ mk,
          float* __restrict__ statistics, Sizes given) {
    SHARED(Four<float>, keys);
    Work w(given);
    Four<float>* tokens = keys + w.fours * w.span;
    float most[MOST_QUADS][4], sum[MOST_QUADS][4] = {};
    for (u32 k = 0; k < MOST_QUADS * 4; k++) most[k / 4][k % 4] = -INFINITY;
    fetch_keys(keys, mk, w);
    for (u32 from = w.first; from < w.last; from += w.tile) {
        u32 count = min(w.tile, w.last - from);
        __syncthreads();
        fetch_tokens(tokens, t + w.at(from), count, w);
        __syncthreads();
        for (u32 row = first_row(); row < count; row += next_row())
            for (u32 k = 0; k < MOST_QUADS; k++) {
                u32 quad = threadIdx.x % 16 + k * 16;
                if (quad >= w.quads) continue;
                float scores[4][4];
                multiply(scores, tokens, keys, row, quad, w);
                for (u32 i = 0; i < 4; i++) {
                    float beyond = row + 2 * i < count ? 0.0f : -INFINITY;
                    for (u32 j = 0; j < 4; j++) scores[i][j] += beyond;
                }
                for (u32 j = 0; j < 4; j++) {
                    float before = most[k][j];
                    for (u32 i = 0; i < 4; i++) most[k][j] = fmaxf(most[k][j], scores[i][j]);
                    sum[k][j] *= power(before, most[k][j]);
                    for (u32 i = 0; i < 4; i++) sum[k][j] += power(scores[i][j], most[k][j]);
                }
            }
    }
    u32 sharers = blockDim.x / 16;
    float *all_most = tokens->of, *all_sums = all_most + sharers * w.rows();
    __syncthreads();
    share(all_most, most, w);
    share(all_sums, sum, w);
    __syncthreads();
    for (u32 s = threadIdx.x; s < w.slots; s += blockDim.x) {
        float most = -INFINITY, sum = 0.0f;
        for (u32 i = 0; i < sharers; i++) most = fmaxf(most, all_most[i * w.rows() + s]);
        // A thread without a token has -infinity, and adds nothing.
        for (u32 i = 0; i < sharers; i++)
            sum += all_sums[i * w.rows() + s] * power(all_most[i * w.rows() + s], most);
        float* of_slot = statistics + (size_t(blockIdx.x) * w.slots + s) * 2;
        of_slot[0] = most, of_slot[1] = sum;
    }
}

// out, and of each token 1 / r or 0: inverses (tasks, tokens).
KERNEL_OF(256, 3, external_attention_forward, const T* __restrict__ t, const T* __restrict__ mk,
          const T* __restrict__ mv, const float* __restrict__ statistics, T* __restrict__ out,
          float* __restrict__ inverses, Sizes given) {
    SHARED(Four<float>, keys);
    Work w(given);
    Four<float> *values = keys + w.fours * w.span, *of_slots = values + w.fours * w.span;
    Four<float> *tokens = of_slots + 2 * w.quads, *weights = tokens + w.fours * w.reach;
    float* factors = weights[w.quads * w.reach].of;
    fetch_keys(keys, mk, w);
    fetch_values(values, mv, w);
    fetch_statistics(of_slots, statistics, w);
    for (u32 from = w.first; from < w.last; from += w.tile) {
        u32 count = min(w.tile, w.last - from);
        fetch_tokens(tokens, t + w.at(from), count, w);
        __syncthreads();
        for (u32 row = first_row(); warp_row(row) < count; row += next_row()) {
            float r[4] = {};
            for (u32 quad = threadIdx.x % 16; quad < w.quads; quad += 16) {
                float p[4][4];
                multiply(p, tokens, keys, row, quad, w);
                over_tokens(p, of_slots + quad, w);
                for (u32 i = 0; i < 4; i++) r[i] += p[i][0] + p[i][1] + p[i][2] + p[i][3];
                keep(p, weights, row, quad, w);
            }
            for (u32 i = 0; i < 4; i++)
                for (u32 apart = 8; apart > 0; apart /= 2) r[i] += __shfl_xor_sync(0xffffffffu, r[i], apart);
            for (u32 i = 0; i < 4 && threadIdx.x % 16 == 0; i++) {
                u32 n = row + 2 * i;
                factors[n] = r[i] < LEAST ? 0.0f : 1.0f / r[i];
                if (n < count) inverses[size_t(w.task) * w.tokens + from + n] = factors[n];
            }
        }
        __syncthreads();
        weigh(weights, values, count, w, [&](u32 n, u32 c, const float(&sums)[4]) {
            save(out + w.at(from) + n * w.apart(), c, w.d, sums, factors[n]);
        });
    }
}

// The sums over a block's tokens of A G, partials (tasks, blocks, slots, d), and of U, changes (tasks, blocks, slots); of
// each token G_n · out_n, common (tasks, tokens).
KERNEL_OF(256, 2, external_attention_backward_values, const T* __restrict__ t, const T* __restrict__ mk,
          const T* __restrict__ mv, const T* __restrict__ out, const T* __restrict__ g,
          const float* __restrict__ statistics, const float* __restrict__ inverses, float* __restrict__ partials,
          float* __restrict__ changes, float* __restrict__ common, Sizes given) {
    SHARED(Four<float>, keys);
    Work w(given);
    Four<float> *of_slots = keys + w.fours * w.span, *tokens = of_slots + 2 * w.quads;
    Four<float> *gradients = tokens + w.fours * w.reach, *weights = gradients + w.fours * w.reach;
    float *room = tokens->of, *factors = weights[w.quads * w.reach].of, *commons = factors + w.tile;
    TokenSums sums(w);
    float common_sums[MOST_QUADS][4] = {};
    fetch_keys(keys, mk, w);
    fetch_statistics(of_slots, statistics, w);
    for (u32 from = w.first; from < w.last; from += w.tile) {
        u32 count = min(w.tile, w.last - from);
        size_t first = size_t(w.task) * w.tokens + from;
        __syncthreads();
        fetch_tokens(tokens, t + w.at(from), count, w);
        // G as fetch_tokens does; what is beyond the last token adds nothing.
        for (u32 n = threadIdx.x / 4; n < w.tile; n += blockDim.x / 4) {
            size_t at = w.at(from) + min(n, count - 1) * w.apart();
            float sum = 0.0f;
            for (u32 c = threadIdx.x % 4; c < w.fours; c += 4) {
                Four<float> of_g = load(g + at, c, w.d), of_out = load(out + at, c, w.d);
                gradients[c * w.reach + n] = of_g;
                for (u32 i = 0; i < 4; i++) sum += of_g.of[i] * of_out.of[i];
            }
            for (u32 apart = 2; apart > 0; apart /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, apart);
            if (threadIdx.x % 4 > 0) continue;
            factors[n] = n < count ? inverses[first + n] : 0.0f, commons[n] = sum;
            if (n < count) common[first + n] = sum;
        }
        __syncthreads();
        for (u32 row = first_row(); row < count; row += next_row())
            for (u32 k = 0; k < MOST_QUADS; k++) {
                u32 quad = threadIdx.x % 16 + k * 16;
                if (quad >= w.quads) continue;
                float a[4][4];
                multiply(a, tokens, keys, row, quad, w);
                over_tokens(a, of_slots + quad, w);
                for (u32 i = 0; i < 4; i++) {
                    float factor = factors[row + 2 * i], of_token = commons[row + 2 * i];
                    for (u32 j = 0; j < 4; j++) a[i][j] *= factor, common_sums[k][j] += a[i][j] * of_token;
                }
                keep(a, weights, row, quad, w);
            }
        __syncthreads();
        sums.add(weights, gradients, count, w);
    }
    sums.finish(room, partials, w);
    __syncthreads();
    // Mv_s · (Aᵀ G)_s by fours of channels, (fours, slots), and what threads have of the common sums.
    float* shared_sums = room + w.fours * w.rows();
    for (u32 i = 0; i < 8 && sums.team == 0; i++) {
        u32 s = sums.slot(i, w);
        float sum = 0.0f;
        for (u32 k = 0; k < 4; k++)
            if (4 * sums.c + k < w.d && s < w.slots) sum += sums.of[i][k] * wide(mv[size_t(4 * sums.c + k) * w.slots + s]);
        room[sums.c * w.rows() + s] = sum;
    }
    share(shared_sums, common_sums, w);
    __syncthreads();
    for (u32 s = threadIdx.x; s < w.slots; s += blockDim.x) {
        float sum = 0.0f;
        for (u32 c = 0; c < w.fours; c++) sum += room[c * w.rows() + s];
        for (u32 i = 0; i < blockDim.x / 16; i++) sum -= shared_sums[i * w.rows() + s];
        changes[size_t(blockIdx.x) * w.slots + s] = sum;
    }
}

// dt, and the sums over a block's tokens of dL t: partials (tasks, blocks, slots, d).
KERNEL_OF(256, 2, external_attention_backward, const T* __restrict__ t, const T* __restrict__ mk,
          const T* __restrict__ mv, const T* __restrict__ g, const float* __restrict__ statistics,
          const float* __restrict__ inverses, const float* __restrict__ changes, const float* __restrict__ common,
          T* __restrict__ dt, float* __restrict__ partials, Sizes given) {
    SHARED(Four<float>, keys);
    Work w(given);
    Four<float> *values = keys + w.fours * w.span, *of_slots = values + w.fours * w.span;
    Four<float> *change_sums = of_slots + 2 * w.quads, *tokens = change_sums + w.quads;
    Four<float> *gradients = tokens + w.fours * w.reach, *weights = gradients + w.fours * w.reach;
    float *room = tokens->of, *factors = weights[w.quads * w.reach].of, *commons = factors + w.tile;
    TokenSums sums(w);
    fetch_keys(keys, mk, w);
    fetch_values(values, mv, w);
    fetch_statistics(of_slots, statistics, w);
    fetch_of_slots(change_sums, 0.0f, w, [&](u32 s) {
        float sum = 0.0f;
        for (u32 b = 0; b < w.blocks; b++) sum += changes[(size_t(w.task) * w.blocks + b) * w.slots + s];
        return sum;
    });
    for (u32 from = w.first; from < w.last; from += w.tile) {
        u32 count = min(w.tile, w.last - from);
        size_t first = size_t(w.task) * w.tokens + from;
        __syncthreads();
        fetch_tokens(tokens, t + w.at(from), count, w);
        fetch_tokens(gradients, g + w.at(from), count, w);
        for (u32 n = threadIdx.x; n < w.tile; n += blockDim.x)
            factors[n] = inverses[first + min(n, count - 1)], commons[n] = common[first + min(n, count - 1)];
        __syncthreads();
        for (u32 row = first_row(); row < count; row += next_row())
            for (u32 quad = threadIdx.x % 16; quad < w.quads; quad += 16) {
                float dl[4][4], da[4][4];
                multiply(dl, tokens, keys, row, quad, w);
                multiply(da, gradients, values, row, quad, w);
                over_tokens(dl, of_slots + quad, w);
                Four<float> change = change_sums[quad];
                for (u32 i = 0; i < 4; i++) {
                    float factor = factors[row + 2 * i], of_token = commons[row + 2 * i];
                    for (u32 j = 0; j < 4; j++) {
                        // A is at most 1, where the factor, 1 / r, may be near the largest float.
                        float a = dl[i][j] * factor;
                        dl[i][j] = factor > 0.0f ? a * (da[i][j] - of_token) - dl[i][j] * change.of[j] : 0.0f;
                    }
                }
                keep(dl, weights, row, quad, w);
            }
        __syncthreads();
        weigh(weights, keys, count, w, [&](u32 n, u32 c, const float(&sums)[4]) {
            save(dt + w.at(from) + n * w.apart(), c, w.d, sums, 1.0f);
        });
        sums.add(weights, tokens, count, w);
    }
    sums.finish(room, partials, w);
}
