// BatchNorm over the rows of x (R, C), channels last, with what stands around it in a residual network: ReLU and the
// sum with a shortcut. A block owns a strip of 128 channels, or of 64 or 32 where there are not more, and a part of the
// rows. A thread has four channels, so that a warp reads a row's strip, or those of neighbouring rows, in one piece,
// and goes on to the next. Statistics are means and sums of squared differences of groups of eight rows, merged by the
// formula of Chan, Golub and LeVeque: one reading of x, and nothing cancels as E[x²] - E[x]² does.
#include "common.cuh"

constexpr int Threads = 256, Group = 8;

struct Quad { float v[4]; };
template <class T> device Quad quad_at(const T* p)
{
    f32x4 v = load4(p);
    return {v.x, v.y, v.z, v.w};
}
template <class T> device void put(T* p, const Quad& q) { store4(p, f32x4{q.v[0], q.v[1], q.v[2], q.v[3]}); }

// The part of a thread: its four channels, and its rows from row to end, every step-th. A warp walks an eighth of the
// block's rows from the first to the last: neighbours in memory. strip channels are the block's, whose threads with the
// same channels are lanes.
struct Place { int column, row, end, step, lanes, strip; };

device Place place_of(int rows, int columns, int size)
{
    int across = columns > 64 ? 5 : columns > 32 ? 4 : 3, part = size / (Threads / 32); // log2 of the threads of a row
    int first = block_y() * size + (thread_x() >> 5) * part;
    return {4 * ((block_x() << across) + (thread_x() & (1 << across) - 1)), first + ((thread_x() & 31) >> across),
            min_of(rows, first + part), 32 >> across, Threads >> across, 4 << across};
}

// Rows of a thread as one of lanes, where the block has count.
device float rows_of(const Place& at, int lane, int count, int size)
{
    int part = size / (Threads / 32), first = lane / at.step * part, own = min_of(count, first + part) - first;
    return own > 0 ? (float)((own - lane % at.step + at.step - 1) / at.step) : 0.0f;
}

struct Moments { Quad mean, squares; };

template <class T> device Moments moments_of(const T* x, const Place& at, int columns)
{
    Moments m = {};
    const T* p = x + at.column;
    int row = at.row;
    float count = 0.0f;
    for (; row + (Group - 1) * at.step < at.end; row += Group * at.step) {
        Quad v[Group];
#pragma unroll
        for (int k = 0; k < Group; k++) v[k] = quad_at(p + (long long)(row + k * at.step) * columns);
        float total = count + Group, share = (float)Group / total;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float sum = 0.0f, squares = 0.0f;
#pragma unroll
            for (int k = 0; k < Group; k++) sum += v[k].v[i];
            float mean = sum * (1.0f / Group), apart = mean - m.mean.v[i];
#pragma unroll
            for (int k = 0; k < Group; k++) {
                float d = v[k].v[i] - mean;
                squares = fma_rn(d, d, squares);
            }
            m.squares.v[i] = fma_rn(apart * apart, count * share, m.squares.v[i] + squares);
            m.mean.v[i] = fma_rn(apart, share, m.mean.v[i]);
        }
        count = total;
    }
    for (; row < at.end; row += at.step) {
        Quad v = quad_at(p + (long long)row * columns);
        float share = 1.0f / (count + 1.0f);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float apart = v.v[i] - m.mean.v[i];
            m.squares.v[i] = fma_rn(apart * apart, count * share, m.squares.v[i]);
            m.mean.v[i] = fma_rn(apart, share, m.mean.v[i]);
        }
        count += 1.0f;
    }
    return m;
}

