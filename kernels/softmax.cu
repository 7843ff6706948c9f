// Softmax along rows of any length. One warp a row, three readings: maximum, sum, output. For rows that are matrices of
// attention logits there is attention.cu, which never writes them.
#include "common.cuh"

constexpr int Warps = 8, Threads = 32 * Warps;

template <class T> device void softmax_row(const T* x, T* y, int rows, int columns)
{
    int row = block_x() * Warps + (thread_x() >> 5), lane = thread_x() & 31;
    if (row < rows) {
        const T* p = x + (long long)row * columns;
        T* q = y + (long long)row * columns;
        float top = -Infinity, sum = 0.0f;
        for (int c = lane; c < columns; c += 32) top = max_nan(top, to_float(p[c]));
        top = warp_reduce<Max>(top);
        // the difference first: it is exact or nearly so, where x·log2(e) - top·log2(e) would lose bits of a large x
        for (int c = lane; c < columns; c += 32) sum += exp2_approx((to_float(p[c]) - top) * Log2E);
        float scale = rcp_rn(warp_reduce<Sum>(sum));
        for (int c = lane; c < columns; c += 32) store(q + c, exp2_approx((to_float(p[c]) - top) * Log2E) * scale);
    }
}

// softmax_fwd_f32: y = exp(x - max) / sum over the last axis.
//   in    x (R, C) f32                               out  y (R, C) f32
//   args  x, y, R i32, C i32
//   launch grid ceil(R/8), block 256 = 8 warps, one warp a row; shared 0 B; regs <= 40
//   needs any R, any C; y may be x
//   bytes 8·R·C     flops ~8·R·C     bound: memory
//   accuracy f32; exp by ex2.approx (2 ulp); a row of -inf gives NaN, as PyTorch
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) softmax_fwd_f32(const float* x, float* y, int rows, int columns)
{
    softmax_row(x, y, rows, columns);
}

// softmax_fwd_bf16: y = exp(x - max) / sum over the last axis.
//   in    x (R, C) bf16                              out  y (R, C) bf16
//   args  x, y, R i32, C i32
//   launch grid ceil(R/8), block 256 = 8 warps, one warp a row; shared 0 B; regs <= 40
//   needs any R, any C; y may be x
//   bytes 4·R·C     flops ~8·R·C     bound: memory
//   accuracy f32 inside, one rounding to bf16; a row of -inf gives NaN, as PyTorch
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) softmax_fwd_bf16(const bf16* x, bf16* y, int rows, int columns)
{
    softmax_row(x, y, rows, columns);
}
