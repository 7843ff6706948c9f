// Convolution, channels last, one geometry for all: three axes, any of which may be 1. Implicit GEMM: a row is a
// position of the result, a column one of its channels, the depth runs over the kernel's taps and, fastest, the
// channels of a group. A row's values are gathered while they are copied to shared memory: no unfolded matrix exists.
// Tiles are those of gemm.cu: a block computes 128 rows x 64 or 128 columns and walks the depth in chunks that are 64
// bytes wide; three chunks are in shared memory.
// The gradient of x is the same product, gathered from dy (conv.cuh); that of the weight has rows for tap and channel.
#include "conv.cuh"

constexpr int Stages = 3, Width = 64; // chunks in flight; bytes of a chunk's row

// Rows of 64 bytes, 4 pieces of 16: piece p of row r lies at p ^ (r/2 % 4), so 8 rows' piece p touch all 32 banks once.
device int swizzle64(int row, int piece) { return piece ^ (row >> 1 & 3); }

// ---------------------------------------------------------------------------------------------------------------
// Chunks on their way to shared memory. What lies outside is not read, so its address does not matter.

// Pieces are of 16 bytes, or of 8 where the channels of a tap do not fill 16.
template <int Piece> device void copy_piece(u32 address, int offset, const void* source, bool take)
{
    if (Piece == 16) copy16_async(address, offset, source, 0, take);
    else copy8_async(address, offset, source, 0, take);
}

// Rows of gathered values, n pieces each; thread t copies piece t%n of rows t/n, t/n + Threads/n, ...
template <int Threads, bool Swizzled, int Piece, class T, int Rows>
device void load_gathered(u32 buffer, const T* x, int pitch, const Walk& k, const Geometry& g,
                          const Origin (&origin)[Rows], int depth0, int depth)
{
    constexpr int Wide = Piece / sizeof(T), Pieces = Width / Piece, Step = Threads / Pieces;
    int row = thread_x() / Pieces, piece = thread_x() % Pieces, at = depth0 + piece * Wide, wide = piece * Piece / 16;
    u32 target = buffer + row * Width + (Swizzled ? swizzle64(row, wide) : wide) * 16 + piece * Piece % 16;
    Place p = place_in<Width / sizeof(T)>(k, g, depth0, piece * Wide);
#pragma unroll
    for (int i = 0; i < Rows; i++)
        copy_piece<Piece>(target, i * Step * Width, x + (long long)(origin[i].index + p.index) * pitch + p.channel,
                          at < depth && is_inside(k, origin[i], p));
}

// Forward: the weight's rows as they are, one a column of the result.
template <int Threads, int Columns, int Piece, class T>
device void load_weight(u32 buffer, const T* w, int column0, int columns, int depth0, int depth)
{
    constexpr int Wide = Piece / sizeof(T), Pieces = Width / Piece, Step = Threads / Pieces;
    int row = thread_x() / Pieces, piece = thread_x() % Pieces, at = depth0 + piece * Wide;
    u32 target = buffer + row * Width + swizzle64(row, piece * Piece / 16) * 16 + piece * Piece % 16;
#pragma unroll
    for (int i = 0; i < (Columns + Step - 1) / Step; i++) {
        int column = column0 + row + i * Step;
        copy_piece<Piece>(target, i * Step * Width, w + ((long long)column * depth + at),
                          column < columns && at < depth);
    }
}

