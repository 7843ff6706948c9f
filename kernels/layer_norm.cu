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
