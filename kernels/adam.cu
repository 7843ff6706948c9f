// Adam and AdamW over one flat buffer: parameters, gradients and both moments are read and written once, the gradient
// is left zero for the next step, and where the model multiplies in bf16 its copy of the parameters is rounded in the
// same pass. What depends on the step (rates, bias corrections) comes from the host, which has it in double.
#include "common.cuh"

constexpr int Threads = 256;

struct Rates { float decay, l2, beta1, rest1, beta2, rest2, step, inverse_root, eps; };

// Kingma and Ba 2015, algorithm 1; Loshchilov and Hutter 2019, algorithm 2. The order of operations is torch.optim's.
device void update(const Rates& r, float g, float& p, float& m, float& v)
{
    g = fma_rn(r.l2, p, g);
    m = fma_rn(r.rest1, g, r.beta1 * m);
    v = fma_rn(r.rest2 * g, g, r.beta2 * v);
    float root = fma_rn(sqrt_rn(v), r.inverse_root, r.eps);
    p = fma_rn(-r.step, m * rcp_rn(root), r.decay * p);
}

template <bool HasCopy> device void adam(
    float* p, float* g, float* m, float* v, bf16* copy, const float* scale, long long n, const Rates& r)
{
    long long stride = (long long)grid_x() * Threads, quads = n >> 2;
    long long first = (long long)block_x() * Threads + thread_x();
    float s = scale ? *scale : 1.0f;
    for (long long i = first; i < quads; i += stride) {
        f32x4 pp = load4(p + 4 * i), gg = load4(g + 4 * i), mm = load4(m + 4 * i), vv = load4(v + 4 * i);
        float px = pp.x, py = pp.y, pz = pp.z, pw = pp.w, mx = mm.x, my = mm.y, mz = mm.z, mw = mm.w;
        float vx = vv.x, vy = vv.y, vz = vv.z, vw = vv.w;
        update(r, s * gg.x, px, mx, vx);
        update(r, s * gg.y, py, my, vy);
        update(r, s * gg.z, pz, mz, vz);
        update(r, s * gg.w, pw, mw, vw);
        store4(p + 4 * i, f32x4{px, py, pz, pw});
        store4(m + 4 * i, f32x4{mx, my, mz, mw});
        store4(v + 4 * i, f32x4{vx, vy, vz, vw});
        store4(g + 4 * i, f32x4{0.0f, 0.0f, 0.0f, 0.0f});
        if (HasCopy) store4(copy + 4 * i, f32x4{px, py, pz, pw});
    }
    long long i = 4 * quads + first;
    if (i < n) {
        float pi = p[i], mi = m[i], vi = v[i];
        update(r, s * g[i], pi, mi, vi);
        p[i] = pi;
        m[i] = mi;
        v[i] = vi;
        g[i] = 0.0f;
        if (HasCopy) store(copy + i, pi);
    }
}

// adam_step_f32: one step of Adam (decay = 1) or AdamW (l2 = 0); afterwards g is zero.
//   in    p, g, m, v (n) f32, scale (1) f32 or null   out  p, g, m, v (n) f32
//   args  p, g, m, v, scale, n i64, rates f32x9
//   launch grid any, block 256; shared 0 B; regs <= 64
//   needs p, g, m and v 16-byte aligned, not overlapping; any n
//   bytes 32·n     flops 14·n     bound: memory
//   accuracy f32, one or two roundings an operation
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) adam_step_f32(float* p, float* g, float* m, float* v, const float* scale, long long n,
    float decay, float l2, float beta1, float rest1, float beta2, float rest2, float step, float inverse_root,
    float eps)
{
    adam<false>(p, g, m, v, nullptr, scale, n, {decay, l2, beta1, rest1, beta2, rest2, step, inverse_root, eps});
}

// adam_step_bf16: the same, and copy = p rounded to bf16, nearest even.
//   in    p, g, m, v (n) f32, scale (1) f32 or null   out  p, g, m, v (n) f32, copy (n) bf16
//   args  p, g, m, v, copy, scale, n i64, rates f32x9
//   launch grid any, block 256; shared 0 B; regs <= 64
//   needs p, g, m and v 16-byte, copy 8-byte aligned, not overlapping; any n
//   bytes 34·n     flops 14·n     bound: memory
//   accuracy f32, one or two roundings an operation; copy exact to rounding of p
//   order fixed: same bits every run
kernel __launch_bounds__(Threads) adam_step_bf16(float* p, float* g, float* m, float* v, bf16* copy, const float* scale,
    long long n, float decay, float l2, float beta1, float rest1, float beta2, float rest2, float step,
    float inverse_root, float eps)
{
    adam<true>(p, g, m, v, copy, scale, n, {decay, l2, beta1, rest1, beta2, rest2, step, inverse_root, eps});
}
