// Device functions, calls through pointers, constants, global pointers, struct parameters, dynamic shared memory.
#include "device.h"
__constant__ float table[4] = {1.0f, 2.0f, 3.0f, -4.5f};
__device__ int counter = 7;
__device__ int* pointer = &counter;
struct Params { int n; float scale; long long stride; };
typedef float (*Function)(float, int);

extern "C" __device__ __attribute__((noinline)) float power(float x, int n)
{
    for (int i = 0; i < n; ++i) x = x * x + 1;
    return x;
}
extern "C" __device__ __attribute__((noinline)) float subtract(float x, int n) { return x - n; }
__device__ Function functions[2] = {power, subtract};
extern __shared__ float buffer[];

extern "C" __global__ void apply(float* a, const float* b, Params p)
{
    __shared__ float tile[32];
    int i = THREAD_X + BLOCK_X * BLOCK_SIZE;
    tile[i & 31] = b[i] * p.scale;
    buffer[i & 15] = 1;
    __syncthreads();
    if (i < p.n)
        a[i] = power(tile[31 - (i & 31)], p.n) + table[i & 3] + functions[i & 1](2.0f, 3) + *pointer + buffer[0];
}
