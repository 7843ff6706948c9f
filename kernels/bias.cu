// A bias per column, for matrix products that have none: y = x + bias, alone, under GELU or ReLU. One warp a row at a
// time.
#include "gelu.cuh"

constexpr int Warps = 4, Threads = 32 * Warps;

template <class T, class F> device void for_rows(const T* x, const float* bias, T* y, int rows, int columns, F f)
{
    const int lane = thread_x() & 31, warp = thread_x() >> 5;
    for (long long row = (long long)block_x() * Warps + warp; row < rows; row += (long long)grid_x() * Warps)
        for (int c = 4 * lane; c < columns; c += 128) {
            f32x4 v = load4(x + row * columns + c), b = load4(bias + c);
            store4(y + row * columns + c, f32x4{f(v.x + b.x), f(v.y + b.y), f(v.z + b.z), f(v.w + b.w)});
        }
}

// bias_fwd_{f32,bf16}: y = x + bias.
//   in    x (R, C) f32 or bf16, bias (C) f32         out  y (R, C) of x's type
//   args  x, bias, y, R i32, C i32
//   launch grid any, block 128 = 4 warps, a warp takes every (4·grid)-th row; shared 0 B; regs <= 40
//   needs C % 4 == 0, bias 16-byte, x and y aligned to 4 elements; y may be x
//   bytes 2·s·R·C, s = 4 or 2     flops R·C     bound: memory
//   accuracy added in f32, one rounding
//   order fixed: same bits every run
#define BIAS(name, T)                                                                                                  \
    kernel __launch_bounds__(Threads) name(const T* x, const float* bias, T* y, int rows, int columns)                 \
    {                                                                                                                  \
        for_rows(x, bias, y, rows, columns, [](float v) { return v; });                                                \
    }
BIAS(bias_fwd_f32, float)
BIAS(bias_fwd_bf16, bf16)

// bias_gelu_fwd_{f32,bf16}: y = gelu(x + bias).
//   in    x (R, C) f32 or bf16, bias (C) f32         out  y (R, C) of x's type
//   args  x, bias, y, R i32, C i32
//   launch grid any, block 128 = 4 warps, a warp takes every (4·grid)-th row; shared 0 B; regs <= 48
//   needs C % 4 == 0, bias 16-byte, x and y aligned to 4 elements; y may be x
//   bytes 2·s·R·C, s = 4 or 2     flops ~21·R·C     bound: memory
//   accuracy relative 1e-6 of gelu at the rounded sum; bf16: f32 inside, one rounding
//   order fixed: same bits every run
#define BIAS_GELU(name, T)                                                                                             \
    kernel __launch_bounds__(Threads) name(const T* x, const float* bias, T* y, int rows, int columns)                 \
    {                                                                                                                  \
        for_rows(x, bias, y, rows, columns, [](float v) { return gelu(v); });                                          \
    }
BIAS_GELU(bias_gelu_fwd_f32, float)
BIAS_GELU(bias_gelu_fwd_bf16, bf16)

// bias_relu_fwd_{f32,bf16}: y = max(x + bias, 0); NaN stays.
//   in    x (R, C) f32 or bf16, bias (C) f32         out  y (R, C) of x's type
//   args  x, bias, y, R i32, C i32
//   launch grid any, block 128 = 4 warps, a warp takes every (4·grid)-th row; shared 0 B; regs <= 40
//   needs C % 4 == 0, bias 16-byte, x and y aligned to 4 elements; y may be x
//   bytes 2·s·R·C, s = 4 or 2     flops 2·R·C     bound: memory
//   accuracy added in f32, one rounding
//   order fixed: same bits every run
#define BIAS_RELU(name, T)                                                                                             \
    kernel __launch_bounds__(Threads) name(const T* x, const float* bias, T* y, int rows, int columns)                 \
    {                                                                                                                  \
        for_rows(x, bias, y, rows, columns, [](float v) { return v < 0.0f ? 0.0f : v; });                              \
    }
BIAS_RELU(bias_relu_fwd_f32, float)
BIAS_RELU(bias_relu_fwd_bf16, bf16)

// The same for a gradient: f(x + bias, dy), or f(y, dy) where there is no bias.
template <class T, class F>
device void back_rows(const T* x, const float* bias, const T* dy, T* dx, int rows, int columns, F f)
{
    const int lane = thread_x() & 31, warp = thread_x() >> 5;
    for (long long row = (long long)block_x() * Warps + warp; row < rows; row += (long long)grid_x() * Warps)
        for (int c = 4 * lane; c < columns; c += 128) {
            f32x4 v = load4(x + row * columns + c), d = load4(dy + row * columns + c), b = {0.0f, 0.0f, 0.0f, 0.0f};
            if (bias) b = load4(bias + c);
            store4(dx + row * columns + c,
                   f32x4{f(v.x + b.x, d.x), f(v.y + b.y, d.y), f(v.z + b.z, d.z), f(v.w + b.w, d.w)});
        }
}

// bias_gelu_bwd_{f32,bf16}: dx = dy * gelu'(x + bias).
//   in    x (R, C) f32 or bf16, bias (C) f32, dy (R, C) of x's type     out  dx (R, C) of x's type
//   args  x, bias, dy, dx, R i32, C i32
//   launch grid any, block 128 = 4 warps, a warp takes every (4·grid)-th row; shared 0 B; regs <= 64
//   needs C % 4 == 0, bias 16-byte, x, dy and dx aligned to 4 elements; dx may be x or dy
//   bytes 3·s·R·C, s = 4 or 2     flops ~31·R·C     bound: memory
//   accuracy the derivative to 2e-7 at the rounded sum; bf16: f32 inside, one rounding
//   order fixed: same bits every run
#define BIAS_GELU_BACK(name, T)                                                                                        \
    kernel __launch_bounds__(Threads) name(const T* x, const float* bias, const T* dy, T* dx, int rows, int columns)   \
    {                                                                                                                  \
        back_rows(x, bias, dy, dx, rows, columns, [](float v, float d) { return d * gelu_slope(v).slope; });           \
    }
BIAS_GELU_BACK(bias_gelu_bwd_f32, float)
BIAS_GELU_BACK(bias_gelu_bwd_bf16, bf16)

// bias_relu_bwd_{f32,bf16}: dx = dy where y, the forward's result, is above 0 or NaN, else 0.
//   in    y (R, C) f32 or bf16, dy (R, C) of y's type                   out  dx (R, C) of y's type
//   args  y, dy, dx, R i32, C i32
//   launch grid any, block 128 = 4 warps, a warp takes every (4·grid)-th row; shared 0 B; regs <= 40
//   needs C % 4 == 0, y, dy and dx aligned to 4 elements; dx may be y or dy
//   bytes 3·s·R·C, s = 4 or 2     flops R·C     bound: memory
//   accuracy exact
//   order fixed: same bits every run
#define BIAS_RELU_BACK(name, T)                                                                                        \
    kernel __launch_bounds__(Threads) name(const T* y, const T* dy, T* dx, int rows, int columns)                      \
    {                                                                                                                  \
        back_rows(y, (const float*)0, dy, dx, rows, columns,                                                           \
                  [](float v, float d) { return v <= 0.0f ? 0.0f : d; });                                              \
    }
BIAS_RELU_BACK(bias_relu_bwd_f32, float)
BIAS_RELU_BACK(bias_relu_bwd_bf16, bf16)
