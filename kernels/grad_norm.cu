// The norm of all gradients and the factor that clips it, in two phases: parts, then one block. No atomics.
#include "common.cuh"

constexpr int Threads = 256, Warps = Threads / 32;

// grad_norm_fwd_f32_parts: block b adds up the squares of elements b·256 + t, + G·256, ...
//   in    g (n) f32                                  out  parts (G) f32
//   args  g, parts, n i64
//   launch grid G any, block 256; shared 32 B; regs <= 32
//   needs any n; the caller fixes G by n alone, for the same bits on every card
//   bytes 4·n + 4·G     flops 2·n     bound: memory
//   accuracy f32, thread-strided partial sums; squares beyond f32 are infinite
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) grad_norm_fwd_f32_parts(const float* g, float* parts, long long n)
{
    __shared__ float scratch[Warps];
    long long stride = (long long)grid_x() * Threads;
    float acc = 0.0f;
    for (long long i = (long long)block_x() * Threads + thread_x(); i < n; i += stride) acc = fma_rn(g[i], g[i], acc);
    acc = block_reduce<Sum, Threads>(acc, scratch);
    if (thread_x() == 0) parts[block_x()] = acc;
}

// grad_norm_fwd_f32: y = the norm, and min(1, max_norm / (norm + 1e-6)), NaN for a norm that is NaN.
//   in    parts (G) f32                              out  y (2) f32
//   args  parts, G i32, max_norm f32, y
//   launch grid 1, block 256; shared 32 B; regs <= 32
//   needs any G
//   bytes 4·G     flops G     bound: memory
//   accuracy f32, thread-strided partial sums
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) grad_norm_fwd_f32(const float* parts, int count, float max_norm, float* y)
{
    __shared__ float scratch[Warps];
    float acc = 0.0f;
    for (int i = thread_x(); i < count; i += Threads) acc += parts[i];
    acc = block_reduce<Sum, Threads>(acc, scratch);
    if (thread_x() == 0) {
        float norm = sqrt_rn(acc), factor = max_norm * rcp_rn(norm + 1e-6f);
        y[0] = norm;
        y[1] = factor > 1.0f ? 1.0f : factor;
    }
}
