// Matrix products as kernels: C = A·Bᵀ (nt: the weights of a linear layer are B) and C = A·B (nn), plus a bias per
// column. Large ones go to cuBLAS; these are for what must run without it, and for small or odd shapes.
// Both kernels: a block computes 128 x 128 of C and walks K in chunks that are 64 bytes wide. Three chunks are in
// shared memory: one is computed, two are on their way, one barrier a chunk. Chunk rows and columns out of the matrices
// are zeros.
#include "mma.cuh"

constexpr int Side = 128, Stages = 3, Stage = Side * 64; // bytes of one chunk of A; B's is as large

// Rows of 64 bytes, 4 chunks of 16: chunk c of row r lies at c ^ (r/2 % 4), so 8 rows' chunk c touch all 32 banks once.
device int swizzle64(int row, int chunk) { return chunk ^ (row >> 1 & 3); }

// Copies rows first.. of a (rows x depth) matrix, 64 bytes from depth0 on, by Threads threads: 4 threads a row. What
// lies outside is not read, so its address does not matter.
template <int Threads, bool Swizzled, class T>
device void load_rows(u32 buffer, const T* matrix, int first, int rows, int depth0, int depth)
{
    constexpr int Wide = 16 / sizeof(T), Step = Threads / 4;
    int row = thread_x() >> 2, chunk = thread_x() & 3, column = chunk * Wide;
    u32 target = buffer + row * 64 + (Swizzled ? swizzle64(row, chunk) : chunk) * 16;
#pragma unroll
    for (int i = 0; i < Side / Step; i++) {
        int from = first + row + i * Step;
        const T* source = matrix + ((long long)min_of(from, rows - 1) * depth + column) + depth0;
        copy16_async(target, i * Step * 64, source, 0, from < rows && depth0 + column < depth);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// bf16: 4 warps, each 64 x 64 of C as 4 x 8 tensor-core tiles; a chunk is 32 deep.

// The chunk of B (depth x n) in rows of 128 columns, 16 chunks of 16 bytes, the low three bits of c turned by the row.
device void load_bf16_nn(u32 buffer, const bf16* b, int first, int columns, int depth0, int depth)
{
    int chunk = thread_x() & 15, column = first + chunk * 8;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int row = i * 8 + (thread_x() >> 4);
        bool inside = depth0 + row < depth && column < columns;
        const bf16* source = b + ((long long)depth0 * columns + ((long long)row * columns + column));
        copy16_async(buffer + (thread_x() >> 4) * 256 + (chunk ^ (thread_x() >> 4 & 7)) * 16,
                     i * 8 * 256, source, 0, inside);
    }
}

template <bool Transposed>
device void gemm_bf16(const bf16* a, const bf16* b, const float* bias, bf16* c, int m, int n, int k)
{
    alignas(128) __shared__ unsigned char chunks[2 * Stages * Stage];
    const u32 a_buffer = shared_address(chunks), b_buffer = a_buffer + Stages * Stage;
    const int lane = thread_x() & 31, warp_m = (thread_x() >> 5) & 1, warp_n = thread_x() >> 6;
    const int m0 = block_y() * Side, n0 = block_x() * Side;

    // lane's rows for ldmatrix; A: 16 rows x 16 deep, B: 16 columns x 16 deep
    u32 a_lane[2], b_lane[4];
    int a_row = warp_m * 64 + (lane & 15), b_row = warp_n * 64 + (lane & 7) + (lane >> 4 << 3);
#pragma unroll
    for (int s = 0; s < 2; s++) {
        a_lane[s] = a_buffer + a_row * 64 + swizzle64(a_row, 2 * s + (lane >> 4)) * 16;
        if (Transposed) b_lane[s] = b_buffer + b_row * 64 + swizzle64(b_row, 2 * s + (lane >> 3 & 1)) * 16;
    }
#pragma unroll
    for (int j = 0; j < 4; j++)
        if (!Transposed)
            b_lane[j] = b_buffer + (lane & 15) * 256 + ((warp_n * 8 + 2 * j + (lane >> 4)) ^ (lane & 7)) * 16;

    auto load = [&](int depth0, int stage) {
        if (depth0 < k) {
            load_rows<128, true>(a_buffer + stage, a, m0, m, depth0, k);
            if (Transposed) load_rows<128, true>(b_buffer + stage, b, n0, n, depth0, k);
            else load_bf16_nn(b_buffer + stage, b, n0, n, depth0, k);
        }
        copy_commit();
    };
    load(0, 0);
    load(32, Stage);

    float sum[4][8][4] = {};
    int stage = 0, next = 2 * Stage;
    for (int depth0 = 0; depth0 < k; depth0 += 32) {
        copy_wait<1>();
        block_barrier(); // this chunk is here for all, and nobody reads the one before it any more
        load(depth0 + 64, next);
#pragma unroll
        for (int s = 0; s < 2; s++) {
            u32 fragment_a[4][4], fragment_b[4][4];
#pragma unroll
            for (int i = 0; i < 4; i++) ldmatrix4(fragment_a[i], a_lane[s] + stage, i * 16 * 64);
#pragma unroll
            for (int j = 0; j < 4; j++) {
                if (Transposed) ldmatrix4(fragment_b[j], b_lane[s] + stage, j * 16 * 64);
                else ldmatrix4_trans(fragment_b[j], b_lane[j] + stage, s * 16 * 256);
            }
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 8; j++)
                    mma_bf16(sum[i][j], fragment_a[i], fragment_b[j / 2][j % 2 * 2], fragment_b[j / 2][j % 2 * 2 + 1],
                             sum[i][j]);
        }
        stage = stage == 2 * Stage ? 0 : stage + Stage;
        next = next == 2 * Stage ? 0 : next + Stage;
    }

    int row0 = m0 + warp_m * 64 + (lane >> 2), column0 = n0 + warp_n * 64 + 2 * (lane & 3);
#pragma unroll
    for (int j = 0; j < 8; j++) {
        int column = column0 + 8 * j;
        f32x2 add = bias ? *(const f32x2*)(bias + min_of(column, n - 2)) : f32x2{0.0f, 0.0f};
#pragma unroll
        for (int i = 0; i < 8; i++) {
            float* pair = &sum[i / 2][j][i % 2 * 2];
            store_if(column < n && row0 + 8 * i < m, (u32*)(c + (long long)(row0 + 8 * i) * n + column),
                     pack_bf16(pair[0] + add.x, pair[1] + add.y));
        }
    }
}

