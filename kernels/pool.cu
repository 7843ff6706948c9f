// Pooling over space, channels last: the maximum of windows (ResNet's 3 x 3, stride 2, padding 1, or any other), and
// the mean over all positions. Backward of the maximum gathers: a position asks each window it lies in whether it was
// the first maximum there, in row-major order, so nothing has to be kept and nothing is added in an order of chance.
#include "common.cuh"

constexpr int Threads = 256;

struct Quad { float v[4]; };
template <class T> device Quad quad_at(const T* p)
{
    f32x4 v = load4(p);
    return {v.x, v.y, v.z, v.w};
}
template <class T> device void put(T* p, const Quad& q) { store4(p, f32x4{q.v[0], q.v[1], q.v[2], q.v[3]}); }

struct Windows { int h, w, c, out_h, out_w, side, stride, padding; };
#define WINDOWS                                                                                                        \
    int h, int w, int c, int out_h, int out_w, int side, int stride, int padding
#define AS_WINDOWS {h, w, c, out_h, out_w, side, stride, padding}

// The first maximum of a window: its value, and its position in the image (row · W + column). A NaN counts as larger
// than everything and the last one is taken, as PyTorch does.
struct Found { float value; int at; };

template <class T>
device void find(const T* image, const Windows& p, int oy, int ox, Found* found)
{
#pragma unroll
    for (int i = 0; i < 4; i++) found[i] = {-Infinity, -1};
    for (int ky = 0; ky < p.side; ky++) {
        int y = oy * p.stride - p.padding + ky;
        if (y < 0 || y >= p.h) continue;
        for (int kx = 0; kx < p.side; kx++) {
            int x = ox * p.stride - p.padding + kx;
            if (x < 0 || x >= p.w) continue;
            int at = y * p.w + x;
            Quad v = quad_at(image + (long long)at * p.c);
#pragma unroll
            for (int i = 0; i < 4; i++)
                if (v.v[i] > found[i].value || v.v[i] != v.v[i] || found[i].at < 0) found[i] = {v.v[i], at};
        }
    }
}

// Four channels of one position a thread; a row of the result is blocks x and threads of it, z is the image.
template <class T> device void max_pool(const T* x, T* y, const Windows& p)
{
    int i = block_x() * Threads + thread_x(), quads = p.c / 4;
    if (i < p.out_w * quads) {
        int ox = i / quads, c = i % quads * 4;
        Found found[4];
        find(x + (long long)block_z() * p.h * p.w * p.c + c, p, block_y(), ox, found);
        put(y + (((long long)block_z() * p.out_h + block_y()) * p.out_w + ox) * p.c + c,
            Quad{found[0].value, found[1].value, found[2].value, found[3].value});
    }
}

// max_pool_fwd_{f32,bf16}: y = the largest x of each window; what is outside of x does not count.
//   in    x (B, H, W, C) f32 or bf16                 out  y (B, OH, OW, C) f32 or bf16
//   args  x, y, H i32, W i32, C i32, OH i32, OW i32, side i32, stride i32, padding i32
//   launch grid (ceil(OW·C/4 / 256), OH, B), block 256; shared 0 B; regs <= 48
//   needs C % 4 == 0, x and y aligned to 4 elements, padding <= side/2, H·W < 2^31
//   bytes s·(B·H·W·C + B·OH·OW·C), s = 4 or 2     flops side²·B·OH·OW·C     bound: memory
//   accuracy exact; NaN where there is one in the window
//   order fixed: same bits every run
#define MAX_POOL(name, T)                                                                                              \
    kernel __launch_bounds__(Threads) name(const T* x, T* y, WINDOWS) { max_pool(x, y, AS_WINDOWS); }
MAX_POOL(max_pool_fwd_f32, float)
MAX_POOL(max_pool_fwd_bf16, bf16)

template <class T> device void max_pool_gradient(const T* x, const T* dy, T* dx, const Windows& p)
{
    int i = block_x() * Threads + thread_x(), quads = p.c / 4;
    if (i < p.w * quads) {
        int ix = i / quads, iy = block_y(), c = i % quads * 4;
        const T* image = x + (long long)block_z() * p.h * p.w * p.c + c;
        const T* gradient = dy + (long long)block_z() * p.out_h * p.out_w * p.c + c;
        // windows that hold the position: o·stride - padding <= i < o·stride - padding + side
        int low_y = iy + p.padding - p.side + 1, low_x = ix + p.padding - p.side + 1;
        int first_y = low_y > 0 ? ceil_div(low_y, p.stride) : 0, first_x = low_x > 0 ? ceil_div(low_x, p.stride) : 0;
        int last_y = min_of((iy + p.padding) / p.stride, p.out_h - 1);
        int last_x = min_of((ix + p.padding) / p.stride, p.out_w - 1);
        Quad sum = {};
        for (int oy = first_y; oy <= last_y; oy++)
            for (int ox = first_x; ox <= last_x; ox++) {
                Found found[4];
                find(image, p, oy, ox, found);
                Quad g = quad_at(gradient + ((long long)oy * p.out_w + ox) * p.c);
#pragma unroll
                for (int k = 0; k < 4; k++)
                    if (found[k].at == iy * p.w + ix) sum.v[k] += g.v[k];
            }
        put(dx + (((long long)block_z() * p.h + iy) * p.w + ix) * p.c + c, sum);
    }
}

