// GELU, exact form: x·Φ(x), Φ the normal distribution function, without erf's cancellation for negative x.
// Φ(-t) = exp(-t²/2)·g(t) for t >= 0, and g is smooth: a polynomial of degree 9 in s = (t - 3) / (t + 3), fitted to it by
// Chebyshev interpolation over t in [0, 15] (largest relative error 4.3e-8, half an f32 ulp; beyond 15 Φ(-t) is 0 in f32).
#include "common.cuh"

constexpr int Threads = 256;

device float gelu(float x)
{
    float t = as_float(as_bits(x) & 0x7fffffffu);
    t = t < 15.0f ? t : 15.0f; // keeps s finite for infinite x; a NaN comes back by the last product
    float s = (t - 3.0f) * rcp_approx(t + 3.0f);
    float g = 5.418167012e-5f;
    g = fma_rn(g, s, 1.162363375e-4f);
    g = fma_rn(g, s, -3.397967506e-4f);
    g = fma_rn(g, s, -9.844244443e-4f);
    g = fma_rn(g, s, 2.904545184e-3f);
    g = fma_rn(g, s, 6.132269994e-3f);
    g = fma_rn(g, s, -4.621326471e-2f);
    g = fma_rn(g, s, 1.232250113e-1f);
    g = fma_rn(g, s, -2.064026214e-1f);
    g = fma_rn(g, s, 1.215139479e-1f);
    float below = exp2_approx(t * t * (-0.5f * Log2E)) * g;
    return x * (x < 0.0f ? below : 1.0f - below);
}

template <class T> device void gelu_all(const T* x, T* y, long long n)
{
    long long stride = (long long)grid_x() * Threads, quads = n >> 2;
    long long first = (long long)block_x() * Threads + thread_x();
    for (long long i = first; i < quads; i += stride) {
        f32x4 v = load4(x + 4 * i);
        store4(y + 4 * i, f32x4{gelu(v.x), gelu(v.y), gelu(v.z), gelu(v.w)});
    }
    long long i = 4 * quads + first;
    if (i < n) store(y + i, gelu(to_float(x[i])));
}

// gelu_fwd_f32: y = x * Phi(x).
//   in    x (n) f32                                  out  y (n) f32
//   args  x, y, n i64
//   launch grid any, block 256; shared 0 B; regs <= 48
//   needs x and y 16-byte aligned; y may be x; any n
//   bytes 8·n     flops ~20·n     bound: memory
//   accuracy relative 1e-6, negative x included (t² rounds once before exp2)
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) gelu_fwd_f32(const float* x, float* y, long long n) { gelu_all(x, y, n); }

// gelu_fwd_bf16: y = x * Phi(x), in f32 inside.
//   in    x (n) bf16                                 out  y (n) bf16
//   args  x, y, n i64
//   launch grid any, block 256; shared 0 B; regs <= 48
//   needs x and y 8-byte aligned; y may be x; any n
//   bytes 4·n     flops ~20·n     bound: memory
//   accuracy one rounding to bf16
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) gelu_fwd_bf16(const bf16* x, bf16* y, long long n) { gelu_all(x, y, n); }
