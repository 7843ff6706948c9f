// Some rows of each batch copied to rows of another tensor: tokens of several tensors put together, one of them taken
// out. One block a row.
#include "common.cuh"

constexpr int Threads = 128;

// slice_fwd_b32: y[b, to + i, :] = x[b, from + i, :] for i < count, 32-bit words as they are. x[b] begins b·stride
// rows after x; a stride of 0 repeats it.
//   in    x (B, N, W) u32, or (1, N, W)              out  y (B, M, W) u32, other rows are left as they are
//   args  x, y, stride i32, M i32, from i32, to i32, count i32, W i32
//   launch grid B·count, block 128; shared 0 B; regs <= 32
//   needs from + count <= N, to + count <= M; not overlapping
//   bytes 8·B·count·W     flops 0     bound: memory
//   accuracy exact
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) slice_fwd_b32(const u32* x, u32* y, int stride, int rows, int from, int to, int count,
                                                int words)
{
    const int batch = block_x() / count, i = block_x() % count;
    const u32* source = x + ((long long)batch * stride + from + i) * words;
    u32* target = y + ((long long)batch * rows + to + i) * words;
    for (int w = thread_x(); w < words; w += Threads) target[w] = source[w];
}
