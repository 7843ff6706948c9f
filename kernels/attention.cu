// Attention forward with SAM's decomposed relative position, flash style: online softmax, no T x T matrix anywhere.
//   logit[q, k] = scale * q·k + rel_h[q, ky(k)] + rel_w[q, kx(k)]        tokens are an H x W grid, k = ky * W + kx
// Keys are walked in tiles of Rows grid rows by Columns grid columns. A tile's columns are padded to Columns (a power
// of two), so that one column block always serves the same kx: rel_w is loaded into registers once per column block,
// -inf where kx >= W, which is all the masking there is; rel_h is one scalar per query and key row, -inf where ky >= H.
// Everything is kept in base 2: exp(x) = ex2(x·log2 e), the factor folded into scale and the two tables.
#include "mma.cuh"

constexpr int Warps = 4, Threads = 32 * Warps, Queries = 64;

// Entry i of a table row of n, in base 2; -inf past its end, which masks the key.
template <class T> device float bias(const T* row, int i, int n)
{
    float value = to_float(row[min_of(i, n - 1)]) * Log2E;
    return i < n ? value : -Infinity;
}

template <class T> struct AttentionArgs {
    const T *qkv, *rel_h, *rel_w;
    T* out;
    float* lse;
    int height, width, heads, tokens; // without relative position the grid is one row of all tokens
    float scale;
};

// ---------------------------------------------------------------------------------------------------------------
// bf16 on tensor cores. One warp owns 16 queries and keeps them, its 16 x K output and a 16 x Keys tile of logits in
// registers. K and V tiles go through one buffer each: V_t arrives while Q·K_t is computed, K_t+1 while P·V_t is.

constexpr int Keys = 64; // slots of a tile

// 16-byte chunk c of row r lies at chunk swizzle(r, c) of its row, so that all 32 banks are touched once both by
// ldmatrix (one chunk column of 8 rows) and by the copies (two neighbouring chunks of 4 rows). Rows of 64 values are 8
// chunks; rows of 80 are 10, which alone would make r and r + 4 collide; rows of 32 are 4, and every other one starts
// in bank 0; rows of 16 are 2, and every fourth one does.
template <int K> device int swizzle(int row, int chunk)
{
    static_assert(K == 16 || K == 32 || K == 64 || K == 80, "head size");
    return K == 16 ? chunk ^ (row >> 2 & 1)
        : K == 32 ? chunk ^ (row >> 1 & 3)
        : K == 64 ? chunk ^ ((row & 3) << 1 | (row >> 2 & 1))
        : chunk ^ (row >> 2 & 1);
}

// 64 token slots, queries, keys or values, each a row of K values, to shared memory: two threads a slot, 32 bytes of it
// at a time. Slots are Columns wide rows from (row0, column0) of the height x width grid; those outside become zeros.
template <int K, int Columns>
device void load_tile(u32 buffer, const bf16* tokens, int stride, int row0, int column0, int height, int width)
{
    static_assert(Threads == 2 * Keys && Keys == Queries, "two threads a slot");
    int slot = thread_x() >> 1, half = thread_x() & 1;
    int y = row0 + slot / Columns, x = column0 + slot % Columns;
    bool inside = y < height && x < width;
    const bf16* source = tokens + ((inside ? y * width + x : 0) * stride + 8 * half);
#pragma unroll
    for (int i = 0; i < K / 16; i++)
        copy16_async(buffer + slot * 2 * K + swizzle<K>(slot, 2 * i + half) * 16, 0, source, 32 * i, inside);
}

