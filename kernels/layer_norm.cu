// LayerNorm over the last axis. One warp a row; the row is read three times (mean, variance, output), the second and
// third time from cache: the two-pass variance does not cancel as E[x²] - E[x]² does.
#include "common.cuh"

constexpr int Warps = 8, Threads = 32 * Warps;

template <class T, class U> device void layer_norm_row(const T* x, const float* weight, const float* bias, U* y,
                                                       float* mean, float* rstd, int rows, int columns, float eps)
{
    int row = block_x() * Warps + (thread_x() >> 5), lane = thread_x() & 31;
    if (row < rows) {
        const T* p = x + (long long)row * columns;
        U* q = y + (long long)row * columns;
        float inverse = rcp_rn((float)columns), sum = 0.0f, squares = 0.0f;
        for (int c = 4 * lane; c < columns; c += 128) {
            f32x4 v = load4(p + c);
            sum += (v.x + v.y) + (v.z + v.w);
        }
        float m = warp_reduce<Sum>(sum) * inverse;
        for (int c = 4 * lane; c < columns; c += 128) {
            f32x4 v = load4(p + c);
            float a = v.x - m, b = v.y - m, d = v.z - m, e = v.w - m;
            squares = fma_rn(a, a, squares);
            squares = fma_rn(b, b, squares);
            squares = fma_rn(d, d, squares);
            squares = fma_rn(e, e, squares);
        }
        float r = rcp_rn(sqrt_rn(fma_rn(warp_reduce<Sum>(squares), inverse, eps)));
        for (int c = 4 * lane; c < columns; c += 128) {
            f32x4 v = load4(p + c), w = load4(weight + c), b = load4(bias + c);
            store4(q + c, f32x4{fma_rn((v.x - m) * r, w.x, b.x), fma_rn((v.y - m) * r, w.y, b.y),
                                fma_rn((v.z - m) * r, w.z, b.z), fma_rn((v.w - m) * r, w.w, b.w)});
        }
        if (lane == 0) {
            mean[row] = m;
            rstd[row] = r;
        }
    }
}

// layer_norm_fwd_f32: y = (x - mean) * rstd * w + b over the last axis; keeps mean, rstd for backward.
//   in    x (R, C) f32, w (C) f32, b (C) f32         out  y (R, C) f32, mean (R) f32, rstd (R) f32
//   args  x, w, b, y, mean, rstd, R i32, C i32, eps f32
//   launch grid ceil(R/8), block 256 = 8 warps, one warp a row; shared 0 B; regs <= 40
//   needs C % 4 == 0, x, w, b and y 16-byte aligned; y may be x; any R
//   bytes 8·R·C + 8·R     flops ~8·R·C     bound: memory
//   accuracy two passes, f32 accumulation
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) layer_norm_fwd_f32(const float* x, const float* w, const float* b, float* y,
                                                     float* mean, float* rstd, int rows, int columns, float eps)
{
    layer_norm_row(x, w, b, y, mean, rstd, rows, columns, eps);
}

// layer_norm_fwd_bf16: y = (x - mean) * rstd * w + b over the last axis; keeps mean, rstd for backward.
//   in    x (R, C) bf16, w (C) f32, b (C) f32        out  y (R, C) bf16, mean (R) f32, rstd (R) f32
//   args  x, w, b, y, mean, rstd, R i32, C i32, eps f32
//   launch grid ceil(R/8), block 256 = 8 warps, one warp a row; shared 0 B; regs <= 40
//   needs C % 4 == 0, w and b 16-byte, x and y 8-byte aligned; y may be x; any R
//   bytes 4·R·C + 8·R     flops ~8·R·C     bound: memory
//   accuracy two passes, f32 accumulation, one rounding to bf16
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) layer_norm_fwd_bf16(const bf16* x, const float* w, const float* b, bf16* y,
                                                      float* mean, float* rstd, int rows, int columns, float eps)
{
    layer_norm_row(x, w, b, y, mean, rstd, rows, columns, eps);
}

// layer_norm_fwd_f32_bf16: as layer_norm_fwd_f32, with y rounded to bf16: from a residual stream in f32 to a product.
//   in    x (R, C) f32, w (C) f32, b (C) f32         out  y (R, C) bf16, mean (R) f32, rstd (R) f32
//   args  x, w, b, y, mean, rstd, R i32, C i32, eps f32
//   launch grid ceil(R/8), block 256 = 8 warps, one warp a row; shared 0 B; regs <= 40
//   needs C % 4 == 0, x, w and b 16-byte, y 8-byte aligned; any R
//   bytes 6·R·C + 8·R     flops ~8·R·C     bound: memory
//   accuracy two passes, f32 accumulation, one rounding to bf16
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) layer_norm_fwd_f32_bf16(const float* x, const float* w, const float* b, bf16* y,
                                                          float* mean, float* rstd, int rows, int columns, float eps)
{
    layer_norm_row(x, w, b, y, mean, rstd, rows, columns, eps);
}

