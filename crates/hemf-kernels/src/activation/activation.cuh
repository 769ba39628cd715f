// Activations and their slopes at a value; meanings in mod.rs.
#pragma once
#include "../cuda/prelude.cuh"

// The standard normal's cumulative function and density.
__device__ inline float normal(float x) { return 0.5f * erfcf(-0.70710678f * x); }
__device__ inline float density(float x) { return 0.39894228f * expf(-0.5f * x * x); }

__device__ inline float gelu(float x) { return x * normal(x); }
__device__ inline float gelu_slope(float x) { return normal(x) + x * density(x); }

// What is not a number stays one.
__device__ inline float relu(float x) { return x < 0.0f ? 0.0f : x; }

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
