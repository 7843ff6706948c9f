// Loops, 64-bit and double arithmetic, local arrays, switches, vector loads, 8- and 16-bit memory, atomics.
#include "device.h"
struct __attribute__((aligned(16))) Float4 { float x, y, z, w; };

extern "C" __global__ void mixed(
    double* out, const Float4* in, const unsigned char* bytes, short* words, int n, unsigned char flag)
{
    double local[8];
    long long sum = 0;
    for (int i = THREAD_X; i < n; i += BLOCK_SIZE)
    {
        Float4 v = in[i];
        local[i & 7] = v.x * 0.1 + v.y / v.z - (double)v.w;
        switch (bytes[i])
        {
            case 0: sum += i; break;
            case 1: sum -= (long long)i * i; break;
            case 5: sum ^= 0x123456789abcll; break;
            default: sum = sum / 3 + flag;
        }
        words[i] = (short)(sum >> 5);
    }
    for (int i = 0; i < 8; ++i) out[THREAD_X * 8 + i] = local[i] + local[(i + n) & 7] + (double)sum;
    asm volatile("red.global.add.f64 [%0], %1;" :: "l"(out), "d"(1.5));
}