// With h = (x - mean) · rstd and g = dy · w: dx = rstd · (g - average of g - h · average of g·h). dx may lie over dy.
template <class T, class U>
device void layer_norm_back(const T* x, const float* weight, const float* mean, const float* rstd, const U* dy, T* dx,
                            int rows, int columns)
{
    int row = block_x() * Warps + (thread_x() >> 5), lane = thread_x() & 31;
    if (row < rows) {
        const long long at = (long long)row * columns;
        const float inverse = rcp_rn((float)columns), m = mean[row], r = rstd[row];
        float a = 0.0f, b = 0.0f;
        for (int c = 4 * lane; c < columns; c += 128) {
            f32x4 v = load4(x + at + c), w = load4(weight + c), d = load4(dy + at + c);
            float g0 = d.x * w.x, g1 = d.y * w.y, g2 = d.z * w.z, g3 = d.w * w.w;
            a += (g0 + g1) + (g2 + g3);
            b = fma_rn(g0, (v.x - m) * r, b);
            b = fma_rn(g1, (v.y - m) * r, b);
            b = fma_rn(g2, (v.z - m) * r, b);
            b = fma_rn(g3, (v.w - m) * r, b);
        }
        a = warp_reduce<Sum>(a) * inverse;
        b = warp_reduce<Sum>(b) * -inverse;
        for (int c = 4 * lane; c < columns; c += 128) {
            f32x4 v = load4(x + at + c), w = load4(weight + c), d = load4(dy + at + c);
            store4(dx + at + c, f32x4{r * fma_rn((v.x - m) * r, b, d.x * w.x - a),
                                      r * fma_rn((v.y - m) * r, b, d.y * w.y - a),
                                      r * fma_rn((v.z - m) * r, b, d.z * w.z - a),
                                      r * fma_rn((v.w - m) * r, b, d.w * w.w - a)});
        }
    }
}

// layer_norm_bwd_{f32,bf16,f32_bf16}: the gradient of x; the last one is for a forward from f32 to bf16.
//   in    x (R, C) f32 or bf16, w (C), mean (R), rstd (R) f32, dy (R, C) of y's type     out  dx (R, C) of x's type
//   args  x, w, mean, rstd, dy, dx, R i32, C i32
//   launch grid ceil(R/8), block 256 = 8 warps, one warp a row; shared 0 B; regs <= 56
//   needs C % 4 == 0, w 16-byte, x, dy and dx aligned to 4 elements; dx may be dy; any R
//   bytes (2·s + t)·R·C + 8·R, s and t of x's and y's type     flops ~16·R·C     bound: memory
//   accuracy sums in f32; one rounding to bf16
//   order fixed: same bits every run
#define LAYER_NORM_BACK(name, T, U)                                                                                    \
    kernel __launch_bounds__(Threads) name(const T* x, const float* w, const float* mean, const float* rstd,           \
                                           const U* dy, T* dx, int rows, int columns)                                  \
    {                                                                                                                  \
        layer_norm_back(x, w, mean, rstd, dy, dx, rows, columns);                                                      \
    }
LAYER_NORM_BACK(layer_norm_bwd_f32, float, float)
LAYER_NORM_BACK(layer_norm_bwd_bf16, bf16, bf16)
LAYER_NORM_BACK(layer_norm_bwd_f32_bf16, float, bf16)

// Of 128 columns and a share of the rows: warp w takes rows w, w + 8, ...; then the warps' sums in order.
template <class T, class U>
device void layer_norm_weight(const T* x, const float* mean, const float* rstd, const U* dy, float* parts, int rows,
                              int columns, int each)
{
    alignas(16) __shared__ float sums[2][Warps][128];
    const int lane = thread_x() & 31, warp = thread_x() >> 5, c = block_x() * 128 + 4 * lane;
    const int end = min_of(rows, (block_y() + 1) * each);
    f32x4 w = {0.0f, 0.0f, 0.0f, 0.0f}, b = w;
    if (c < columns)
        for (int row = block_y() * each + warp; row < end; row += Warps) {
            const long long at = (long long)row * columns + c;
            f32x4 v = load4(x + at), d = load4(dy + at);
            const float m = mean[row], r = rstd[row];
            w = f32x4{fma_rn(d.x, (v.x - m) * r, w.x), fma_rn(d.y, (v.y - m) * r, w.y),
                      fma_rn(d.z, (v.z - m) * r, w.z), fma_rn(d.w, (v.w - m) * r, w.w)};
            b = f32x4{b.x + d.x, b.y + d.y, b.z + d.z, b.w + d.w};
        }
    store4(&sums[0][warp][4 * lane], w);
    store4(&sums[1][warp][4 * lane], b);
    block_barrier();
    const int which = thread_x() >> 7, column = thread_x() & 127;
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < Warps; i++) sum += sums[which][i][column];
    if (block_x() * 128 + column < columns)
        parts[((long long)which * ceil_div(rows, each) + block_y()) * columns + block_x() * 128 + column] = sum;
}

// layer_norm_bwd_{f32,bf16,f32_bf16}_weight: gradients of w and b, in parts of some rows each.
//   in    x (R, C) f32 or bf16, mean (R), rstd (R) f32, dy (R, C) of y's type     out  parts (2, G, C) f32
//   args  x, mean, rstd, dy, parts, R i32, C i32, each i32
//   launch grid (ceil(C/128), G = ceil(R/each)), block 256 = 8 warps; shared 8192 B; regs <= 48
//   needs C % 4 == 0, x and dy aligned to 4 elements; any R
//   bytes (s + t)·R·C + 8·R, s and t of x's and y's type     flops ~6·R·C     bound: memory
//   accuracy sums in f32
//   order fixed: same bits every run
#define LAYER_NORM_WEIGHT(name, T, U)                                                                                  \
    kernel __launch_bounds__(Threads) name(const T* x, const float* mean, const float* rstd, const U* dy,              \
                                           float* parts, int rows, int columns, int each)                              \
    {                                                                                                                  \
        layer_norm_weight(x, mean, rstd, dy, parts, rows, columns, each);                                              \
    }
LAYER_NORM_WEIGHT(layer_norm_bwd_f32_weight, float, float)
LAYER_NORM_WEIGHT(layer_norm_bwd_bf16_weight, bf16, bf16)
LAYER_NORM_WEIGHT(layer_norm_bwd_f32_bf16_weight, float, bf16)
