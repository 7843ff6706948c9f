// Attention between two sets of tokens, as in SAM's mask decoder, where one set is small (tens of prompt tokens) and
// the other is small too or the 4096 tokens of an image. Heads are narrow, so that plain cores keep up with memory.
// Two ways to share the work, for many queries and for many keys:
//   by_query  a lane owns queries and walks all keys, which are read as broadcasts
//   by_key    a lane owns every 128th key and keeps its own softmax of it for a few queries, which are read as
//             broadcasts from shared memory; the lanes' softmaxes are merged at the end
// Everything is kept in base 2, the factor log2 e folded into the queries. A softmax is rescaled only when a logit
// exceeds its shift by Slack: the shift then is no maximum, which the quotient at the end does not see.
#include "common.cuh"

constexpr int Warps = 4, Threads = 32 * Warps;
constexpr float Slack = 8.0f;    // sums of up to 2^100 keys stay finite
constexpr float Lowest = -3e38f; // a shift before the first key; finite, so that differences with -inf are no NaN

template <class T> struct CrossAttentionArgs {
    const T *q, *k, *v, *q_table, *k_table; // tables may be null
    const int *q_of, *kv_of;                // may be null: of the prompt itself
    T* out;
    float* lse;
    int queries, keys, heads, size;
    float scale;
};

device bool warp_any(bool x)
{
    u32 y;
    asm volatile("{ .reg .pred p, q; setp.ne.s32 p, %1, 0; vote.sync.any.pred q, p, 0xffffffff; selp.u32 %0, 1, 0, q; }"
                 : "=r"(y) : "r"((int)x));
    return y != 0;
}

// Sixteen bytes, as floats.
device void load_wide(const float* p, float (&x)[4])
{
    f32x4 v = load4(p);
    x[0] = v.x, x[1] = v.y, x[2] = v.z, x[3] = v.w;
}
device void load_wide(const bf16* p, float (&x)[8])
{
    u32x4 v = *(const u32x4*)p;
    x[0] = low_float(v.x), x[1] = high_float(v.x), x[2] = low_float(v.y), x[3] = high_float(v.y);
    x[4] = low_float(v.z), x[5] = high_float(v.z), x[6] = low_float(v.w), x[7] = high_float(v.w);
}

device void store_wide(float* p, const float (&x)[4]) { store4(p, f32x4{x[0], x[1], x[2], x[3]}); }
device void store_wide(bf16* p, const float (&x)[8])
{
    *(u32x4*)p = u32x4{pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3]), pack_bf16(x[4], x[5]), pack_bf16(x[6], x[7])};
}

// A row of `size` values; what lies past them up to K is some other value of the row, or zero where that counts.
template <int K, class T> device void load_row(const T* row, int size, float (&x)[K])
{
    constexpr int Wide = 16 / sizeof(T);
#pragma unroll
    for (int c = 0; c < K; c += Wide) {
        float chunk[Wide];
        load_wide(row + min_of(c, size - Wide), chunk);
#pragma unroll
        for (int e = 0; e < Wide; e++) x[c + e] = chunk[e];
    }
}
template <int K, class T> device void add_row(const T* row, int size, float (&x)[K])
{
    float y[K];
    load_row(row, size, y);
#pragma unroll
    for (int c = 0; c < K; c++) x[c] += y[c];
}

template <int Q, int K> struct Softmax {
    float shift[Q], sum[Q], o[Q * K];
};

template <int Q, int K> device void clear(Softmax<Q, K>& f)
{
#pragma unroll
    for (int h = 0; h < Q; h++) f.shift[h] = Lowest, f.sum[h] = 0.0f;
#pragma unroll
    for (int i = 0; i < Q * K; i++) f.o[i] = 0.0f;
}

