using EpSam.Cuda;
using EpSam.VirtualGpu.Driver;
using static EpSam.Cuda.CUresult;

namespace EpSam.VirtualGpu.Tests.Driver;

/// <summary>Kernel faults: the code of the hardware, the whole report, sticky until the context is reset.</summary>
public sealed unsafe class FaultTests
{
    VirtualDevice _gpu = null!;
    CuDriver _cu;
    CUmodule _module;

    [SetUp]
    public void Start()
    {
        _gpu = new VirtualDevice();
        _cu = _gpu.Cu;
        _module = _gpu.Load(Kernels.All);
    }

    [TearDown]
    public void Stop() => _gpu.Dispose();

    void AssertStickyUntilReset(CUresult code)
    {
        CUdeviceptr p;
        CUcontext context;
        _gpu.Fails(code, _cu.cuMemAlloc_v2(&p, 4), "unusable until cuDevicePrimaryCtxReset");
        _gpu.Fails(code, _cu.cuCtxSynchronize());
        _gpu.Fails(code, _cu.cuModuleUnload(_module));
        _cu.Check(_cu.cuCtxGetCurrent(&context));
        _gpu.Reset();
        _gpu.Fails(CUDA_ERROR_INVALID_HANDLE, _cu.cuModuleUnload(_module), "destroyed");
        _gpu.AssertUsable();
    }

    [Test]
    public void OutOfBounds_IsAnIllegalAddress()
    {
        CUdeviceptr p = _gpu.Allocate(4 * 40);
        CUresult result = _gpu.Launch(_gpu.Find(_module, "fill"), (2, 1, 1), (32, 1, 1), 0, p.Value, 7);
        _gpu.Fails(CUDA_ERROR_ILLEGAL_ADDRESS, result, "OutOfBounds", "kernel fill", "st.global.u32", "(1,0,0)",
            "thread (8,0,0)", "160 bytes");
        AssertStickyUntilReset(CUDA_ERROR_ILLEGAL_ADDRESS);
    }

    [Test]
    public void UseAfterFree_IsAnIllegalAddress()
    {
        CUdeviceptr p = _gpu.Allocate(4096);
        _cu.Check(_cu.cuMemFree_v2(p));
        CUresult result = _gpu.Launch(_gpu.Find(_module, "fill"), (1, 1, 1), (32, 1, 1), 0, p.Value, 7);
        _gpu.Fails(CUDA_ERROR_ILLEGAL_ADDRESS, result, "UseAfterFree", "freed");
        AssertStickyUntilReset(CUDA_ERROR_ILLEGAL_ADDRESS);
    }

    [Test]
    public void WildAddress_IsAnIllegalAddress_AlsoWithoutChecks()
    {
        using VirtualDevice unchecked_ = new("rtx-3060", Checks.CheckFlags.None);
        CUfunction fill = unchecked_.Find(unchecked_.Load(Kernels.All), "fill");
        unchecked_.Fails(CUDA_ERROR_ILLEGAL_ADDRESS,
            unchecked_.Launch(fill, (1, 1, 1), (1, 1, 1), 0, 0x1234_0000_0000_0000, 7),
            "fill");
        unchecked_.Reset();
        unchecked_.AssertUsable();
        _cu.Check(_cu.cuCtxSetCurrent(_gpu.Context));
    }

