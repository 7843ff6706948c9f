// Attention-based dropout (ADL) of the patch classifier: features are multiplied by one number a position, made from
// their mean over channels: 0 where it is near the image's maximum (drop), else by its sigmoid (importance). Which of
// the two is the caller's coin. Only the sigmoid passes a gradient to the mean.
#include "common.cuh"

constexpr int Warps = 8, Threads = 32 * Warps;

template <class T> device void channel_mean(const T* x, float* mean, int rows, int columns)
{
    int row = block_x() * Warps + (thread_x() >> 5), lane = thread_x() & 31;
    if (row < rows) {
        const T* p = x + (long long)row * columns;
        float sum = 0.0f;
        for (int c = 4 * lane; c < columns; c += 128) {
            f32x4 v = load4(p + c);
            sum += (v.x + v.y) + (v.z + v.w);
        }
        sum = warp_reduce<Sum>(sum);
        if (lane == 0) mean[row] = sum / (float)columns;
    }
}

// adl_fwd_{f32,bf16}_mean: mean of x over the last axis.
//   in    x (R, C) f32 or bf16                       out  mean (R) f32
//   args  x, mean, R i32, C i32
//   launch grid ceil(R/8), block 256 = 8 warps, one warp a row; shared 0 B; regs <= 32
//   needs C % 4 == 0, x aligned to 4 elements
//   bytes s·R·C + 4·R, s = 4 or 2     flops R·C     bound: memory
//   accuracy f32, lane-strided partial sums
//   order fixed: same bits every run
#define CHANNEL_MEAN(name, T)                                                                                          \
    kernel __launch_bounds__(Threads) name(const T* x, float* mean, int rows, int columns)                             \
    {                                                                                                                  \
        channel_mean(x, mean, rows, columns);                                                                          \
    }
CHANNEL_MEAN(adl_fwd_f32_mean, float)
CHANNEL_MEAN(adl_fwd_bf16_mean, bf16)

// adl_fwd_f32_map: map = 1 where map < threshold · largest of the image, else 0, if drop is set; else sigmoid(map).
//   in    map (B, P), largest (B) f32                out  map (B, P) f32
//   args  map, largest, threshold f32, drop i32, P i32
//   launch grid (ceil(P/256), B), block 256; shared 0 B; regs <= 32
//   needs any P
//   bytes 8·B·P     flops ~6·B·P     bound: memory
//   accuracy a few ulp (ex2.approx); the comparison is with the product rounded to f32
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) adl_fwd_f32_map(float* map, const float* largest, float threshold, int drop,
                                                  int positions)
{
    int i = block_x() * Threads + thread_x();
    if (i < positions) {
        float* at = map + (long long)block_y() * positions + i;
        float mean = *at;
        *at = drop ? (mean < threshold * largest[block_y()] ? 1.0f : 0.0f) : rcp_rn(1.0f + exp2_approx(-Log2E * mean));
    }
}

template <class T> device void scale_rows(const T* x, const float* map, T* y, int rows, int columns)
{
    int row = block_x() * Warps + (thread_x() >> 5), lane = thread_x() & 31;
    if (row < rows) {
        float s = map[row];
        long long first = (long long)row * columns;
        for (int c = 4 * lane; c < columns; c += 128) {
            f32x4 v = load4(x + first + c);
            store4(y + first + c, f32x4{v.x * s, v.y * s, v.z * s, v.w * s});
        }
    }
}

// adl_fwd_{f32,bf16}: y = x · map, one number a row.
//   in    x (R, C) f32 or bf16, map (R) f32          out  y (R, C) f32 or bf16
//   args  x, map, y, R i32, C i32
//   launch grid ceil(R/8), block 256 = 8 warps, one warp a row; shared 0 B; regs <= 32
//   needs C % 4 == 0, x and y aligned to 4 elements; y may be x
//   bytes 2·s·R·C, s = 4 or 2     flops R·C     bound: memory
//   accuracy one rounding (bf16: two)
//   order fixed: same bits every run
#define SCALE_ROWS(name, T)                                                                                            \
    kernel __launch_bounds__(Threads) name(const T* x, const float* map, T* y, int rows, int columns)                  \
    {                                                                                                                  \
        scale_rows(x, map, y, rows, columns);                                                                          \
    }
SCALE_ROWS(adl_fwd_f32, float)
SCALE_ROWS(adl_fwd_bf16, bf16)

template <class T>
device void adl_gradient(const T* x, const float* map, const T* dy, T* dx, int rows, int columns)
{
    int row = block_x() * Warps + (thread_x() >> 5), lane = thread_x() & 31;
    if (row < rows) {
        float s = map[row], slope = s * (1.0f - s), shared = 0.0f; // a mask's slope is zero
        long long first = (long long)row * columns;
        if (slope != 0.0f) {
            for (int c = 4 * lane; c < columns; c += 128) {
                f32x4 v = load4(x + first + c), g = load4(dy + first + c);
                shared = fma_rn(v.x, g.x, shared);
                shared = fma_rn(v.y, g.y, shared);
                shared = fma_rn(v.z, g.z, shared);
                shared = fma_rn(v.w, g.w, shared);
            }
            shared = warp_reduce<Sum>(shared) * slope / (float)columns;
        }
        for (int c = 4 * lane; c < columns; c += 128) {
            f32x4 g = load4(dy + first + c);
            store4(dx + first + c, f32x4{fma_rn(g.x, s, shared), fma_rn(g.y, s, shared), fma_rn(g.z, s, shared),
                                         fma_rn(g.w, s, shared)});
        }
    }
}

// adl_bwd_{f32,bf16}: dx = dy · map + map · (1 - map) · Σ(x·dy) / C: a mask of 0 and 1 has no second term.
//   in    x, dy (R, C) f32 or bf16, map (R) f32      out  dx (R, C) f32 or bf16
//   args  x, map, dy, dx, R i32, C i32
//   launch grid ceil(R/8), block 256 = 8 warps, one warp a row; shared 0 B; regs <= 40
//   needs C % 4 == 0, x, dy and dx aligned to 4 elements; dx may be dy
//   bytes 3·s·R·C, s = 4 or 2     flops 4·R·C     bound: memory
//   accuracy f32, lane-strided partial sums; one rounding to bf16
//   order fixed: same bits every run
#define ADL_GRADIENT(name, T)                                                                                          \
    kernel __launch_bounds__(Threads) name(const T* x, const float* map, const T* dy, T* dx, int rows, int columns)    \
    {                                                                                                                  \
        adl_gradient(x, map, dy, dx, rows, columns);                                                                   \
    }
ADL_GRADIENT(adl_bwd_f32, float)
ADL_GRADIENT(adl_bwd_bf16, bf16)