// One key of each lane: logits s of its Q queries, value v.
template <int Q, int K> device void take(Softmax<Q, K>& f, const float (&s)[Q], const float (&v)[K])
{
    float over = s[0] - f.shift[0];
#pragma unroll
    for (int h = 1; h < Q; h++) over = max_of(over, s[h] - f.shift[h]);
    if (warp_any(over > Slack)) {
#pragma unroll
        for (int h = 0; h < Q; h++) {
            float t = max_of(f.shift[h], s[h]), shrink = exp2_approx(f.shift[h] - t);
            f.shift[h] = t;
            f.sum[h] *= shrink;
#pragma unroll
            for (int c = 0; c < K; c++) f.o[h * K + c] *= shrink;
        }
    }
#pragma unroll
    for (int h = 0; h < Q; h++) {
        float p = exp2_approx(s[h] - f.shift[h]);
        f.sum[h] += p;
#pragma unroll
        for (int c = 0; c < K; c++) f.o[h * K + c] = fma_rn(p, v[c], f.o[h * K + c]);
    }
}

// Tokens of a prompt, at its head.
template <class T> device const T* tokens_of(const T* x, const int* of, int tokens, const CrossAttentionArgs<T>& a)
{
    const int prompt = block_z();
    long long from = of ? of[prompt] : prompt;
    return x + from * tokens * a.heads * a.size + block_x() * a.size;
}

template <class T, int K, int Q> device void by_query(const CrossAttentionArgs<T>& a)
{
    constexpr int Wide = 16 / sizeof(T);
    const int lane = thread_x() & 31, warp = thread_x() >> 5, stride = a.heads * a.size, head = block_x() * a.size;
    const int first = (block_y() * Warps + warp) * 32 * Q;
    if (first < a.queries) { // the same for a warp
        const T* q = tokens_of(a.q, a.q_of, a.queries, a);
        const T* k = tokens_of(a.k, a.kv_of, a.keys, a);
        const T* v = tokens_of(a.v, a.kv_of, a.keys, a);
        float x[Q][K];
        int token[Q];
#pragma unroll
        for (int h = 0; h < Q; h++) {
            token[h] = first + lane + 32 * h;
            int offset = min_of(token[h], a.queries - 1) * stride;
            load_row(q + offset, a.size, x[h]);
            if (a.q_table) add_row(a.q_table + offset + head, a.size, x[h]);
#pragma unroll
            for (int c = 0; c < K; c++) x[h][c] = c < a.size ? x[h][c] * (a.scale * Log2E) : 0.0f;
        }
        Softmax<Q, K> f;
        clear(f);
        for (int key = 0; key < a.keys; key++) {
            float y[K], value[K], s[Q];
            load_row(k + key * stride, a.size, y);
            load_row(v + key * stride, a.size, value);
            if (a.k_table) add_row(a.k_table + key * stride + head, a.size, y);
#pragma unroll
            for (int h = 0; h < Q; h++) {
                float even = 0.0f, odd = 0.0f; // two chains, so that they overlap
#pragma unroll
                for (int c = 0; c < K; c += 2) {
                    even = fma_rn(x[h][c], y[c], even);
                    odd = fma_rn(x[h][c + 1], y[c + 1], odd);
                }
                s[h] = even + odd;
            }
            take(f, s, value);
        }
#pragma unroll
        for (int h = 0; h < Q; h++)
            if (token[h] < a.queries) {
                float inverse = rcp_rn(f.sum[h]);
                const long long prompt = block_z();
                T* row = a.out + (prompt * a.queries + token[h]) * stride + head;
#pragma unroll
                for (int c = 0; c < K; c += Wide)
                    if (c < a.size) {
                        float o[Wide];
#pragma unroll
                        for (int e = 0; e < Wide; e++) o[e] = f.o[h * K + c + e] * inverse;
                        store_wide(row + c, o);
                    }
                a.lse[(prompt * a.heads + block_x()) * a.queries + token[h]] =
                    (f.shift[h] + log2_approx(f.sum[h])) * Ln2;
            }
    }
}

// Sums of x[0 .. Count) over the lanes: lane l gets those of x[l·Count/32 ..] in x[0 .. Count/32). Each step halves
// what a lane has left to give.
template <int Count, int Mask, int N> device void sum_scatter(float (&x)[N])
{
    const bool upper = (thread_x() & Mask) != 0;
#pragma unroll
    for (int i = 0; i < Count / 2; i++) {
        const float low = x[i], high = x[i + Count / 2];
        x[i] = (upper ? high : low) + shuffle_xor<Mask>(upper ? low : high);
    }
    if constexpr (Mask > 1) sum_scatter<Count / 2, Mask / 2>(x);
}

