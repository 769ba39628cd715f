// Attention along the lines of a map; formulas in mod.rs. A block is for a line and some heads side by side, whose channels it
// first brings to shared memory. The scores of each head are a matrix there, which becomes A, and then dS, where it is.
//
// Products are made by tiles of four by four values, one of a thread, so that each number read from shared memory is used
// four times, and numbers are read by fours. The four pixels of a tile are a quarter of the line apart: threads side by side
// then read rows side by side, and these begin in different banks, since `pitch` and `row` are odd numbers of fours.
//
// Queries and keys may be turned by their pixels' positions: when they are brought, and their gradients, back, when they are
// written. In between nothing knows of it.
#include "../cuda/prelude.cuh"

// Threads of a block, as in cuda.rs, and blocks that a multiprocessor should have registers for.
constexpr u32 AXIS_THREADS = 224, AXIS_BLOCKS = 4;

struct Heads {
    u32 n, d;
    // Where the line and the first head begin in a map, and from one pixel of the line to the next.
    size_t start, step;
    u32 first, count;
    // From a pixel of a tile to its next: n / 4, rounded up. What is beyond the line is 0.
    u32 apart;
    // In shared memory: channels of a head, d rounded up to fours; from a pixel to the next; from a matrix's row to the next.
    u32 width, pitch, row;
    // Of a warp, for a row of tiles: see Pair.
    u32 lanes;
    // Whether maps can be read and written by fours.
    bool whole;

    __device__ u32 pixels() const { return 4 * apart; }
    __device__ u32 fours() const { return count * width / 4; }
    // Where the row of a pixel is in the matrices: after that of the head before, so that heads begin in different banks too.
    __device__ u32 at(u32 head, u32 pixel) const { return (pixel * count + head) * row; }
};

// `inner` lines lie side by side: 1 where lines are rows, W where they are columns.
__device__ inline Heads heads_of(u32 n, u32 inner, u32 heads, u32 d, u32 count, u32 pitch, u32 row, u32 lanes,
                                 size_t addresses) {
    u32 line = blockIdx.x / (heads / count), first = blockIdx.x % (heads / count) * count;
    size_t channels = size_t(heads) * d;
    size_t start = (size_t(line / inner) * n * inner + line % inner) * channels + size_t(first) * d;
    bool whole = d % 4 == 0 && addresses % sizeof(Four<T>) == 0;
    return {n, d, start, inner * channels, first, count, (n + 3) / 4, (d + 3) / 4 * 4, pitch, row, lanes, whole};
}

// Four channels of a pixel in a map; `channel` counts from the first head's, with each head as wide as in shared memory.
__device__ inline Four<float> take(const Heads& heads, const T* map, u32 pixel, u32 channel) {
    Four<float> values = {};
    if (pixel >= heads.n) return values;
    map += heads.start + pixel * heads.step;
    if (heads.whole) {
        Four<T> narrow = four(map + channel);
        for (u32 i = 0; i < 4; i++) values.of[i] = wide(narrow.of[i]);
    } else {
        u32 c = channel % heads.width;
        map += channel / heads.width * heads.d + c;
        for (u32 i = 0; i < 4; i++)
            if (c + i < heads.d) values.of[i] = wide(map[i]);
    }
    return values;
}

__device__ inline void put(const Heads& heads, T* map, u32 pixel, u32 channel, const Four<float>& values) {
    if (pixel >= heads.n) return;
    map += heads.start + pixel * heads.step;
    if (heads.whole) {
        Four<T> narrow;
        for (u32 i = 0; i < 4; i++) put(&narrow.of[i], values.of[i]);
        put_four(map + channel, narrow);
    } else {
        u32 c = channel % heads.width;
        map += channel / heads.width * heads.d + c;
        for (u32 i = 0; i < 4; i++)
            if (c + i < heads.d) put(&map[i], values.of[i]);
    }
}

