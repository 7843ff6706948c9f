// The last step of SAM's mask decoder: a transposed convolution (kernel and stride 2), GELU, and the product with what
// the hyper-networks made for each mask; the upscaled image, 32 channels at full size, never exists in memory.
//   z[o, y, x] = gelu(bias[o] + Σ_c u[c]·weight[c, o, ky, kx])       mask[m, y, x] = Σ_o hyper[m, o]·z[o, y, x]
// u has for each token (i, j) of the grid the four pixels (a, b) that the first transposed convolution made of it, so
// that y = 4i + 2a + ky, x = 4j + 2b + kx.
#include "gelu.cuh"
#include "mma.cuh"

constexpr int Warps = 4, Threads = 32 * Warps;

template <class T> struct MaskDecodeArgs {
    const T *u, *weight;  // (P, H, W, 2, 2, C), (C, O, 2, 2)
    const float *bias, *hyper; // (O), (P, M, O)
    float* mask;          // (P, M, 4H, 4W)
    int height, width, masks;
};

// ---------------------------------------------------------------------------------------------------------------
// f32 on plain cores. A lane has one pixel of u, all its channels, and makes 2 x 2 pixels of every mask; a warp has 16
// neighbours of the grid, of which it takes b = 0 and 1. Weights are read as broadcasts.

constexpr int MasksF32 = 4;

template <int C, int O> device void mask_decode_f32(const MaskDecodeArgs<float>& a)
{
    const int lane = thread_x() & 31, across = ceil_div(a.width, 16);
    const int task = block_x() * Warps + (thread_x() >> 5); // (i, a, group of 16 j)
    const int j = task % across * 16 + (lane >> 1), line = task / across;
    const long long prompt = block_y();
    const int first = block_z() * MasksF32;
    if (line < 2 * a.height) {
        const long long token = (prompt * a.height + (line >> 1)) * a.width + min_of(j, a.width - 1);
        const float* source = a.u + (token * 4 + (line & 1) * 2 + (lane & 1)) * C;
        float u[C], mask[MasksF32][4] = {};
#pragma unroll
        for (int c = 0; c < C; c += 4) {
            f32x4 v = load4(source + c);
            u[c] = v.x, u[c + 1] = v.y, u[c + 2] = v.z, u[c + 3] = v.w;
        }
        const float* hyper[MasksF32];
#pragma unroll
        for (int m = 0; m < MasksF32; m++)
            hyper[m] = a.hyper + (prompt * a.masks + min_of(first + m, a.masks - 1)) * O;
#pragma unroll 1
        for (int o = 0; o < O; o++) {
            float z[4];
#pragma unroll
            for (int i = 0; i < 4; i++) z[i] = a.bias[o];
#pragma unroll
            for (int c = 0; c < C; c++) {
                f32x4 w = load4(a.weight + (c * O + o) * 4);
                z[0] = fma_rn(u[c], w.x, z[0]), z[1] = fma_rn(u[c], w.y, z[1]);
                z[2] = fma_rn(u[c], w.z, z[2]), z[3] = fma_rn(u[c], w.w, z[3]);
            }
#pragma unroll
            for (int i = 0; i < 4; i++) {
                float y = gelu(z[i]);
#pragma unroll
                for (int m = 0; m < MasksF32; m++) mask[m][i] = fma_rn(y, hyper[m][o], mask[m][i]);
            }
        }
#pragma unroll
        for (int m = 0; m < MasksF32; m++)
            if (j < a.width && first + m < a.masks)
#pragma unroll
                for (int ky = 0; ky < 2; ky++) {
                    long long row = (prompt * a.masks + first + m) * 4 * a.height + 2 * line + ky;
                    float* target = a.mask + row * 4 * a.width + 4 * j + 2 * (lane & 1);
                    *(f32x2*)target = {mask[m][2 * ky], mask[m][2 * ky + 1]};
                }
    }
}

// ---------------------------------------------------------------------------------------------------------------
// bf16 on tensor cores. A warp's task is 8 neighbours of the grid: two tiles of 16 rows, a = 0 and 1, of which row r is
// neighbour r with b = 0 and row r + 8 the same with b = 1; so a lane ends up with four pixels side by side. Channels
// are taken in an order in which a lane's 8 bytes of u are its part of a fragment: of 16 channels, lane s of a row has
// 4s to 4s+3, the first two as k = 2s, 2s+1 and the others as k + 8. The weights lie in shared memory in the same
// order, rows (ky, kx, o). z, packed to bf16, is the left side of the second product as it comes out of the first.

constexpr int TasksPerWarp = 4, MasksBF16 = 8;

template <int C> device int swizzle(int row, int chunk) // 16-byte chunk of a row; all banks once in ldmatrix
{
    return C == 64 ? chunk ^ (row & 7) : chunk ^ (row >> 2 & 1);
}