template <class T, int K, int Q> device void by_key(const CrossAttentionArgs<T>& a)
{
    constexpr int Wide = 16 / sizeof(T), Part = Q * K / 32;
    static_assert(Q * K <= Threads, "a thread has at most one value of the result");
    alignas(16) __shared__ float q_tile[Q][K];
    __shared__ float outputs[Warps][Q * K];
    __shared__ float shifts[Warps][Q], sums[Warps][Q];

    const int lane = thread_x() & 31, warp = thread_x() >> 5, stride = a.heads * a.size, head = block_x() * a.size;
    const int first = block_y() * Q, h_own = thread_x() / K, c_own = thread_x() % K;
    if (h_own < Q) {
        const T* q = tokens_of(a.q, a.q_of, a.queries, a);
        int offset = min_of(first + h_own, a.queries - 1) * stride + min_of(c_own, a.size - 1);
        float x = to_float(q[offset]);
        if (a.q_table) x += to_float(a.q_table[offset + head]);
        q_tile[h_own][c_own] = c_own < a.size ? x * (a.scale * Log2E) : 0.0f;
    }
    block_barrier();

    const T* k = tokens_of(a.k, a.kv_of, a.keys, a);
    const T* v = tokens_of(a.v, a.kv_of, a.keys, a);
    Softmax<Q, K> f;
    clear(f);
    for (int key0 = 32 * warp; key0 < a.keys; key0 += Threads) {
        const int offset = min_of(key0 + lane, a.keys - 1) * stride;
        float s[Q] = {}, value[K];
        load_row(v + offset, a.size, value);
#pragma unroll
        for (int c = 0; c < K; c += Wide) {
            float y[Wide];
            const int at = min_of(c, a.size - Wide); // past the end queries are zero
            load_wide(k + offset + at, y);
            if (a.k_table) {
                float z[Wide];
                load_wide(a.k_table + offset + head + at, z);
#pragma unroll
                for (int e = 0; e < Wide; e++) y[e] += z[e];
            }
#pragma unroll
            for (int h = 0; h < Q; h++)
#pragma unroll
                for (int e = 0; e < Wide; e += 4) {
                    f32x4 x = load4(&q_tile[h][c + e]);
                    s[h] = fma_rn(x.w, y[e + 3], fma_rn(x.z, y[e + 2], fma_rn(x.y, y[e + 1], fma_rn(x.x, y[e], s[h]))));
                }
        }
        const bool real = key0 + lane < a.keys;
#pragma unroll
        for (int h = 0; h < Q; h++) s[h] = real ? s[h] : -Infinity;
        take(f, s, value);
    }

#pragma unroll
    for (int h = 0; h < Q; h++) {
        float shift = warp_reduce<Max>(f.shift[h]), shrink = exp2_approx(f.shift[h] - shift);
        float sum = warp_reduce<Sum>(f.sum[h] * shrink);
#pragma unroll
        for (int c = 0; c < K; c++) f.o[h * K + c] *= shrink;
        if (lane == 0) shifts[warp][h] = shift, sums[warp][h] = sum;
    }
    sum_scatter<Q * K, 16>(f.o);
#pragma unroll
    for (int i = 0; i < Part; i++) outputs[warp][Part * lane + i] = f.o[i];
    block_barrier();

    if (h_own < Q && first + h_own < a.queries && c_own < a.size) {
        float shift = shifts[0][h_own], sum = 0.0f, o = 0.0f;
#pragma unroll
        for (int w = 1; w < Warps; w++) shift = max_of(shift, shifts[w][h_own]);
#pragma unroll
        for (int w = 0; w < Warps; w++) {
            float shrink = exp2_approx(shifts[w][h_own] - shift);
            sum = fma_rn(sums[w][h_own], shrink, sum);
            o = fma_rn(outputs[w][thread_x()], shrink, o);
        }
        const long long prompt = block_z();
        store(a.out + (prompt * a.queries + first + h_own) * stride + head + c_own, o * rcp_rn(sum));
        if (c_own == 0)
            a.lse[(prompt * a.heads + block_x()) * a.queries + first + h_own] = (shift + log2_approx(sum)) * Ln2;
    }
}