// How queries and keys turn, formulas in rotary/mod.rs: sines and cosines (positions, d), null where they do not; the position of
// the line's first pixel, and from one pixel to the next. Keys are multiplied by `scale` besides.
struct Turn {
    const float *sin, *cos;
    u32 first, step;
    float scale;
    // Whether the tables can be read by fours.
    bool whole;
};

// Of the block's line, of n pixels: the first of an image's lines begins at 0.
__device__ inline Turn turn_of(const float* sin, const float* cos, u32 n, u32 inner, u32 heads, u32 d, u32 count, u32 positions,
                               float scale) {
    u32 line = blockIdx.x / (heads / count), first = line / inner % (positions / n / inner) * n + line % inner;
    bool whole = d % 4 == 0 && (size_t(sin) | size_t(cos)) % sizeof(Four<float>) == 0;
    return {sin, cos, first, inner, scale, whole};
}

// Four channels of a pixel of the line, as `take` has them, turned and multiplied by `scale`; back where they are a gradient.
template <bool BACK>
__device__ inline Four<float> turned(const Heads& heads, const Turn& turn, u32 pixel, u32 channel, float scale,
                                     const Four<float>& values) {
    if (!turn.sin || pixel >= heads.n) return values;
    u32 c = channel % heads.width;
    size_t at = size_t(turn.first + pixel * turn.step) * heads.d + c;
    Four<float> sin = {}, cos = {}, to;
    if (turn.whole) {
        sin = four(turn.sin + at), cos = four(turn.cos + at);
    } else {
        for (u32 i = 0; i < 4; i++)
            if (c + i < heads.d) sin.of[i] = turn.sin[at + i], cos.of[i] = turn.cos[at + i];
    }
    for (u32 i = 0; i < 4; i += 2) {
        float a = values.of[i] * scale, b = values.of[i + 1] * scale;
        to.of[i] = a * cos.of[i] + b * (BACK ? sin.of[i + 1] : -sin.of[i]);
        to.of[i + 1] = b * cos.of[i + 1] + a * (BACK ? -sin.of[i] : sin.of[i + 1]);
    }
    return to;
}

// Brings the heads' channels of some maps to shared memory, one map after the other: queries, keys, and others.
template <u32 MAPS>
__device__ inline void fetch(const Heads& heads, const Turn& turn, float* to, const T* const (&maps)[MAPS]) {
    for (u32 i = threadIdx.x; i < heads.pixels() * heads.fours(); i += blockDim.x) {
        u32 pixel = i / heads.fours(), channel = i % heads.fours() * 4;
        Four<float> values[MAPS];
        for (u32 m = 0; m < MAPS; m++) values[m] = take(heads, maps[m], pixel, channel);
        values[0] = turned<false>(heads, turn, pixel, channel, 1.0f, values[0]);
        values[1] = turned<false>(heads, turn, pixel, channel, turn.scale, values[1]);
        for (u32 m = 0; m < MAPS; m++) put_four(to + (m * heads.pixels() + pixel) * heads.pitch + channel, values[m]);
    }
    __syncthreads();
}

struct Tile {
    Four<float> of[4];
};

// tile[i][c] = sum over pixels j of matrix[i][j] y[j][c], the matrix from its first row on and y from its first channel.
__device__ inline Tile matrix_by_map(const Heads& heads, const float* matrix, const float* y) {
    Tile tile = {};
    for (u32 at = 0; at < heads.apart; at++) {
        Four<float> weights[4], values[4];
        for (u32 i = 0; i < 4; i++) {
            weights[i] = four(matrix + heads.at(0, i * heads.apart) + 4 * at);
            values[i] = four(y + (at + i * heads.apart) * heads.pitch);
        }
        for (u32 i = 0; i < 4; i++)
            for (u32 j = 0; j < 4; j++)
                for (u32 c = 0; c < 4; c++) tile.of[i].of[c] += weights[i].of[j] * values[j].of[c];
    }
    return tile;
}