// Backward: for each place of the depth, a tap and a channel of y, the weight's Columns channels of x.
template <int Threads, int Columns, class T>
device void load_weight_turned(u32 buffer, const T* w, int column0, const Walk& k, const Geometry& g, int depth0,
                               int depth)
{
    constexpr int Wide = 16 / sizeof(T), Pieces = Columns / Wide, Step = Threads / Pieces, Deep = Width / sizeof(T);
    int piece = thread_x() % Pieces, row = thread_x() / Pieces, column = column0 + piece * Wide, taps = taps_of(g);
    u32 target = buffer + row * Pieces * 16 + (sizeof(T) == 2 ? piece ^ (row & 7) : piece) * 16;
#pragma unroll
    for (int i = 0; i < Deep / Step; i++) {
        int at = depth0 + row + i * Step;
        Place p = place_in<Deep>(k, g, depth0, row + i * Step);
        const T* source = w + ((long long)(p.channel * taps + p.tap) * k.columns + column);
        copy16_async(target, i * Step * Pieces * 16, source, 0, at < depth && column < k.columns);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// bf16: 4 warps, each 64 rows x half of the columns, as tensor-core tiles; a chunk is 32 deep.

template <bool Backward, int Columns, int Piece = 16>
device void conv_bf16(const bf16* x, const bf16* w, const float* bias, bf16* y, const Geometry& g)
{
    constexpr int Step = 128 * Piece / Width; // rows that are copied together
    constexpr int Pairs = Columns / 32, StageA = Side * Width, StageB = Columns * Width; // pairs of 8 columns a warp
    alignas(128) __shared__ unsigned char chunks[Stages * (StageA + StageB)];
    const u32 a_buffer = shared_address(chunks), b_buffer = a_buffer + Stages * StageA;
    const int lane = thread_x() & 31, warp_m = (thread_x() >> 5) & 1, warp_n = thread_x() >> 6;
    const int group = block_y();
    const Walk k = walk_of<Backward>(g, block_z());
    const int column_tiles = ceil_div(k.columns, Columns), rows = row_count(k);
    const int m0 = block_x() / column_tiles * Side, n0 = block_x() % column_tiles * Columns;
    const int depth = m0 < rows ? depth_of(k) : 0; // phases differ in their rows
    const int pitch = k.channels * g.groups; // of the gathered tensor
    x += group * k.channels;
    w += (long long)group * (g.n / g.groups) * taps_of(g) * (g.c / g.groups);

    Origin origin[Side / Step];
#pragma unroll
    for (int i = 0; i < Side / Step; i++)
        origin[i] = origin_of<Side>(k, m0, thread_x() / (Width / Piece) + Step * i, rows);

    // lane's rows for ldmatrix; A: 16 rows x 16 deep, B: 16 columns x 16 deep, or with Backward 16 deep x 16 columns
    u32 a_lane[2], b_lane[Pairs > 2 ? Pairs : 2];
    int a_row = warp_m * 64 + (lane & 15), b_row = warp_n * Columns / 2 + (lane & 7) + (lane >> 4 << 3);
#pragma unroll
    for (int s = 0; s < 2; s++) {
        a_lane[s] = a_buffer + a_row * Width + swizzle64(a_row, 2 * s + (lane >> 4)) * 16;
        if (!Backward) b_lane[s] = b_buffer + b_row * Width + swizzle64(b_row, 2 * s + (lane >> 3 & 1)) * 16;
    }
#pragma unroll
    for (int j = 0; j < Pairs; j++)
        if (Backward)
            b_lane[j] = b_buffer + (lane & 15) * Columns * 2
                + ((warp_n * Columns / 16 + 2 * j + (lane >> 4)) ^ (lane & 7)) * 16;

    auto load = [&](int depth0, int stage) __attribute__((always_inline)) {
        if (depth0 < depth) {
            load_gathered<128, true, Piece>(a_buffer + stage * StageA, x, pitch, k, g, origin, depth0, depth);
            if (Backward) load_weight_turned<128, Columns>(b_buffer + stage * StageB, w, n0, k, g, depth0, depth);
            else load_weight<128, Columns, Piece>(b_buffer + stage * StageB, w, n0, k.columns, depth0, depth);
        }
        copy_commit();
    };
    load(0, 0);
    load(32, 1);

    float sum[4][2 * Pairs][4] = {};
    int stage = 0, next = 2;
    for (int depth0 = 0; depth0 < depth; depth0 += 32) {
        copy_wait<1>();
        block_barrier(); // this chunk is here for all, and nobody reads the one before it any more
        load(depth0 + 64, next);
#pragma unroll
        for (int s = 0; s < 2; s++) {
            u32 fragment_a[4][4], fragment_b[Pairs][4];
#pragma unroll
            for (int i = 0; i < 4; i++) ldmatrix4(fragment_a[i], a_lane[s] + stage * StageA, i * 16 * Width);
#pragma unroll
            for (int j = 0; j < Pairs; j++) {
                if (Backward) ldmatrix4_trans(fragment_b[j], b_lane[j] + stage * StageB, s * 16 * Columns * 2);
                else ldmatrix4(fragment_b[j], b_lane[s] + stage * StageB, j * 16 * Width);
            }
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 2 * Pairs; j++)
                    mma_bf16(sum[i][j], fragment_a[i], fragment_b[j / 2][j % 2 * 2], fragment_b[j / 2][j % 2 * 2 + 1],
                             sum[i][j]);
        }
        stage = stage == 2 ? 0 : stage + 1;
        next = next == 2 ? 0 : next + 1;
    }

    int row0 = warp_m * 64 + (lane >> 2), column0 = n0 + warp_n * Columns / 2 + 2 * (lane & 3);
    bf16* out[8];
#pragma unroll
    for (int i = 0; i < 8; i++)
        out[i] = y + (position_of<Backward>(k, g, m0, row0 + 8 * i) * (k.columns * g.groups) + group * k.columns);
#pragma unroll
    for (int j = 0; j < 2 * Pairs; j++) {
        int column = column0 + 8 * j;
        f32x2 add = {0.0f, 0.0f};
        if (!Backward && bias) add = *(const f32x2*)(bias + group * k.columns + min_of(column, k.columns - 2));
#pragma unroll
        for (int i = 0; i < 8; i++) {
            float* pair = &sum[i / 2][j][i % 2 * 2];
            store_if(column < k.columns && m0 + row0 + 8 * i < rows, (u32*)(out[i] + column),
                     pack_bf16(pair[0] + add.x, pair[1] + add.y));
        }
    }
}

// conv_fwd_bf16_n{64,128,64_quads}: y = convolution of x with w, plus bias; for up to 64 and for more channels out a
// group; with quads for few channels in.
//   in    x (B, D, H, W, C) bf16, w (N, KD, KH, KW, C/groups) bf16, bias (N) f32 or null
//   out   y (B, OD, OH, OW, N) bf16
//   args  x, w, bias, y, geometry i32x22
//   launch grid (ceil(B·OD·OH·OW/128)·ceil(N/groups/n), groups), block 128 = 4 warps; shared <= 49152 B; regs <= 255
//   needs N/groups a multiple of 8, C/groups too, or with quads one of 4; x, w 16-byte, bias 8-byte, y 4-byte aligned;
//         tensor cores
//   bytes 2·(x + w + y)     flops 2·B·OD·OH·OW·N·KD·KH·KW·C/groups     bound: compute
//   accuracy f32 sums, one rounding to bf16
//   order fixed: same bits every run
#define CONV_FWD_BF16(name, Columns, Piece)                                                                            \
    kernel __launch_bounds__(128) name(const bf16* x, const bf16* w, const float* bias, bf16* y, GEOMETRY)             \
    {                                                                                                                  \
        conv_bf16<false, Columns, Piece>(x, w, bias, y, AS_GEOMETRY);                                                  \
    }
CONV_FWD_BF16(conv_fwd_bf16_n64, 64, 16)
CONV_FWD_BF16(conv_fwd_bf16_n128, 128, 16)
CONV_FWD_BF16(conv_fwd_bf16_n64_quads, 64, 8)

// conv_bwd_bf16_data_n{64,128}: dx = dy gathered with w; for up to 64 and for more channels in a group.
//   in    dy (B, OD, OH, OW, N) bf16, w (N, KD, KH, KW, C/groups) bf16          out  dx (B, D, H, W, C) bf16
//   args  dy, w, dx, geometry i32x22
//   launch grid (ceil(rows/128)·ceil(C/groups/n), groups, phases), block 128 = 4 warps; shared <= 49152 B; regs <= 255
//   needs C/groups and N/groups multiples of 8; dy, w 16-byte, dx 4-byte aligned; tensor cores
//   bytes 2·(dy + w + dx)     flops 2·B·OD·OH·OW·N·KD·KH·KW·C/groups     bound: compute
//   accuracy f32 sums, one rounding to bf16
//   order fixed: same bits every run
#define CONV_BWD_BF16_DATA(name, Columns)                                                                              \
    kernel __launch_bounds__(128) name(const bf16* dy, const bf16* w, bf16* dx, GEOMETRY)                              \
    {                                                                                                                  \
        conv_bf16<true, Columns>(dy, w, nullptr, dx, AS_GEOMETRY);                                                     \
    }
CONV_BWD_BF16_DATA(conv_bwd_bf16_data_n64, 64)
CONV_BWD_BF16_DATA(conv_bwd_bf16_data_n128, 128)

// ---------------------------------------------------------------------------------------------------------------
// f32: 8 warps, each 16 rows x all columns; a thread has 16 rows x Columns/32 columns. The gathered values are the same
// for the whole warp, so their loads are broadcasts; a chunk is 16 deep. Columns of a thread: lane + 32·j, with
// Backward Columns/32·lane + j.

// A thread's neighbouring columns at one depth.
template <int Own> device void load_own(float (&v)[Own][4], int d, const float* from)
{
    if (Own == 4) {
        f32x4 u = load4(from);
        v[0][d] = u.x, v[1][d] = u.y, v[Own - 2][d] = u.z, v[Own - 1][d] = u.w;
    } else {
        f32x2 u = *(const f32x2*)from;
        v[0][d] = u.x, v[1][d] = u.y;
    }
}

device float fma4(float a0, float a1, float a2, float a3, const float (&b)[4], float sum)
{
    return fma_rn(a3, b[3], fma_rn(a2, b[2], fma_rn(a1, b[1], fma_rn(a0, b[0], sum))));
}

template <bool Backward, int Columns>
device void conv_f32(const float* x, const float* w, const float* bias, float* y, const Geometry& g)
{
    constexpr int Own = Columns / 32;
    alignas(128) __shared__ float chunks_a[Stages][Side][16];
    alignas(128) __shared__ float chunks_b[Stages][Columns * 16];
    const u32 a_buffer = shared_address(chunks_a), b_buffer = shared_address(chunks_b);
    const int lane = thread_x() & 31, warp = thread_x() >> 5, group = block_y();
    const Walk k = walk_of<Backward>(g, block_z());
    const int column_tiles = ceil_div(k.columns, Columns), rows = row_count(k);
    const int m0 = block_x() / column_tiles * Side, n0 = block_x() % column_tiles * Columns;
    const int depth = m0 < rows ? depth_of(k) : 0; // phases differ in their rows
    const int pitch = k.channels * g.groups; // of the gathered tensor
    x += group * k.channels;
    w += (long long)group * (g.n / g.groups) * taps_of(g) * (g.c / g.groups);

    Origin origin[2];
#pragma unroll
    for (int i = 0; i < 2; i++) origin[i] = origin_of<Side>(k, m0, (thread_x() >> 2) + 64 * i, rows);

    auto load = [&](int depth0, int stage) __attribute__((always_inline)) {
        if (depth0 < depth) {
            u32 a = a_buffer + stage * (Side * Width), b = b_buffer + stage * (Columns * Width);
            load_gathered<256, false, 16>(a, x, pitch, k, g, origin, depth0, depth);
            if (Backward) load_weight_turned<256, Columns>(b, w, n0, k, g, depth0, depth);
            else load_weight<256, Columns, 16>(b, w, n0, k.columns, depth0, depth);
        }
        copy_commit();
    };
    load(0, 0);
    load(16, 1);

    float sum[16][Own] = {};
    int stage = 0, next = 2;
    for (int depth0 = 0; depth0 < depth; depth0 += 16) {
        copy_wait<1>();
        block_barrier(); // this chunk is here for all, and nobody reads the one before it any more
        load(depth0 + 32, next);
        const float* rows_a = &chunks_a[stage][warp * 16][0];
#pragma unroll 1
        for (int s = 0; s < 4; s++) { // 4 deep
            float v[Own][4];          // of this thread's columns
            if (Backward) {
#pragma unroll
                for (int d = 0; d < 4; d++) load_own<Own>(v, d, &chunks_b[stage][(4 * s + d) * Columns + Own * lane]);
            } else {
#pragma unroll
                for (int j = 0; j < Own; j++) {
                    f32x4 u = load4(&chunks_b[stage][(lane + 32 * j) * 16 + swizzle64(lane, s) * 4]);
                    v[j][0] = u.x, v[j][1] = u.y, v[j][2] = u.z, v[j][3] = u.w;
                }
            }
#pragma unroll
            for (int i = 0; i < 16; i++) {
                f32x4 u = load4(rows_a + 16 * i + 4 * s);
#pragma unroll
                for (int j = 0; j < Own; j++)
                    sum[i][j] = fma4(u.x, u.y, u.z, u.w, v[j], sum[i][j]);
            }
        }
        stage = stage == 2 ? 0 : stage + 1;
        next = next == 2 ? 0 : next + 1;
    }

    float add[Own];
    int column[Own];
#pragma unroll
    for (int j = 0; j < Own; j++) {
        column[j] = n0 + (Backward ? Own * lane + j : lane + 32 * j);
        add[j] = !Backward && bias ? bias[group * k.columns + min_of(column[j], k.columns - 1)] : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < 16; i++) {
        float* out = y + position_of<Backward>(k, g, m0, warp * 16 + i) * (k.columns * g.groups) + group * k.columns;
#pragma unroll
        for (int j = 0; j < Own; j++)
            store_if(column[j] < k.columns && m0 + warp * 16 + i < rows, out + column[j], sum[i][j] + add[j]);
    }
}

// conv_fwd_f32_n{64,128}: y = convolution of x with w, plus bias; for up to 64 and for more channels out a group.
//   in    x (B, D, H, W, C) f32, w (N, KD, KH, KW, C/groups) f32, bias (N) f32 or null
//   out   y (B, OD, OH, OW, N) f32
//   args  x, w, bias, y, geometry i32x22
//   launch grid (ceil(B·OD·OH·OW/128)·ceil(N/groups/n), groups), block 256 = 8 warps; shared <= 49152 B; regs <= 128
//   needs C/groups a multiple of 4; x, w 16-byte aligned
//   bytes 4·(x + w + y)     flops 2·B·OD·OH·OW·N·KD·KH·KW·C/groups     bound: compute
//   accuracy f32, one fma after the other along the depth
//   order fixed: same bits every run
#define CONV_FWD_F32(name, Columns)                                                                                    \
    kernel __launch_bounds__(256, 2) name(const float* x, const float* w, const float* bias, float* y, GEOMETRY)       \
    {                                                                                                                  \
        conv_f32<false, Columns>(x, w, bias, y, AS_GEOMETRY);                                                          \
    }
CONV_FWD_F32(conv_fwd_f32_n64, 64)
CONV_FWD_F32(conv_fwd_f32_n128, 128)

// conv_bwd_f32_data_n{64,128}: dx = dy gathered with w; for up to 64 and for more channels in a group.
//   in    dy (B, OD, OH, OW, N) f32, w (N, KD, KH, KW, C/groups) f32            out  dx (B, D, H, W, C) f32
//   args  dy, w, dx, geometry i32x22
//   launch grid (ceil(rows/128)·ceil(C/groups/n), groups, phases), block 256 = 8 warps; shared <= 49152 B; regs <= 176
//   needs C/groups and N/groups multiples of 4; dy, w 16-byte aligned
//   bytes 4·(dy + w + dx)     flops 2·B·OD·OH·OW·N·KD·KH·KW·C/groups     bound: compute
//   accuracy f32, one fma after the other along the depth
//   order fixed: same bits every run
#define CONV_BWD_F32_DATA(name, Columns)                                                                               \
    kernel __launch_bounds__(256) name(const float* dy, const float* w, float* dx, GEOMETRY)                           \
    {                                                                                                                  \
        conv_f32<true, Columns>(dy, w, nullptr, dx, AS_GEOMETRY);                                                      \
    }
CONV_BWD_F32_DATA(conv_bwd_f32_data_n64, 64)
CONV_BWD_F32_DATA(conv_bwd_f32_data_n128, 128)

// ---------------------------------------------------------------------------------------------------------------
// What the tiles are not for: groups of few channels (depthwise), channels that do not fill 16-byte pieces. One thread
// a value; a warp has 32 channels of one position.

template <class T> device void conv_direct(const T* x, const T* w, const float* bias, T* y, const Geometry& g)
{
    const int n = block_y() * 32 + (thread_x() & 31), row = block_x() * 4 + (thread_x() >> 5);
    const int channels = g.c / g.groups, rows = g.batch * g.out[0] * g.out[1] * g.out[2];
    if (n >= g.n || row >= rows) return;
    const int ox = row % g.out[2], oy = row / g.out[2] % g.out[1], plane = row / g.out[2] / g.out[1];
    const int oz = plane % g.out[0], image = plane / g.out[0];
    x += n / (g.n / g.groups) * channels;
    w += (long long)n * taps_of(g) * channels;
    float sum = 0.0f;
    for (int kz = 0; kz < g.kernel_size[0]; kz++)
        for (int ky = 0; ky < g.kernel_size[1]; ky++)
            for (int kx = 0; kx < g.kernel_size[2]; kx++, w += channels) {
                int pz = oz * g.stride[0] - g.padding[0] + kz * g.dilation[0];
                int py = oy * g.stride[1] - g.padding[1] + ky * g.dilation[1];
                int px = ox * g.stride[2] - g.padding[2] + kx * g.dilation[2];
                if ((u32)pz >= (u32)g.in[0] || (u32)py >= (u32)g.in[1] || (u32)px >= (u32)g.in[2]) continue;
                const T* from = x + ((((long long)image * g.in[0] + pz) * g.in[1] + py) * g.in[2] + px) * g.c;
                for (int c = 0; c < channels; c++) sum = fma_rn(to_float(from[c]), to_float(w[c]), sum);
            }
    store(y + (long long)row * g.n + n, bias ? sum + bias[n] : sum);
}

// conv_fwd_{f32,bf16}_direct: y = convolution of x with w, plus bias, for any channels and groups.
//   in    x (B, D, H, W, C), w (N, KD, KH, KW, C/groups) f32 or bf16, bias (N) f32 or null
//   out   y (B, OD, OH, OW, N) of x's type
//   args  x, w, bias, y, geometry i32x22
//   launch grid (ceil(B·OD·OH·OW/4), ceil(N/32)), block 128; shared 0 B; regs <= 64
//   needs nothing: any sizes
//   bytes s·(x + w + y), s = 4 or 2     flops 2·B·OD·OH·OW·N·KD·KH·KW·C/groups     bound: memory
//   accuracy f32, one fma after the other
//   order fixed: same bits every run
kernel __launch_bounds__(128) conv_fwd_f32_direct(const float* x, const float* w, const float* bias, float* y, GEOMETRY)
{
    conv_direct<float>(x, w, bias, y, AS_GEOMETRY);
}
kernel __launch_bounds__(128) conv_fwd_bf16_direct(const bf16* x, const bf16* w, const float* bias, bf16* y, GEOMETRY)
{
    conv_direct<bf16>(x, w, bias, y, AS_GEOMETRY);
}

template <class T> device void conv_direct_data(const T* dy, const T* w, T* dx, const Geometry& g)
{
    const int c = block_y() * 32 + (thread_x() & 31), row = block_x() * 4 + (thread_x() >> 5);
    const int channels = g.c / g.groups, columns = g.n / g.groups, rows = g.batch * g.in[0] * g.in[1] * g.in[2];
    if (c >= g.c || row >= rows) return;
    const int px = row % g.in[2], py = row / g.in[2] % g.in[1], plane = row / g.in[2] / g.in[1];
    const int pz = plane % g.in[0], image = plane / g.in[0];
    const int group = c / channels, taps = taps_of(g);
    dy += group * columns;
    w += (long long)group * columns * taps * channels + c % channels;
    float sum = 0.0f;
    for (int kz = 0; kz < g.kernel_size[0]; kz++)
        for (int ky = 0; ky < g.kernel_size[1]; ky++)
            for (int kx = 0; kx < g.kernel_size[2]; kx++, w += channels) {
                int oz = pz + g.padding[0] - kz * g.dilation[0];
                int oy = py + g.padding[1] - ky * g.dilation[1];
                int ox = px + g.padding[2] - kx * g.dilation[2];
                bool whole = oz % g.stride[0] == 0 && oy % g.stride[1] == 0 && ox % g.stride[2] == 0;
                oz /= g.stride[0];
                oy /= g.stride[1];
                ox /= g.stride[2];
                whole = whole && (u32)oz < (u32)g.out[0] && (u32)oy < (u32)g.out[1] && (u32)ox < (u32)g.out[2];
                if (!whole) continue;
                const T* from = dy + ((((long long)image * g.out[0] + oz) * g.out[1] + oy) * g.out[2] + ox) * g.n;
                for (int n = 0; n < columns; n++)
                    sum = fma_rn(to_float(from[n]), to_float(w[(long long)n * taps * channels]), sum);
            }
    store(dx + (long long)row * g.c + c, sum);
}

// conv_bwd_{f32,bf16}_data_direct: dx = dy gathered with w, for any channels and groups.
//   in    dy (B, OD, OH, OW, N), w (N, KD, KH, KW, C/groups) f32 or bf16        out  dx (B, D, H, W, C) of dy's type
//   args  dy, w, dx, geometry i32x22
//   launch grid (ceil(B·D·H·W/4), ceil(C/32)), block 128; shared 0 B; regs <= 64
//   needs nothing: any sizes
//   bytes s·(dy + w + dx), s = 4 or 2     flops 2·B·OD·OH·OW·N·KD·KH·KW·C/groups     bound: memory
//   accuracy f32, one fma after the other
//   order fixed: same bits every run
kernel __launch_bounds__(128) conv_bwd_f32_data_direct(const float* dy, const float* w, float* dx, GEOMETRY)
{
    conv_direct_data<float>(dy, w, dx, AS_GEOMETRY);
}
kernel __launch_bounds__(128) conv_bwd_bf16_data_direct(const bf16* dy, const bf16* w, bf16* dx, GEOMETRY)
{
    conv_direct_data<bf16>(dy, w, dx, AS_GEOMETRY);
}

// ---------------------------------------------------------------------------------------------------------------
// The gradient of the weight: rows are places (tap, channel of x), columns channels of y, and the depth runs over y's
// positions, of which each block takes one part. Both factors lie in shared memory as they are gathered, depth by
// depth. A second kernel adds the parts in their order. part_size: positions of a part.

// A chunk's depth of gathered values, 128 places each; a thread copies one piece, the same places all along.
template <int Threads, int Piece, class T>
device void load_places(u32 buffer, const T* x, int pitch, const Walk& k, const Place& place, bool take, int first,
                        int end)
{
    constexpr int Pieces = Side * sizeof(T) / Piece, Step = Threads / Pieces, Deep = Width / sizeof(T);
    int piece = thread_x() % Pieces, row = thread_x() / Pieces, wide = piece * Piece / 16;
    u32 line = buffer + row * Pieces * Piece + piece * Piece % 16;
#pragma unroll
    for (int i = 0; i < Deep / Step; i++) {
        Origin o = origin_of<Deep>(k, first, row + i * Step, end);
        u32 target = line + (sizeof(T) == 2 ? wide ^ (row + i * Step & 7) : wide) * 16;
        const T* from = x + (long long)(o.index + place.index) * pitch + place.channel;
        copy_piece<Piece>(target, i * Step * Pieces * Piece, from, take && is_inside(k, o, place));
    }
}

// The same depth of dy: Columns channels of each position.
template <int Threads, int Columns, class T>
device void load_columns(u32 buffer, const T* dy, int pitch, int column0, int columns, int first, int end)
{
    constexpr int Wide = 16 / sizeof(T), Pieces = Columns / Wide, Step = Threads / Pieces, Deep = Width / sizeof(T);
    int piece = thread_x() % Pieces, row = thread_x() / Pieces, column = column0 + piece * Wide;
    u32 target = buffer + row * Pieces * 16 + (sizeof(T) == 2 ? piece ^ (row & 7) : piece) * 16;
#pragma unroll
    for (int i = 0; i < Deep / Step; i++) {
        int at = first + row + i * Step;
        const T* source = dy + ((long long)at * pitch + column);
        copy16_async(target, i * Step * Pieces * 16, source, 0, at < end && column < columns);
    }
}

template <int Columns, int Piece>
device void conv_weight_bf16(const bf16* x, const bf16* dy, float* parts, int part_size, const Geometry& g)
{
    constexpr int Pairs = Columns / 32, StageA = Side * Width, StageB = Columns * Width;
    alignas(128) __shared__ unsigned char chunks[Stages * (StageA + StageB)];
    const u32 a_buffer = shared_address(chunks), b_buffer = a_buffer + Stages * StageA;
    const int lane = thread_x() & 31, warp_m = (thread_x() >> 5) & 1, warp_n = thread_x() >> 6;
    const int group = block_y();
    const Walk k = walk_of<false>(g, 0);
    const int places = depth_of(k), positions = row_count(k), column_tiles = ceil_div(k.columns, Columns);
    const int m0 = block_x() / column_tiles * Side, n0 = block_x() % column_tiles * Columns;
    const int begin = block_z() * part_size, end = min_of(begin + part_size, positions);
    x += group * k.channels;
    dy += group * k.columns;
    const int my_place = m0 + thread_x() % (Side * 2 / Piece) * (Piece / 2);
    const Place place = place_of(k, g, my_place);

    u32 a_lane[4], b_lane[Pairs]; // A: 16 deep x 16 places, B: 16 deep x 16 columns
#pragma unroll
    for (int i = 0; i < 4; i++)
        a_lane[i] = a_buffer + ((lane & 7) + (lane >> 4 << 3)) * Side * 2
            + ((warp_m * 8 + 2 * i + (lane >> 3 & 1)) ^ (lane & 7)) * 16;
#pragma unroll
    for (int j = 0; j < Pairs; j++)
        b_lane[j] = b_buffer + (lane & 15) * Columns * 2
            + ((warp_n * Columns / 16 + 2 * j + (lane >> 4)) ^ (lane & 7)) * 16;

    auto load = [&](int first, int stage) __attribute__((always_inline)) {
        if (first < end) {
            load_places<128, Piece>(a_buffer + stage * StageA, x, g.c, k, place, my_place < places, first, end);
            load_columns<128, Columns>(b_buffer + stage * StageB, dy, g.n, n0, k.columns, first, end);
        }
        copy_commit();
    };
    load(begin, 0);
    load(begin + 32, 1);

    float sum[4][2 * Pairs][4] = {};
    int stage = 0, next = 2;
    for (int first = begin; first < end; first += 32) {
        copy_wait<1>();
        block_barrier(); // this chunk is here for all, and nobody reads the one before it any more
        load(first + 64, next);
#pragma unroll
        for (int s = 0; s < 2; s++) {
            u32 fragment_a[4][4], fragment_b[Pairs][4];
#pragma unroll
            for (int i = 0; i < 4; i++) ldmatrix4_trans(fragment_a[i], a_lane[i] + stage * StageA, s * 16 * Side * 2);
#pragma unroll
            for (int j = 0; j < Pairs; j++)
                ldmatrix4_trans(fragment_b[j], b_lane[j] + stage * StageB, s * 16 * Columns * 2);
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 2 * Pairs; j++)
                    mma_bf16(sum[i][j], fragment_a[i], fragment_b[j / 2][j % 2 * 2], fragment_b[j / 2][j % 2 * 2 + 1],
                             sum[i][j]);
        }
        stage = stage == 2 ? 0 : stage + 1;
        next = next == 2 ? 0 : next + 1;
    }

    const int row0 = m0 + warp_m * 64 + (lane >> 2), column0 = n0 + warp_n * Columns / 2 + 2 * (lane & 3);
    parts += ((long long)block_z() * g.groups + group) * places * k.columns;
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 2 * Pairs; j++) {
            int row = row0 + 8 * i, column = column0 + 8 * j;
            float* out = parts + ((long long)row * k.columns + column);
            store_if(row < places && column < k.columns, out, sum[i / 2][j][i % 2 * 2]);
            store_if(row < places && column < k.columns, out + 1, sum[i / 2][j][i % 2 * 2 + 1]);
        }
}

