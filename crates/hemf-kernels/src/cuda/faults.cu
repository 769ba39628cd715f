// Kernels with the faults that the emulator is there to find. In the tests alone.
#include "prelude.cuh"

KERNEL(fault_no_barrier, const float* x, float* y) {
    SHARED(float, shared);
    shared[threadIdx.x] = x[threadIdx.x];
    y[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}

KERNEL(fault_between_blocks, const float* x, float* y) {
    y[0] = x[0] + float(blockIdx.x);
}

KERNEL(fault_outside, const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x + 1]; }

KERNEL(fault_unshared, const float* x, float* y) {
    SHARED(float, shared);
    shared[threadIdx.x + 1] = x[threadIdx.x];
    y[threadIdx.x] = x[threadIdx.x];
}

KERNEL(fault_barrier_for_some, const float* x, float* y) {
    if (threadIdx.x % 2) __syncthreads();
    y[threadIdx.x] = x[threadIdx.x];
}

KERNEL(fault_none, const float* x, float* y) {
    SHARED(float, shared);
    shared[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}

KERNEL_OF(32, 1, fault_few_threads, const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }

KERNEL(fault_fours_anywhere, const float* x, float* y) { y[threadIdx.x] = four(x).of[threadIdx.x % 4]; }
