// How many values are NaN or infinite, added to one of several counters: a step counts for each op and looks once.
#include "common.cuh"

constexpr int Threads = 256;

device u32 is_wrong(float x) { return (as_bits(x) & 0x7f800000u) == 0x7f800000u; }

device void add_to(u32* p, u32 x) // of integers any order gives the same sum
{
    asm volatile("red.global.add.u32 [%0], %1;" :: "l"(p), "r"(x) : "memory");
}

template <class T> device void count_wrong(const T* x, long long n, u32* counts, int slot)
{
    long long stride = (long long)grid_x() * Threads, quads = n >> 2;
    long long first = (long long)block_x() * Threads + thread_x();
    u32 wrong = 0;
    for (long long i = first; i < quads; i += stride) {
        f32x4 v = load4(x + 4 * i);
        wrong += is_wrong(v.x) + is_wrong(v.y) + is_wrong(v.z) + is_wrong(v.w);
    }
    long long i = 4 * quads + first;
    if (i < n) wrong += is_wrong(to_float(x[i]));
    if (wrong > 0) add_to(counts + slot, wrong);
}

// non_finite_fwd_f32: counts[slot] += how many of x are NaN or infinite.
//   in    x (n) f32, counts (S) i32                  out  counts (S) i32
//   args  x, n i64, counts, slot i32
//   launch grid any, block 256; shared 0 B; regs <= 32
//   needs x 16-byte aligned; any n
//   bytes 4·n     flops n     bound: memory
//   accuracy exact
//   order any: sums of integers, same bits every run
kernel __launch_bounds__(Threads) non_finite_fwd_f32(const float* x, long long n, u32* counts, int slot)
{
    count_wrong(x, n, counts, slot);
}

// non_finite_fwd_bf16: counts[slot] += how many of x are NaN or infinite.
//   in    x (n) bf16, counts (S) i32                 out  counts (S) i32
//   args  x, n i64, counts, slot i32
//   launch grid any, block 256; shared 0 B; regs <= 32
//   needs x 8-byte aligned; any n
//   bytes 2·n     flops n     bound: memory
//   accuracy exact
//   order any: sums of integers, same bits every run
kernel __launch_bounds__(Threads) non_finite_fwd_bf16(const bf16* x, long long n, u32* counts, int slot)
{
    count_wrong(x, n, counts, slot);
}