// conv_bwd_bf16_weight_n{64,128,64_quads}: parts of the gradient of w, for up to 64 and for more channels of y a group;
// with quads for few channels of x.
//   in    x (B, D, H, W, C) bf16, dy (B, OD, OH, OW, N) bf16
//   out   parts (P, groups, places, N/groups) f32, places = KD·KH·KW·C/groups
//   args  x, dy, parts, part_size i32, geometry i32x22
//   launch grid (ceil(places/128)·ceil(N/groups/n), groups, P), block 128 = 4 warps; shared <= 49152 B; regs <= 255
//   needs N/groups a multiple of 8, C/groups too, or with quads one of 4; x, dy 16-byte aligned; tensor cores
//   bytes 2·(x + dy) + 4·parts     flops 2·B·OD·OH·OW·N·KD·KH·KW·C/groups     bound: compute
//   accuracy f32 sums
//   order fixed: same bits every run
#define CONV_BWD_BF16_WEIGHT(name, Columns, Piece)                                                                     \
    kernel __launch_bounds__(128) name(const bf16* x, const bf16* dy, float* parts, int part_size, GEOMETRY)           \
    {                                                                                                                  \
        conv_weight_bf16<Columns, Piece>(x, dy, parts, part_size, AS_GEOMETRY);                                        \
    }