template <int K, int Columns, bool Relative> device void attention_bf16(const AttentionArgs<bf16>& a)
{
    constexpr int RowBytes = 2 * K, Rows = Keys / Columns;
    constexpr int Blocks = Columns / 8; // 8-column logit blocks in one grid row
    constexpr int Parts = Rows > 1 ? 2 : 1; // halves of a tile that are skipped when they lie below the grid
    alignas(128) __shared__ unsigned char k_tile[Keys * RowBytes];
    alignas(128) __shared__ unsigned char v_tile[Keys * RowBytes];
    const u32 k_buffer = shared_address(k_tile), v_buffer = shared_address(v_tile);

    const int lane = thread_x() & 31, warp = thread_x() >> 5;
    const int head = block_y(), image = block_z(), stride = 3 * a.heads * K;
    const int block_first = block_x() * Queries, first = block_first + 16 * warp;
    const bool active = first < a.tokens; // warps past the last query only help copying
    const bf16* q = a.qkv + (long long)image * a.tokens * stride + head * K;
    const bf16* k = q + a.heads * K;
    const bf16* v = k + a.heads * K;

    load_tile<K, Keys>(v_buffer, q, stride, 0, block_first, 1, a.tokens);
    load_tile<K, Columns>(k_buffer, k, stride, 0, 0, a.height, a.width);
    copy_commit();
    copy_wait<0>();
    block_barrier();

    u32 q_fragment[K / 16][4];
    u32 k_address[K / 16], v_address[K / 16]; // lane's row for ldmatrix; the swizzle makes one per 16 columns
#pragma unroll
    for (int i = 0; i < K / 16; i++) {
        int q_row = lane & 15, k_row = (lane & 7) + ((lane >> 4) << 3);
        ldmatrix4(q_fragment[i],
                  v_buffer + (16 * warp + q_row) * RowBytes + swizzle<K>(q_row, 2 * i + (lane >> 4)) * 16, 0);
        k_address[i] = k_buffer + k_row * RowBytes + swizzle<K>(k_row, 2 * i + ((lane >> 3) & 1)) * 16;
        v_address[i] = v_buffer + q_row * RowBytes + swizzle<K>(q_row, 2 * i + (lane >> 4)) * 16;
    }

    // Lane's two queries: rows lane/4 and lane/4 + 8 of the warp's 16.
    const long long sequence = (long long)image * a.heads + head;
    int query[2];
    const bf16* rel_h[2];
    const bf16* rel_w[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
        query[h] = first + (lane >> 2) + 8 * h;
        long long row = sequence * a.tokens + min_of(query[h], a.tokens - 1);
        rel_h[h] = a.rel_h + row * a.height;
        rel_w[h] = a.rel_w + row * a.width;
    }

    float o[K / 8][4] = {}, top[2] = {-Infinity, -Infinity}, sum[2] = {}; // sum: of this lane's columns only
    float bias_w[Blocks][4];
    const float factor = a.scale * Log2E;
    int row0 = 0, column0 = 0;
    while (column0 < a.width) {
        copy_wait<0>();  // K_t is here,
        block_barrier(); // and nobody reads V_t-1 (at first: the queries) any more
        load_tile<K, Columns>(v_buffer, v, stride, row0, column0, a.height, a.width);
        copy_commit();

        u32 p[Keys / 16][4]; // probabilities as the A operand of P·V
        if (active) {
            float bias_h[2][Rows];
            if (Relative) {
#pragma unroll
                for (int h = 0; h < 2; h++)
#pragma unroll
                    for (int r = 0; r < Rows; r++)
                        bias_h[h][r] = bias(rel_h[h], row0 + r, a.height);
                if (row0 == 0) {
#pragma unroll
                    for (int j = 0; j < Blocks; j++)
#pragma unroll
                        for (int e = 0; e < 4; e++) {
                            int x = column0 + 8 * j + 2 * (lane & 3) + (e & 1);
                            bias_w[j][e] = bias(rel_w[e >> 1], x, a.width);
                        }
                }
            }

            float s[Keys / 8][4];
            const float zero[4] = {};
#pragma unroll
            for (int part = 0; part < Parts; part++) {
                constexpr int Pairs = Keys / 16 / Parts;
                if (row0 + part * Rows / Parts < a.height) {
#pragma unroll
                    for (int i = 0; i < K / 16; i++)
#pragma unroll
                        for (int j = part * Pairs; j < (part + 1) * Pairs; j++) {
                            u32 b[4];
                            ldmatrix4(b, k_address[i], j * 16 * RowBytes);
                            mma_bf16(s[2 * j], q_fragment[i], b[0], b[1], i == 0 ? zero : s[2 * j]);
                            mma_bf16(s[2 * j + 1], q_fragment[i], b[2], b[3], i == 0 ? zero : s[2 * j + 1]);
                        }
                } else {
#pragma unroll
                    for (int e = 0; e < 8 * Pairs; e++) s[2 * part * Pairs + e / 4][e % 4] = 0.0f;
                }
            }

            float tile_top[2] = {-Infinity, -Infinity};
#pragma unroll
            for (int r = 0; r < Rows; r++) {
                float row_top[2] = {-Infinity, -Infinity};
#pragma unroll
                for (int j = 0; j < Blocks; j++)
#pragma unroll
                    for (int e = 0; e < 4; e++) {
                        float& x = s[r * Blocks + j][e];
                        if (Relative) x = fma_rn(x, factor, bias_w[j][e]);
                        else x = column0 + 8 * j + 2 * (lane & 3) + (e & 1) < a.tokens ? x * factor : -Infinity;
                        row_top[e >> 1] = max_of(row_top[e >> 1], x);
                    }
#pragma unroll
                for (int h = 0; h < 2; h++)
                    tile_top[h] = max_of(tile_top[h], Relative ? row_top[h] + bias_h[h][r] : row_top[h]);
            }

            float shrink[2];
#pragma unroll
            for (int h = 0; h < 2; h++) {
                float t = max_of(tile_top[h], shuffle_xor<1>(tile_top[h]));
                t = max_of(top[h], max_of(t, shuffle_xor<2>(t))); // finite: a tile's first row and column are real
                shrink[h] = exp2_approx(top[h] - t);
                top[h] = t;
                sum[h] *= shrink[h];
            }
#pragma unroll
            for (int r = 0; r < Rows; r++) {
                float shift[2];
#pragma unroll
                for (int h = 0; h < 2; h++) shift[h] = Relative ? bias_h[h][r] - top[h] : -top[h];
#pragma unroll
                for (int j = 0; j < Blocks; j++) {
                    int block = r * Blocks + j;
#pragma unroll
                    for (int e = 0; e < 4; e++) {
                        s[block][e] = exp2_approx(s[block][e] + shift[e >> 1]);
                        sum[e >> 1] += s[block][e];
                    }
                    p[block / 2][block % 2 * 2] = pack_bf16(s[block][0], s[block][1]);
                    p[block / 2][block % 2 * 2 + 1] = pack_bf16(s[block][2], s[block][3]);
                }
            }
#pragma unroll
            for (int j = 0; j < K / 8; j++)
#pragma unroll
                for (int e = 0; e < 4; e++) o[j][e] *= shrink[e >> 1];
        }

        const int rows = a.height - row0; // left in this column
        row0 += Rows;
        if (row0 >= a.height) {
            row0 = 0;
            column0 += Columns;
        }
        copy_wait<0>();  // V_t is here,
        block_barrier(); // and nobody reads K_t any more
        if (column0 < a.width) load_tile<K, Columns>(k_buffer, k, stride, row0, column0, a.height, a.width);
        copy_commit();

        if (active) {
#pragma unroll
            for (int part = 0; part < Parts; part++)
                if (part * Rows / Parts < rows) {
#pragma unroll
                    for (int i = part * Keys / 16 / Parts; i < (part + 1) * Keys / 16 / Parts; i++)
#pragma unroll
                        for (int j = 0; j < K / 16; j++) {
                            u32 b[4];
                            ldmatrix4_trans(b, v_address[j], i * 16 * RowBytes);
                            mma_bf16(o[2 * j], p[i], b[0], b[1], o[2 * j]);
                            mma_bf16(o[2 * j + 1], p[i], b[2], b[3], o[2 * j + 1]);
                        }
                }
        }
    }

#pragma unroll
    for (int h = 0; h < 2; h++) {
        float total = sum[h] + shuffle_xor<1>(sum[h]);
        total += shuffle_xor<2>(total);
        if (query[h] < a.tokens) {
            float inverse = rcp_rn(total);
            bf16* row = a.out + ((long long)image * a.tokens + query[h]) * a.heads * K + head * K + 2 * (lane & 3);
#pragma unroll
            for (int j = 0; j < K / 8; j++)
                *(u32*)(row + 8 * j) = pack_bf16(o[j][2 * h] * inverse, o[j][2 * h + 1] * inverse);
            if ((lane & 3) == 0) a.lse[sequence * a.tokens + query[h]] = (top[h] + log2_approx(total)) * Ln2;
        }
    }
}

