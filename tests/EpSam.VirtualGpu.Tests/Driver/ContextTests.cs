using EpSam.Cuda;
using static EpSam.Cuda.CUresult;

namespace EpSam.VirtualGpu.Tests.Driver;

public sealed unsafe class ContextTests
{
    [Test]
    public void WithoutContext_CallsAreRefused()
    {
        using VirtualDevice gpu = new();
        gpu.Cu.Check(gpu.Cu.cuCtxSetCurrent(default));
        CUdeviceptr p;
        CUcontext context = new(1);
        gpu.Fails(CUDA_ERROR_INVALID_CONTEXT, gpu.Cu.cuMemAlloc_v2(&p, 4), "no context is current");
        gpu.Fails(CUDA_ERROR_INVALID_CONTEXT, gpu.Cu.cuCtxSynchronize());
        gpu.Fails(CUDA_ERROR_INVALID_CONTEXT, gpu.Cu.cuCtxPopCurrent_v2(null));
        gpu.Cu.Check(gpu.Cu.cuCtxGetCurrent(&context));
        Assert.That(context, Is.EqualTo(default(CUcontext)));
        gpu.Cu.Check(gpu.Cu.cuCtxSetCurrent(gpu.Context));
        gpu.AssertUsable();
    }

    [Test]
    public void Stack_IsPushedAndPopped()
    {
        using VirtualDevice a = new();
        using VirtualDevice b = new(); // replaces a on the stack
        CUcontext top, popped;
        CUdevice device;
        a.Cu.Check(a.Cu.cuCtxPushCurrent_v2(a.Context));
        a.Cu.Check(a.Cu.cuCtxGetCurrent(&top));
        a.Cu.Check(a.Cu.cuCtxGetDevice(&device));
        Assert.That((top, device), Is.EqualTo((a.Context, a.Device)));
        a.Cu.Check(a.Cu.cuCtxPopCurrent_v2(&popped));
        a.Cu.Check(a.Cu.cuCtxGetDevice(&device));
        Assert.That((popped, device), Is.EqualTo((a.Context, b.Device)));
    }

    [Test]
    public void CurrentContext_IsPerThread()
    {
        using VirtualDevice gpu = new();
        CUresult other = CUDA_SUCCESS;
        Thread thread = new(() => other = gpu.Cu.cuCtxSynchronize());
        thread.Start();
        thread.Join();
        Assert.That(other, Is.EqualTo(CUDA_ERROR_INVALID_CONTEXT));
        Assert.That(gpu.Cu.cuCtxSynchronize(), Is.EqualTo(CUDA_SUCCESS));
    }

    [Test]
    public void BadContext_IsRefused()
    {
        using VirtualDevice gpu = new();
        CUstream stream;
        gpu.Cu.Check(gpu.Cu.cuStreamCreate(&stream, default));
        gpu.Fails(CUDA_ERROR_INVALID_CONTEXT, gpu.Cu.cuCtxSetCurrent(new(0x1234)), "never made");
        gpu.Fails(CUDA_ERROR_INVALID_CONTEXT, gpu.Cu.cuCtxPushCurrent_v2(new(stream.Value)), "it is a stream");
        gpu.AssertUsable();
    }

    [Test]
    public void LastRelease_FreesEverything()
    {
        using VirtualDevice gpu = new();
        CUcontext again;
        CUstream stream;
        gpu.Cu.Check(gpu.Cu.cuDevicePrimaryCtxRetain(&again, gpu.Device));
        Assert.That(again, Is.EqualTo(gpu.Context));
        CUdeviceptr p = gpu.Allocate(1000);
        gpu.Cu.Check(gpu.Cu.cuStreamCreate(&stream, default));
        gpu.Cu.Check(gpu.Cu.cuDevicePrimaryCtxRelease_v2(gpu.Device));
        Assert.That(gpu.Gpu.LiveAllocations, Is.EqualTo(1));
        gpu.Cu.Check(gpu.Cu.cuDevicePrimaryCtxRelease_v2(gpu.Device));
        Assert.That(gpu.Gpu.LiveAllocations, Is.Zero);
        gpu.Fails(CUDA_ERROR_CONTEXT_IS_DESTROYED, gpu.Cu.cuMemFree_v2(p), "retain");
        gpu.Fails(CUDA_ERROR_INVALID_CONTEXT, gpu.Cu.cuDevicePrimaryCtxRelease_v2(gpu.Device), "more often");
        gpu.Cu.Check(gpu.Cu.cuDevicePrimaryCtxRetain(&again, gpu.Device));
        gpu.Fails(CUDA_ERROR_INVALID_HANDLE, gpu.Cu.cuStreamQuery(stream), "destroyed");
        gpu.AssertUsable();
    }

    [Test]
    public void Devices_DoNotShareMemory()
    {
        using VirtualDevice a = new();
        CUdeviceptr p = a.Allocate(16);
        using VirtualDevice b = new();
        b.Fails(CUDA_ERROR_INVALID_VALUE, b.Cu.cuMemFree_v2(p));
        a.Cu.Check(a.Cu.cuCtxSetCurrent(a.Context));
        a.Cu.Check(a.Cu.cuMemFree_v2(p));
    }
}
