// Element by element: copy, add, scale, casts. Eight bytes or more a thread, a grid-stride loop so that any n fits any
// grid, and a scalar tail for the last n % 4 elements.
#include "common.cuh"

constexpr int Threads = 256;

template <class In, class Out, class F> device void for_each4(const In* x, Out* y, long long n, F f)
{
    long long stride = (long long)grid_x() * Threads, quads = n >> 2;
    long long first = (long long)block_x() * Threads + thread_x();
    for (long long i = first; i < quads; i += stride) {
        f32x4 v = load4(x + 4 * i);
        store4(y + 4 * i, f32x4{f(v.x), f(v.y), f(v.z), f(v.w)});
    }
    long long i = 4 * quads + first;
    if (i < n) store(y + i, f(to_float(x[i])));
}

template <class T> device void add4(const T* a, const T* b, T* y, long long n)
{
    long long stride = (long long)grid_x() * Threads, quads = n >> 2;
    long long first = (long long)block_x() * Threads + thread_x();
    for (long long i = first; i < quads; i += stride) {
        f32x4 v = load4(a + 4 * i), w = load4(b + 4 * i);
        store4(y + 4 * i, f32x4{v.x + w.x, v.y + w.y, v.z + w.z, v.w + w.w});
    }
    long long i = 4 * quads + first;
    if (i < n) store(y + i, to_float(a[i]) + to_float(b[i]));
}

// copy_fwd_b32: y = x, 32-bit words as they are.
//   in    x (n) u32                                  out  y (n) u32
//   args  x, y, n i64
//   launch grid any, block 256; shared 0 B; regs <= 32
//   needs x and y 16-byte aligned, not overlapping; any n
//   bytes 8·n     flops 0     bound: memory
//   accuracy exact
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) copy_fwd_b32(const u32* x, u32* y, long long n)
{
    long long stride = (long long)grid_x() * Threads, quads = n >> 2;
    long long first = (long long)block_x() * Threads + thread_x();
    for (long long i = first; i < quads; i += stride) ((u32x4*)y)[i] = ((const u32x4*)x)[i];
    long long i = 4 * quads + first;
    if (i < n) y[i] = x[i];
}

// add_fwd_f32: y = a + b.
//   in    a (n) f32, b (n) f32                       out  y (n) f32
//   args  a, b, y, n i64
//   launch grid any, block 256; shared 0 B; regs <= 32
//   needs a, b and y 16-byte aligned; y may be a or b; any n
//   bytes 12·n     flops n     bound: memory
//   accuracy exact to rounding
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) add_fwd_f32(const float* a, const float* b, float* y, long long n)
{
    add4(a, b, y, n);
}

// add_fwd_bf16: y = a + b, added in f32, rounded once.
//   in    a (n) bf16, b (n) bf16                     out  y (n) bf16
//   args  a, b, y, n i64
//   launch grid any, block 256; shared 0 B; regs <= 32
//   needs a, b and y 8-byte aligned; y may be a or b; any n
//   bytes 6·n     flops n     bound: memory
//   accuracy exact to rounding
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) add_fwd_bf16(const bf16* a, const bf16* b, bf16* y, long long n)
{
    add4(a, b, y, n);
}

// scale_fwd_f32: y = s * x + t.
//   in    x (n) f32                                  out  y (n) f32
//   args  x, s f32, t f32, y, n i64
//   launch grid any, block 256; shared 0 B; regs <= 32
//   needs x and y 16-byte aligned; y may be x; any n
//   bytes 8·n     flops 2·n     bound: memory
//   accuracy one rounding (fma)
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) scale_fwd_f32(const float* x, float s, float t, float* y, long long n)
{
    for_each4(x, y, n, [=](float v) { return fma_rn(s, v, t); });
}

// cast_fwd_f32_bf16: y = x rounded to bf16, nearest even.
//   in    x (n) f32                                  out  y (n) bf16
//   args  x, y, n i64
//   launch grid any, block 256; shared 0 B; regs <= 32
//   needs x 16-byte, y 8-byte aligned; any n
//   bytes 6·n     flops 0     bound: memory
//   accuracy exact to rounding
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) cast_fwd_f32_bf16(const float* x, bf16* y, long long n)
{
    for_each4(x, y, n, [](float v) { return v; });
}

// cast_fwd_bf16_f32: y = x.
//   in    x (n) bf16                                 out  y (n) f32
//   args  x, y, n i64
//   launch grid any, block 256; shared 0 B; regs <= 32
//   needs x 8-byte, y 16-byte aligned; any n
//   bytes 6·n     flops 0     bound: memory
//   accuracy exact
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) cast_fwd_bf16_f32(const bf16* x, float* y, long long n)
{
    for_each4(x, y, n, [](float v) { return v; });
}
