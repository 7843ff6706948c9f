// Sums down columns, as the gradients of biases are: in parts of some rows each, then over the parts. Fixed order, no
// atomics; how many parts there are depends on sizes alone.
#include "common.cuh"

constexpr int Warps = 4, Threads = 32 * Warps;

template <class T> device void sum_parts(const T* x, float* parts, int rows, int columns, int each)
{
    alignas(16) __shared__ float sums[Warps][128];
    const int lane = thread_x() & 31, warp = thread_x() >> 5, c = block_x() * 128 + 4 * lane;
    const int end = min_of(rows, (block_y() + 1) * each);
    f32x4 sum = {0.0f, 0.0f, 0.0f, 0.0f};
    if (c < columns)
        for (int row = block_y() * each + warp; row < end; row += Warps) {
            f32x4 v = load4(x + (long long)row * columns + c);
            sum = f32x4{sum.x + v.x, sum.y + v.y, sum.z + v.z, sum.w + v.w};
        }
    store4(&sums[warp][4 * lane], sum);
    block_barrier();
    const int column = block_x() * 128 + thread_x();
    float total = 0.0f;
#pragma unroll
    for (int w = 0; w < Warps; w++) total += sums[w][thread_x()];
    if (column < columns) parts[(long long)block_y() * columns + column] = total;
}

// column_sum_fwd_{f32,bf16}_parts: sums over G shares of the rows.
//   in    x (R, C) f32 or bf16                       out  parts (G, C) f32
//   args  x, parts, R i32, C i32, each i32
//   launch grid (ceil(C/128), G = ceil(R/each)), block 128 = 4 warps; shared 2048 B; regs <= 40
//   needs C % 4 == 0, x aligned to 4 elements; any R
//   bytes s·R·C, s = 4 or 2     flops R·C     bound: memory
//   accuracy f32, warp-strided partial sums
//   order fixed: same bits every run
#define PARTS(name, T)                                                                                                 \
    kernel __launch_bounds__(Threads) name(const T* x, float* parts, int rows, int columns, int each)                  \
    {                                                                                                                  \
        sum_parts(x, parts, rows, columns, each);                                                                      \
    }
PARTS(column_sum_fwd_f32_parts, float)
PARTS(column_sum_fwd_bf16_parts, bf16)

template <class T, class U> device void sum_rows(const T* x, U* y, int rows, long long columns, int add)
{
    const long long column = (long long)block_x() * Threads + thread_x(), batch = block_y();
    if (column < columns) {
        const T* p = x + batch * rows * columns + column;
        float sum = add ? to_float(y[batch * columns + column]) : 0.0f;
        for (int row = 0; row < rows; row++) sum += to_float(p[row * columns]);
        store(y + batch * columns + column, sum);
    }
}

// column_sum_fwd_{f32,bf16,f32_bf16,bf16_f32}: y = sum of x over few rows, or y += that; types of x and y.
//   in    x (B, R, C) f32 or bf16                    out  y (B, C) f32 or bf16
//   args  x, y, R i32, C i64, add i32
//   launch grid (ceil(C/128), B), block 128; shared 0 B; regs <= 40
//   needs any sizes; add is 1 or 0
//   bytes s·B·R·C + t·B·C, s and t of x's and y's type     flops B·R·C     bound: memory
//   accuracy f32 in the order of rows, what y was first; one rounding
//   order fixed: same bits every run
#define ROWS(name, T, U)                                                                                               \
    kernel __launch_bounds__(Threads) name(const T* x, U* y, int rows, long long columns, int add)                     \
    {                                                                                                                  \
        sum_rows(x, y, rows, columns, add);                                                                            \
    }
ROWS(column_sum_fwd_f32, float, float)
ROWS(column_sum_fwd_bf16, bf16, bf16)
ROWS(column_sum_fwd_f32_bf16, float, bf16)
ROWS(column_sum_fwd_bf16_f32, bf16, float)
