// The patch classifier's input: RGB in 0..1 and, as fourth channel, the mean over colours of |x - low|. low is what the
// frequencies 0 and -1 of both axes hold of a colour (the reference clears them in an FFT): with Er = e^(2πi·r/H),
// Ec = e^(2πi·c/W) and F = mean(x · E) it is F0 + Re(Fr·Er* + Fc·Ec* + Frc·(Er·Ec)*), so four sums replace the FFT.
// A table has cos and sin, made on the host: H pairs, then W pairs.
#include "common.cuh"

constexpr int Warps = 8, Threads = 32 * Warps, Sums = 7;

device float pixel(const unsigned char* p) { return (float)*p / 255.0f; }
device float pixel(const float* p) { return *p; }

// Σ x, Σ x·cos c, Σ x·sin c of each colour of a row.
template <class T> device void row_sums(const T* x, const f32x2* table, float* sums, int rows, int h, int w)
{
    int row = block_x() * Warps + (thread_x() >> 5), lane = thread_x() & 31;
    if (row < rows) {
        const T* p = x + (long long)row * w * 3;
        float sum[9] = {};
        for (int c = lane; c < w; c += 32) {
            f32x2 e = table[h + c];
#pragma unroll
            for (int k = 0; k < 3; k++) {
                float v = pixel(p + 3 * c + k);
                sum[3 * k] += v;
                sum[3 * k + 1] = fma_rn(v, e.x, sum[3 * k + 1]);
                sum[3 * k + 2] = fma_rn(v, e.y, sum[3 * k + 2]);
            }
        }
#pragma unroll
        for (int i = 0; i < 9; i++) {
            float s = warp_reduce<Sum>(sum[i]);
            if (lane == 0) sums[(long long)row * 9 + i] = s;
        }
    }
}

// high_frequency_fwd_{u8,f32}_rows: Σ x, Σ x·cos(2πc/W), Σ x·sin(2πc/W) of each row and colour; u8 counts as x/255.
//   in    x (R, W, 3) u8 or f32, table (H + W, 2) f32       out  rows (R, 9) f32
//   args  x, table, rows, R i32, H i32, W i32
//   launch grid ceil(R/8), block 256 = 8 warps, one warp a row; shared 0 B; regs <= 40
//   needs table 8-byte aligned; R = B·H
//   bytes 3·s·R·W, s = 1 or 4     flops 15·R·W     bound: memory
//   accuracy f32, lane-strided partial sums
//   order fixed: same bits every run
#define ROW_SUMS(name, T)                                                                                              \
    kernel __launch_bounds__(Threads) name(const T* x, const f32x2* table, float* sums, int rows, int h, int w)        \
    {                                                                                                                  \
        row_sums(x, table, sums, rows, h, w);                                                                          \
    }
ROW_SUMS(high_frequency_fwd_u8_rows, unsigned char)
ROW_SUMS(high_frequency_fwd_f32_rows, float)

// high_frequency_fwd_f32_sums: F0, Re and Im of Fr, Fc and Frc of each image and colour, from the sums of its rows.
//   in    rows (B, H, 9), table (H + W, 2) f32       out  sums (B, 3, 7) f32
//   args  rows, table, sums, H i32, W i32
//   launch grid (B, 3), block 256; shared 224 B; regs <= 40
//   needs table 8-byte aligned
//   bytes 36·B·H     flops 30·B·H     bound: memory
//   accuracy f32, thread-strided partial sums
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) high_frequency_fwd_f32_sums(const float* rows, const f32x2* table, float* sums,
                                                              int h, int w)
{
    __shared__ float scratch[Sums * Warps];
    float sum[Sums] = {};
    for (int r = thread_x(); r < h; r += Threads) {
        const float* p = rows + ((long long)block_x() * h + r) * 9 + 3 * block_y();
        f32x2 e = table[r];
        sum[0] += p[0];
        sum[1] = fma_rn(p[0], e.x, sum[1]);
        sum[2] = fma_rn(p[0], e.y, sum[2]);
        sum[3] += p[1];
        sum[4] += p[2];
        sum[5] += fma_rn(p[1], e.x, -(p[2] * e.y));
        sum[6] += fma_rn(p[1], e.y, p[2] * e.x);
    }
#pragma unroll
    for (int i = 0; i < Sums; i++) {
        float s = block_reduce<Sum, Threads>(sum[i], scratch + i * Warps);
        if (thread_x() == 0) sums[(3 * block_x() + block_y()) * Sums + i] = s / ((float)h * (float)w);
    }
}

template <class T>
device void high_frequency(const T* x, const f32x2* table, const float* sums, float* y, int h, int w)
{
    int c = block_x() * Threads + thread_x();
    if (c < w) {
        long long at = ((long long)block_z() * h + block_y()) * w + c;
        f32x2 r = table[block_y()], e = table[h + c];
        float v[3], high = 0.0f;
#pragma unroll
        for (int k = 0; k < 3; k++) {
            const float* f = sums + (3 * block_z() + k) * Sums;
            float level = fma_rn(f[2], r.y, fma_rn(f[1], r.x, f[0]));
            float even = fma_rn(f[6], r.y, fma_rn(f[5], r.x, f[3])), odd = fma_rn(f[6], r.x, fma_rn(-f[5], r.y, f[4]));
            v[k] = pixel(x + 3 * at + k);
            float apart = v[k] - fma_rn(odd, e.y, fma_rn(even, e.x, level));
            high += max_nan(apart, -apart);
        }
        store4(y + 4 * at, f32x4{v[0], v[1], v[2], high / 3.0f});
    }
}

// high_frequency_fwd_{u8,f32}: y = x (u8: x/255) and the mean over colours of |x - low|.
//   in    x (B, H, W, 3) u8 or f32, table (H + W, 2), sums (B, 3, 7) f32     out  y (B, H, W, 4) f32
//   args  x, table, sums, y, H i32, W i32
//   launch grid (ceil(W/256), H, B), block 256; shared 0 B; regs <= 48
//   needs table 8-byte, y 16-byte aligned
//   bytes (3·s + 16)·B·H·W, s = 1 or 4     flops ~45·B·H·W     bound: memory
//   accuracy f32
//   order fixed: same bits every run
#define HIGH_FREQUENCY(name, T)                                                                                        \
    kernel __launch_bounds__(Threads) name(const T* x, const f32x2* table, const float* sums, float* y, int h, int w)  \
    {                                                                                                                  \
        high_frequency(x, table, sums, y, h, w);                                                                       \
    }
HIGH_FREQUENCY(high_frequency_fwd_u8, unsigned char)
HIGH_FREQUENCY(high_frequency_fwd_f32, float)
