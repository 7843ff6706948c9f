// GELU, element by element; the function is in gelu.cuh.
#include "gelu.cuh"

constexpr int Threads = 256;

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

template <class T> device void gelu_back(const T* x, const T* dy, T* dx, long long n)
{
    long long stride = (long long)grid_x() * Threads, quads = n >> 2;
    long long first = (long long)block_x() * Threads + thread_x();
    for (long long i = first; i < quads; i += stride) {
        f32x4 v = load4(x + 4 * i), d = load4(dy + 4 * i);
        store4(dx + 4 * i, f32x4{d.x * gelu_slope(v.x).slope, d.y * gelu_slope(v.y).slope,
                                 d.z * gelu_slope(v.z).slope, d.w * gelu_slope(v.w).slope});
    }
    long long i = 4 * quads + first;
    if (i < n) store(dx + i, to_float(dy[i]) * gelu_slope(to_float(x[i])).slope);
}

// gelu_bwd_{f32,bf16}: dx = dy * (Phi(x) + x * phi(x)), in f32 inside.
//   in    x (n) f32 or bf16, dy (n) of x's type      out  dx (n) of x's type
//   args  x, dy, dx, n i64
//   launch grid any, block 256; shared 0 B; regs <= 64
//   needs x, dy and dx aligned to 4 elements; dx may be x or dy; any n
//   bytes 3·s·n, s = 4 or 2     flops ~30·n     bound: memory
//   accuracy the derivative to 2e-7; bf16: one rounding
//   order fixed: same bits every run
#define GELU_BACK(name, T)                                                                                             \
    kernel __launch_bounds__(Threads) name(const T* x, const T* dy, T* dx, long long n) { gelu_back(x, dy, dx, n); }
GELU_BACK(gelu_bwd_f32, float)
GELU_BACK(gelu_bwd_bf16, bf16)
