// The same as numeric.cu in small, compiled with -g: .file, .loc, .section.
#include "device.h"
struct __attribute__((aligned(16))) Float4 { float x, y, z, w; };


extern "C" __global__ void scale(Float4* x, float by)
{
    Float4 v = x[THREAD_X];
    v.x *= by;
    v.w -= by;
    x[THREAD_X] = v;
}