// attention_fwd_bf16_k{16,32,64,80}_w{64,32,16}: softmax(scale * q·k + rel_h + rel_w)·v for each image and head; w is
// the padded width of a key tile: 16 for W <= 16, 32 for W <= 32, else 64.
//   in    qkv (B, T, 3, N, K) bf16, rel_h (B, N, T, H) bf16, rel_w (B, N, T, W) bf16, T = H·W
//   out   out (B, T, N·K) bf16, lse (B, N, T) f32
//   args  qkv, rel_h, rel_w, out, lse, H i32, W i32, N i32, scale f32
//   launch grid (ceil(T/64), N, B), block 128 = 4 warps, 16 queries a warp; shared 256·K B; regs <= 255
//   needs qkv 16-byte, out 4-byte aligned; 3·T·N·K < 2^31; any H, W; tensor cores
//   bytes 8·B·T·N·K + 2·B·N·T·(H+W) + 4·B·N·T     flops 4·B·N·T²·K     bound: compute
//   accuracy f32 sums, probabilities rounded to bf16 before P·V; exp by ex2.approx
//   order fixed: same bits every run
#define ATTENTION(name, K, Columns, BlocksPerSm)                                                                       \
    kernel __launch_bounds__(Threads, BlocksPerSm) name(const bf16* qkv, const bf16* rel_h, const bf16* rel_w,         \
                                                        bf16* out, float* lse, int height, int width, int heads,       \
                                                        float scale)                                                   \
    {                                                                                                                  \
        attention_bf16<K, Columns, true>({qkv, rel_h, rel_w, out, lse, height, width, heads, height * width, scale});  \
    }
