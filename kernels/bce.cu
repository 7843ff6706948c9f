// Binary cross entropy of logits, mean over all of them. The form does not overflow: max(x, 0) - x·t + log(1 + e^-|x|).
#include "common.cuh"

constexpr int Threads = 256;

device float minus_abs_exp(float x) { return exp2_approx(-Log2E * max_nan(x, -x)); }

// log(1 + e) for 0 <= e <= 1 as 2·artanh(e / (2 + e)): no cancellation where e is small.
device float log1p_of(float e)
{
    float s = e / (2.0f + e), q = s * s, sum = 1.0f / 15;
    sum = fma_rn(sum, q, 1.0f / 13);
    sum = fma_rn(sum, q, 1.0f / 11);
    sum = fma_rn(sum, q, 1.0f / 9);
    sum = fma_rn(sum, q, 1.0f / 7);
    sum = fma_rn(sum, q, 1.0f / 5);
    sum = fma_rn(sum, q, 1.0f / 3);
    return 2.0f * fma_rn(s * q, sum, s);
}

// bce_fwd_f32: loss = mean of max(x, 0) - x·t + log(1 + e^-|x|).
//   in    x (n), t (n) f32                           out  loss (1) f32
//   args  x, t, loss, n i32
//   launch grid 1, block 256; shared 32 B; regs <= 40
//   needs n >= 1
//   bytes 8·n     flops ~25·n     bound: memory
//   accuracy f32, thread-strided partial sums; NaN where a logit is
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) bce_fwd_f32(const float* x, const float* t, float* loss, int n)
{
    __shared__ float scratch[Threads / 32];
    float sum = 0.0f;
    for (int i = thread_x(); i < n; i += Threads) {
        float v = x[i];
        sum += fma_rn(-v, t[i], max_nan(v, 0.0f)) + log1p_of(minus_abs_exp(v));
    }
    sum = block_reduce<Sum, Threads>(sum, scratch);
    if (thread_x() == 0) *loss = sum / (float)n;
}

// bce_bwd_f32: dx = scale · (sigmoid(x) - t) / n.
//   in    x (n), t (n) f32                           out  dx (n) f32
//   args  x, t, scale f32, dx, n i32
//   launch grid ceil(n/256), block 256; shared 0 B; regs <= 32
//   needs any n; dx may be x
//   bytes 12·n     flops ~8·n     bound: memory
//   accuracy a few ulp of the sigmoid
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) bce_bwd_f32(const float* x, const float* t, float scale, float* dx, int n)
{
    int i = block_x() * Threads + thread_x();
    if (i < n) {
        float v = x[i], e = minus_abs_exp(v), small = e / (1.0f + e);
        dx[i] = scale * ((v > 0.0f ? 1.0f - small : small) - t[i]) / (float)n;
    }
}
