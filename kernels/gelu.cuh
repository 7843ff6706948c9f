// GELU, exact form: x·Φ(x), Φ the normal distribution function, without erf's cancellation for negative x.
// Φ(-t) = exp(-t²/2)·g(t) for t >= 0, and g is smooth: a polynomial of degree 9 in s = (t - 3) / (t + 3), fitted to it
// by Chebyshev interpolation over t in [0, 15] (largest relative error 4.3e-8, half an f32 ulp; beyond 15 Φ(-t) is 0 in
// f32).
#pragma once
#include "common.cuh"

// g(t) for 0 <= t <= 15.
device float gelu_tail(float t)
{
    float s = (t - 3.0f) * rcp_approx(t + 3.0f);
    float g = 5.418167012e-5f;
    g = fma_rn(g, s, 1.162363375e-4f);
    g = fma_rn(g, s, -3.397967506e-4f);
    g = fma_rn(g, s, -9.844244443e-4f);
    g = fma_rn(g, s, 2.904545184e-3f);
    g = fma_rn(g, s, 6.132269994e-3f);
    g = fma_rn(g, s, -4.621326471e-2f);
    g = fma_rn(g, s, 1.232250113e-1f);
    g = fma_rn(g, s, -2.064026214e-1f);
    g = fma_rn(g, s, 1.215139479e-1f);
    return g;
}

device float gelu(float x)
{
    float t = as_float(as_bits(x) & 0x7fffffffu);
    t = t < 15.0f ? t : 15.0f; // keeps s finite for infinite x; a NaN comes back by the last product
    float g = gelu_tail(t), below = exp2_approx(t * t * (-0.5f * Log2E)) * g;
    return x * (x < 0.0f ? below : 1.0f - below);
}

// GELU and its derivative Φ(x) + x·φ(x).
struct GeluSlope {
    float y, slope;
};
device GeluSlope gelu_slope(float x)
{
    constexpr float InverseRoot = 0.398942280401432678f; // 1/√(2π)
    float t = as_float(as_bits(x) & 0x7fffffffu);
    t = t > 15.0f ? 15.0f : t; // a NaN stays
    float e = exp2_approx(t * t * (-0.5f * Log2E)), below = e * gelu_tail(t), density = t * (e * InverseRoot);
    float phi = x < 0.0f ? below : 1.0f - below;
    return {x * phi, x < 0.0f ? below - density : phi + density};
}