ATTENTION(attention_fwd_bf16_k16_w64, 16, 64, 3)
ATTENTION(attention_fwd_bf16_k16_w32, 16, 32, 3)
ATTENTION(attention_fwd_bf16_k16_w16, 16, 16, 3)
ATTENTION(attention_fwd_bf16_k32_w64, 32, 64, 3)
ATTENTION(attention_fwd_bf16_k32_w32, 32, 32, 3)
ATTENTION(attention_fwd_bf16_k32_w16, 32, 16, 3)
ATTENTION(attention_fwd_bf16_k64_w64, 64, 64, 3)
ATTENTION(attention_fwd_bf16_k64_w32, 64, 32, 3)
ATTENTION(attention_fwd_bf16_k64_w16, 64, 16, 3)
ATTENTION(attention_fwd_bf16_k80_w64, 80, 64, 2)
ATTENTION(attention_fwd_bf16_k80_w32, 80, 32, 2)
ATTENTION(attention_fwd_bf16_k80_w16, 80, 16, 3)

// attention_fwd_bf16_k{16,32,64,80}_no_bias: softmax(scale * q·k)·v for each image and head.
//   in    qkv (B, T, 3, N, K) bf16                   out  out (B, T, N·K) bf16, lse (B, N, T) f32
//   args  qkv, out, lse, T i32, N i32, scale f32
//   launch grid (ceil(T/64), N, B), block 128 = 4 warps, 16 queries a warp; shared 256·K B; regs <= 255
//   needs qkv 16-byte, out 4-byte aligned; 3·T·N·K < 2^31; any T; tensor cores
//   bytes 8·B·T·N·K + 4·B·N·T     flops 4·B·N·T²·K     bound: compute
//   accuracy f32 sums, probabilities rounded to bf16 before P·V; exp by ex2.approx
//   order fixed: same bits every run
#define ATTENTION_NO_BIAS(name, K, BlocksPerSm)                                                                        \
    kernel __launch_bounds__(Threads, BlocksPerSm) name(const bf16* qkv, bf16* out, float* lse, int tokens, int heads, \
                                                        float scale)                                                   \
    {                                                                                                                  \
        attention_bf16<K, 64, false>({qkv, nullptr, nullptr, out, lse, 1, tokens, heads, tokens, scale});              \
    }
ATTENTION_NO_BIAS(attention_fwd_bf16_k16_no_bias, 16, 3)
ATTENTION_NO_BIAS(attention_fwd_bf16_k32_no_bias, 32, 3)
ATTENTION_NO_BIAS(attention_fwd_bf16_k64_no_bias, 64, 3)
ATTENTION_NO_BIAS(attention_fwd_bf16_k80_no_bias, 80, 3)