// tile[j][c] = sum over pixels i of matrix[i][j] y[i][c], the matrix from its first column on and y from its first channel.
__device__ inline Tile turned_by_map(const Heads& heads, const float* matrix, const float* y) {
    Tile tile = {};
    for (u32 i = 0; i < heads.n; i++) {
        Four<float> weights = four(matrix + heads.at(0, i)), values = four(y + i * heads.pitch);
        for (u32 j = 0; j < 4; j++)
            for (u32 c = 0; c < 4; c++) tile.of[j].of[c] += weights.of[j] * values.of[c];
    }
    return tile;
}

// Two tiles of a head's matrix, of the scores of pixels i + {0, 1, 2, 3} apart and j + {0, 1, 2, 3} apart, for two j. `lanes`
// threads side by side, a power of two, have the same i and together all of the line as j: sums over j are theirs. A thread too
// many is not `real`, and has some other's i and j.
struct Pair {
    u32 head, i, j[2];
    bool real[2];

    // Where a row of a tile is in the matrices, whose rows hold the four columns of each tile side by side.
    __device__ float* in(const Heads& heads, float* matrices, u32 tile, u32 of_row) const {
        return matrices + heads.at(head, i + of_row * heads.apart) + 4 * j[tile];
    }
};

// Calls run(pair) for all tiles of the matrices, by two. All threads of a warp come along.
template <class Run>
__device__ inline void each_pair(const Heads& heads, Run run) {
    u32 half = (heads.apart + 1) / 2, lanes = heads.lanes, lane = threadIdx.x % WARP, column = lane % lanes;
    u32 strips = heads.count * heads.apart, at_once = WARP / lanes;
    for (u32 from = threadIdx.x / WARP * at_once; from < strips; from += blockDim.x / WARP * at_once) {
        u32 strip = from + lane / lanes, of = min(strip, strips - 1);
        Pair pair = {of / heads.apart, of % heads.apart, {}, {}};
        for (u32 t = 0; t < 2; t++) {
            u32 j = column + t * half;
            pair.real[t] = strip < strips && column < half && j < heads.apart;
            pair.j[t] = min(j, heads.apart - 1);
        }
        run(pair);
    }
    __syncthreads();
}

// Adds to tiles[t][i][j] the sums over the head's channels c of x[i][c] y[j][c].
__device__ inline void add_map_by_map(const Heads& heads, const Pair& pair, const float* x, const float* y, Tile (&tiles)[2]) {
    u32 apart = heads.apart * heads.pitch, channel = pair.head * heads.width;
    for (u32 c = channel; c < channel + heads.width; c += 4) {
        Four<float> of_x[4];
        for (u32 m = 0; m < 4; m++) of_x[m] = four(x + pair.i * heads.pitch + m * apart + c);
        for (u32 t = 0; t < 2; t++)
            for (u32 l = 0; l < 4; l++) {
                Four<float> of_y = four(y + pair.j[t] * heads.pitch + l * apart + c);
                for (u32 m = 0; m < 4; m++)
                    for (u32 k = 0; k < 4; k++) tiles[t].of[m].of[l] += of_x[m].of[k] * of_y.of[k];
            }
    }
}

// Calls run(map, head, i, channel) for each tile of `maps` results: pixels i + {0, 1, 2, 3} apart of four channels, which
// count from the first head's.
template <class Run>
__device__ inline void each_tile(const Heads& heads, u32 maps, Run run) {
    u32 tiles = heads.apart * heads.fours();
    for (u32 at = threadIdx.x; at < maps * tiles; at += blockDim.x) {
        u32 channel = at % heads.fours() * 4;
        run(at / tiles, channel / heads.width, at % tiles / heads.fours(), channel);
    }
}

__device__ inline void put(const Heads& heads, T* map, u32 i, u32 channel, const Tile& tile) {
    for (u32 m = 0; m < 4; m++) put(heads, map, i + m * heads.apart, channel, tile.of[m]);
}

