// EP-SAM's loss of masks: Dice and IoU on probabilities, for each sample alone, with a smoothing constant s; and the
// same two of the hard masks as metrics (tools/losses.py).
//   dice = 1 - (2·I + s) / (S + s)     iou = 1 - (I + s) / (S - I + s)     I = sum of p·t, S = sum of p + sum of t
#include "common.cuh"

constexpr int Threads = 256, Warps = Threads / 32, Sums = 5;

struct Sigmoid {
    float p, slope;
};
device Sigmoid sigmoid(float x) // neither overflows, whatever x is
{
    float e = exp2_approx(as_float(as_bits(x) | 0x80000000u) * Log2E), upper = rcp_rn(1.0f + e);
    return {x < 0.0f ? e * upper : upper, e * upper * upper};
}

// mask_loss_fwd_f32_parts: sums of p·t, p, t, h·t and h for p = sigmoid(x), h = 1 where x > 0; in parts.
//   in    x (B, n) f32, t (B, n) u8, 0 or 1          out  parts (B, G, 5) f32
//   args  x, t, parts, n i64
//   launch grid (G, B), block 256; shared 160 B; regs <= 48
//   needs any n; the caller fixes G by n alone, for the same bits on every card
//   bytes 5·B·n     flops ~15·B·n     bound: memory
//   accuracy f32, thread-strided partial sums; counts exact up to 2^24
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) mask_loss_fwd_f32_parts(const float* x, const unsigned char* t, float* parts,
                                                          long long n)
{
    __shared__ float scratch[Sums][Warps];
    const long long stride = (long long)grid_x() * Threads, base = block_y() * n;
    float sums[Sums] = {};
    for (long long i = (long long)block_x() * Threads + thread_x(); i < n; i += stride) {
        const float logit = x[base + i], p = sigmoid(logit).p, h = logit > 0.0f ? 1.0f : 0.0f;
        const float target = t[base + i] ? 1.0f : 0.0f;
        sums[0] = fma_rn(p, target, sums[0]);
        sums[1] += p;
        sums[2] += target;
        sums[3] = fma_rn(h, target, sums[3]);
        sums[4] += h;
    }
#pragma unroll
    for (int i = 0; i < Sums; i++) {
        const float sum = block_reduce<Sum, Threads>(sums[i], scratch[i]);
        if (thread_x() == 0) parts[((long long)block_y() * grid_x() + block_x()) * Sums + i] = sum;
    }
}

// mask_loss_fwd_f32: losses and metrics of a sample from its sums.
//   in    sums (B, 5) f32                            out  y (B, 4) f32: Dice loss, IoU loss, hard Dice, hard IoU
//   args  sums, y, B i32, s f32
//   launch grid ceil(B/256), block 256; shared 0 B; regs <= 32
//   needs nothing: any B
//   bytes 36·B     flops ~20·B     bound: memory
//   accuracy each operation rounded
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) mask_loss_fwd_f32(const float* sums, float* y, int batch, float s)
{
    const int b = block_x() * Threads + thread_x();
    if (b < batch) {
        const float* v = sums + b * Sums;
        const float all = v[1] + v[2], hard = v[4] + v[2];
        y[4 * b] = 1.0f - (2.0f * v[0] + s) * rcp_rn(all + s);
        y[4 * b + 1] = 1.0f - (v[0] + s) * rcp_rn(all - v[0] + s);
        y[4 * b + 2] = (2.0f * v[3] + s) * rcp_rn(hard + s);
        y[4 * b + 3] = (v[3] + s) * rcp_rn(hard - v[3] + s);
    }
}

// mask_loss_bwd_f32: dx = the gradient of dice_weight · Dice loss + iou_weight · IoU loss of each sample, and of
// cross_weight · the sum over pixels of their cross entropy, which does not vanish where p is far on the wrong side.
//   in    x (B, n) f32, t (B, n) u8, sums (B, 5) f32   out  dx (B, n) f32
//   args  x, t, sums, dx, n i64, s f32, dice_weight f32, iou_weight f32, cross_weight f32
//   launch grid (any, B), block 256; shared 0 B; regs <= 48
//   needs dx may be x; any n
//   bytes 9·B·n     flops ~20·B·n     bound: memory
//   accuracy relative 1e-6 and 2^-126, below which exp gives 0
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) mask_loss_bwd_f32(const float* x, const unsigned char* t, const float* sums,
                                                    float* dx, long long n, float s, float dice_weight,
                                                    float iou_weight, float cross_weight)
{
    const long long stride = (long long)grid_x() * Threads, base = block_y() * n;
    const float* v = sums + block_y() * Sums;
    const float all = v[1] + v[2], dice = rcp_rn(all + s), iou = rcp_rn(all - v[0] + s);
    // d/dp of -(2·I + s)·dice and of -(I + s)·iou, for t = 0 and 1: what p adds to S, and to I and S
    const float dice0 = (2.0f * v[0] + s) * dice * dice, iou0 = (v[0] + s) * iou * iou;
    const float off = dice_weight * dice0 + iou_weight * iou0;
    const float on = dice_weight * (dice0 - 2.0f * dice) - iou_weight * iou;
    for (long long i = (long long)block_x() * Threads + thread_x(); i < n; i += stride) {
        const Sigmoid y = sigmoid(x[base + i]);
        const float overlap = (t[base + i] ? on : off) * y.slope;
        dx[base + i] = fma_rn(cross_weight, y.p - (t[base + i] ? 1.0f : 0.0f), overlap);
    }
}
