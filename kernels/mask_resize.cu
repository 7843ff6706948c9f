// SAM's masks from the decoder's resolution to the image's: torch's bilinear resize to the square frame, crop of the
// padding, resize to the original size. The frame never exists: a pixel is made of four of the frame, each made of
// four logits, in torch's order of operations, so that the result is the same to the bit. What lies under what is in a
// table that the host makes, one entry for each row and then one for each column. A thread goes down a column and
// keeps what it has interpolated across for the rows that the next pixel shares.
#include "common.cuh"

constexpr int Threads = 128, Band = 32; // columns and rows of a block

// One coordinate: it lies between two of the frame, and each of those between two of the logits.
struct Place {
    int first[2], second[2]; // of the logits, for both of the frame
    float between[2][2], last[2];
};

device Place load_place(const u32* table, int i)
{
    const u32x4* p = (const u32x4*)(table + 12ll * i);
    u32x4 a = p[0], b = p[1], c = p[2];
    return {{(int)a.x, (int)a.y}, {(int)a.z, (int)a.w},
            {{as_float(b.x), as_float(b.y)}, {as_float(b.z), as_float(b.w)}}, {as_float(c.x), as_float(c.y)}};
}

struct Masks {
    const float* logits; // (n, low_height, low_width)
    const u32* table;    // (height + width, 12)
    int low_height, low_width, height, width, first, rows; // of the image's height, rows from first on
};

template <class F> device void for_pixels(const Masks& m, F f)
{
    const int x = block_x() * Threads + thread_x(), y0 = block_y() * Band;
    const Place column = load_place(m.table, m.height + min_of(x, m.width - 1));
    const float* low = m.logits + (long long)block_z() * m.low_height * m.low_width;
    int have[2] = {-1, -1};
    float across[2][2][2]; // row of the frame, row of the logits, column of the frame
#pragma unroll 1
    for (int y = y0; y < min_of(y0 + Band, m.rows); y++) {
        const Place row = load_place(m.table, m.first + y);
        float down[2];
#pragma unroll
        for (int p = 0; p < 2; p++) {
            if (row.first[p] != have[p]) {
                have[p] = row.first[p];
#pragma unroll
                for (int r = 0; r < 2; r++) {
                    const float* source = low + (r == 0 ? row.first[p] : row.second[p]) * m.low_width;
#pragma unroll
                    for (int q = 0; q < 2; q++)
                        across[p][r][q] = source[column.first[q]] * column.between[q][0]
                            + source[column.second[q]] * column.between[q][1];
                }
            }
            float left = across[p][0][0] * row.between[p][0] + across[p][1][0] * row.between[p][1];
            float right = across[p][0][1] * row.between[p][0] + across[p][1][1] * row.between[p][1];
            down[p] = left * column.last[0] + right * column.last[1];
        }
        f(x, y, down[0] * row.last[0] + down[1] * row.last[1]);
    }
}

template <int Mask> device int shuffle_xor(int x)
{
    int y; asm volatile("shfl.sync.bfly.b32 %0, %1, %2, 31, 0xffffffff;" : "=r"(y) : "r"(x), "n"(Mask)); return y;
}
device int warp_sum(int x)
{
    x += shuffle_xor<16>(x);
    x += shuffle_xor<8>(x);
    x += shuffle_xor<4>(x);
    x += shuffle_xor<2>(x);
    return x + shuffle_xor<1>(x);
}

// mask_resize_fwd_f32: logits at the image's resolution, rows first to first + rows.
//   in    x (n, h, w) f32, table (H + W, 12) i32     out  y (n, rows, W) f32
//   args  x, table, y, h i32, w i32, H i32, W i32, first i32, rows i32
//   launch grid (ceil(W/128), ceil(rows/32), n), block 128; shared 0 B; regs <= 64
//   needs table 16-byte aligned; first + rows <= H; h·w < 2^31
//   bytes 4·n·(rows·W + h·w)     flops ~18·n·rows·W     bound: memory
//   accuracy exact: torch's roundings
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) mask_resize_fwd_f32(const float* x, const u32* table, float* y, int low_height,
                                                      int low_width, int height, int width, int first, int rows)
{
    y += (long long)block_z() * rows * width;
    for_pixels({x, table, low_height, low_width, height, width, first, rows}, [&](int column, int row, float value) {
        if (column < width) y[(long long)row * width + column] = value;
    });
}

