// Attention along the lines of a map; formulas in mod.rs. A block is for a line and some heads side by side, whose channels it
// first brings to shared memory. The scores of each head are a matrix there, which becomes A, and then dS, where it is.
//
// Products are made by tiles of four by four values, one of a thread, so that each number read from shared memory is used
// four times, and numbers are read by fours. The four pixels of a tile are a quarter of the line apart: threads side by side
// then read rows side by side, and these begin in different banks, since `pitch` and `row` are odd numbers of fours.
#include "../cuda/prelude.cuh"

struct Heads {
    u32 n, d;
    // Where the line and the first head begin in a map, and from one pixel of the line to the next.
    size_t start, step;
    u32 first, count;
    // From a pixel of a tile to its next: n / 4, rounded up. What is beyond the line is 0.
    u32 apart;
    // In shared memory: channels of a head, d rounded up to fours; from a pixel to the next; from a matrix's row to the next.
    u32 width, pitch, row;
    // Whether maps can be read and written by fours.
    bool whole;

    __device__ u32 pixels() const { return 4 * apart; }
    __device__ u32 fours() const { return count * width / 4; }
    // From a matrix to the next, an odd number of fours as well.
    __device__ u32 matrix() const { return pixels() * row + 4; }
};

// `inner` lines lie side by side: 1 where lines are rows, W where they are columns.
__device__ inline Heads heads_of(u32 n, u32 inner, u32 heads, u32 d, u32 count, u32 pitch, u32 row, size_t addresses) {
    u32 line = blockIdx.x / (heads / count), first = blockIdx.x % (heads / count) * count;
    size_t channels = size_t(heads) * d;
    size_t start = (size_t(line / inner) * n * inner + line % inner) * channels + size_t(first) * d;
    bool whole = d % 4 == 0 && addresses % sizeof(Four<T>) == 0;
    return {n, d, start, inner * channels, first, count, (n + 3) / 4, (d + 3) / 4 * 4, pitch, row, whole};
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

// Brings the heads' channels of some maps to shared memory, one map after the other.
template <u32 MAPS>
__device__ inline void fetch(const Heads& heads, float* to, const T* const (&maps)[MAPS]) {
    for (u32 i = threadIdx.x; i < heads.pixels() * heads.fours(); i += blockDim.x) {
        u32 pixel = i / heads.fours(), channel = i % heads.fours() * 4;
        Four<float> values[MAPS];
        for (u32 m = 0; m < MAPS; m++) values[m] = take(heads, maps[m], pixel, channel);
        for (u32 m = 0; m < MAPS; m++) put_four(to + (m * heads.pixels() + pixel) * heads.pitch + channel, values[m]);
    }
    __syncthreads();
}

struct Tile {
    Four<float> of[4];
};

// tile[i][j] = sum over channels c of x[i][c] y[j][c], x and y from their first pixels on.
__device__ inline Tile map_by_map(const Heads& heads, const float* x, const float* y) {
    Tile tile = {};
    u32 apart = heads.apart * heads.pitch;
    for (u32 c = 0; c < heads.width; c += 4) {
        Four<float> of_x[4], of_y[4];
        for (u32 i = 0; i < 4; i++) of_x[i] = four(x + i * apart + c), of_y[i] = four(y + i * apart + c);
        for (u32 i = 0; i < 4; i++)
            for (u32 j = 0; j < 4; j++)
                for (u32 k = 0; k < 4; k++) tile.of[i].of[j] += of_x[i].of[k] * of_y[j].of[k];
    }
    return tile;
}

// tile[i][c] = sum over pixels j of matrix[i][j] y[j][c], the matrix from its first row on and y from its first channel.
__device__ inline Tile matrix_by_map(const Heads& heads, const float* matrix, const float* y) {
    Tile tile = {};
    for (u32 at = 0; at < heads.apart; at++) {
        Four<float> weights[4], values[4];
        for (u32 i = 0; i < 4; i++) {
            weights[i] = four(matrix + i * heads.apart * heads.row + 4 * at);
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
        Four<float> weights = four(matrix + i * heads.row), values = four(y + i * heads.pitch);
        for (u32 j = 0; j < 4; j++)
            for (u32 c = 0; c < 4; c++) tile.of[j].of[c] += weights.of[j] * values.of[c];
    }
    return tile;
}

// A tile of a head's matrix, of the scores of pixels i + {0, 1, 2, 3} apart and j + {0, 1, 2, 3} apart. `lanes` threads side by
// side, a power of two, have the same i and together all of the line as j: sums over j are theirs. Where there are more
// threads than tiles, `real` is false, and i and j are some other's.
struct Pair {
    u32 head, i, j, lanes;
    bool real;

    // Where it is in the matrices: a row holds the four columns of each tile side by side.
    __device__ float* in(const Heads& heads, float* matrices, u32 of_row) const {
        return matrices + head * heads.matrix() + (i + of_row * heads.apart) * heads.row + 4 * j;
    }
};

// Calls run(pair) for each tile of the matrices. All threads of a warp come along.
template <class Run>
__device__ inline void each_pair(const Heads& heads, Run run) {
    u32 lanes = 1;
    while (lanes < heads.apart) lanes *= 2;
    u32 strips = heads.count * heads.apart, at_once = WARP / lanes, lane = threadIdx.x % WARP;
    for (u32 from = threadIdx.x / WARP * at_once; from < strips; from += blockDim.x / WARP * at_once) {
        u32 strip = min(from + lane / lanes, strips - 1), j = min(lane % lanes, heads.apart - 1);
        bool real = from + lane / lanes < strips && lane % lanes < heads.apart;
        run(Pair{strip / heads.apart, strip % heads.apart, j, lanes, real});
    }
    __syncthreads();
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
        u32 channel = pair.head * heads.width;
        Tile tile = map_by_map(heads, q + pair.i * heads.pitch + channel, k + pair.j * heads.pitch + channel);
        float decay = decays.of[heads.first + pair.head], most[4], sums[4] = {};
        for (u32 m = 0; m < 4; m++) {
            most[m] = -INFINITY;
            for (u32 l = 0; l < 4; l++) {
                u32 i = pair.i + m * heads.apart, j = pair.j + l * heads.apart;
                float& score = tile.of[m].of[l];
                score = pair.real && j < heads.n ? score + decay * (i > j ? i - j : j - i) : -INFINITY;
                most[m] = fmaxf(most[m], score);
            }
        }
        max_over(pair.lanes, most);
        for (u32 m = 0; m < 4; m++)
            for (u32 l = 0; l < 4; l++) {
                tile.of[m].of[l] = expf(tile.of[m].of[l] - most[m]);
                sums[m] += tile.of[m].of[l];
            }
        sum_over(pair.lanes, sums);
        for (u32 m = 0; m < 4; m++) {
            float inverse = 1.0f / sums[m];
            for (u32 l = 0; l < 4; l++) tile.of[m].of[l] *= inverse;
            if (pair.real) put_four(pair.in(heads, matrices, m), tile.of[m]);
        }
    });
}