// gemm_fwd_bf16_nt: C = A·Bᵀ + bias.
//   in    a (M, K) bf16, b (N, K) bf16, bias (N) f32 or null          out  c (M, N) bf16
//   args  a, b, bias, c, M i32, N i32, K i32
//   launch grid (ceil(N/128), ceil(M/128)), block 128 = 4 warps; shared 49152 B; regs <= 255
//   needs K % 8 == 0, N % 8 == 0, a and b 16-byte, bias 8-byte, c 4-byte aligned; any M; tensor cores
//   bytes 2·(M·K + N·K + M·N)     flops 2·M·N·K     bound: compute
//   accuracy f32 sums, one rounding to bf16
//   order fixed: same bits every run
kernel __launch_bounds__(128) gemm_fwd_bf16_nt(const bf16* a, const bf16* b, const float* bias, bf16* c,
                                               int m, int n, int k)
{
    gemm_bf16<true>(a, b, bias, c, m, n, k);
}

// gemm_fwd_bf16_nn: C = A·B + bias.
//   in    a (M, K) bf16, b (K, N) bf16, bias (N) f32 or null          out  c (M, N) bf16
//   args  a, b, bias, c, M i32, N i32, K i32
//   launch grid (ceil(N/128), ceil(M/128)), block 128 = 4 warps; shared 49152 B; regs <= 255
//   needs K % 8 == 0, N % 8 == 0, a and b 16-byte, bias 8-byte, c 4-byte aligned; any M; tensor cores
//   bytes 2·(M·K + N·K + M·N)     flops 2·M·N·K     bound: compute
//   accuracy f32 sums, one rounding to bf16
//   order fixed: same bits every run
kernel __launch_bounds__(128) gemm_fwd_bf16_nn(const bf16* a, const bf16* b, const float* bias, bf16* c,
                                               int m, int n, int k)
{
    gemm_bf16<false>(a, b, bias, c, m, n, k);
}

// ---------------------------------------------------------------------------------------------------------------
// f32: 8 warps, each 16 rows x 128 columns of C; a thread has 16 rows x 4 columns. A's values are the same for the
// whole warp, so their loads are broadcasts; a chunk is 16 deep. Columns of a thread: lane + 32·j (nt) or 4·lane + j
// (nn).

// The chunk of B (depth x n) as it is: 16 rows of 128 columns.
device void load_f32_nn(u32 buffer, const float* b, int first, int columns, int depth0, int depth)
{
    int column = first + 4 * (thread_x() & 31);
#pragma unroll
    for (int i = 0; i < 2; i++) {
        int row = i * 8 + (thread_x() >> 5);
        bool inside = depth0 + row < depth && column < columns;
        const float* source = b + ((long long)depth0 * columns + ((long long)row * columns + column));
        copy16_async(buffer + thread_x() * 16, i * 8 * 512, source, 0, inside);
    }
}