template <int C, int O> device void load_weights(unsigned char* tile, const bf16* weight)
{
    for (int item = thread_x(); item < C / 2 * O; item += Threads) { // channels c, c + 1 of output o
        int o = item % O, c = item / O * 2;
        u32x2 even = *(const u32x2*)(weight + (c * O + o) * 4), odd = *(const u32x2*)(weight + (c * O + O + o) * 4);
        u32 pair[4] = {(even.x & 0xffffu) | odd.x << 16, even.x >> 16 | (odd.x & 0xffff0000u),
                       (even.y & 0xffffu) | odd.y << 16, even.y >> 16 | (odd.y & 0xffff0000u)};
        int chunk = c / 16 * 2 + (c >> 1 & 1), place = (c % 16 >> 2) * 4;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int row = i * O + o;
            *(u32*)(tile + row * 2 * C + swizzle<C>(row, chunk) * 16 + place) = pair[i];
        }
    }
}

template <int C, int O> device void mask_decode_bf16(const MaskDecodeArgs<bf16>& a)
{
    static_assert((C == 64 || C == 16) && (O == 32 || O == 8), "channels");
    constexpr int RowBytes = 2 * C, Steps = C / 16, Blocks = O / 8, HyperSteps = (O + 15) / 16;
    alignas(128) __shared__ unsigned char tile[4 * O * RowBytes];
    load_weights<C, O>(tile, a.weight);

    const int lane = thread_x() & 31, r = lane >> 2, s = lane & 3, across = ceil_div(a.width, 8);
    const long long prompt = block_y();
    const int first = block_z() * MasksBF16;
    u32 hyper[HyperSteps][2]; // column r: the mask
    float bias[Blocks][2];
    const float* source = a.hyper + (prompt * a.masks + min_of(first + r, a.masks - 1)) * O + 2 * s;
#pragma unroll
    for (int i = 0; i < HyperSteps; i++)
#pragma unroll
        for (int h = 0; h < 2; h++)
            hyper[i][h] = 16 * i + 8 * h < O ? pack_bf16(source[16 * i + 8 * h], source[16 * i + 8 * h + 1]) : 0;
#pragma unroll
    for (int j = 0; j < Blocks; j++)
#pragma unroll
        for (int e = 0; e < 2; e++) bias[j][e] = a.bias[8 * j + 2 * s + e];
    u32 address[Steps]; // lane's row for ldmatrix
#pragma unroll
    for (int i = 0; i < Steps; i++) {
        int row = (lane & 7) + ((lane >> 4) << 3);
        address[i] = shared_address(tile) + row * RowBytes + swizzle<C>(row, 2 * i + ((lane >> 3) & 1)) * 16;
    }
    block_barrier();

#pragma unroll 1
    for (int t = 0; t < TasksPerWarp; t++) {
        const int task = (block_x() * TasksPerWarp + t) * Warps + (thread_x() >> 5), j = task % across * 8 + r;
        const int line = task / across;
        if (line >= a.height) break;
        u32 u[2][Steps][4];
        const bf16* pixels = a.u + ((prompt * a.height + line) * a.width + min_of(j, a.width - 1)) * 4 * C + 4 * s;
#pragma unroll
        for (int p = 0; p < 2; p++)
#pragma unroll
            for (int i = 0; i < Steps; i++)
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    u32x2 v = *(const u32x2*)(pixels + (2 * p + h) * C + 16 * i);
                    u[p][i][h] = v.x, u[p][i][h + 2] = v.y;
                }
#pragma unroll
        for (int ky = 0; ky < 2; ky++) {
            float z[2][2 * Blocks][4]; // columns (kx, o)
#pragma unroll
            for (int p = 0; p < 2; p++)
#pragma unroll
                for (int n = 0; n < 2 * Blocks; n++)
#pragma unroll
                    for (int e = 0; e < 4; e++) z[p][n][e] = bias[n % Blocks][e & 1];
#pragma unroll
            for (int i = 0; i < Steps; i++)
#pragma unroll
                for (int n = 0; n < 2 * Blocks; n += 2) {
                    u32 w[4];
                    ldmatrix4(w, address[i], (ky * 2 * Blocks + n) * 8 * RowBytes);
#pragma unroll
                    for (int p = 0; p < 2; p++) {
                        mma_bf16(z[p][n], u[p][i], w[0], w[1], z[p][n]);
                        mma_bf16(z[p][n + 1], u[p][i], w[2], w[3], z[p][n + 1]);
                    }
                }
#pragma unroll
            for (int p = 0; p < 2; p++) {
                float mask[2][4] = {}; // kx; rows b, columns 2s and 2s + 1
#pragma unroll
                for (int kx = 0; kx < 2; kx++)
#pragma unroll
                    for (int i = 0; i < HyperSteps; i++) {
                        u32 y[4];
#pragma unroll
                        for (int h = 0; h < 4; h++) {
                            if (2 * i + h / 2 >= Blocks) {
                                y[h] = 0;
                                continue;
                            }
                            const float(&pair)[4] = z[p][kx * Blocks + 2 * i + h / 2];
                            y[h] = pack_bf16(gelu(pair[h % 2 * 2]), gelu(pair[h % 2 * 2 + 1]));
                        }
                        mma_bf16(mask[kx], y, hyper[i][0], hyper[i][1], mask[kx]);
                    }
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    int m = first + 2 * s + e;
                    if (j < a.width && m < a.masks && 2 * s + e < MasksBF16) {
                        long long row = (prompt * a.masks + m) * 4 * a.height + 4 * line + 2 * p + ky;
                        store4(a.mask + row * 4 * a.width + 4 * j,
                               f32x4{mask[0][e], mask[1][e], mask[0][2 + e], mask[1][2 + e]});
                    }
                }
            }
        }
    }
}

