// What follows the first transposed convolution of SAM's mask decoder: bias, LayerNorm2d, GELU. Kernel and stride are
// 2, so that the convolution is one matrix product whose row, for an input pixel, has the channels of its four output
// pixels as its weight has them, (C, ky, kx). Here they become (ky, kx, C), in place if wanted; nothing that follows
// needs the output's pixels in the order of rows. A lane has 8 channels of all four pixels.
#include "gelu.cuh"

constexpr int Threads = 128;

device float shuffle_xor(float x, int mask)
{
    float y;
    asm volatile("shfl.sync.bfly.b32 %0, %1, %2, 31, 0xffffffff;" : "=f"(y) : "f"(x), "r"(mask));
    return y;
}

// Over the lanes of a pixel, for each of the four.
device void sum_over(float (&x)[4], int lanes)
{
    for (int mask = lanes >> 1; mask > 0; mask >>= 1)
#pragma unroll
        for (int i = 0; i < 4; i++) x[i] += shuffle_xor(x[i], mask);
}

template <class T>
device void norm_gelu(const T* x, const float* bias, const float* weight, const float* shift, T* y, int rows,
                      int channels, float eps)
{
    const int lanes = channels / 8, at = block_x() * Threads + thread_x(), row = at / lanes, c0 = at % lanes * 8;
    const T* source = x + (long long)min_of(row, rows - 1) * 4 * channels + 4 * c0;
    const float inverse = rcp_rn((float)channels);
    float v[8][4], sum[4] = {}, squares[4] = {};
#pragma unroll
    for (int c = 0; c < 8; c++) {
        f32x4 u = load4(source + 4 * c);
        float b = bias[c0 + c];
        v[c][0] = u.x + b, v[c][1] = u.y + b, v[c][2] = u.z + b, v[c][3] = u.w + b;
#pragma unroll
        for (int i = 0; i < 4; i++) sum[i] += v[c][i];
    }
    sum_over(sum, lanes);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float mean = sum[i] * inverse;
#pragma unroll
        for (int c = 0; c < 8; c++) {
            v[c][i] -= mean;
            squares[i] = fma_rn(v[c][i], v[c][i], squares[i]);
        }
    }
    sum_over(squares, lanes); // every lane has read x by now, so that y may lie over it
    float rstd[4];
#pragma unroll
    for (int i = 0; i < 4; i++) rstd[i] = rcp_rn(sqrt_rn(fma_rn(squares[i], inverse, eps)));
    T* target = y + (long long)row * 4 * channels + c0;
#pragma unroll
    for (int half = 0; half < 8; half += 4) {
        f32x4 w = load4(weight + c0 + half), b = load4(shift + c0 + half);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            f32x4 z{gelu(fma_rn(v[half][i] * rstd[i], w.x, b.x)), gelu(fma_rn(v[half + 1][i] * rstd[i], w.y, b.y)),
                    gelu(fma_rn(v[half + 2][i] * rstd[i], w.z, b.z)), gelu(fma_rn(v[half + 3][i] * rstd[i], w.w, b.w))};
            if (row < rows) store4(target + i * channels + half, z);
        }
    }
}

// upscaling_fwd_{f32,bf16}_norm_gelu: y[r, i] = gelu(norm(x[r, ., i] + bias)) for each of a row's four pixels i.
//   in    x (R, C, 4) f32 or bf16, bias (C), weight (C), shift (C) f32         out  y (R, 4, C) of x's type
//   args  x, bias, weight, shift, y, R i32, C i32, eps f32
//   launch grid ceil(R·C/1024), block 128, C/8 lanes a row; shared 0 B; regs <= 96
//   needs C a power of two, 8 to 256; weight and shift 16-byte, x and y aligned to 4 elements; y may be x
//   bytes 8·s·R·C, s = 4 or 2     flops ~130·R·C     bound: memory
//   accuracy two passes in f32, gelu relative 1e-6; one rounding to bf16
//   order fixed: same bits every run
#define NORM_GELU(name, T)                                                                                             \
    kernel __launch_bounds__(Threads) name(const T* x, const float* bias, const float* weight, const float* shift,     \
                                           T* y, int rows, int channels, float eps)                                    \
    {                                                                                                                  \
        norm_gelu(x, bias, weight, shift, y, rows, channels, eps);                                                     \
    }
NORM_GELU(upscaling_fwd_f32_norm_gelu, float)
NORM_GELU(upscaling_fwd_bf16_norm_gelu, bf16)