// ---------------------------------------------------------------------------------------------------------------
// f32 on plain cores. A block has 64 queries, two a lane (lane and lane + 32), the same ones in all four warps. Warps
// share the work by keys for the logits (8 of a tile's 32 each) and by K for the output (a quarter each); the
// probabilities go through shared memory. Keys, values and probabilities of others are read as broadcasts of 16 bytes.

constexpr int KeysF32 = 32;

// Chunk of 4 values of key row r: rows of 64 would all start in bank 0, so odd ones are turned by half of their banks.
template <int K> device int turned(int row, int chunk) { return K == 64 ? chunk ^ (row & 1) << 2 : chunk; }

// 32 token slots to shared memory, four threads a slot, as load_tile. Pitch is the row length there, in floats.
template <int K, int Columns, int Pitch>
device void load_tile_f32(u32 buffer, const float* tokens, int stride, int row0, int column0, int height, int width)
{
    int slot = thread_x() >> 2, part = thread_x() & 3;
    int y = row0 + slot / Columns, x = column0 + slot % Columns;
    bool inside = y < height && x < width;
    const float* source = tokens + ((inside ? y * width + x : 0) * stride + 4 * part);
#pragma unroll
    for (int i = 0; i < K / 16; i++) {
        int chunk = Pitch == K ? turned<K>(slot, 4 * i + part) : 4 * i + part;
        copy16_async(buffer + slot * 4 * Pitch + chunk * 16, 0, source, 64 * i, inside);
    }
}

