// One wrapper per tensor-core and asynchronous-copy instruction. Shared memory is addressed by 32-bit offsets so that
// the inner loops carry one base register and immediate offsets.
// https://docs.nvidia.com/cuda/parallel-thread-execution/#warp-level-matrix-instructions
#pragma once
#include "common.cuh"

#ifdef __clang__
device u32 shared_address(const void* p) { return (u32)(u64)(__attribute__((address_space(3))) const char*)p; }
#else
device u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }
#endif

// d (16x8 f32) = a (16x16 bf16) · b (16x8 bf16) + c.
// Lane l holds of a rows l/4 and l/4+8, of c and d columns 2(l%4)..+1.
device void mma_bf16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1, const float (&c)[4])
{
    float x, y, z, w;
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"
        : "=f"(x), "=f"(y), "=f"(z), "=f"(w)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
    d[0] = x;
    d[1] = y;
    d[2] = z;
    d[3] = w;
}

// Four 8x8 matrices of 16-bit values; lane l gives the address of row l%8 of matrix l/8. offset is a constant.
device void ldmatrix4(u32 (&r)[4], u32 address, int offset)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4+%5];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address), "n"(offset));
}
device void ldmatrix4_trans(u32 (&r)[4], u32 address, int offset)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4+%5];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address), "n"(offset));
}

// 16 bytes from global to shared memory, past the registers and L1; zeros instead where take is false (nothing is
// read). Both offsets are constants, in bytes.
device void copy16_async(u32 address, int offset, const void* source, int source_offset, bool take)
{
    asm volatile("cp.async.cg.shared.global [%0+%1], [%2+%3], 16, %4;"
                 :: "r"(address), "n"(offset), "l"(source), "n"(source_offset), "r"(take ? 16 : 0) : "memory");
}
// The same of 8 bytes; these go through the first-level cache, as hardware has it.
device void copy8_async(u32 address, int offset, const void* source, int source_offset, bool take)
{
    asm volatile("cp.async.ca.shared.global [%0+%1], [%2+%3], 8, %4;"
                 :: "r"(address), "n"(offset), "l"(source), "n"(source_offset), "r"(take ? 8 : 0) : "memory");
}
device void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int Pending> device void copy_wait() // until at most Pending of this thread's groups are still under way
{
    asm volatile("cp.async.wait_group %0;" :: "n"(Pending) : "memory");
}