template <class T> device void statistics(const T* x, float* parts, int rows, int columns, int size, int count)
{
    __shared__ float means[4 * Threads], squares[4 * Threads];
    Place at = place_of(rows, columns, size);
    if (at.column < columns) {
        Moments m = moments_of(x, at, columns);
        put(means + 4 * thread_x(), m.mean);
        put(squares + 4 * thread_x(), m.squares);
    }
    block_barrier();
    int c = block_x() * at.strip + thread_x(), n = min_of(rows - block_y() * size, size);
    if (thread_x() < at.strip && c < columns) {
        float sum = 0.0f, all = 0.0f, near = means[thread_x()]; // lane 0 has rows; from there all are small numbers
        for (int l = 0; l < at.lanes; l++)
            sum = fma_rn(rows_of(at, l, n, size), means[l * at.strip + thread_x()] - near, sum);
        float mean = near + sum / (float)n;
        for (int l = 0; l < at.lanes; l++) { // those without rows have zeros
            float d = means[l * at.strip + thread_x()] - mean;
            all += fma_rn(d * d, rows_of(at, l, n, size), squares[l * at.strip + thread_x()]);
        }
        parts[(long long)c * count + block_y()] = mean;
        parts[(long long)(columns + c) * count + block_y()] = all;
    }
}

// batch_norm_fwd_{f32,bf16}_statistics: mean and sum of squared differences from it of each channel in each of P parts.
//   in    x (R, C) f32 or bf16                       out  parts (2, C, P) f32
//   args  x, parts, R i32, C i32, size i32, P i32
//   launch grid (ceil(C/strip), P), block 256; shared 8192 B; regs <= 80
//   needs C % 4 == 0, x aligned to 4 elements; size rows a part, a multiple of 8, none empty
//   bytes s·R·C, s = 4 or 2     flops ~5·R·C     bound: memory
//   accuracy f32; groups of eight rows in two passes, then merged
//   order fixed: same bits every run
#define STATISTICS(name, T)                                                                                            \
    kernel __launch_bounds__(Threads) name(const T* x, float* parts, int rows, int columns, int size, int count)       \
    {                                                                                                                  \
        statistics(x, parts, rows, columns, size, count);                                                              \
    }
STATISTICS(batch_norm_fwd_f32_statistics, float)
STATISTICS(batch_norm_fwd_bf16_statistics, bf16)

// batch_norm_fwd_f32_finish: mean and 1/√(variance + eps) of each channel from its parts; running statistics move by
// momentum towards mean and the unbiased variance, if there are any.
//   in    parts (2, C, P) f32                        out  mean, rstd, running_mean, running_var (C) f32
//   args  parts, mean, rstd, running_mean, running_var, R i32, C i32, size i32, P i32, eps f32, momentum f32
//   launch grid ceil(C/8), block 256 = 8 warps, one warp a channel; shared 0 B; regs <= 40
//   needs R >= 2; running_mean and running_var both null or neither
//   bytes 8·C·P + 24·C     flops ~6·C·P     bound: memory
//   accuracy f32
//   order fixed: same bits every run
kernel __launch_bounds__(Threads)
    batch_norm_fwd_f32_finish(const float* parts, float* mean, float* rstd, float* running_mean, float* running_var,
                              int rows, int columns, int size, int count, float eps, float momentum)
{
    int c = block_x() * (Threads / 32) + (thread_x() >> 5), lane = thread_x() & 31;
    if (c < columns) {
        const float *means = parts + (long long)c * count, *squares = parts + (long long)(columns + c) * count;
        float sum = 0.0f, all = 0.0f, n = (float)rows;
        for (int p = lane; p < count; p += 32) sum = fma_rn((float)min_of(size, rows - p * size), means[p], sum);
        float m = warp_reduce<Sum>(sum) / n;
        for (int p = lane; p < count; p += 32) {
            float d = means[p] - m;
            all += fma_rn(d * d, (float)min_of(size, rows - p * size), squares[p]);
        }
        all = warp_reduce<Sum>(all);
        if (lane == 0) {
            mean[c] = m;
            rstd[c] = rcp_rn(sqrt_rn(all / n + eps));
            if (running_mean) {
                running_mean[c] = fma_rn(momentum, m, (1.0f - momentum) * running_mean[c]);
                running_var[c] = fma_rn(momentum, all / (float)(rows - 1), (1.0f - momentum) * running_var[c]);
            }
        }
    }
}