    // Without checks a kernel may write far from any allocation. Here it waits until such a word is zero again: the
    // pages are taken back while it runs. What is allocated, small and large, stays.
    [Test]
    public void StrayPages_OfAKernelWithoutChecks_AreTakenBackWhileItRuns_AllocationsStay()
    {
        if (OperatingSystem.IsWindows()) Assert.Ignore("only allocated pages can be touched on Windows");
        using VirtualDevice unchecked_ = new("rtx-3060", Checks.CheckFlags.None);
        int[] values = [.. Enumerable.Range(1, 4 << 20)];
        CUdeviceptr small = unchecked_.Upload(values[..2000]), large = unchecked_.Upload(values);
        CUmodule module = unchecked_.Load("""
            .version 7.0
            .target sm_80
            .address_size 64
            .visible .entry stray(.param .u64 p)
            {
                .reg .b64 %p;
                .reg .b32 %r;
                .reg .pred %q;
                ld.param.u64 %p, [p];
                mov.u32 %r, 1;
                st.global.u32 [%p], %r;
            WAIT:
                atom.global.or.b32 %r, [%p], 0;
                setp.ne.u32 %q, %r, 0;
                @%q bra WAIT;
                ret;
            }
            """);
        CUdeviceptr freed = unchecked_.Allocate(1 << 16);
        unchecked_.Cu.Check(unchecked_.Cu.cuMemFree_v2(freed));
        foreach (ulong stray in new[]
        {
            freed.Value + 8192, AddressSpace.DeviceBase + AddressSpace.Size / 4,
            AddressSpace.DeviceBase + AddressSpace.Size / 4 * 3,
        })
            unchecked_.Cu.Check(unchecked_.Launch(unchecked_.Find(module, "stray"), (1, 1, 1), (1, 1, 1), 0, stray));
        Assert.That(unchecked_.Download<int>(small, 2000), Is.EqualTo(values[..2000]));
        Assert.That(unchecked_.Download<int>(large, values.Length).AsSpan().SequenceEqual(values));
    }

    [Test]
    public void Misaligned_HasItsOwnCode()
    {
        CUdeviceptr p = _gpu.Allocate(4096);
        CUresult result = _gpu.Launch(_gpu.Find(_module, "fill"), (1, 1, 1), (1, 1, 1), 0, p.Value + 2, 7);
        _gpu.Fails(CUDA_ERROR_MISALIGNED_ADDRESS, result, "Misaligned", "fill");
        AssertStickyUntilReset(CUDA_ERROR_MISALIGNED_ADDRESS);
    }

    [Test]
    public void UninitialisedRead_IsALaunchFailure()
    {
        CUdeviceptr p = _gpu.Allocate(4096);
        CUresult result = _gpu.Launch(_gpu.Find(_module, "read"), (1, 1, 1), (1, 1, 1), 0, p.Value);
        _gpu.Fails(CUDA_ERROR_LAUNCH_FAILED, result, "Uninitialised", "ld.global.u32");
        AssertStickyUntilReset(CUDA_ERROR_LAUNCH_FAILED);
    }

    [Test]
    public void CopiesOnTheDevice_CarryWhatIsUninitialised()
    {
        CUdeviceptr source = _gpu.Allocate(8), target = _gpu.Upload(1L);
        _cu.Check(_cu.cuMemsetD32_v2(source, 5, 1)); // the second half stays unwritten
        _cu.Check(_cu.cuMemcpyDtoD_v2(target, source, 8));
        CUfunction read = _gpu.Find(_module, "read");
        _cu.Check(_gpu.Launch(read, (1, 1, 1), (1, 1, 1), 0, target.Value));
        _gpu.Fails(CUDA_ERROR_LAUNCH_FAILED, _gpu.Launch(read, (1, 1, 1), (1, 1, 1), 0, target.Value + 4),
            "Uninitialised");
    }

    [Test]
    public void Trap_IsALaunchFailure()
    {
        _gpu.Fails(CUDA_ERROR_LAUNCH_FAILED, _gpu.Launch(_gpu.Find(_module, "trapped"), (1, 1, 1), (1, 1, 1), 0),
            "Trap", "kernel trapped", "trap;");
        AssertStickyUntilReset(CUDA_ERROR_LAUNCH_FAILED);
    }

    [Test]
    public void AnotherThread_SeesTheStickyErrorWithItsReport()
    {
        _gpu.Launch(_gpu.Find(_module, "trapped"), (1, 1, 1), (1, 1, 1), 0);
        CUresult code = CUDA_SUCCESS;
        string text = "";
        Thread thread = new(() =>
        {
            _cu.cuCtxSetCurrent(_gpu.Context);
            code = _cu.cuCtxSynchronize();
            text = _gpu.Text(code);
        });
        thread.Start();
        thread.Join();
        Assert.That(code, Is.EqualTo(CUDA_ERROR_LAUNCH_FAILED));
        Assert.That(text, Does.Contain("kernel trapped"));
    }
}