// cross_attention_fwd_{f32,bf16}_k{16,32}_by_query: softmax(scale · (q + q_table)·(k + k_table))·v, head by head, with
// q[q_of[p]] and k, v[kv_of[p]] for prompt p; a table or an index that is null is left out. K up to 16 or 32.
//   in    q (·, Tq, N, K), k, v (·, Tk, N, K), q_table (Tq, N, K), k_table (Tk, N, K) f32 or bf16, q_of, kv_of (P) i32
//   out   out (P, Tq, N, K) of q's type, lse (P, N, Tq) f32
//   args  q, k, v, q_table, k_table, q_of, kv_of, out, lse, Tq i32, Tk i32, N i32, K i32, scale f32
//   launch grid (N, ceil(Tq/256 or 128), P), block 128 = 4 warps of 64 queries (K <= 16) or 32; shared 0 B; regs <= 255
//   needs K a multiple of 16 bytes; all 16-byte aligned; T·N·K < 2^31; any Tq, Tk
//   bytes 2·s·P·N·K·(Tq + Tk) + 4·P·N·Tq, s = 4 or 2     flops 4·P·N·Tq·Tk·K     bound: memory
//   accuracy f32 inside; exp by ex2.approx; one rounding to bf16
//   order fixed: same bits every run

// cross_attention_fwd_{f32,bf16}_k{16,32}_by_key: the same, for few queries and many keys.
//   in    q (·, Tq, N, K), k, v (·, Tk, N, K), q_table (Tq, N, K), k_table (Tk, N, K) f32 or bf16, q_of, kv_of (P) i32
//   out   out (P, Tq, N, K) of q's type, lse (P, N, Tq) f32
//   args  q, k, v, q_table, k_table, q_of, kv_of, out, lse, Tq i32, Tk i32, N i32, K i32, scale f32
//   launch grid (N, ceil(Tq/8 or 2), P), block 128 = 4 warps, 8 queries (K <= 16) or 2; shared <= 2880 B; regs <= 255
//   needs K a multiple of 16 bytes; all 16-byte aligned; T·N·K < 2^31; any Tq, Tk
//   bytes 2·s·P·N·K·(Tq + Tk) + 4·P·N·Tq, s = 4 or 2     flops 4·P·N·Tq·Tk·K     bound: memory
//   accuracy f32 inside; exp by ex2.approx; one rounding to bf16
//   order fixed: same bits every run
#define CROSS_ATTENTION(name, body, T)                                                                                 \
    kernel __launch_bounds__(Threads) name(const T* q, const T* k, const T* v, const T* q_table, const T* k_table,     \
                                           const int* q_of, const int* kv_of, T* out, float* lse, int queries,         \
                                           int keys, int heads, int size, float scale)                                 \
    {                                                                                                                  \
        body({q, k, v, q_table, k_table, q_of, kv_of, out, lse, queries, keys, heads, size, scale});                   \
    }
CROSS_ATTENTION(cross_attention_fwd_f32_k16_by_query, (by_query<float, 16, 2>), float)
CROSS_ATTENTION(cross_attention_fwd_f32_k32_by_query, (by_query<float, 32, 1>), float)
CROSS_ATTENTION(cross_attention_fwd_bf16_k16_by_query, (by_query<bf16, 16, 2>), bf16)
CROSS_ATTENTION(cross_attention_fwd_bf16_k32_by_query, (by_query<bf16, 32, 1>), bf16)
CROSS_ATTENTION(cross_attention_fwd_f32_k16_by_key, (by_key<float, 16, 8>), float)
CROSS_ATTENTION(cross_attention_fwd_f32_k32_by_key, (by_key<float, 32, 2>), float)
CROSS_ATTENTION(cross_attention_fwd_bf16_k16_by_key, (by_key<bf16, 16, 8>), bf16)
CROSS_ATTENTION(cross_attention_fwd_bf16_k32_by_key, (by_key<bf16, 32, 2>), bf16)

// ---------------------------------------------------------------------------------------------------------------
// Backward, from the log-sum-exp: p = exp(s - lse), ds = p·(do·v - delta) with delta = do·o, dq = scale·Σ ds·k over
// keys, dk = scale·Σ ds·q and dv = Σ p·do over queries. A lane owns a query, or a key, and walks the other set, whose
// rows are read as broadcasts. Where the owners are few the others are shared out in chunks, and each chunk's sums go
// to a part of its own, to be added up in order. Gradients are those of a prompt, also of tokens that several prompts
// share.