// Makes dS of A of each head.
__device__ inline void change(const Heads& heads, const float* g, const float* v, float* matrices) {
    each_pair(heads, [&](const Pair& pair) {
        u32 channel = pair.head * heads.width;
        Tile tile = map_by_map(heads, g + pair.i * heads.pitch + channel, v + pair.j * heads.pitch + channel), weights = {};
        float sums[4] = {};
        for (u32 m = 0; m < 4; m++) {
            if (pair.real) weights.of[m] = four(pair.in(heads, matrices, m));
            for (u32 l = 0; l < 4; l++) sums[m] += weights.of[m].of[l] * tile.of[m].of[l];
        }
        sum_over(pair.lanes, sums);
        for (u32 m = 0; m < 4; m++) {
            for (u32 l = 0; l < 4; l++) tile.of[m].of[l] = weights.of[m].of[l] * (tile.of[m].of[l] - sums[m]);
            if (pair.real) put_four(pair.in(heads, matrices, m), tile.of[m]);
        }
    });
}

KERNEL(axis_attention_forward, const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v,
       T* __restrict__ out, u32 n, u32 inner, u32 all_heads, u32 d, u32 count, u32 pitch, u32 row, Numbers decays) {
    SHARED(float, shared);
    Heads heads = heads_of(n, inner, all_heads, d, count, pitch, row, size_t(q) | size_t(k) | size_t(v) | size_t(out));
    u32 map = heads.pixels() * pitch;
    float *qs = shared, *ks = qs + map, *vs = ks + map, *matrices = vs + map;
    fetch(heads, shared, {q, k, v});
    weigh(heads, qs, ks, matrices, decays);
    each_tile(heads, 1, [&](u32, u32 head, u32 i, u32 channel) {
        const float* rows = matrices + head * heads.matrix() + i * row;
        put(heads, out, i, channel, matrix_by_map(heads, rows, vs + channel));
    });
}

KERNEL(axis_attention_backward, const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v,
       const T* __restrict__ g, T* __restrict__ dq, T* __restrict__ dk, T* __restrict__ dv, u32 n, u32 inner,
       u32 all_heads, u32 d, u32 count, u32 pitch, u32 row, Numbers decays) {
    SHARED(float, shared);
    size_t addresses = size_t(q) | size_t(k) | size_t(v) | size_t(g) | size_t(dq) | size_t(dk) | size_t(dv);
    Heads heads = heads_of(n, inner, all_heads, d, count, pitch, row, addresses);
    u32 map = heads.pixels() * pitch;
    float *qs = shared, *ks = qs + map, *vs = ks + map, *gs = vs + map, *matrices = gs + map;
    fetch(heads, shared, {q, k, v, g});
    weigh(heads, qs, ks, matrices, decays);
    each_tile(heads, 1, [&](u32, u32 head, u32 j, u32 channel) {
        const float* columns = matrices + head * heads.matrix() + 4 * j;
        put(heads, dv, j, channel, turned_by_map(heads, columns, gs + channel));
    });
    __syncthreads();
    change(heads, gs, vs, matrices);
    each_tile(heads, 2, [&](u32 which, u32 head, u32 i, u32 channel) {
        const float* matrix = matrices + head * heads.matrix();
        if (which == 0)
            put(heads, dq, i, channel, matrix_by_map(heads, matrix + i * row, ks + channel));
        else
            put(heads, dk, i, channel, turned_by_map(heads, matrix + 4 * i, qs + channel));
    });
}
