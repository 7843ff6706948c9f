// Sums and maxima: along rows, and over everything in two phases (parts, then their row sum). Fixed order, no atomics.
#include "common.cuh"

constexpr int Warps = 8, Threads = 32 * Warps;

// Lane l takes elements l, l + 32, ... in order; the lanes are combined by warp_reduce. A NaN shows up in the result.
template <class Op> device void reduce_row(const float* x, float* y, int rows, int columns)
{
    int row = block_x() * Warps + (thread_x() >> 5), lane = thread_x() & 31;
    if (row < rows) {
        const float* p = x + (long long)row * columns;
        float acc = identity<Op>();
        for (int c = lane; c < columns; c += 32) acc = combine<Op>(acc, p[c]);
        acc = warp_reduce<Op>(acc);
        if (lane == 0) y[row] = acc;
    }
}

// reduce_fwd_f32_row_sum: y = sum of x over the last axis; the second phase of a whole sum with R = 1.
//   in    x (R, C) f32                               out  y (R) f32
//   args  x, y, R i32, C i32
//   launch grid ceil(R/8), block 256 = 8 warps, one warp a row; shared 0 B; regs <= 32
//   needs any R, any C
//   bytes 4·R·C + 4·R     flops R·C     bound: memory
//   accuracy f32, lane-strided partial sums
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) reduce_fwd_f32_row_sum(const float* x, float* y, int rows, int columns)
{
    reduce_row<Sum>(x, y, rows, columns);
}

// reduce_fwd_f32_row_max: y = largest x over the last axis, NaN if there is one.
//   in    x (R, C) f32                               out  y (R) f32
//   args  x, y, R i32, C i32
//   launch grid ceil(R/8), block 256 = 8 warps, one warp a row; shared 0 B; regs <= 32
//   needs any R, any C
//   bytes 4·R·C + 4·R     flops R·C     bound: memory
//   accuracy exact
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) reduce_fwd_f32_row_max(const float* x, float* y, int rows, int columns)
{
    reduce_row<Max>(x, y, rows, columns);
}

// reduce_fwd_f32_sum_parts: first phase of a whole sum: block g adds up elements g·256 + t, + G·256, ...
//   in    x (n) f32                                  out  parts (G) f32
//   args  x, parts, n i64
//   launch grid G any, block 256; shared 32 B; regs <= 32
//   needs any n; the caller fixes G by n alone, for the same bits on every card
//   bytes 4·n + 4·G     flops n     bound: memory
//   accuracy f32, thread-strided partial sums
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) reduce_fwd_f32_sum_parts(const float* x, float* parts, long long n)
{
    __shared__ float scratch[Warps];
    long long stride = (long long)grid_x() * Threads;
    float acc = 0.0f;
    for (long long i = (long long)block_x() * Threads + thread_x(); i < n; i += stride) acc += x[i];
    acc = block_reduce<Sum, Threads>(acc, scratch);
    if (thread_x() == 0) parts[block_x()] = acc;
}
