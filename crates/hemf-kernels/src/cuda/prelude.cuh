// What the kernels share. nvcc compiles them for the GPU, and the host's compiler for the tests, where emulator.h stands for
// what is CUDA's. Everything is compiled twice, with T, the type of the maps, float and bf16; sums are always in float.
#pragma once

// What is handed over with the launch itself, for up to so many of a kind: numbers, sizes, buffers to change and to read.
constexpr unsigned MOST = 64;
struct Numbers {
    float of[MOST];
};
struct Sizes {
    unsigned of[MOST];
};
struct Changed {
    float* of[MOST];
};
struct Unchanged {
    const float* of[MOST];
};

#ifdef __CUDACC__
#include <cuda_bf16.h>

// A kernel by its C name, which is how it is found at run time.
#define KERNEL(name, ...) extern "C" __global__ void name(__VA_ARGS__)
// One for blocks of so many threads at most, and with no more registers than let a multiprocessor run so many blocks at once.
#define KERNEL_OF(threads, blocks, name, ...) extern "C" __global__ void __launch_bounds__(threads, blocks) name(__VA_ARGS__)
// All of a block's shared memory; its size is told at the launch.
extern __shared__ float4 shared_memory[];
#define SHARED(type, name) type* name = reinterpret_cast<type*>(shared_memory)
// 2^x, where it is no normal number 0.
__device__ inline float power_of_two(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
#else
#include "emulator.h"
#endif

typedef unsigned int u32;

#ifdef MAP_BF16
typedef __nv_bfloat16 T;
#else
typedef float T;
#endif

constexpr u32 WARP = 32;
// exp(x) is exp2(x LOG2_E), which has an instruction of its own.
constexpr float LOG2_E = 1.44269504f;

__device__ inline float wide(float x) { return x; }
__device__ inline float wide(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ inline void put(float* at, float x) { *at = x; }
__device__ inline void put(__nv_bfloat16* at, float x) { *at = __float2bfloat16(x); }

// Four values side by side that are read and written at once; they begin at a multiple of their size.
template <class V>
struct alignas(4 * sizeof(V)) Four {
    V of[4];
};
template <class V>
__device__ inline Four<V> four(const V* at) { return *reinterpret_cast<const Four<V>*>(at); }
template <class V>
__device__ inline void put_four(V* at, Four<V> x) { *reinterpret_cast<Four<V>*>(at) = x; }


// The same of a map, as float.
__device__ inline Four<float> wide_four(const T* at) {
    Four<T> narrow = four(at);
    Four<float> to;
    for (u32 i = 0; i < 4; i++) to.of[i] = wide(narrow.of[i]);
    return to;
}
__device__ inline void put_wide_four(T* at, const Four<float>& values) {
    Four<T> narrow;
    for (u32 i = 0; i < 4; i++) put(&narrow.of[i], values.of[i]);
    put_four(at, narrow);
}

// The place of this thread among all of the launch.
__device__ inline size_t place() { return size_t(blockIdx.x) * blockDim.x + threadIdx.x; }

// Values of a thread where it is for several of n, as in launch.rs: a block's threads apart, so that threads side by side read
// values side by side. What it reads of a map it reads at once, before it waits for any.
constexpr u32 VALUES = 4;

// Calls run(k, place) for each.
template <class Run>
__device__ inline void each_value(u32 n, Run run) {
    size_t first = size_t(blockIdx.x) * blockDim.x * VALUES + threadIdx.x;
    for (u32 k = 0; k < VALUES; k++) {
        size_t i = first + k * blockDim.x;
        if (i < n) run(k, u32(i));
    }
}

// y[i] = f(i, x[i]), and z[i] = f(i, x[i], y[i]).
template <class F>
__device__ inline void map_values(const T* x, T* y, u32 n, F f) {
    T of_x[VALUES];
    each_value(n, [&](u32 k, u32 i) { of_x[k] = x[i]; });
    each_value(n, [&](u32 k, u32 i) { put(&y[i], f(i, wide(of_x[k]))); });
}

template <class F>
__device__ inline void map_values(const T* x, const T* y, T* z, u32 n, F f) {
    T of_x[VALUES], of_y[VALUES];
    each_value(n, [&](u32 k, u32 i) { of_x[k] = x[i], of_y[k] = y[i]; });
    each_value(n, [&](u32 k, u32 i) { put(&z[i], f(i, wide(of_x[k]), wide(of_y[k]))); });
}

// The sum over the threads of a warp, known to all of them, in one fixed order.
__device__ inline float warp_sum(float x) {
    for (u32 apart = WARP / 2; apart > 0; apart /= 2) x += __shfl_xor_sync(0xffffffffu, x, apart);
    return x;
}

// The largest over the threads of a warp, known to all of them.
__device__ inline float warp_max(float x) {
    for (u32 apart = WARP / 2; apart > 0; apart /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, apart));
    return x;
}