// Turns the gradients of queries or keys back, adds those of `before` where there are any, and writes them.
__device__ inline void put_back(const Heads& heads, const Turn& turn, T* map, const T* before, u32 i, u32 channel, float scale,
                                const Tile& tile) {
    for (u32 m = 0; m < 4; m++) {
        u32 pixel = i + m * heads.apart;
        Four<float> values = turned<true>(heads, turn, pixel, channel, scale, tile.of[m]);
        if (before) {
            Four<float> others = take(heads, before, pixel, channel);
            for (u32 c = 0; c < 4; c++) values.of[c] += others.of[c];
        }
        put(heads, map, pixel, channel, values);
    }
}

// The four sums, and the largest, over threads side by side, known to all of them.
__device__ inline void sum_over(u32 lanes, float (&x)[4]) {
    for (u32 far = lanes / 2; far > 0; far /= 2)
        for (u32 m = 0; m < 4; m++) x[m] += __shfl_xor_sync(0xffffffffu, x[m], far);
}

__device__ inline void max_over(u32 lanes, float (&x)[4]) {
    for (u32 far = lanes / 2; far > 0; far /= 2)
        for (u32 m = 0; m < 4; m++) x[m] = fmaxf(x[m], __shfl_xor_sync(0xffffffffu, x[m], far));
}

// Makes A of each head.
__device__ inline void weigh(const Heads& heads, const float* q, const float* k, float* matrices, const Numbers& decays) {
    each_pair(heads, [&](const Pair& pair) {
        // What is no pair of pixels keeps this score.
        Tile tiles[2];
        for (u32 t = 0; t < 2; t++)
            for (u32 l = 0; l < 4; l++) {
                bool real = pair.real[t] && pair.j[t] + l * heads.apart < heads.n;
                for (u32 m = 0; m < 4; m++) tiles[t].of[m].of[l] = real ? 0.0f : -INFINITY;
            }
        add_map_by_map(heads, pair, q, k, tiles);
        float decay = decays.of[heads.first + pair.head], apart = heads.apart;
        float most[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY}, sums[4] = {};
        for (u32 t = 0; t < 2; t++) {
            float distance = float(pair.i) - float(pair.j[t]);
            for (u32 m = 0; m < 4; m++)
                for (u32 l = 0; l < 4; l++) {
                    float& score = tiles[t].of[m].of[l];
                    score += decay * fabsf(distance + (float(m) - float(l)) * apart);
                    most[m] = fmaxf(most[m], score);
                }
        }
        max_over(heads.lanes, most);
        for (u32 m = 0; m < 4; m++)
            for (u32 t = 0; t < 2; t++)
                for (u32 l = 0; l < 4; l++) {
                    float& weight = tiles[t].of[m].of[l];
                    weight = exp2f((weight - most[m]) * LOG2_E);
                    sums[m] += weight;
                }
        sum_over(heads.lanes, sums);
        for (u32 m = 0; m < 4; m++) {
            float inverse = __fdividef(1.0f, sums[m]);
            for (u32 t = 0; t < 2; t++) {
                for (u32 l = 0; l < 4; l++) tiles[t].of[m].of[l] *= inverse;
                if (pair.real[t]) put_four(pair.in(heads, matrices, t, m), tiles[t].of[m]);
            }
        }
    });
}

// Makes dS of A of each head.
__device__ inline void change(const Heads& heads, const float* g, const float* v, float* matrices) {
    each_pair(heads, [&](const Pair& pair) {
        Tile tiles[2] = {};
        add_map_by_map(heads, pair, g, v, tiles);
        float sums[4] = {};
        // A is read twice rather than held, for which there are not enough registers.
        for (u32 m = 0; m < 4; m++)
            for (u32 t = 0; t < 2; t++) {
                if (!pair.real[t]) continue;
                Four<float> weights = four(pair.in(heads, matrices, t, m));
                for (u32 l = 0; l < 4; l++) sums[m] += weights.of[l] * tiles[t].of[m].of[l];
            }
        sum_over(heads.lanes, sums);
        for (u32 m = 0; m < 4; m++)
            for (u32 t = 0; t < 2; t++) {
                if (!pair.real[t]) continue;
                float* at = pair.in(heads, matrices, t, m);
                Four<float> weights = four(at);
                for (u32 l = 0; l < 4; l++) weights.of[l] *= tiles[t].of[m].of[l] - sums[m];
                put_four(at, weights);
            }
    });
}