#ifdef __clang__
#define grid_z() ((int)__nvvm_read_ptx_sreg_nctaid_z())
#else
#define grid_z() ((int)gridDim.z)
#endif

template <class T> struct CrossAttentionBack {
    CrossAttentionArgs<T> a; // its out: the gradient of the output
    const float* delta;
    T *d_own, *d_value;            // of one chunk
    float *own_parts, *value_parts; // of several; then d_own and d_value are not written
    int each;                      // others of a chunk
};

// A warp's owners and its chunk.
struct Share {
    int first, chunk, begin, end;
};
device Share share_of(int owners, int others, int each)
{
    const int groups = ceil_div(owners, 32), task = block_y() * Warps + (thread_x() >> 5);
    const int chunk = task / groups;
    return {task % groups * 32, chunk, chunk * each, min_of(others, (chunk + 1) * each)};
}

template <int K, class T>
device void store_gradient(T* to, float* parts, long long at, long long part, int size, const float (&x)[K])
{
    if (parts) {
#pragma unroll
        for (int c = 0; c < K; c += 4)
            if (c < size) store4(parts + part + at + c, f32x4{x[c], x[c + 1], x[c + 2], x[c + 3]});
    } else {
#pragma unroll
        for (int c = 0; c < K; c += 4)
            if (c < size) store4(to + at + c, f32x4{x[c], x[c + 1], x[c + 2], x[c + 3]});
    }
}

template <int K> device void zero_past(int size, float (&x)[K])
{
#pragma unroll
    for (int c = 0; c < K; c++) x[c] = c < size ? x[c] : 0.0f;
}

template <int K> device float dot(const float (&x)[K], const float (&y)[K])
{
    float even = 0.0f, odd = 0.0f;
#pragma unroll
    for (int c = 0; c < K; c += 2) {
        even = fma_rn(x[c], y[c], even);
        odd = fma_rn(x[c + 1], y[c + 1], odd);
    }
    return even + odd;
}

template <class T, int K> device void back_query(const CrossAttentionBack<T>& b)
{
    const CrossAttentionArgs<T>& a = b.a;
    const int stride = a.heads * a.size, head = block_x() * a.size;
    const Share share = share_of(a.queries, a.keys, b.each);
    if (share.begin < a.keys) { // the same for a warp
        const T* k = tokens_of(a.k, a.kv_of, a.keys, a);
        const T* v = tokens_of(a.v, a.kv_of, a.keys, a);
        const int query = share.first + (thread_x() & 31), real = min_of(query, a.queries - 1), offset = real * stride;
        const long long prompt = block_z(), at = (prompt * a.heads + block_x()) * a.queries + real;
        const long long row = (prompt * a.queries + real) * stride + head;
        float x[K], d[K], sum[K];
        load_row(tokens_of(a.q, a.q_of, a.queries, a) + offset, a.size, x);
        if (a.q_table) add_row(a.q_table + offset + head, a.size, x);
        load_row((const T*)a.out + row, a.size, d);
        zero_past(a.size, x);
        zero_past(a.size, d);
#pragma unroll
        for (int c = 0; c < K; c++) x[c] *= a.scale * Log2E, sum[c] = 0.0f;
        const float shift = a.lse[at] * Log2E, delta = b.delta[at];
#pragma unroll 1
        for (int key = share.begin; key < share.end; key++) {
            float y[K], value[K];
            load_row(k + key * stride, a.size, y);
            if (a.k_table) add_row(a.k_table + key * stride + head, a.size, y);
            load_row(v + key * stride, a.size, value);
            const float ds = exp2_approx(dot(x, y) - shift) * (dot(d, value) - delta);
#pragma unroll
            for (int c = 0; c < K; c++) sum[c] = fma_rn(ds, y[c], sum[c]);
        }
#pragma unroll
        for (int c = 0; c < K; c++) sum[c] *= a.scale;
        const long long part = (long long)share.chunk * grid_z() * a.queries * stride;
        if (query < a.queries) store_gradient(b.d_own, b.own_parts, row, part, a.size, sum);
    }
}