// mask_resize_fwd_u8: 1 where such a logit is above the threshold, else 0; and how many are above two other values, in
// parts of a warp each.
//   in    x (n, h, w) f32, table (H + W, 12) i32     out  y (n, rows, W) u8, parts (n, warps, 2) i32
//   args  x, table, y, parts, h i32, w i32, H i32, W i32, first i32, rows i32, threshold f32, inner f32, outer f32
//   launch grid (ceil(W/128), ceil(rows/32), n), block 128 = 4 warps; shared 0 B; regs <= 64
//   needs table 16-byte aligned; first + rows <= H; h·w < 2^31; warps those of a mask's blocks
//   bytes n·(rows·W + 4·h·w)     flops ~21·n·rows·W     bound: memory
//   accuracy exact: torch's roundings
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) mask_resize_fwd_u8(const float* x, const u32* table, unsigned char* y, int* parts,
                                                     int low_height, int low_width, int height, int width, int first,
                                                     int rows, float threshold, float inner, float outer)
{
    int above_inner = 0, above_outer = 0;
    y += (long long)block_z() * rows * width;
    for_pixels({x, table, low_height, low_width, height, width, first, rows}, [&](int column, int row, float value) {
        if (column < width) {
            y[(long long)row * width + column] = value > threshold;
            above_inner += value > inner;
            above_outer += value > outer;
        }
    });
    above_inner = warp_sum(above_inner);
    above_outer = warp_sum(above_outer);
    if ((thread_x() & 31) == 0) {
        const int blocks = grid_x() * ceil_div(rows, Band), block = block_y() * grid_x() + block_x();
        int* part = parts + (((long long)block_z() * blocks + block) * (Threads / 32) + (thread_x() >> 5)) * 2;
        part[0] = above_inner;
        part[1] = above_outer;
    }
}

// mask_resize_fwd_i32_counts: the sums of a mask's parts.
//   in    parts (n, P, 2) i32                        out  counts (n, 2) i32
//   args  parts, counts, P i32
//   launch grid n, block 32; shared 0 B; regs <= 32
//   needs nothing: any sizes
//   bytes 8·n·P     flops 0     bound: memory
//   accuracy exact
//   order fixed: same bits every run
kernel __launch_bounds__(32) mask_resize_fwd_i32_counts(const int* parts, int* counts, int count)
{
    const long long mask = block_x();
    int inner = 0, outer = 0;
    for (int i = thread_x(); i < count; i += 32) {
        inner += parts[(mask * count + i) * 2];
        outer += parts[(mask * count + i) * 2 + 1];
    }
    inner = warp_sum(inner);
    outer = warp_sum(outer);
    if (thread_x() == 0) {
        counts[2 * mask] = inner;
        counts[2 * mask + 1] = outer;
    }
}

// mask_resize_bwd_f32: the adjoint of mask_resize_fwd_f32 for all rows: dx = sum of dy over the pixels that a logit is
// part of, each times its share. The table has (first pixel, how many, where their shares begin) for each row, then for
// each column, then the shares; a pixel's rows and columns are each other's neighbours, so that nothing is scattered.
//   in    dy (n, H, W) f32, table (words) i32        out  dx (n, h, w) f32
//   args  dy, table, dx, h i32, w i32, H i32, W i32
//   launch grid (ceil(w/128), h, n), block 128; shared 0 B; regs <= 48
//   needs n and h up to 65535; any sizes
//   bytes 4·n·(H·W + h·w); pixels are read again from cache     flops ~2·n·H·W·4     bound: memory
//   accuracy f32 sums in the order of columns, then rows; shares rounded once
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) mask_resize_bwd_f32(const float* dy, const int* table, float* dx, int low_height,
                                                      int low_width, int height, int width)
{
    const int j = block_x() * Threads + thread_x(), i = block_y();
    const int *row = table + 3 * i, *column = table + 3 * (low_height + min_of(j, low_width - 1));
    const int y0 = row[0], rows = row[1], x0 = column[0], columns = column[1];
    const float *down = (const float*)table + row[2], *across = (const float*)table + column[2];
    const float* source = dy + ((long long)block_z() * height + y0) * width + x0;
    float sum = 0.0f;
#pragma unroll 1
    for (int y = 0; y < rows; y++) {
        float line = 0.0f;
#pragma unroll 1
        for (int x = 0; x < columns; x++) line = fma_rn(across[x], source[(long long)y * width + x], line);
        sum = fma_rn(down[y], line, sum);
    }
    if (j < low_width) dx[((long long)block_z() * low_height + i) * low_width + j] = sum;
}