CONV_BWD_BF16_WEIGHT(conv_bwd_bf16_weight_n64, 64, 16)
CONV_BWD_BF16_WEIGHT(conv_bwd_bf16_weight_n128, 128, 16)
CONV_BWD_BF16_WEIGHT(conv_bwd_bf16_weight_n64_quads, 64, 8)

template <int Columns>
device void conv_weight_f32(const float* x, const float* dy, float* parts, int part_size, const Geometry& g)
{
    constexpr int Own = Columns / 32;
    alignas(128) __shared__ float chunks_a[Stages][16][Side];
    alignas(128) __shared__ float chunks_b[Stages][16][Columns];
    const u32 a_buffer = shared_address(chunks_a), b_buffer = shared_address(chunks_b);
    const int lane = thread_x() & 31, warp = thread_x() >> 5, group = block_y();
    const Walk k = walk_of<false>(g, 0);
    const int places = depth_of(k), positions = row_count(k), column_tiles = ceil_div(k.columns, Columns);
    const int m0 = block_x() / column_tiles * Side, n0 = block_x() % column_tiles * Columns;
    const int begin = block_z() * part_size, end = min_of(begin + part_size, positions);
    x += group * k.channels;
    dy += group * k.columns;
    const int my_place = m0 + lane * 4;
    const Place place = place_of(k, g, my_place);

    auto load = [&](int first, int stage) __attribute__((always_inline)) {
        if (first < end) {
            load_places<256, 16>(a_buffer + stage * (Side * Width), x, g.c, k, place, my_place < places, first, end);
            load_columns<256, Columns>(b_buffer + stage * (Columns * Width), dy, g.n, n0, k.columns, first, end);
        }
        copy_commit();
    };
    load(begin, 0);
    load(begin + 16, 1);

    float sum[16][Own] = {};
    int stage = 0, next = 2;
    for (int first = begin; first < end; first += 16) {
        copy_wait<1>();
        block_barrier(); // this chunk is here for all, and nobody reads the one before it any more
        load(first + 32, next);
#pragma unroll 1
        for (int s = 0; s < 16; s += 4) { // 4 deep
            float v[Own][4];              // of this thread's columns
#pragma unroll
            for (int d = 0; d < 4; d++) load_own<Own>(v, d, &chunks_b[stage][s + d][Own * lane]);
#pragma unroll
            for (int i = 0; i < 16; i += 4) {
                f32x4 u[4];
#pragma unroll
                for (int d = 0; d < 4; d++) u[d] = load4(&chunks_a[stage][s + d][warp * 16 + i]);
#pragma unroll
                for (int j = 0; j < Own; j++) {
                    sum[i][j] = fma4(u[0].x, u[1].x, u[2].x, u[3].x, v[j], sum[i][j]);
                    sum[i + 1][j] = fma4(u[0].y, u[1].y, u[2].y, u[3].y, v[j], sum[i + 1][j]);
                    sum[i + 2][j] = fma4(u[0].z, u[1].z, u[2].z, u[3].z, v[j], sum[i + 2][j]);
                    sum[i + 3][j] = fma4(u[0].w, u[1].w, u[2].w, u[3].w, v[j], sum[i + 3][j]);
                }
            }
        }
        stage = stage == 2 ? 0 : stage + 1;
        next = next == 2 ? 0 : next + 1;
    }

    parts += ((long long)block_z() * g.groups + group) * places * k.columns;
#pragma unroll
    for (int i = 0; i < 16; i++)
#pragma unroll
        for (int j = 0; j < Own; j++) {
            int row = m0 + warp * 16 + i, column = n0 + Own * lane + j;
            store_if(row < places && column < k.columns, parts + ((long long)row * k.columns + column), sum[i][j]);
        }
}