// batch_norm_fwd_f32_rstd: rstd = 1/√(variance + eps).
//   in    variance (C) f32                           out  rstd (C) f32
//   args  variance, rstd, C i32, eps f32
//   launch grid ceil(C/256), block 256; shared 0 B; regs <= 32
//   needs any C
//   bytes 8·C     flops 3·C     bound: memory
//   accuracy three roundings
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) batch_norm_fwd_f32_rstd(const float* variance, float* rstd, int columns, float eps)
{
    int c = block_x() * Threads + thread_x();
    if (c < columns) rstd[c] = rcp_rn(sqrt_rn(variance[c] + eps));
}

// What normalises four channels: y = (x - mean) * scale + bias.
struct Affine { Quad mean, scale, bias; };

device Affine affine_of(const float* mean, const float* rstd, const float* weight, const float* bias, int column)
{
    Affine a = {quad_at(mean + column), quad_at(rstd + column), quad_at(bias + column)};
    Quad w = quad_at(weight + column);
#pragma unroll
    for (int i = 0; i < 4; i++) a.scale.v[i] *= w.v[i];
    return a;
}

device float apply(const Affine& a, float x, int i) { return fma_rn(x - a.mean.v[i], a.scale.v[i], a.bias.v[i]); }

template <class T>
device void normalise(const T* x, const float* mean, const float* rstd, const float* weight, const float* bias,
                      const T* residual, T* y, int rows, int columns, int size, int relu)
{
    Place at = place_of(rows, columns, size);
    if (at.column < columns) {
        Affine a = affine_of(mean, rstd, weight, bias, at.column);
        for (int row = at.row; row < at.end; row += at.step) {
            long long i = (long long)row * columns + at.column;
            Quad v = quad_at(x + i);
#pragma unroll
            for (int k = 0; k < 4; k++) v.v[k] = apply(a, v.v[k], k);
            if (residual) {
                Quad r = quad_at(residual + i);
#pragma unroll
                for (int k = 0; k < 4; k++) v.v[k] += r.v[k];
            }
            if (relu) {
#pragma unroll
                for (int k = 0; k < 4; k++) v.v[k] = max_nan(v.v[k], 0.0f);
            }
            put(y + i, v);
        }
    }
}

// batch_norm_fwd_{f32,bf16}: y = (x - mean) * rstd * w + b, plus residual if there is one, at least 0 if relu is set.
//   in    x, residual (R, C) f32 or bf16; mean, rstd, w, b (C) f32     out  y (R, C) f32 or bf16
//   args  x, mean, rstd, w, b, residual, y, R i32, C i32, size i32, relu i32
//   launch grid (ceil(C/strip), ceil(R/size)), block 256; shared 0 B; regs <= 48
//   needs C % 4 == 0, all aligned to 4 elements; residual may be null; y may be x or residual
//   bytes 2·s·R·C, with residual 3·s·R·C, s = 4 or 2     flops ~4·R·C     bound: memory
//   accuracy f32, one rounding to bf16; a NaN stays one under relu
//   order fixed: same bits every run
#define NORMALISE(name, T)                                                                                             \
    kernel __launch_bounds__(Threads) name(const T* x, const float* mean, const float* rstd, const float* weight,      \
                                           const float* bias, const T* residual, T* y, int rows, int columns,          \
                                           int size, int relu)                                                         \
    {                                                                                                                  \
        normalise(x, mean, rstd, weight, bias, residual, y, rows, columns, size, relu);                                \
    }
NORMALISE(batch_norm_fwd_f32, float)
NORMALISE(batch_norm_fwd_bf16, bf16)