// The norm is made again; h is what it makes before weight and shift, g = dy · gelu' · weight:
//   dx = rstd · (g - average of g - h · average of g·h)
// A block goes through several rows and keeps the sums of its channels: of dx for the bias, of dy · gelu' · h and of
// dy · gelu' for weight and shift.
template <class T>
device void norm_gelu_back(const T* x, const float* bias, const float* weight, const float* shift, const T* dy, T* dx,
                           float* parts, int rows, int channels, float eps)
{
    __shared__ float scratch[Threads * 8];
    const int lanes = channels / 8, c0 = thread_x() % lanes * 8, together = Threads / lanes;
    const float inverse = rcp_rn((float)channels);
    float sums[3][8] = {};
    for (int first = block_x() * together; first < rows; first += grid_x() * together) {
        const int row = first + thread_x() / lanes;
        const long long at = (long long)min_of(row, rows - 1) * 4 * channels;
        float v[8][4], g[8][4], a[4] = {}, b[4] = {}, rstd[4];
#pragma unroll
        for (int c = 0; c < 8; c++) {
            f32x4 u = load4(x + at + 4 * (c0 + c));
            float added = bias[c0 + c];
            v[c][0] = u.x + added, v[c][1] = u.y + added, v[c][2] = u.z + added, v[c][3] = u.w + added;
#pragma unroll
            for (int i = 0; i < 4; i++) a[i] += v[c][i];
        }
        sum_over(a, lanes);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float mean = a[i] * inverse;
#pragma unroll
            for (int c = 0; c < 8; c++) {
                v[c][i] -= mean;
                b[i] = fma_rn(v[c][i], v[c][i], b[i]);
            }
        }
        sum_over(b, lanes);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            rstd[i] = rcp_rn(sqrt_rn(fma_rn(b[i], inverse, eps)));
            a[i] = b[i] = 0.0f;
#pragma unroll
            for (int half = 0; half < 8; half += 4) {
                f32x4 d = load4(dy + at + i * channels + c0 + half);
                g[half][i] = d.x, g[half + 1][i] = d.y, g[half + 2][i] = d.z, g[half + 3][i] = d.w;
            }
#pragma unroll
            for (int c = 0; c < 8; c++) {
                const float w = weight[c0 + c], h = v[c][i] * rstd[i];
                float dz = g[c][i] * gelu_slope(fma_rn(h, w, shift[c0 + c])).slope;
                if (row >= rows) dz = 0.0f;
                sums[1][c] = fma_rn(dz, h, sums[1][c]);
                sums[2][c] += dz;
                v[c][i] = h, g[c][i] = dz * w;
                a[i] += g[c][i];
                b[i] = fma_rn(g[c][i], h, b[i]);
            }
        }
        sum_over(a, lanes);
        sum_over(b, lanes);
#pragma unroll
        for (int c = 0; c < 8; c++) {
            float d[4];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                d[i] = rstd[i] * fma_rn(v[c][i], b[i] * -inverse, fma_rn(a[i], -inverse, g[c][i]));
                sums[0][c] += d[i];
            }
            if (row < rows) store4(dx + at + 4 * (c0 + c), f32x4{d[0], d[1], d[2], d[3]});
        }
    }
#pragma unroll
    for (int k = 0; k < 3; k++) {
        block_barrier();
#pragma unroll
        for (int c = 0; c < 8; c++) scratch[thread_x() * 8 + c] = sums[k][c];
        block_barrier();
        for (int c = thread_x(); c < channels; c += Threads) {
            float sum = 0.0f;
            for (int i = 0; i < together; i++) sum += scratch[i * channels + c];
            parts[((long long)k * grid_x() + block_x()) * channels + c] = sum;
        }
    }
}

// upscaling_bwd_{f32,bf16}_norm_gelu: gradients of x and, in parts, of bias, weight and shift.
//   in    x (R, C, 4) f32 or bf16, bias (C), weight (C), shift (C) f32, dy (R, 4, C) of x's type
//   out   dx (R, C, 4) of x's type, parts (3, G, C) f32
//   args  x, bias, weight, shift, dy, dx, parts, R i32, C i32, eps f32
//   launch grid G any, block 128, C/8 lanes a row; shared 4096 B; regs <= 224
//   needs C a power of two, 8 to 256; x, dy and dx aligned to 4 elements; G by sizes alone
//   bytes 12·s·R·C, s = 4 or 2     flops ~250·R·C     bound: memory
//   accuracy two passes in f32, gelu' to 2e-7; one rounding to bf16
//   order fixed: same bits every run
#define NORM_GELU_BACK(name, T)                                                                                        \
    kernel __launch_bounds__(Threads) name(const T* x, const float* bias, const float* weight, const float* shift,     \
                                           const T* dy, T* dx, float* parts, int rows, int channels, float eps)        \
    {                                                                                                                  \
        norm_gelu_back(x, bias, weight, shift, dy, dx, parts, rows, channels, eps);                                    \
    }
NORM_GELU_BACK(upscaling_bwd_f32_norm_gelu, float)
NORM_GELU_BACK(upscaling_bwd_bf16_norm_gelu, bf16)
