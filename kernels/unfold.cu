// Patches as rows, so that a convolution is a matrix product: row (b, oy, ox) has, for each channel, the Side x Side
// values under the kernel, in the order of a convolution's weight (C, ky, kx). Outside of the image are zeros. One
// block a row.
#include "common.cuh"

constexpr int Threads = 128;

template <int Side, class T>
device void unfold(const T* x, T* y, int height, int width, int channels, int stride, int padding, int out_height,
                   int out_width)
{
    const long long row = block_x();
    const int ox = (int)(row % out_width), oy = (int)(row / out_width % out_height);
    const int x0 = ox * stride - padding, y0 = oy * stride - padding;
    const T* image = x + row / out_width / out_height * height * width * channels;
    T* out = y + row * (channels * Side * Side);
    for (int i = thread_x(); i < channels * Side * Side; i += Threads) {
        int c = i / (Side * Side), py = y0 + i / Side % Side, px = x0 + i % Side;
        float value = 0.0f;
        if (py >= 0 && py < height && px >= 0 && px < width)
            value = to_float(image[((long long)py * width + px) * channels + c]);
        store(out + i, value);
    }
}

// unfold_fwd_{f32,bf16}_side{2,3,16}: y[b, oy, ox, c, ky, kx]
// = x[b, oy·stride + ky - padding, ox·stride + kx - padding, c].
//   in    x (B, H, W, C) f32 or bf16                 out  y (B, OH, OW, C·side·side) of x's type
//   args  x, y, H i32, W i32, C i32, stride i32, padding i32, OH i32, OW i32
//   launch grid B·OH·OW, block 128; shared 0 B; regs <= 40
//   needs nothing: any sizes
//   bytes s·B·(H·W·C + OH·OW·C·side²), s = 4 or 2     flops 0     bound: memory
//   accuracy exact
//   order fixed: same bits every run
#define UNFOLD(name, Side, T)                                                                                          \
    kernel __launch_bounds__(Threads) name(const T* x, T* y, int height, int width, int channels, int stride,          \
                                           int padding, int out_height, int out_width)                                 \
    {                                                                                                                  \
        unfold<Side>(x, y, height, width, channels, stride, padding, out_height, out_width);                           \
    }
UNFOLD(unfold_fwd_f32_side2, 2, float)
UNFOLD(unfold_fwd_f32_side3, 3, float)
UNFOLD(unfold_fwd_f32_side16, 16, float)
UNFOLD(unfold_fwd_bf16_side2, 2, bf16)
UNFOLD(unfold_fwd_bf16_side3, 3, bf16)
UNFOLD(unfold_fwd_bf16_side16, 16, bf16)
