// What every kernel stands on: CUDA's attributes without CUDA's headers, thread ids, bf16 storage, vector access and
// warp and block sums. A plain C++ subset that clang-14 and nvcc both take. Arithmetic is never contracted behind our
// back (the build says -ffp-contract=off): an fma is written fma_rn, so every provider gives the same bits.
// The one guard form for tails is `if (i < n)` round the access; kernels never return before a barrier.
#pragma once

#ifdef __clang__ // which brings no CUDA names of its own without the toolkit's headers
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __constant__ __attribute__((constant))
#define __shared__ __attribute__((shared))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
#define thread_x() ((int)__nvvm_read_ptx_sreg_tid_x())
#define block_x() ((int)__nvvm_read_ptx_sreg_ctaid_x())
#define block_y() ((int)__nvvm_read_ptx_sreg_ctaid_y())
#define block_z() ((int)__nvvm_read_ptx_sreg_ctaid_z())
#define grid_x() ((int)__nvvm_read_ptx_sreg_nctaid_x())
#define block_barrier() __syncthreads()
#else
#define thread_x() ((int)threadIdx.x)
#define block_x() ((int)blockIdx.x)
#define block_y() ((int)blockIdx.y)
#define block_z() ((int)blockIdx.z)
#define grid_x() ((int)gridDim.x)
#define block_barrier() __syncthreads()
#endif

#define kernel extern "C" __global__ void
#define device static __device__ inline __attribute__((always_inline))

typedef unsigned int u32;
typedef unsigned long long u64;
struct bf16 { unsigned short bits; };
#ifdef __clang__
typedef float f32x2 __attribute__((ext_vector_type(2)));
typedef float f32x4 __attribute__((ext_vector_type(4)));
typedef u32 u32x2 __attribute__((ext_vector_type(2)));
typedef u32 u32x4 __attribute__((ext_vector_type(4))); // also eight bf16, low half first
#else
typedef float2 f32x2;
typedef float4 f32x4;
typedef uint2 u32x2;
typedef uint4 u32x4;
#endif

device int ceil_div(int a, int b) { return (a + b - 1) / b; }
device int min_of(int a, int b) { return a < b ? a : b; }

// ---------------------------------------------------------------------------------------------------------------
// Floats. https://docs.nvidia.com/cuda/parallel-thread-execution/#floating-point-instructions

device float as_float(u32 x) { float y; asm("mov.b32 %0, %1;" : "=f"(y) : "r"(x)); return y; }
device u32 as_bits(float x) { u32 y; asm("mov.b32 %0, %1;" : "=r"(y) : "f"(x)); return y; }
device float fma_rn(float a, float b, float c)
{
    float d; asm("fma.rn.f32 %0, %1, %2, %3;" : "=f"(d) : "f"(a), "f"(b), "f"(c)); return d;
}
device float max_of(float a, float b) { float d; asm("max.f32 %0, %1, %2;" : "=f"(d) : "f"(a), "f"(b)); return d; }
device float max_nan(float a, float b) // NaN if either is: a maximum that must not hide one
{
    float d; asm("max.NaN.f32 %0, %1, %2;" : "=f"(d) : "f"(a), "f"(b)); return d;
}
// 2^x, 2 ulp
device float exp2_approx(float x) { float y; asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x)); return y; }
device float log2_approx(float x) { float y; asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x)); return y; }
device float rcp_approx(float x) { float y; asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x)); return y; } // 1 ulp
device float sqrt_rn(float x) { float y; asm("sqrt.rn.f32 %0, %1;" : "=f"(y) : "f"(x)); return y; }
device float rcp_rn(float x) { float y; asm("rcp.rn.f32 %0, %1;" : "=f"(y) : "f"(x)); return y; }

constexpr float Log2E = 1.44269504088896341f;
constexpr float Ln2 = 0.693147180559945309f;
#define Infinity as_float(0x7f800000u)

device float to_float(float x) { return x; }
device float to_float(bf16 x) { return as_float((u32)x.bits << 16); }
device float low_float(u32 pair) { return as_float(pair << 16); }          // of two packed bf16
device float high_float(u32 pair) { return as_float(pair & 0xffff0000u); }
device u32 pack_bf16(float low, float high) // round to nearest even
{
    u32 d; asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(high), "f"(low)); return d;
}
device void store(float* p, float x) { *p = x; }
device void store(bf16* p, float x) { p->bits = (unsigned short)pack_bf16(x, 0.0f); }

// A store under a predicate instead of a branch: sixty-four of them stay one basic block.
device void store_if(bool take, float* p, float x)
{
    asm volatile("{ .reg .pred take; setp.ne.s32 take, %0, 0; @take st.global.f32 [%1], %2; }"
                 :: "r"((int)take), "l"(p), "f"(x) : "memory");
}
device void store_if(bool take, u32* p, u32 x)
{
    asm volatile("{ .reg .pred take; setp.ne.s32 take, %0, 0; @take st.global.u32 [%1], %2; }"
                 :: "r"((int)take), "l"(p), "r"(x) : "memory");
}

// Four neighbours at once; the pointer is aligned to 16 bytes (f32) or 8 (bf16).
device f32x4 load4(const float* p) { return *(const f32x4*)p; }
device f32x4 load4(const bf16* p)
{
    u32x2 v = *(const u32x2*)p;
    return {low_float(v.x), high_float(v.x), low_float(v.y), high_float(v.y)};
}
device void store4(float* p, f32x4 v) { *(f32x4*)p = v; }
device void store4(bf16* p, f32x4 v) { *(u32x2*)p = u32x2{pack_bf16(v.x, v.y), pack_bf16(v.z, v.w)}; }

// ---------------------------------------------------------------------------------------------------------------
// Reductions over a warp and a block, in a fixed order: lane l with l^16, then l^8, ... so every lane gets the result.

template <int Mask> device float shuffle_xor(float x)
{
    float y; asm volatile("shfl.sync.bfly.b32 %0, %1, %2, 31, 0xffffffff;" : "=f"(y) : "f"(x), "n"(Mask)); return y;
}
struct Sum { static constexpr bool is_max = false; };
struct Max { static constexpr bool is_max = true; };
template <class Op> device float combine(float a, float b) { return Op::is_max ? max_nan(a, b) : a + b; }
template <class Op> device float identity() { return Op::is_max ? -Infinity : 0.0f; }

template <class Op> device float warp_reduce(float x)
{
    x = combine<Op>(x, shuffle_xor<16>(x));
    x = combine<Op>(x, shuffle_xor<8>(x));
    x = combine<Op>(x, shuffle_xor<4>(x));
    x = combine<Op>(x, shuffle_xor<2>(x));
    return combine<Op>(x, shuffle_xor<1>(x));
}

// Over a block of Threads threads; every thread gets the result. scratch: Threads/32 floats of shared memory, free
// again for the caller only after its next barrier.
template <class Op, int Threads> device float block_reduce(float x, float* scratch)
{
    x = warp_reduce<Op>(x);
    int lane = thread_x() & 31;
    if (lane == 0) scratch[thread_x() >> 5] = x;
    block_barrier();
    return warp_reduce<Op>(lane < Threads / 32 ? scratch[lane] : identity<Op>());
}
