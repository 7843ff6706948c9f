// An 8-bit image straight into what a vision transformer's patch embedding multiplies: normalised, padded with zeros
// after that, cut into patches in the order of a convolution's weight, (C, ky, kx). One block a patch, four neighbours
// a thread.
#include "common.cuh"

constexpr int Threads = 64;

struct Channel { float mean, deviation; };

template <int Side, class T>
device void patches(const unsigned char* image, T* y, int height, int width, int across, Channel red, Channel green,
                    Channel blue)
{
    const int y0 = block_x() / across * Side, x0 = block_x() % across * Side;
    T* out = y + (long long)block_x() * (3 * Side * Side);
    for (int i = 4 * thread_x(); i < 3 * Side * Side; i += 4 * Threads) {
        const int c = i / (Side * Side), py = y0 + i / Side % Side, px = x0 + i % Side;
        const Channel n = c == 0 ? red : c == 1 ? green : blue;
        const unsigned char* row = image + (long long)min_of(py, height - 1) * width * 3 + c;
        float v[4];
#pragma unroll
        for (int e = 0; e < 4; e++) {
            float value = ((float)row[min_of(px + e, width - 1) * 3] - n.mean) / n.deviation;
            v[e] = py < height && px + e < width ? value : 0.0f;
        }
        store4(out + i, f32x4{v[0], v[1], v[2], v[3]});
    }
}

// image_fwd_{f32,bf16}_patches16: patches of (image - mean) / deviation, zero outside of the image.
//   in    image (h, w, 3) u8                         out  y (H, W, 3·16·16) f32 or bf16
//   args  image, y, h i32, w i32, W i32, mean0 f32, std0 f32, mean1 f32, std1 f32, mean2 f32, std2 f32
//   launch grid H·W, block 64; shared 0 B; regs <= 40
//   needs h, w >= 1; y aligned to 4 elements
//   bytes 3·h·w + s·768·H·W, s = 4 or 2     flops 2·768·H·W     bound: memory
//   accuracy as the reference: a difference and a quotient in f32; one rounding to bf16
//   order fixed: same bits every run
#define PATCHES(name, T)                                                                                               \
    kernel __launch_bounds__(Threads) name(const unsigned char* image, T* y, int height, int width, int across,        \
                                           float mean0, float std0, float mean1, float std1, float mean2, float std2)  \
    {                                                                                                                  \
        patches<16>(image, y, height, width, across, {mean0, std0}, {mean1, std1}, {mean2, std2});                     \
    }
PATCHES(image_fwd_f32_patches16, float)
PATCHES(image_fwd_bf16_patches16, bf16)
