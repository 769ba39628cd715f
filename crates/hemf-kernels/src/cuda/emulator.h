// CUDA as far as the kernels use it, for the host's C++ compiler: see emulator.cpp.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#define __global__
#define __device__
#define __forceinline__ inline

struct Dim3 {
    unsigned x, y, z;
};
extern Dim3 gridDim, blockDim, blockIdx, threadIdx;

// Waits for all threads of the block, or of the warp.
void __syncthreads();
void __syncwarp();
// A value of another thread of the warp; all of them take part.
float __shfl_xor_sync(unsigned mask, float value, unsigned apart);
float __shfl_sync(unsigned mask, float value, unsigned lane);

// The upper half of a float, rounded to the nearest, ties to even.
struct __nv_bfloat16 {
    uint16_t bits;
};

inline float __bfloat162float(__nv_bfloat16 x) {
    uint32_t bits = uint32_t(x.bits) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline __nv_bfloat16 __float2bfloat16(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    if (x != x) return {0x7fff};
    return {uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

struct float2 {
    float x, y;
};
inline float2 make_float2(float x, float y) { return {x, y}; }

inline float __fdividef(float x, float y) { return x / y; }
inline float power_of_two(float x) { return exp2f(x); }

inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }

// The block's shared memory.
void* shared_memory();

// The arguments of a launch, taken one after the other; one of another type than the kernel's parameter ends the program.
struct Arguments {
    void* next(char kind, size_t value_size);

    template <class P>
    P take() {
        if constexpr (std::is_pointer_v<P>) {
            using Value = std::remove_pointer_t<P>;
            return static_cast<P>(next(std::is_const_v<Value> ? 'i' : 'o', sizeof(Value)));
        } else {
            constexpr char kind = std::is_same_v<P, unsigned> || std::is_same_v<P, Sizes> ? 'u'
                                  : std::is_same_v<P, Unchanged>                          ? 'I'
                                  : std::is_same_v<P, Changed>                            ? 'B'
                                                                                          : 'f';
            P value;
            std::memcpy(&value, next(kind, sizeof value), sizeof value);
            return value;
        }
    }
};

// A kernel by its name.
struct Kernel {
    template <class... P>
    Kernel(const char* name, unsigned threads, void (*run)(P...))
        : name(name), threads(threads), run(reinterpret_cast<void (*)()>(run)), before(all) {
        call = [](void (*run)(), Arguments& arguments) {
            // Braces take the arguments in order.
            struct Call {
                Call(void (*run)(P...), P... values) { run(values...); }
            };
            Call{reinterpret_cast<void (*)(P...)>(run), arguments.take<P>()...};
        };
        count = sizeof...(P);
        all = this;
    }

    const char* name;
    // Of a block at most.
    unsigned threads;
    void (*run)();
    void (*call)(void (*)(), Arguments&);
    size_t count;
    Kernel* before;
    static Kernel* all;
};

#define KERNEL(name, ...) KERNEL_OF(1024, 1, name, __VA_ARGS__)
#define KERNEL_OF(threads, blocks, name, ...)             \
    static void name(__VA_ARGS__);                        \
    static Kernel kernel_##name(#name, threads, name);    \
    static void name(__VA_ARGS__)
#define SHARED(type, name) type* name = static_cast<type*>(shared_memory())