// mask_decode_fwd_f32_c{64_32,16_8}: mask = hyper · gelu(transposed convolution of u + bias), on plain cores; the name
// has the channels C of u and O of the convolution.
//   in    u (P, H, W, 2, 2, C) f32, weight (C, O, 2, 2) f32, bias (O) f32, hyper (P, M, O) f32
//   out   mask (P, M, 4H, 4W) f32
//   args  u, weight, bias, hyper, mask, H i32, W i32, M i32
//   launch grid (ceil(2·H·ceil(W/16)/4), P, ceil(M/4)), block 128 = 4 warps; shared 0 B; regs <= 168
//   needs u, weight and mask 16-byte aligned; 8·H·W < 2^31
//   bytes 16·P·H·W·(C + 4·M)     flops P·H·W·(32·C·O + 16·O·(25 + 2·M))     bound: compute
//   accuracy f32 throughout; gelu relative 1e-6
//   order fixed: same bits every run
#define MASK_DECODE_F32(name, C, O)                                                                                    \
    kernel __launch_bounds__(Threads) name(const float* u, const float* weight, const float* bias, const float* hyper, \
                                           float* mask, int height, int width, int masks)                              \
    {                                                                                                                  \
        mask_decode_f32<C, O>({u, weight, bias, hyper, mask, height, width, masks});                                   \
    }
MASK_DECODE_F32(mask_decode_fwd_f32_c64_32, 64, 32)
MASK_DECODE_F32(mask_decode_fwd_f32_c16_8, 16, 8)

// mask_decode_fwd_bf16_c{64_32,16_8}: the same on tensor cores.
//   in    u (P, H, W, 2, 2, C) bf16, weight (C, O, 2, 2) bf16, bias (O) f32, hyper (P, M, O) f32
//   out   mask (P, M, 4H, 4W) f32
//   args  u, weight, bias, hyper, mask, H i32, W i32, M i32
//   launch grid (ceil(H·ceil(W/8)/16), P, ceil(M/8)), block 128 = 4 warps of 4 tasks; shared <= 16384 B; regs <= 255
//   needs u, weight and mask 16-byte aligned; 8·H·W < 2^31; tensor cores
//   bytes P·H·W·(8·C + 64·M)     flops P·H·W·(32·C·O + 16·O·(25 + 2·M))     bound: memory
//   accuracy f32 sums; gelu and hyper rounded to bf16 before their product
//   order fixed: same bits every run
#define MASK_DECODE_BF16(name, C, O)                                                                                   \
    kernel __launch_bounds__(Threads) name(const bf16* u, const bf16* weight, const float* bias, const float* hyper,   \
                                           float* mask, int height, int width, int masks)                              \
    {                                                                                                                  \
        mask_decode_bf16<C, O>({u, weight, bias, hyper, mask, height, width, masks});                                  \
    }
MASK_DECODE_BF16(mask_decode_fwd_bf16_c64_32, 64, 32)
MASK_DECODE_BF16(mask_decode_fwd_bf16_c16_8, 16, 8)

// ---------------------------------------------------------------------------------------------------------------
// Backward: the convolution is made again by a matrix product, without its bias; here that becomes its gradient in
// place, and two more matrix products make those of u and of the weight of it. A thread has one output o and a share of
// a prompt's pixels.

constexpr int MasksBack = 4;