// dy where the result was above zero. Without y the result is made again from x, as it was made in forward.
template <class T>
device Quad gated(const T* dy, const T* y, long long i, const Affine& a, const Quad& x, int relu)
{
    Quad g = quad_at(dy + i);
    if (relu) {
        Quad s = x;
        if (y) s = quad_at(y + i);
        else {
#pragma unroll
            for (int k = 0; k < 4; k++) s.v[k] = apply(a, x.v[k], k);
        }
#pragma unroll
        for (int k = 0; k < 4; k++) g.v[k] = s.v[k] <= 0.0f ? 0.0f : g.v[k];
    }
    return g;
}

template <class T>
device void gradient_sums(const T* x, const T* y, const T* dy, const float* mean, const float* rstd,
                          const float* weight, const float* bias, float* parts, int rows, int columns, int size,
                          int count, int relu)
{
    __shared__ float sums[4 * Threads], products[4 * Threads];
    Place at = place_of(rows, columns, size);
    if (at.column < columns) {
        Affine a = affine_of(mean, rstd, weight, bias, at.column);
        Quad r = quad_at(rstd + at.column), sum = {}, product = {};
        for (int row = at.row; row < at.end; row += at.step) {
            long long i = (long long)row * columns + at.column;
            Quad v = quad_at(x + i), g = gated(dy, y, i, a, v, relu);
#pragma unroll
            for (int k = 0; k < 4; k++) {
                sum.v[k] += g.v[k];
                product.v[k] = fma_rn(g.v[k], (v.v[k] - a.mean.v[k]) * r.v[k], product.v[k]);
            }
        }
        put(sums + 4 * thread_x(), sum);
        put(products + 4 * thread_x(), product);
    }
    block_barrier();
    int c = block_x() * at.strip + thread_x();
    if (thread_x() < at.strip && c < columns) {
        float sum = 0.0f, product = 0.0f;
        for (int l = 0; l < at.lanes; l++) {
            sum += sums[l * at.strip + thread_x()];
            product += products[l * at.strip + thread_x()];
        }
        parts[(long long)c * count + block_y()] = sum;
        parts[(long long)(columns + c) * count + block_y()] = product;
    }
}

// batch_norm_bwd_{f32,bf16}_sums: Σ g and Σ g·(x - mean)·rstd of each channel in each of P parts; g = dy, or, if relu
// is set, dy where the result is above zero: y, or, where that is null, (x - mean) * rstd * w + b.
//   in    x, y, dy (R, C) f32 or bf16; mean, rstd, w, b (C) f32        out  parts (2, C, P) f32
//   args  x, y, dy, mean, rstd, w, b, parts, R i32, C i32, size i32, P i32, relu i32
//   launch grid (ceil(C/strip), P), block 256; shared 8192 B; regs <= 64
//   needs C % 4 == 0, all aligned to 4 elements
//   bytes 2·s·R·C, with y 3·s·R·C, s = 4 or 2     flops ~6·R·C     bound: memory
//   accuracy f32 sums over strided rows
//   order fixed: same bits every run
#define SUMS(name, T)                                                                                                  \
    kernel __launch_bounds__(Threads) name(const T* x, const T* y, const T* dy, const float* mean, const float* rstd,  \
                                           const float* weight, const float* bias, float* parts, int rows,             \
                                           int columns, int size, int count, int relu)                                 \
    {                                                                                                                  \
        gradient_sums(x, y, dy, mean, rstd, weight, bias, parts, rows, columns, size, count, relu);                    \
    }
SUMS(batch_norm_bwd_f32_sums, float)
SUMS(batch_norm_bwd_bf16_sums, bf16)