template <int K, int Columns, bool Relative> device void attention_f32(const AttentionArgs<float>& a)
{
    constexpr int Rows = KeysF32 / Columns, Pitch = K + 4, PitchP = KeysF32 + 4, Part = K / Warps;
    constexpr int KSize = KeysF32 * K > Queries * PitchP ? KeysF32 * K : Queries * PitchP;
    alignas(128) __shared__ float q_tile[Queries * Pitch]; // odd pitches in 16 bytes: lanes' rows in different banks
    alignas(128) __shared__ float k_tile[KSize];           // then the probabilities (queries, keys) with pitch PitchP
    alignas(128) __shared__ float v_tile[KeysF32 * K];
    alignas(128) __shared__ float exchange[Queries][Warps]; // maxima, at the end sums, of each warp's keys

    const int lane = thread_x() & 31, warp = thread_x() >> 5;
    const int head = block_y(), image = block_z(), stride = 3 * a.heads * K, first = block_x() * Queries;
    const float* q = a.qkv + (long long)image * a.tokens * stride + head * K;
    const float* k = q + a.heads * K;
    const float* v = k + a.heads * K;
    load_tile_f32<K, KeysF32, Pitch>(shared_address(q_tile), q, stride, 0, first, 1, a.tokens);
    load_tile_f32<K, KeysF32, Pitch>(shared_address(q_tile + 32 * Pitch), q, stride, 0, first + 32, 1, a.tokens);

    const long long sequence = (long long)image * a.heads + head;
    const float* rel_h[2];
    const float* rel_w[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
        long long row = sequence * a.tokens + min_of(first + lane + 32 * h, a.tokens - 1);
        rel_h[h] = a.rel_h + row * a.height;
        rel_w[h] = a.rel_w + row * a.width;
    }
    const float factor = a.scale * Log2E;
    const int warp_row = warp * 8 / Columns, warp_column = warp * 8 % Columns; // of this warp's keys in the tile
    const float* warp_keys = k_tile + warp * 8 * K;

    float o[2][Part] = {}, top[2] = {-Infinity, -Infinity}, sum[2] = {}, bias_w[2][8];
    int row0 = 0, column0 = 0;
    while (column0 < a.width) {
        load_tile_f32<K, Columns, K>(shared_address(k_tile), k, stride, row0, column0, a.height, a.width);
        load_tile_f32<K, Columns, K>(shared_address(v_tile), v, stride, row0, column0, a.height, a.width);
        copy_commit();
        float bias_h[2] = {};
        if (Relative) {
#pragma unroll
            for (int h = 0; h < 2; h++) bias_h[h] = bias(rel_h[h], row0 + warp_row, a.height);
            if (row0 == 0) {
#pragma unroll
                for (int h = 0; h < 2; h++)
#pragma unroll
                    for (int j = 0; j < 8; j++) bias_w[h][j] = bias(rel_w[h], column0 + warp_column + j, a.width);
            }
        }
        copy_wait<0>();
        block_barrier();

        float s[2][8] = {};
#pragma unroll 2
        for (int c = 0; c < K; c += 4) {
            f32x4 x[2] = {load4(q_tile + lane * Pitch + c), load4(q_tile + (lane + 32) * Pitch + c)};
#pragma unroll
            for (int j = 0; j < 8; j++) {
                f32x4 y = load4(warp_keys + j * K + turned<K>(j, c / 4) * 4);
#pragma unroll
                for (int h = 0; h < 2; h++)
                    s[h][j] = fma_rn(x[h].w, y.w, fma_rn(x[h].z, y.z,
                                    fma_rn(x[h].y, y.y, fma_rn(x[h].x, y.x, s[h][j]))));
            }
        }
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float most = -Infinity;
#pragma unroll
            for (int j = 0; j < 8; j++) {
                if (Relative) s[h][j] = fma_rn(s[h][j], factor, bias_w[h][j]);
                else s[h][j] = column0 + warp_column + j < a.tokens ? s[h][j] * factor : -Infinity;
                most = max_of(most, s[h][j]);
            }
            exchange[lane + 32 * h][warp] = most + bias_h[h];
        }
        block_barrier(); // maxima are there, and nobody reads the keys any more

#pragma unroll
        for (int h = 0; h < 2; h++) {
            f32x4 most = load4(exchange[lane + 32 * h]);
            float t = max_of(top[h], max_of(max_of(most.x, most.y), max_of(most.z, most.w))); // finite: slot 0 is real
            float shrink = exp2_approx(top[h] - t), shift = bias_h[h] - t;
            top[h] = t;
            sum[h] *= shrink;
#pragma unroll
            for (int j = 0; j < 8; j++) {
                s[h][j] = exp2_approx(s[h][j] + shift);
                sum[h] += s[h][j];
            }
            float* row = k_tile + (lane + 32 * h) * PitchP + 8 * warp;
            store4(row, f32x4{s[h][0], s[h][1], s[h][2], s[h][3]});
            store4(row + 4, f32x4{s[h][4], s[h][5], s[h][6], s[h][7]});
#pragma unroll
            for (int c = 0; c < Part; c++) o[h][c] *= shrink;
        }
        block_barrier(); // probabilities are there

#pragma unroll 1
        for (int key = 0; key < KeysF32; key += 4) {
            f32x4 p[2] = {load4(k_tile + lane * PitchP + key), load4(k_tile + (lane + 32) * PitchP + key)};
#pragma unroll
            for (int e = 0; e < 4; e++)
#pragma unroll
                for (int c = 0; c < Part; c += 4) {
                    // 64: a quarter is 4 chunks, so that turning by 4 chunks swaps quarters and keeps the order inside
                    int chunk = turned<K>(e, warp * (Part / 4)) + c / 4;
                    f32x4 y = load4(v_tile + (key + e) * K + chunk * 4);
#pragma unroll
                    for (int h = 0; h < 2; h++) {
                        float x = e == 0 ? p[h].x : e == 1 ? p[h].y : e == 2 ? p[h].z : p[h].w;
                        o[h][c] = fma_rn(x, y.x, o[h][c]);
                        o[h][c + 1] = fma_rn(x, y.y, o[h][c + 1]);
                        o[h][c + 2] = fma_rn(x, y.z, o[h][c + 2]);
                        o[h][c + 3] = fma_rn(x, y.w, o[h][c + 3]);
                    }
                }
        }
        row0 += Rows;
        if (row0 >= a.height) {
            row0 = 0;
            column0 += Columns;
        }
        block_barrier(); // nobody reads this tile any more
    }

#pragma unroll
    for (int h = 0; h < 2; h++) exchange[lane + 32 * h][warp] = sum[h];
    block_barrier();