template <class T, int K> device void back_key(const CrossAttentionBack<T>& b)
{
    const CrossAttentionArgs<T>& a = b.a;
    const int stride = a.heads * a.size, head = block_x() * a.size;
    const Share share = share_of(a.keys, a.queries, b.each);
    if (share.begin < a.queries) {
        const T* q = tokens_of(a.q, a.q_of, a.queries, a);
        const int key = share.first + (thread_x() & 31), offset = min_of(key, a.keys - 1) * stride;
        const long long prompt = block_z(), lines = (prompt * a.heads + block_x()) * a.queries;
        const T* d = (const T*)a.out + prompt * a.queries * stride + head;
        float y[K], value[K], dy[K], dv[K];
        load_row(tokens_of(a.k, a.kv_of, a.keys, a) + offset, a.size, y);
        if (a.k_table) add_row(a.k_table + offset + head, a.size, y);
        load_row(tokens_of(a.v, a.kv_of, a.keys, a) + offset, a.size, value);
        zero_past(a.size, y);
        zero_past(a.size, value);
#pragma unroll
        for (int c = 0; c < K; c++) y[c] *= a.scale * Log2E, dy[c] = dv[c] = 0.0f;
#pragma unroll 1
        for (int query = share.begin; query < share.end; query++) {
            float x[K], o[K];
            load_row(q + query * stride, a.size, x);
            if (a.q_table) add_row(a.q_table + query * stride + head, a.size, x);
            load_row(d + (long long)query * stride, a.size, o);
            const float p = exp2_approx(dot(x, y) - a.lse[lines + query] * Log2E);
            const float ds = p * (dot(o, value) - b.delta[lines + query]);
#pragma unroll
            for (int c = 0; c < K; c++) {
                dv[c] = fma_rn(p, o[c], dv[c]);
                dy[c] = fma_rn(ds, x[c], dy[c]);
            }
        }
#pragma unroll
        for (int c = 0; c < K; c++) dy[c] *= a.scale;
        const long long part = (long long)share.chunk * grid_z() * a.keys * stride;
        const long long row = prompt * a.keys * stride + offset + head;
        if (key < a.keys) {
            store_gradient(b.d_own, b.own_parts, row, part, a.size, dy);
            store_gradient(b.d_value, b.value_parts, row, part, a.size, dv);
        }
    }
}

// cross_attention_bwd_{f32,bf16}_delta: delta = do·o, head by head.
//   in    out, dout (P, Tq, N, K) f32 or bf16        out  delta (P, N, Tq) f32
//   args  out, dout, delta, P i32, Tq i32, N i32, K i32
//   launch grid ceil(P·Tq·N/128), block 128; shared 0 B; regs <= 48
//   needs K % 4 == 0, both aligned to 4 elements; P·Tq·N < 2^31
//   bytes 2·s·P·Tq·N·K, s = 4 or 2     flops 2·P·Tq·N·K     bound: memory
//   accuracy f32
//   order fixed: same bits every run
#define DELTA(name, T)                                                                                                 \
    kernel __launch_bounds__(Threads) name(const T* out, const T* dout, float* delta, int prompts, int queries,        \
                                           int heads, int size)                                                        \
    {                                                                                                                  \
        const int row = block_x() * Threads + thread_x();                                                              \
        if (row < prompts * queries * heads) {                                                                         \
            float sum = 0.0f;                                                                                          \
            for (int c = 0; c < size; c += 4) {                                                                        \
                f32x4 o = load4(out + (long long)row * size + c), d = load4(dout + (long long)row * size + c);         \
                sum = fma_rn(o.w, d.w, fma_rn(o.z, d.z, fma_rn(o.y, d.y, fma_rn(o.x, d.x, sum))));                     \
            }                                                                                                          \
            const int head = row % heads, query = row / heads % queries, prompt = row / heads / queries;               \
            delta[((long long)prompt * heads + head) * queries + query] = sum;                                         \
        }                                                                                                              \
    }
DELTA(cross_attention_bwd_f32_delta, float)
DELTA(cross_attention_bwd_bf16_delta, bf16)