// max_pool_bwd_{f32,bf16}: dx = sum of dy of the windows whose first maximum x is, windows in row-major order.
//   in    x (B, H, W, C), dy (B, OH, OW, C) f32 or bf16     out  dx (B, H, W, C) f32 or bf16
//   args  x, dy, dx, H i32, W i32, C i32, OH i32, OW i32, side i32, stride i32, padding i32
//   launch grid (ceil(W·C/4 / 256), H, B), block 256; shared 0 B; regs <= 64
//   needs C % 4 == 0, x, dy and dx aligned to 4 elements, padding <= side/2, H·W < 2^31
//   bytes s·(2·B·H·W·C + B·OH·OW·C), s = 4 or 2     flops (side²/stride)²·B·H·W·C     bound: memory
//   accuracy f32 sums of a few terms, one rounding to bf16
//   order fixed: same bits every run
#define MAX_POOL_GRADIENT(name, T)                                                                                     \
    kernel __launch_bounds__(Threads) name(const T* x, const T* dy, T* dx, WINDOWS)                                    \
    {                                                                                                                  \
        max_pool_gradient(x, dy, dx, AS_WINDOWS);                                                                      \
    }
MAX_POOL_GRADIENT(max_pool_bwd_f32, float)
MAX_POOL_GRADIENT(max_pool_bwd_bf16, bf16)

// One block sums 32 channels of an image: eight threads hold the channels, 32 threads share the positions.
template <class T> device void mean_pool(const T* x, T* y, int positions, int columns)
{
    __shared__ float sums[32 * 32];
    int c = block_x() * 32 + 4 * (thread_x() & 7);
    if (c < columns) {
        const T* p = x + (long long)block_y() * positions * columns + c;
        Quad sum = {};
        for (int i = thread_x() >> 3; i < positions; i += 32) {
            Quad v = quad_at(p + (long long)i * columns);
#pragma unroll
            for (int k = 0; k < 4; k++) sum.v[k] += v.v[k];
        }
        put(sums + 4 * thread_x(), sum);
    }
    block_barrier();
    int own = block_x() * 32 + thread_x();
    if (thread_x() < 32 && own < columns) {
        float sum = 0.0f;
        for (int l = 0; l < 32; l++) sum += sums[32 * l + thread_x()];
        store(y + (long long)block_y() * columns + own, sum / (float)positions);
    }
}

// mean_pool_fwd_{f32,bf16}: y = mean of x over all positions.
//   in    x (B, P, C) f32 or bf16                    out  y (B, C) f32 or bf16
//   args  x, y, P i32, C i32
//   launch grid (ceil(C/32), B), block 256; shared 4096 B; regs <= 40
//   needs C % 4 == 0, x and y aligned to 4 elements; P >= 1
//   bytes s·B·P·C, s = 4 or 2     flops B·P·C     bound: memory
//   accuracy f32 sums over strided positions, one rounding to bf16
//   order fixed: same bits every run
#define MEAN_POOL(name, T)                                                                                             \
    kernel __launch_bounds__(Threads) name(const T* x, T* y, int positions, int columns)                               \
    {                                                                                                                  \
        mean_pool(x, y, positions, columns);                                                                           \
    }
MEAN_POOL(mean_pool_fwd_f32, float)
MEAN_POOL(mean_pool_fwd_bf16, bf16)

template <class T> device void mean_pool_gradient(const T* dy, T* dx, int positions, int columns)
{
    int c = 4 * (block_x() * 32 + (thread_x() & 31));
    if (c < columns) {
        Quad g = quad_at(dy + (long long)block_z() * columns + c);
#pragma unroll
        for (int k = 0; k < 4; k++) g.v[k] /= (float)positions;
        int first = block_y() * 64, end = min_of(positions, first + 64);
        for (int i = first + (thread_x() >> 5); i < end; i += 8)
            put(dx + ((long long)block_z() * positions + i) * columns + c, g);
    }
}

// mean_pool_bwd_{f32,bf16}: dx = dy / P at every position.
//   in    dy (B, C) f32 or bf16                      out  dx (B, P, C) f32 or bf16
//   args  dy, dx, P i32, C i32
//   launch grid (ceil(C/128), ceil(P/64), B), block 256; shared 0 B; regs <= 32
//   needs C % 4 == 0, dy and dx aligned to 4 elements
//   bytes s·B·P·C, s = 4 or 2     flops B·C     bound: memory
//   accuracy one division, one rounding to bf16
//   order fixed: same bits every run
#define MEAN_POOL_GRADIENT(name, T)                                                                                    \
    kernel __launch_bounds__(Threads) name(const T* dy, T* dx, int positions, int columns)                             \
    {                                                                                                                  \
        mean_pool_gradient(dy, dx, positions, columns);                                                                \
    }
MEAN_POOL_GRADIENT(mean_pool_bwd_f32, float)
MEAN_POOL_GRADIENT(mean_pool_bwd_bf16, bf16)
