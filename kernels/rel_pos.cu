// The two tables of SAM's decomposed relative position, from the unscaled queries:
//   rel_h[q, ky] = q · R_h[qy - ky + H - 1]         rel_w[q, kx] = q · R_w[qx - kx + W - 1]
// Both are the same loop. A "line" is the queries that share qy (for rel_h) or qx (for rel_w), of all heads and images;
// all of them meet the same rows of R. A lane keeps the row of its key in registers and a warp walks 32 queries of the
// line, whose values are the same for all lanes. For rel_h the line y has tokens y·W + i, for rel_w the line x has
// tokens i·W + x.
#include "common.cuh"

constexpr int Warps = 4, Threads = 32 * Warps, QueriesPerWarp = 32;

device void load8(const bf16* p, float (&v)[8])
{
    u32x4 u = *(const u32x4*)p;
    v[0] = low_float(u.x), v[1] = high_float(u.x), v[2] = low_float(u.y), v[3] = high_float(u.y);
    v[4] = low_float(u.z), v[5] = high_float(u.z), v[6] = low_float(u.w), v[7] = high_float(u.w);
}
device void load8(const float* p, float (&v)[8])
{
    f32x4 a = load4(p), b = load4(p + 4);
    v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w, v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
}

template <int K, class T>
device void rel_pos(const T* qkv, const float* table, T* rel, int lines, int count, int line_stride, int query_stride,
                    int heads, int sequences)
{
    const int lane = thread_x() & 31, warp = thread_x() >> 5;
    const int tiles = ceil_div(lines, 32), line = block_x() / tiles, key = block_x() % tiles * 32 + lane;
    const int tokens = lines * count, first = (block_y() * Warps + warp) * QueriesPerWarp;
    const int end = min_of(first + QueriesPerWarp, count * sequences);

    float row[K];
    const float* source = table + (long long)(line - min_of(key, lines - 1) + lines - 1) * K;
#pragma unroll
    for (int c = 0; c < K; c += 4) {
        f32x4 v = load4(source + c);
        row[c] = v.x, row[c + 1] = v.y, row[c + 2] = v.z, row[c + 3] = v.w;
    }
    for (int i = first; i < end; i++) {
        const int sequence = i / count, head = sequence % heads, token = line * line_stride + i % count * query_stride;
        const long long image = sequence / heads;
        const T* q = qkv + ((image * tokens + token) * 3 * heads + head) * K;
        float sum[4] = {}; // four chains, so that the adds overlap
#pragma unroll
        for (int c = 0; c < K; c += 8) {
            float v[8];
            load8(q + c, v);
#pragma unroll
            for (int e = 0; e < 8; e++) sum[e & 3] = fma_rn(v[e], row[c + e], sum[e & 3]);
        }
        if (key < lines)
            store(rel + ((long long)sequence * tokens + token) * lines + key, (sum[0] + sum[1]) + (sum[2] + sum[3]));
    }
}

// rel_pos_fwd_{f32,bf16}_k{16,32,64,80}: rel[q, j] = q · table[l - j + L - 1], l the query's line,
// for each image and head.
//   in    qkv (B, T, 3, N, K), table (2L-1, K) f32           out  rel (B, N, T, L); qkv and rel f32 or bf16
//   args  qkv, table, rel, L i32, count i32, line_stride i32, query_stride i32, N i32, sequences i32
//   launch grid (L·ceil(L/32), ceil(count·sequences/128)), block 128 = 4 warps of 32 queries; shared 0 B; regs <= 168
//   needs qkv and table 16-byte aligned; sequences = B·N, count·B·N < 2^31; T = L·count; rel_h: L = H, count W,
//         strides W and 1; rel_w: L = W, count H, strides 1 and W
//   bytes s·B·T·N·(K·ceil(L/32) + L), s = 4 or 2     flops 2·B·N·T·L·K     bound: memory
//   accuracy f32 sums in four chains; one rounding to bf16
//   order fixed: same bits every run
#define REL_POS(name, K, T)                                                                                            \
    kernel __launch_bounds__(Threads, 3) name(const T* qkv, const float* table, T* rel, int lines, int count,          \
                                              int line_stride, int query_stride, int heads, int sequences)             \
    {                                                                                                                  \
        rel_pos<K>(qkv, table, rel, lines, count, line_stride, query_stride, heads, sequences);                        \
    }
REL_POS(rel_pos_fwd_f32_k16, 16, float)
REL_POS(rel_pos_fwd_f32_k32, 32, float)
REL_POS(rel_pos_fwd_f32_k64, 64, float)
REL_POS(rel_pos_fwd_f32_k80, 80, float)
REL_POS(rel_pos_fwd_bf16_k16, 16, bf16)
REL_POS(rel_pos_fwd_bf16_k32, 32, bf16)
REL_POS(rel_pos_fwd_bf16_k64, 64, bf16)
REL_POS(rel_pos_fwd_bf16_k80, 80, bf16)