// conv_bwd_f32_weight_n{64,128}: parts of the gradient of w, for up to 64 and for more channels of y a group.
//   in    x (B, D, H, W, C) f32, dy (B, OD, OH, OW, N) f32
//   out   parts (P, groups, places, N/groups) f32, places = KD·KH·KW·C/groups
//   args  x, dy, parts, part_size i32, geometry i32x22
//   launch grid (ceil(places/128)·ceil(N/groups/n), groups, P), block 256 = 8 warps; shared <= 49152 B; regs <= 128
//   needs C/groups and N/groups multiples of 4; x, dy 16-byte aligned
//   bytes 4·(x + dy + parts)     flops 2·B·OD·OH·OW·N·KD·KH·KW·C/groups     bound: compute
//   accuracy f32, one fma after the other along a part
//   order fixed: same bits every run
#define CONV_BWD_F32_WEIGHT(name, Columns)                                                                             \
    kernel __launch_bounds__(256, 2) name(const float* x, const float* dy, float* parts, int part_size, GEOMETRY)      \
    {                                                                                                                  \
        conv_weight_f32<Columns>(x, dy, parts, part_size, AS_GEOMETRY);                                                \
    }
CONV_BWD_F32_WEIGHT(conv_bwd_f32_weight_n64, 64)
CONV_BWD_F32_WEIGHT(conv_bwd_f32_weight_n128, 128)