#pragma unroll
    for (int h = 0; h < 2; h++) {
        int query = first + lane + 32 * h;
        f32x4 sums = load4(exchange[lane + 32 * h]);
        float total = (sums.x + sums.y) + (sums.z + sums.w), inverse = rcp_rn(total);
        if (query < a.tokens) {
            float* row = a.out + ((long long)image * a.tokens + query) * a.heads * K + head * K + warp * Part;
#pragma unroll
            for (int c = 0; c < Part; c += 4)
                store4(row + c,
                       f32x4{o[h][c] * inverse, o[h][c + 1] * inverse, o[h][c + 2] * inverse, o[h][c + 3] * inverse});
            if (warp == 0) a.lse[sequence * a.tokens + query] = (top[h] + log2_approx(total)) * Ln2;
        }
    }
}

// attention_fwd_f32_k{16,32,64,80}_w{32,16}: as attention_fwd_bf16, on plain cores; w: 16 for W <= 16, else 32.
//   in    qkv (B, T, 3, N, K) f32, rel_h (B, N, T, H) f32, rel_w (B, N, T, W) f32, T = H·W
//   out   out (B, T, N·K) f32, lse (B, N, T) f32
//   args  qkv, rel_h, rel_w, out, lse, H i32, W i32, N i32, scale f32
//   launch grid (ceil(T/64), N, B), block 128 = 4 warps, 64 queries; shared <= 43008 B; regs <= 255
//   needs qkv and out 16-byte aligned; 3·T·N·K < 2^31; any H, W
//   bytes 16·B·T·N·K + 4·B·N·T·(H+W) + 4·B·N·T     flops 4·B·N·T²·K     bound: compute
//   accuracy f32 throughout; exp by ex2.approx
//   order fixed: same bits every run
#define ATTENTION_F32(name, K, Columns)                                                                                \
    kernel __launch_bounds__(Threads, 2) name(const float* qkv, const float* rel_h, const float* rel_w, float* out,    \
                                              float* lse, int height, int width, int heads, float scale)               \
    {                                                                                                                  \
        attention_f32<K, Columns, true>({qkv, rel_h, rel_w, out, lse, height, width, heads, height * width, scale});   \
    }
ATTENTION_F32(attention_fwd_f32_k16_w32, 16, 32)
ATTENTION_F32(attention_fwd_f32_k16_w16, 16, 16)
ATTENTION_F32(attention_fwd_f32_k32_w32, 32, 32)
ATTENTION_F32(attention_fwd_f32_k32_w16, 32, 16)
ATTENTION_F32(attention_fwd_f32_k64_w32, 64, 32)
ATTENTION_F32(attention_fwd_f32_k64_w16, 64, 16)
ATTENTION_F32(attention_fwd_f32_k80_w32, 80, 32)
ATTENTION_F32(attention_fwd_f32_k80_w16, 80, 16)

// attention_fwd_f32_k{16,32,64,80}_no_bias: softmax(scale * q·k)·v for each image and head, on plain cores.
//   in    qkv (B, T, 3, N, K) f32                    out  out (B, T, N·K) f32, lse (B, N, T) f32
//   args  qkv, out, lse, T i32, N i32, scale f32
//   launch grid (ceil(T/64), N, B), block 128 = 4 warps, 64 queries; shared <= 43008 B; regs <= 255
//   needs qkv and out 16-byte aligned; 3·T·N·K < 2^31; any T
//   bytes 16·B·T·N·K + 4·B·N·T     flops 4·B·N·T²·K     bound: compute
//   accuracy f32 throughout; exp by ex2.approx
//   order fixed: same bits every run
#define ATTENTION_F32_NO_BIAS(name, K)                                                                                 \
    kernel __launch_bounds__(Threads, 2) name(const float* qkv, float* out, float* lse, int tokens, int heads,         \
                                              float scale)                                                             \
    {                                                                                                                  \
        attention_f32<K, 32, false>({qkv, nullptr, nullptr, out, lse, 1, tokens, heads, tokens, scale});               \
    }
ATTENTION_F32_NO_BIAS(attention_fwd_f32_k16_no_bias, 16)
ATTENTION_F32_NO_BIAS(attention_fwd_f32_k32_no_bias, 32)
ATTENTION_F32_NO_BIAS(attention_fwd_f32_k64_no_bias, 64)
ATTENTION_F32_NO_BIAS(attention_fwd_f32_k80_no_bias, 80)
