// Inline assembly as kernels use it: scopes with labels of the same name, shuffles, tensor cores, asynchronous copies.
#include "device.h"
struct __attribute__((aligned(16))) Vector { unsigned x, y, z, w; };
__device__ float warp_sum(float x)
{
    for (int d = 16; d; d >>= 1)
    {
        float y;
        asm volatile("{ .reg .pred p; shfl.sync.bfly.b32 %0|p, %1, %2, 31, -1; @!p mov.b32 %0, 0; }"
                     : "=f"(y) : "f"(x), "r"(d));
        x += y;
    }
    return x;
}

__device__ void wait(unsigned* flag)
{
    asm volatile("{\n.reg .pred p;\n.reg .b32 t;\nAGAIN:\nld.acquire.gpu.global.b32 t, [%0];\nsetp.eq.u32 p, t, 0;\n"
                 "@p bra AGAIN;\n}" :: "l"(flag) : "memory");
}

extern "C" __global__ void __attribute__((launch_bounds(128, 2))) multiply(float* c, const Vector* a, unsigned* flag)
{
    __shared__ __attribute__((aligned(16))) unsigned tile[512];
    unsigned address = (unsigned)(unsigned long long)(__attribute__((address_space(3))) void*)tile;
    wait(flag);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" :: "r"(address + THREAD_X * 16), "l"(a + THREAD_X));
    asm volatile("cp.async.commit_group;\ncp.async.wait_group 0;" ::: "memory");
    __syncthreads();
    unsigned r[4];
    float d[4] = {0, 0, 0, 0};
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address + THREAD_X % 32 * 16));
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]), "r"(r[0]), "r"(r[1]));
    wait(flag + 1);
    c[THREAD_X] = warp_sum(d[0] + d[1] + d[2] + d[3]);
}