// A block has one place and 32 channels of y; each of its 8 warps takes every eighth position of the part.
template <class T>
device void conv_weight_direct(const T* x, const T* dy, float* parts, int part_size, const Geometry& g)
{
    __shared__ float sums[8][32];
    const int lane = thread_x() & 31, warp = thread_x() >> 5, n = block_y() * 32 + lane;
    const Walk k = walk_of<false>(g, 0);
    const int places = depth_of(k), positions = row_count(k), group = n / k.columns;
    const int begin = block_z() * part_size, end = min_of(begin + part_size, positions);
    const Place place = place_of(k, g, block_x());
    float sum = 0.0f;
    for (int first = begin; first < end; first += 8) {
        Origin o = origin_of<8>(k, first, warp, end);
        if (n < g.n && is_inside(k, o, place)) {
            long long at = (long long)(o.index + place.index) * g.c + group * k.channels + place.channel;
            sum = fma_rn(to_float(x[at]), to_float(dy[(long long)(first + warp) * g.n + n]), sum);
        }
    }
    sums[warp][lane] = sum;
    block_barrier();
    if (warp == 0 && n < g.n) {
        for (int i = 1; i < 8; i++) sum += sums[i][lane];
        parts += ((long long)block_z() * g.groups + group) * places * k.columns;
        parts[(long long)block_x() * k.columns + n % k.columns] = sum;
    }
}