template <bool Transposed>
device void gemm_f32(const float* a, const float* b, const float* bias, float* c, int m, int n, int k)
{
    alignas(128) __shared__ float chunks_a[Stages][Side][16];
    alignas(128) __shared__ float chunks_b[Stages][Side * 16];
    const u32 a_buffer = shared_address(chunks_a), b_buffer = shared_address(chunks_b);
    const int lane = thread_x() & 31, warp = thread_x() >> 5;
    const int m0 = block_y() * Side, n0 = block_x() * Side;

    auto load = [&](int depth0, int stage) {
        if (depth0 < k) {
            load_rows<256, false>(a_buffer + stage * Stage, a, m0, m, depth0, k);
            if (Transposed) load_rows<256, true>(b_buffer + stage * Stage, b, n0, n, depth0, k);
            else load_f32_nn(b_buffer + stage * Stage, b, n0, n, depth0, k);
        }
        copy_commit();
    };
    load(0, 0);
    load(16, 1);

    float sum[16][4] = {};
    int stage = 0, next = 2;
    for (int depth0 = 0; depth0 < k; depth0 += 16) {
        copy_wait<1>();
        block_barrier(); // this chunk is here for all, and nobody reads the one before it any more
        load(depth0 + 32, next);
        const float* rows_a = &chunks_a[stage][warp * 16][0];
#pragma unroll 1
        for (int s = 0; s < 4; s++) { // 4 deep
            f32x4 v[4];               // nt: v[j] is column j, 4 deep; nn: v[d] is depth d, 4 columns
#pragma unroll
            for (int j = 0; j < 4; j++) {
                int at = Transposed ? (lane + 32 * j) * 16 + swizzle64(lane, s) * 4 : (4 * s + j) * Side + 4 * lane;
                v[j] = load4(&chunks_b[stage][at]);
            }
#pragma unroll
            for (int i = 0; i < 16; i++) {
                f32x4 u = load4(rows_a + 16 * i + 4 * s);
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    float x0 = Transposed ? v[j].x : j == 0 ? v[0].x : j == 1 ? v[0].y : j == 2 ? v[0].z : v[0].w;
                    float x1 = Transposed ? v[j].y : j == 0 ? v[1].x : j == 1 ? v[1].y : j == 2 ? v[1].z : v[1].w;
                    float x2 = Transposed ? v[j].z : j == 0 ? v[2].x : j == 1 ? v[2].y : j == 2 ? v[2].z : v[2].w;
                    float x3 = Transposed ? v[j].w : j == 0 ? v[3].x : j == 1 ? v[3].y : j == 2 ? v[3].z : v[3].w;
                    sum[i][j] = fma_rn(u.w, x3, fma_rn(u.z, x2, fma_rn(u.y, x1, fma_rn(u.x, x0, sum[i][j]))));
                }
            }
        }
        stage = stage == 2 ? 0 : stage + 1;
        next = next == 2 ? 0 : next + 1;
    }

    int row0 = m0 + warp * 16;
#pragma unroll
    for (int j = 0; j < 4; j++) {
        int column = n0 + (Transposed ? lane + 32 * j : 4 * lane + j);
        float add = bias ? bias[min_of(column, n - 1)] : 0.0f;
#pragma unroll
        for (int i = 0; i < 16; i++)
            store_if(column < n && row0 + i < m, c + (long long)(row0 + i) * n + column, sum[i][j] + add);
    }
}

// gemm_fwd_f32_nt: C = A·Bᵀ + bias.
//   in    a (M, K) f32, b (N, K) f32, bias (N) f32 or null            out  c (M, N) f32
//   args  a, b, bias, c, M i32, N i32, K i32
//   launch grid (ceil(N/128), ceil(M/128)), block 256 = 8 warps; shared 49152 B; regs <= 128
//   needs K % 4 == 0, a and b 16-byte aligned; any M, N
//   bytes 4·(M·K + N·K + M·N)     flops 2·M·N·K     bound: compute
//   accuracy f32, one fma after the other along K
//   order fixed: same bits every run
kernel __launch_bounds__(256, 2) gemm_fwd_f32_nt(const float* a, const float* b, const float* bias, float* c,
                                                 int m, int n, int k)
{
    gemm_f32<true>(a, b, bias, c, m, n, k);
}

// gemm_fwd_f32_nn: C = A·B + bias.
//   in    a (M, K) f32, b (K, N) f32, bias (N) f32 or null            out  c (M, N) f32
//   args  a, b, bias, c, M i32, N i32, K i32
//   launch grid (ceil(N/128), ceil(M/128)), block 256 = 8 warps; shared 49152 B; regs <= 128
//   needs K % 4 == 0, N % 4 == 0, a and b 16-byte aligned; any M
//   bytes 4·(M·K + N·K + M·N)     flops 2·M·N·K     bound: compute
//   accuracy f32, one fma after the other along K
//   order fixed: same bits every run
kernel __launch_bounds__(256, 2) gemm_fwd_f32_nn(const float* a, const float* b, const float* bias, float* c,
                                                 int m, int n, int k)
{
    gemm_f32<false>(a, b, bias, c, m, n, k);
}