// batch_norm_bwd_f32_finish: sums of the parts of each channel; added to db and dw where these are not null.
//   in    parts (2, C, P) f32                        out  sums (2, C), dw, db (C) f32
//   args  parts, sums, dw, db, C i32, P i32
//   launch grid ceil(C/8), block 256 = 8 warps, one warp a channel; shared 0 B; regs <= 32
//   needs any C, any P
//   bytes 8·C·P + 24·C     flops 2·C·P     bound: memory
//   accuracy f32
//   order fixed: same bits every run
kernel __launch_bounds__(Threads)
    batch_norm_bwd_f32_finish(const float* parts, float* sums, float* dweight, float* dbias, int columns, int count)
{
    int c = block_x() * (Threads / 32) + (thread_x() >> 5), lane = thread_x() & 31;
    if (c < columns) {
        const float *a = parts + (long long)c * count, *b = parts + (long long)(columns + c) * count;
        float sum = 0.0f, product = 0.0f;
        for (int p = lane; p < count; p += 32) {
            sum += a[p];
            product += b[p];
        }
        sum = warp_reduce<Sum>(sum);
        product = warp_reduce<Sum>(product);
        if (lane == 0) {
            sums[c] = sum;
            sums[columns + c] = product;
            if (dbias) dbias[c] += sum;
            if (dweight) dweight[c] += product;
        }
    }
}

template <class T>
device void gradient(const T* x, const T* y, const T* dy, const float* mean, const float* rstd, const float* weight,
                     const float* bias, const float* sums, T* dx, T* dresidual, int rows, int columns, int size,
                     int relu)
{
    Place at = place_of(rows, columns, size);
    if (at.column < columns) {
        Affine a = affine_of(mean, rstd, weight, bias, at.column);
        Quad r = quad_at(rstd + at.column), sum = {}, product = {};
        if (sums) {
            sum = quad_at(sums + at.column);
            product = quad_at(sums + columns + at.column);
#pragma unroll
            for (int k = 0; k < 4; k++) {
                sum.v[k] /= (float)rows;
                product.v[k] = product.v[k] / (float)rows * r.v[k];
            }
        }
        for (int row = at.row; row < at.end; row += at.step) {
            long long i = (long long)row * columns + at.column;
            Quad v = quad_at(x + i), g = gated(dy, y, i, a, v, relu);
            if (dresidual) put(dresidual + i, g);
#pragma unroll
            for (int k = 0; k < 4; k++)
                v.v[k] = a.scale.v[k] * fma_rn(a.mean.v[k] - v.v[k], product.v[k], g.v[k] - sum.v[k]);
            put(dx + i, v);
        }
    }
}

// batch_norm_bwd_{f32,bf16}: dx = w * rstd * (g - Σg/R - (x - mean) * rstd * Σ(g·(x - mean)·rstd)/R), and g itself to
// dresidual if that is not null; g as in batch_norm_bwd_f32_sums. Without sums the statistics were constants:
// dx = w * rstd * g.
//   in    x, y, dy (R, C) f32 or bf16; mean, rstd, w, b (C), sums (2, C) f32     out  dx, dresidual (R, C)
//   args  x, y, dy, mean, rstd, w, b, sums, dx, dresidual, R i32, C i32, size i32, relu i32
//   launch grid (ceil(C/strip), ceil(R/size)), block 256; shared 0 B; regs <= 64
//   needs C % 4 == 0, all aligned to 4 elements; dx or dresidual may be dy, dx may be x
//   bytes 3·s·R·C, y and dresidual one more each, s = 4 or 2     flops ~8·R·C     bound: memory
//   accuracy f32, one rounding to bf16
//   order fixed: same bits every run
#define GRADIENT(name, T)                                                                                              \
    kernel __launch_bounds__(Threads) name(const T* x, const T* y, const T* dy, const float* mean, const float* rstd,  \
                                           const float* weight, const float* bias, const float* sums, T* dx,           \
                                           T* dresidual, int rows, int columns, int size, int relu)                    \
    {                                                                                                                  \
        gradient(x, y, dy, mean, rstd, weight, bias, sums, dx, dresidual, rows, columns, size, relu);                  \
    }
GRADIENT(batch_norm_bwd_f32, float)
GRADIENT(batch_norm_bwd_bf16, bf16)
