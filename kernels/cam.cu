// Class activation maps of an image seen in four orientations (EP-SAM's generate_cam_masks): the turned images, and
// from their activations the 8-bit map. Each orientation's map is scaled to its own range, cut to 8 bits and turned
// back; the mean of the four is cut again. Integers throughout are the reference's, so none of this may be reordered.
// upright holds what was turned by 0 and by 180 degrees, sideways what was turned by 90 and by 270.
#include "common.cuh"

constexpr int Warps = 8, Threads = 32 * Warps;

// cam_fwd_u8_turn: y = x turned counter-clockwise by quarter turns.
//   in    x (B, H, W, 3) u8                          out  y (B, H, W, 3) u8, or (B, W, H, 3) after an odd number
//   args  x, y, H i32, W i32, turns i32
//   launch grid (ceil(columns of y/256), rows of y, B), block 256; shared 0 B; regs <= 32
//   needs turns 0 to 3, y not x
//   bytes 6·B·H·W     flops 0     bound: memory
//   accuracy exact
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) cam_fwd_u8_turn(const unsigned char* x, unsigned char* y, int h, int w, int turns)
{
    bool odd = turns & 1;
    int rows = odd ? w : h, columns = odd ? h : w;
    int r = block_y(), c = block_x() * Threads + thread_x();
    if (c < columns) {
        int from_r = turns == 0 ? r : turns == 1 ? c : turns == 2 ? h - 1 - r : h - 1 - c;
        int from_c = turns == 0 ? c : turns == 1 ? w - 1 - r : turns == 2 ? w - 1 - c : r;
        const unsigned char* from = x + 3 * (((long long)block_z() * h + from_r) * w + from_c);
        unsigned char* to = y + 3 * (((long long)block_z() * rows + r) * columns + c);
        to[0] = from[0];
        to[1] = from[1];
        to[2] = from[2];
    }
}

// cam_fwd_f32_range: least of max(x, 0), and the distance to the largest; NaN if there is one.
//   in    x (M, P) f32                               out  range (M, 2) f32
//   args  x, range, P i32
//   launch grid M, block 256, one block a map; shared 64 B; regs <= 32
//   needs any P
//   bytes 4·M·P     flops 3·M·P     bound: memory
//   accuracy exact, one rounding of the distance
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) cam_fwd_f32_range(const float* x, float* range, int positions)
{
    __shared__ float scratch[2 * Warps];
    const float* p = x + (long long)block_x() * positions;
    float below = -Infinity, most = 0.0f; // -least, so that one reduction serves both
    for (int i = thread_x(); i < positions; i += Threads) {
        float v = max_nan(p[i], 0.0f);
        below = max_nan(below, -v);
        most = max_nan(most, v);
    }
    float least = -block_reduce<Max, Threads>(below, scratch);
    most = block_reduce<Max, Threads>(most, scratch + Warps);
    if (thread_x() == 0) {
        range[2 * block_x()] = least;
        range[2 * block_x() + 1] = most - least;
    }
}

// A map without a range is 0 / 0 in the reference, which becomes 0 there.
device int level(float x, const float* range)
{
    return range[1] > 0.0f ? (int)(255.0f * ((max_nan(x, 0.0f) - range[0]) / range[1])) : 0;
}

// cam_fwd_f32_average: map = trunc(mean of the four orientations' trunc(255·(max(x, 0) - least)/range)), turned back;
// mean = the activations' own mean.
//   in    upright (2, B, H, W), sideways (2, B, W, H) f32, ranges (4, B, 2) f32: of upright, then of sideways
//   out   map (B, H, W) u8, mean (B, H, W) f32
//   args  upright, sideways, ranges, map, mean, H i32, W i32, B i32
//   launch grid (ceil(H·W/256), B), block 256; shared 0 B; regs <= 40
//   needs H·W < 2^31
//   bytes 21·B·H·W     flops ~20·B·H·W     bound: memory
//   accuracy map exact; mean f32, four terms in order of their angles
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) cam_fwd_f32_average(const float* upright, const float* sideways, const float* ranges,
                                                      unsigned char* map, float* mean, int h, int w, int images)
{
    int i = block_x() * Threads + thread_x(), image = block_y();
    if (i < h * w) {
        int r = i / w, c = i % w;
        long long size = (long long)h * w, first = image * size, second = (images + image) * size;
        float x0 = upright[first + i], x90 = sideways[first + (long long)(w - 1 - c) * h + r];
        float x180 = upright[second + (size - 1 - i)], x270 = sideways[second + (long long)c * h + (h - 1 - r)];
        int sum = level(x0, ranges + 2 * image) + level(x180, ranges + 2 * (images + image))
            + level(x90, ranges + 2 * (2 * images + image)) + level(x270, ranges + 2 * (3 * images + image));
        map[first + i] = (unsigned char)(sum >> 2);
        mean[first + i] = 0.25f * (((x0 + x90) + x180) + x270);
    }
}
