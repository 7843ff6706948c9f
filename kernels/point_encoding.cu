// SAM's encoding of positions (segment_anything/modeling/prompt_encoder.py): sines and cosines of random frequencies,
//   t_f = G[0, f]·(2x - 1) + G[1, f]·(2y - 1), x and y in [0, 1];   encoding = (sin 2π t_f ..., cos 2π t_f ...)
// t is in turns, so that whole ones are taken off exactly before anything is rounded. One block a position.
#include "common.cuh"

constexpr int Threads = 128;

// sin(2π r) for r in [-1/4, 1/4]: Taylor's series up to x^13 of x = 2π r, 7e-10 off at the ends.
device float sine_of_turn(float r)
{
    float x = 6.28318530717958648f * r, s = x * x;
    float y = 1.0f / 6227020800.0f;
    y = fma_rn(y, s, -1.0f / 39916800.0f);
    y = fma_rn(y, s, 1.0f / 362880.0f);
    y = fma_rn(y, s, -1.0f / 5040.0f);
    y = fma_rn(y, s, 1.0f / 120.0f);
    y = fma_rn(y, s, -1.0f / 6.0f);
    return fma_rn(y * s, x, x);
}
device float nearest_integer(float x) { float y; asm("cvt.rni.f32.f32 %0, %1;" : "=f"(y) : "f"(x)); return y; }

struct Turn { float sine, cosine; };
device Turn turn(float t)
{
    float r = t - nearest_integer(t), size = r < 0.0f ? -r : r; // r in [-1/2, 1/2]
    float folded = size > 0.25f ? 0.5f - size : size;
    return {sine_of_turn(r < 0.0f ? -folded : folded), sine_of_turn(0.25f - size)};
}

// Feature f of a position, its place in [0, 1].
device Turn encode(const float* gaussian, int features, int f, float x, float y)
{
    return turn(fma_rn(fma_rn(2.0f, x, -1.0f), gaussian[f], fma_rn(2.0f, y, -1.0f) * gaussian[features + f]));
}

// What is learned for labels -1 to 3.
struct Labels { const float *none, *negative, *positive, *top_left, *bottom_right; };

template <class T>
device void points(const float* position, const int* label, const float* gaussian, Labels e, T* out, int height,
                   int width, int channels)
{
    const long long at = block_x();
    const int kind = label[at], features = channels / 2;
    const float* learned = kind == 0 ? e.negative : kind == 1 ? e.positive : kind == 2 ? e.top_left
        : kind == 3 ? e.bottom_right : e.none;
    const float x = (position[2 * at] + 0.5f) / (float)width, y = (position[2 * at + 1] + 0.5f) / (float)height;
    T* row = out + at * channels;
    for (int f = thread_x(); f < features; f += Threads) {
        Turn v = encode(gaussian, features, f, x, y);
        bool is_point = kind >= 0 && kind <= 3;
        store(row + f, (is_point ? v.sine : 0.0f) + learned[f]);
        store(row + features + f, (is_point ? v.cosine : 0.0f) + learned[features + f]);
    }
}

template <class T> device void grid(const float* gaussian, T* out, int height, int width, int channels)
{
    const int at = block_x(), features = channels / 2;
    const float x = ((float)(at % width) + 0.5f) / (float)width, y = ((float)(at / width) + 0.5f) / (float)height;
    T* row = out + (long long)at * channels;
    for (int f = thread_x(); f < features; f += Threads) {
        Turn v = encode(gaussian, features, f, x, y);
        store(row + f, v.sine);
        store(row + features + f, v.cosine);
    }
}

// point_encoding_fwd_{f32,bf16}: tokens of points: encoding + what is learned for the label, 0 negative, 1 positive,
// 2 and 3 a box's corners; for any other label what is learned for "not a point", alone.
//   in    position (R, 2) f32 x and y in pixels, label (R) i32, gaussian (2, C/2), none, negative, positive, top_left,
//         bottom_right (C) f32
//   out   out (R, C) f32 or bf16
//   args  position, label, gaussian, none, negative, positive, top_left, bottom_right, out, H i32, W i32, C i32
//   launch grid R, block 128; shared 0 B; regs <= 40
//   needs C % 2 == 0; H, W the size of the frame that pixels are in
//   bytes (s + 8)·R·C, s = 4 or 2     flops 26·R·C     bound: memory
//   accuracy f32; 4e-7 + 2π·|t|·1.2e-7
//   order fixed: same bits every run
#define POINTS(name, T)                                                                                                \
    kernel __launch_bounds__(Threads) name(const float* position, const int* label, const float* gaussian,             \
                                           const float* none, const float* negative, const float* positive,            \
                                           const float* top_left, const float* bottom_right, T* out, int height,       \
                                           int width, int channels)                                                    \
    {                                                                                                                  \
        points(position, label, gaussian, {none, negative, positive, top_left, bottom_right}, out, height, width,      \
               channels);                                                                                              \
    }
POINTS(point_encoding_fwd_f32, float)
POINTS(point_encoding_fwd_bf16, bf16)

// point_encoding_fwd_{f32,bf16}_grid: the encoding of the middle of every cell of a grid.
//   in    gaussian (2, C/2) f32                      out  out (H, W, C) f32 or bf16
//   args  gaussian, out, H i32, W i32, C i32
//   launch grid H·W, block 128; shared 0 B; regs <= 40
//   needs C % 2 == 0
//   bytes s·H·W·C, s = 4 or 2     flops 26·H·W·C     bound: memory
//   accuracy f32; 4e-7 + 2π·|t|·1.2e-7
//   order fixed: same bits every run
#define GRID(name, T)                                                                                                  \
    kernel __launch_bounds__(Threads) name(const float* gaussian, T* out, int height, int width, int channels)         \
    {                                                                                                                  \
        grid(gaussian, out, height, width, channels);                                                                  \
    }
GRID(point_encoding_fwd_f32_grid, float)
GRID(point_encoding_fwd_bf16_grid, bf16)
