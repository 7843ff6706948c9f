// SAM's windows: a grid of tokens cut into windows of P x Q, the last ones of each axis padded with zeros, and back
// again. The bias of the product that made x is added on the way, so that a padded token is what the reference makes of
// a zero token: the bias alone. One warp a token of the windowed tensor, or of the grid on the way back.
#include "common.cuh"

constexpr int Warps = 4, Threads = 32 * Warps;

struct Cut { int height, width, p, q; }; // of the grid, of a window

// The token's number in the grid for a token of the windowed tensor, or -1 for padding.
device int grid_token(int token, Cut cut)
{
    int window = token / (cut.p * cut.q), in_window = token % (cut.p * cut.q);
    int across = ceil_div(cut.width, cut.q), down = ceil_div(cut.height, cut.p);
    int y = window / across % down * cut.p + in_window / cut.q;
    int x = window % across * cut.q + in_window % cut.q;
    int image = window / across / down;
    return y < cut.height && x < cut.width ? (image * cut.height + y) * cut.width + x : -1;
}

// The inverse: where a token of the grid lies in the windowed tensor.
device int window_token(int token, Cut cut)
{
    int x = token % cut.width, y = token / cut.width % cut.height, image = token / cut.width / cut.height;
    int across = ceil_div(cut.width, cut.q), down = ceil_div(cut.height, cut.p);
    int window = (image * down + y / cut.p) * across + x / cut.q;
    return window * (cut.p * cut.q) + y % cut.p * cut.q + x % cut.q;
}

template <class T>
device void partition(const T* x, const float* bias, T* y, Cut cut, int tokens, int columns)
{
    const int lane = thread_x() & 31, token = block_x() * Warps + (thread_x() >> 5);
    if (token < tokens) {
        const int from = grid_token(token, cut);
        const T* source = x + (long long)from * columns;
        T* target = y + (long long)token * columns;
        if (from >= 0)
            for (int c = 4 * lane; c < columns; c += 128) {
                f32x4 u = load4(source + c), v = load4(bias + c);
                store4(target + c, f32x4{u.x + v.x, u.y + v.y, u.z + v.z, u.w + v.w});
            }
        else
            for (int c = 4 * lane; c < columns; c += 128) store4(target + c, load4(bias + c));
    }
}

template <class T> device void reverse(const T* x, T* y, Cut cut, int tokens, int columns)
{
    const int lane = thread_x() & 31, token = block_x() * Warps + (thread_x() >> 5);
    if (token < tokens) {
        const T* source = x + (long long)window_token(token, cut) * columns;
        T* target = y + (long long)token * columns;
        for (int c = 4 * lane; c < columns; c += 128) store4(target + c, load4(source + c));
    }
}

// window_fwd_{f32,bf16}_partition: y = x + bias in windows of P x Q, padded tokens = bias.
//   in    x (B, H, W, C) f32 or bf16, bias (C) f32   out  y (B·ceil(H/P)·ceil(W/Q), P, Q, C) of x's type
//   args  x, bias, y, H i32, W i32, P i32, Q i32, tokens i32, C i32
//   launch grid ceil(tokens/4), tokens those of y, block 128 = 4 warps; shared 0 B; regs <= 40
//   needs tokens < 2^31, C % 4 == 0, bias 16-byte, x and y aligned to 4 elements; not overlapping
//   bytes s·(B·H·W·C + count of y), s = 4 or 2     flops B·H·W·C     bound: memory
//   accuracy added in f32, one rounding
//   order fixed: same bits every run
#define PARTITION(name, T)                                                                                             \
    kernel __launch_bounds__(Threads) name(const T* x, const float* bias, T* y, int height, int width, int p, int q,   \
                                           int tokens, int columns)                                                    \
    {                                                                                                                  \
        partition(x, bias, y, {height, width, p, q}, tokens, columns);                                                 \
    }
PARTITION(window_fwd_f32_partition, float)
PARTITION(window_fwd_bf16_partition, bf16)

// window_fwd_{f32,bf16}_reverse: y = the grid whose windows are x; padded tokens are left out.
//   in    x (B·ceil(H/P)·ceil(W/Q), P, Q, C) f32 or bf16         out  y (B, H, W, C) of x's type
//   args  x, y, H i32, W i32, P i32, Q i32, tokens i32, C i32
//   launch grid ceil(tokens/4), tokens those of y, block 128 = 4 warps; shared 0 B; regs <= 40
//   needs tokens < 2^31, C % 4 == 0, x and y aligned to 4 elements; not overlapping
//   bytes 2·s·B·H·W·C, s = 4 or 2     flops 0     bound: memory
//   accuracy exact
//   order fixed: same bits every run
#define REVERSE(name, T)                                                                                               \
    kernel __launch_bounds__(Threads) name(const T* x, T* y, int height, int width, int p, int q, int tokens,          \
                                           int columns)                                                                \
    {                                                                                                                  \
        reverse(x, y, {height, width, p, q}, tokens, columns);                                                         \
    }
REVERSE(window_fwd_f32_reverse, float)
REVERSE(window_fwd_bf16_reverse, bf16)
