// Rows by index, with something added: the mask decoder's image tokens, where several prompts share an image.
#include "common.cuh"

constexpr int Threads = 256;

template <class T>
device void gather(const T* x, const int* of, const float* row, const T* add, T* y, int quads, int columns)
{
    const long long p = block_y(), from = of[p];
    const T* source = x + from * quads * 4;
    for (int i = block_x() * Threads + thread_x(); i < quads; i += grid_x() * Threads) {
        f32x4 v = load4(source + 4ll * i);
        if (row) {
            f32x4 w = load4(row + 4 * (i % (columns / 4)));
            v = f32x4{v.x + w.x, v.y + w.y, v.z + w.z, v.w + w.w};
        }
        if (add) {
            f32x4 w = load4(add + (p * quads + i) * 4);
            v = f32x4{v.x + w.x, v.y + w.y, v.z + w.z, v.w + w.w};
        }
        store4(y + (p * quads + i) * 4, v);
    }
}

// gather_fwd_{f32,bf16}: y[p] = x[of[p]] + row + add[p]; row and add may be null.
//   in    x (B, R, C) f32 or bf16, of (P) i32, row (C) f32, add (P, R, C) of x's type     out  y (P, R, C) of x's type
//   args  x, of, row, add, y, quads i32, C i32
//   launch grid (any, P), block 256; shared 0 B; regs <= 40
//   needs quads = R·C/4, C % 4 == 0, 0 <= of < B, row 16-byte, the others aligned to 4 elements; y may be add
//   bytes s·P·R·C·(2 or 3), s = 4 or 2     flops P·R·C     bound: memory
//   accuracy added in f32, one rounding
//   order fixed: same bits every run
#define GATHER(name, T)                                                                                                \
    kernel __launch_bounds__(Threads) name(const T* x, const int* of, const float* row, const T* add, T* y, int quads, \
                                           int columns)                                                                \
    {                                                                                                                  \
        gather(x, of, row, add, y, quads, columns);                                                                    \
    }
GATHER(gather_fwd_f32, float)
GATHER(gather_fwd_bf16, bf16)

// gather_bwd_{f32,bf16}: dx[b] = sum of dy[p] over all p with of[p] = b; zero where there is none.
//   in    dy (P, R, C) f32 or bf16, of (P) i32       out  dx (B, R, C) of dy's type
//   args  dy, of, dx, P i32, quads i32
//   launch grid (any, B), block 256; shared 0 B; regs <= 40
//   needs quads = R·C/4, dy and dx aligned to 4 elements
//   bytes s·R·C·(P + B), s = 4 or 2     flops P·R·C     bound: memory
//   accuracy added in f32 in the order of p, one rounding
//   order fixed: same bits every run
#define GATHER_BACK(name, T)                                                                                           \
    kernel __launch_bounds__(Threads) name(const T* dy, const int* of, T* dx, int prompts, int quads)                  \
    {                                                                                                                  \
        const int b = block_y();                                                                                       \
        for (int i = block_x() * Threads + thread_x(); i < quads; i += grid_x() * Threads) {                           \
            f32x4 sum = {0.0f, 0.0f, 0.0f, 0.0f};                                                                      \
            for (int p = 0; p < prompts; p++)                                                                          \
                if (of[p] == b) {                                                                                      \
                    f32x4 v = load4(dy + ((long long)p * quads + i) * 4);                                              \
                    sum = f32x4{sum.x + v.x, sum.y + v.y, sum.z + v.z, sum.w + v.w};                                   \
                }                                                                                                      \
            store4(dx + ((long long)b * quads + i) * 4, sum);                                                          \
        }                                                                                                              \
    }
GATHER_BACK(gather_bwd_f32, float)
GATHER_BACK(gather_bwd_bf16, bf16)