template <class T, int O>
device void mask_decode_back(T* z, const float* bias, const float* hyper, const float* d_mask, float* hyper_parts,
                             float* bias_parts, int height, int width, int masks, int each)
{
    constexpr int Slots = Threads / O;
    __shared__ float sums[MasksBack + 1][Threads];
    const int o = thread_x() % O, slot = thread_x() / O, pixels = 4 * height * width;
    const int begin = block_x() * each, end = min_of(pixels, begin + each);
    const long long prompt = block_y(), mask_size = 16ll * height * width;
    float vector[MasksBack], d_hyper[MasksBack] = {}, d_bias = 0.0f;
#pragma unroll
    for (int m = 0; m < MasksBack; m++) vector[m] = m < masks ? hyper[(prompt * masks + m) * O + o] : 0.0f;
    const float added = bias[o];
    for (int pixel = begin + slot; pixel < end; pixel += Slots) {
        T* at = z + ((prompt * pixels + pixel) * O + o) * 4;
        const f32x4 before = load4(at);
        const GeluSlope y[4] = {gelu_slope(before.x + added), gelu_slope(before.y + added),
                                gelu_slope(before.z + added), gelu_slope(before.w + added)};
        const int token = pixel >> 2, top = 4 * (token / width) + (pixel & 2);
        const float* source = d_mask + prompt * masks * mask_size + (long long)top * 4 * width + 4 * (token % width)
            + 2 * (pixel & 1);
        float dy[4] = {};
#pragma unroll
        for (int m = 0; m < MasksBack; m++)
            if (m < masks) {
                const f32x2 upper = *(const f32x2*)(source + m * mask_size);
                const f32x2 lower = *(const f32x2*)(source + m * mask_size + 4 * width);
                dy[0] = fma_rn(vector[m], upper.x, dy[0]), dy[1] = fma_rn(vector[m], upper.y, dy[1]);
                dy[2] = fma_rn(vector[m], lower.x, dy[2]), dy[3] = fma_rn(vector[m], lower.y, dy[3]);
                d_hyper[m] = fma_rn(upper.x, y[0].y, fma_rn(upper.y, y[1].y, d_hyper[m]));
                d_hyper[m] = fma_rn(lower.x, y[2].y, fma_rn(lower.y, y[3].y, d_hyper[m]));
            }
        const f32x4 dz = {dy[0] * y[0].slope, dy[1] * y[1].slope, dy[2] * y[2].slope, dy[3] * y[3].slope};
        store4(at, dz);
        d_bias += (dz.x + dz.y) + (dz.z + dz.w);
    }
#pragma unroll
    for (int m = 0; m < MasksBack; m++) sums[m][thread_x()] = d_hyper[m];
    sums[MasksBack][thread_x()] = d_bias;
    block_barrier();
    for (int item = thread_x(); item < (masks + 1) * O; item += Threads) {
        const int m = item / O == masks ? MasksBack : item / O, column = item % O;
        float sum = 0.0f;
#pragma unroll
        for (int i = 0; i < Slots; i++) sum += sums[m][i * O + column];
        const long long block = prompt * grid_x() + block_x();
        if (m == MasksBack) bias_parts[block * O + column] = sum;
        else hyper_parts[block * masks * O + item] = sum;
    }
}

// mask_decode_bwd_{f32,bf16}_o{32,8}: z, the convolution without its bias, becomes its gradient; and those of hyper and
// bias in parts of some pixels of u each.
//   in    z (P, H, W, 2, 2, O, 2, 2) f32 or bf16, bias (O), hyper (P, M, O), dmask (P, M, 4H, 4W) f32
//   out   z, hyper_parts (P, G, M, O), bias_parts (P, G, O) f32
//   args  z, bias, hyper, dmask, hyper_parts, bias_parts, H i32, W i32, M i32, each i32
//   launch grid (G = ceil(4·H·W/each), P), block 128; shared 2560 B; regs <= 80
//   needs M <= 4; z aligned to 4 elements, dmask to 8 bytes; 16·H·W < 2^31
//   bytes P·H·W·(32·s·O + 64·M), s = 4 or 2     flops ~16·P·H·W·O·(30 + 4·M)     bound: memory
//   accuracy f32 sums; gelu relative 1e-6, gelu' to 2e-7
//   order fixed: same bits every run
#define MASK_DECODE_BACK(name, T, O)                                                                                   \
    kernel __launch_bounds__(Threads) name(T* z, const float* bias, const float* hyper, const float* dmask,            \
                                           float* hyper_parts, float* bias_parts, int height, int width, int masks,    \
                                           int each)                                                                   \
    {                                                                                                                  \
        mask_decode_back<T, O>(z, bias, hyper, dmask, hyper_parts, bias_parts, height, width, masks, each);            \
    }
MASK_DECODE_BACK(mask_decode_bwd_f32_o32, float, 32)
MASK_DECODE_BACK(mask_decode_bwd_f32_o8, float, 8)
MASK_DECODE_BACK(mask_decode_bwd_bf16_o32, bf16, 32)
MASK_DECODE_BACK(mask_decode_bwd_bf16_o8, bf16, 8)