KERNEL_OF(AXIS_THREADS, AXIS_BLOCKS, axis_attention_forward, const T* __restrict__ q, const T* __restrict__ k,
          const T* __restrict__ v, const float* __restrict__ sin, const float* __restrict__ cos, T* __restrict__ out, u32 n,
          u32 inner, u32 all_heads, u32 d, u32 count, u32 pitch, u32 row, u32 lanes, Numbers decays, u32 positions,
          float scale) {
    SHARED(float, shared);
    size_t addresses = size_t(q) | size_t(k) | size_t(v) | size_t(out);
    Heads heads = heads_of(n, inner, all_heads, d, count, pitch, row, lanes, addresses);
    u32 map = heads.pixels() * pitch;
    float *qs = shared, *ks = qs + map, *vs = ks + map, *matrices = vs + map;
    fetch(heads, turn_of(sin, cos, n, inner, all_heads, d, count, positions, scale), shared, {q, k, v});
    weigh(heads, qs, ks, matrices, decays);
    each_tile(heads, 1, [&](u32, u32 head, u32 i, u32 channel) {
        put(heads, out, i, channel, matrix_by_map(heads, matrices + heads.at(head, i), vs + channel));
    });
}

// `before`: gradients of q and k to be added to theirs, or null.
KERNEL_OF(AXIS_THREADS, AXIS_BLOCKS, axis_attention_backward, const T* __restrict__ q, const T* __restrict__ k,
          const T* __restrict__ v, const T* __restrict__ g, const float* __restrict__ sin, const float* __restrict__ cos,
          const T* __restrict__ dq_before, const T* __restrict__ dk_before, T* __restrict__ dq, T* __restrict__ dk,
          T* __restrict__ dv, u32 n, u32 inner, u32 all_heads, u32 d, u32 count, u32 pitch, u32 row, u32 lanes, Numbers decays,
          u32 positions, float scale) {
    SHARED(float, shared);
    size_t addresses = size_t(q) | size_t(k) | size_t(v) | size_t(g) | size_t(dq) | size_t(dk) | size_t(dv)
                       | size_t(dq_before) | size_t(dk_before);
    Heads heads = heads_of(n, inner, all_heads, d, count, pitch, row, lanes, addresses);
    u32 map = heads.pixels() * pitch;
    float *qs = shared, *ks = qs + map, *vs = ks + map, *gs = vs + map, *matrices = gs + map;
    fetch(heads, turn_of(sin, cos, n, inner, all_heads, d, count, positions, scale), shared, {q, k, v, g});
    weigh(heads, qs, ks, matrices, decays);
    each_tile(heads, 1, [&](u32, u32 head, u32 j, u32 channel) {
        put(heads, dv, j, channel, turned_by_map(heads, matrices + heads.at(head, 0) + 4 * j, gs + channel));
    });
    __syncthreads();
    change(heads, gs, vs, matrices);
    // Told again rather than held, for which there are not enough registers.
    Turn turn = turn_of(sin, cos, n, inner, all_heads, d, count, positions, scale);
    each_tile(heads, 2, [&](u32 which, u32 head, u32 i, u32 channel) {
        Tile tile = which == 0 ? matrix_by_map(heads, matrices + heads.at(head, i), ks + channel)
                               : turned_by_map(heads, matrices + heads.at(head, 0) + 4 * i, qs + channel);
        put_back(heads, turn, which == 0 ? dq : dk, which == 0 ? dq_before : dk_before, i, channel, which == 0 ? 1.0f : scale, tile);
    });
}