// cross_attention_bwd_{f32,bf16}_k{16,32}_query: the gradient of each prompt's q, or its parts by chunks of keys. K up
// to 16 or 32.
//   in    q, k, v, q_table, k_table, q_of, kv_of, lse as forward, dout (P, Tq, N, K) of q's type, delta (P, N, Tq) f32
//   out   dq (P, Tq, N, K) of q's type, or, where parts is not null, parts (S, P, Tq, N, K) f32, S = ceil(Tk/each)
//   args  q, k, v, q_table, k_table, q_of, kv_of, dout, lse, delta, dq, parts, Tq..each i32x5, scale f32
//   launch grid (N, ceil(S·ceil(Tq/32)/4), P), block 128 = 4 warps; shared 0 B; regs <= 255
//   needs K a multiple of 16 bytes; all 16-byte aligned; T·N·K < 2^31; any Tq, Tk (Tq..each: Tq, Tk, N, K, each)
//   bytes s·P·N·K·(3·Tq + 2·Tk), s = 4 or 2     flops 6·P·N·Tq·Tk·K     bound: memory
//   accuracy f32 inside; exp by ex2.approx; one rounding to bf16
//   order fixed: same bits every run
#define BACK_QUERY(name, T, K)                                                                                         \
    kernel __launch_bounds__(Threads) name(const T* q, const T* k, const T* v, const T* q_table, const T* k_table,     \
                                           const int* q_of, const int* kv_of, T* dout, float* lse,                     \
                                           const float* delta, T* dq, float* parts, int queries, int keys,             \
                                           int heads, int size, int each, float scale)                                 \
    {                                                                                                                  \
        back_query<T, K>({{q, k, v, q_table, k_table, q_of, kv_of, dout, lse, queries, keys, heads, size, scale},      \
                          delta, dq, (T*)0, parts, (float*)0, each});                                                  \
    }
BACK_QUERY(cross_attention_bwd_f32_k16_query, float, 16)
BACK_QUERY(cross_attention_bwd_f32_k32_query, float, 32)
BACK_QUERY(cross_attention_bwd_bf16_k16_query, bf16, 16)
BACK_QUERY(cross_attention_bwd_bf16_k32_query, bf16, 32)

// cross_attention_bwd_{f32,bf16}_k{16,32}_key: the gradients of each prompt's k and v, or their parts by chunks of
// queries. Inputs as forward; K up to 16 or 32.
//   in    q, k, v, q_table, k_table, q_of, kv_of, lse as forward, dout (P, Tq, N, K) of q's type, delta (P, N, Tq) f32
//   out   dk, dv (P, Tk, N, K) of q's type, or, where these are not null, k_parts, v_parts (S, P, Tk, N, K) f32
//   args  q, k, v, q_table, k_table, q_of, kv_of, dout, lse, delta, dk, dv, k_parts, v_parts, Tq..each i32x5, scale f32
//   launch grid (N, ceil(S·ceil(Tk/32)/4), P), S = ceil(Tq/each), block 128 = 4 warps; shared 0 B; regs <= 255
//   needs K a multiple of 16 bytes; all 16-byte aligned; T·N·K < 2^31; any Tq, Tk (Tq..each: Tq, Tk, N, K, each)
//   bytes s·P·N·K·(2·Tq + 4·Tk), s = 4 or 2     flops 8·P·N·Tq·Tk·K     bound: memory
//   accuracy f32 inside; exp by ex2.approx; one rounding to bf16
//   order fixed: same bits every run
#define BACK_KEY(name, T, K)                                                                                           \
    kernel __launch_bounds__(Threads) name(const T* q, const T* k, const T* v, const T* q_table, const T* k_table,     \
                                           const int* q_of, const int* kv_of, T* dout, float* lse,                     \
                                           const float* delta, T* dk, T* dv, float* k_parts, float* v_parts,           \
                                           int queries, int keys, int heads, int size, int each, float scale)          \
    {                                                                                                                  \
        back_key<T, K>({{q, k, v, q_table, k_table, q_of, kv_of, dout, lse, queries, keys, heads, size, scale},        \
                        delta, dk, dv, k_parts, v_parts, each});                                                       \
    }
BACK_KEY(cross_attention_bwd_f32_k16_key, float, 16)
BACK_KEY(cross_attention_bwd_f32_k32_key, float, 32)
BACK_KEY(cross_attention_bwd_bf16_k16_key, bf16, 16)
BACK_KEY(cross_attention_bwd_bf16_k32_key, bf16, 32)