// conv_bwd_{f32,bf16}_weight_direct: parts of the gradient of w, for any channels and groups.
//   in    x (B, D, H, W, C), dy (B, OD, OH, OW, N) f32 or bf16
//   out   parts (P, groups, places, N/groups) f32, places = KD·KH·KW·C/groups
//   args  x, dy, parts, part_size i32, geometry i32x22
//   launch grid (places, ceil(N/32), P), block 256 = 8 warps; shared 1024 B; regs <= 64
//   needs nothing: any sizes
//   bytes s·(x + dy) + 4·parts, s = 4 or 2     flops 2·B·OD·OH·OW·N·KD·KH·KW·C/groups     bound: memory
//   accuracy f32, one fma after the other along an eighth of a part
//   order fixed: same bits every run
kernel __launch_bounds__(256) conv_bwd_f32_weight_direct(const float* x, const float* dy, float* parts, int part_size,
                                                         GEOMETRY)
{
    conv_weight_direct<float>(x, dy, parts, part_size, AS_GEOMETRY);
}
kernel __launch_bounds__(256) conv_bwd_bf16_weight_direct(const bf16* x, const bf16* dy, float* parts, int part_size,
                                                          GEOMETRY)
{
    conv_weight_direct<bf16>(x, dy, parts, part_size, AS_GEOMETRY);
}

// conv_bwd_f32_weight_sum: dw[g, n, place] = sum over p of parts[p, g, place, n], on top of dw where add is not 0.
//   in    parts (P, groups, places, columns) f32, places = KD·KH·KW·C/groups, columns = N/groups
//   out   dw (N, KD, KH, KW, C/groups) f32
//   args  parts, dw, P i32, groups i32, places i32, columns i32, add i32
//   launch grid ceil(groups·places·columns/256), block 256; shared 0 B; regs <= 40
//   needs groups·places·columns < 2^31
//   bytes 4·(parts + dw)     flops P·dw     bound: memory
//   accuracy f32, one addition after the other
//   order fixed: same bits every run
kernel __launch_bounds__(256) conv_bwd_f32_weight_sum(const float* parts, float* dw, int count, int groups, int places,
                                                      int columns, int add)
{
    const int size = groups * places * columns, i = block_x() * 256 + thread_x();
    if (i >= size) return;
    const int n = i % columns, place = i / columns % places, group = i / columns / places;
    float* out = dw + ((long long)(group * columns + n) * places + place);
    float sum = add ? *out : 0.0f;
    for (int p = 0; p < count; p++) sum += parts[(long long)p * size + i];
    *out = sum;
}
