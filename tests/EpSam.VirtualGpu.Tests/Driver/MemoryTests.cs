using EpSam.Cuda;
using EpSam.VirtualGpu.Checks;
using static EpSam.Cuda.CUpointer_attribute;
using static EpSam.Cuda.CUresult;

namespace EpSam.VirtualGpu.Tests.Driver;

public sealed unsafe class MemoryTests
{
    VirtualDevice _gpu = null!;
    CuDriver _cu;

    [SetUp]
    public void Start()
    {
        _gpu = new VirtualDevice(new VirtualGpuOptions { MemoryBytes = 1 << 20 });
        _cu = _gpu.Cu;
    }

    [TearDown]
    public void Stop() => _gpu.Dispose();

    [Test]
    public void Copies_RoundTrip()
    {
        int[] values = [3, -1, int.MinValue, 7];
        CUdeviceptr a = _gpu.Upload(values), b = _gpu.Allocate(16);
        _cu.Check(_cu.cuMemcpyDtoD_v2(b, a, 16));
        Assert.That(_gpu.Download<int>(b, 4), Is.EqualTo(values));
        Assert.That(_gpu.Download<int>(b + 8, 2), Is.EqualTo(new[] { int.MinValue, 7 }));
    }

    [Test]
    public void AsyncCopies_InAStream_RoundTrip()
    {
        CUstream stream;
        _cu.Check(_cu.cuStreamCreate(&stream, CUstream_flags.CU_STREAM_NON_BLOCKING));
        CUdeviceptr a = _gpu.Allocate(8), b = _gpu.Allocate(8);
        long value = 0x1122334455667788, back = 0;
        _cu.Check(_cu.cuMemcpyHtoDAsync_v2(a, &value, 8, stream));
        _cu.Check(_cu.cuMemcpyDtoDAsync_v2(b, a, 8, stream));
        _cu.Check(_cu.cuMemcpyDtoHAsync_v2(&back, b, 8, stream));
        _cu.Check(_cu.cuStreamSynchronize(stream));
        Assert.That(back, Is.EqualTo(value));
        _gpu.Fails(CUDA_ERROR_INVALID_HANDLE, _cu.cuMemcpyHtoDAsync_v2(a, &value, 8, new(0x4444)), "never made");
    }

    [Test]
    public void Fills_WriteExactlyTheirRange()
    {
        CUdeviceptr p = _gpu.Upload(new byte[16]);
        _cu.Check(_cu.cuMemsetD8_v2(p + 1, 0xab, 3));
        _cu.Check(_cu.cuMemsetD16_v2(p + 6, 0x1234, 1));
        _cu.Check(_cu.cuMemsetD32Async(p + 8, 0xdeadbeef, 1, default));
        Assert.That(_gpu.Download<byte>(p, 16), Is.EqualTo(new byte[]
        {
            0, 0xab, 0xab, 0xab, 0, 0, 0x34, 0x12, 0xef, 0xbe, 0xad, 0xde, 0, 0, 0, 0,
        }));
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemsetD32_v2(p + 2, 0, 1), "aligned to 4");
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemsetD16_v2(p + 1, 0, 1), "aligned to 2");
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemsetD32_v2(p, 0, 5), "20 bytes");
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemsetD32_v2(p, 0, nuint.MaxValue / 2));
        _gpu.AssertUsable();
    }

    [Test]
    public void Allocate_BeyondTheCard_IsOutOfMemory_AndTheRestStaysUsable()
    {
        CUdeviceptr p = _gpu.Allocate(600_000), q = new(1);
        _gpu.Fails(CUDA_ERROR_OUT_OF_MEMORY, _cu.cuMemAlloc_v2(&q, 600_000), "600000", "1048576");
        Assert.That(q, Is.EqualTo(default(CUdeviceptr)));
        _gpu.Fails(CUDA_ERROR_OUT_OF_MEMORY, _cu.cuMemAlloc_v2(&q, nuint.MaxValue));
        _cu.Check(_cu.cuMemFree_v2(p));
        _cu.Check(_cu.cuMemAlloc_v2(&q, 600_000));
    }

    [Test]
    public void Rtx3060_HoldsTwelveGiBAndNoByteMore()
    {
        using VirtualDevice card = new("rtx-3060", CheckFlags.None);
        CUdeviceptr p = card.Allocate(12L << 30), q;
        card.Fails(CUDA_ERROR_OUT_OF_MEMORY, card.Cu.cuMemAlloc_v2(&q, 1), "12884901888");
        card.Cu.Check(card.Cu.cuMemFree_v2(p));
        card.AssertUsable();
    }

    [Test]
    public void MemGetInfo_FollowsAllocations()
    {
        nuint free, total;
        _cu.Check(_cu.cuMemGetInfo_v2(&free, &total));
        Assert.That((free, total), Is.EqualTo(((nuint)(1 << 20), (nuint)(1 << 20))));
        CUdeviceptr p = _gpu.Allocate(65536);
        _cu.Check(_cu.cuMemGetInfo_v2(&free, &total));
        Assert.That((int)free, Is.EqualTo((1 << 20) - 65536));
        _cu.Check(_cu.cuMemFree_v2(p));
        Assert.That(_gpu.Gpu.LiveAllocations, Is.Zero);
    }

    [Test]
    public void Allocate_Nothing_IsInvalid()
    {
        CUdeviceptr p;
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemAlloc_v2(&p, 0), "0 bytes");
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemAlloc_v2(null, 8), "null");
        _gpu.AssertUsable();
    }

    [Test]
    public void Free_WrongAddresses_AreDescribed()
    {
        CUdeviceptr p = _gpu.Allocate(100);
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemFree_v2(p + 4), "4 bytes into live allocation");
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemFree_v2(default));
        _cu.Check(_cu.cuMemFree_v2(p));
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemFree_v2(p), "freed allocation");
        _gpu.AssertUsable();
    }

    [Test]
    public void Copies_OutsideAnAllocation_AreDescribed()
    {
        CUdeviceptr p = _gpu.Allocate(100), q = _gpu.Allocate(100);
        byte* host = stackalloc byte[512];
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemcpyHtoD_v2(p, host, 101), "the destination, 101 bytes");
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemcpyDtoH_v2(host, p + 100, 1), "0 bytes past the end");
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemcpyDtoD_v2(p, q + 50, 51), "the source, 51 bytes");
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemcpyDtoH_v2(host, new(64), 1), "0x40");
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemcpyHtoD_v2(p, null, 1), "null");
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemcpyHtoD_v2(p, host, nuint.MaxValue));
        _cu.Check(_cu.cuMemFree_v2(p));
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemcpyHtoD_v2(p, host, 1), "freed allocation");
        _cu.Check(_cu.cuMemcpyHtoD_v2(q, null, 0));
        _gpu.AssertUsable();
    }

    [Test]
    public void Addresses_AreNotReusedWhileBoundsAreChecked()
    {
        HashSet<ulong> seen = [];
        for (int i = 0; i < 100; i++)
        {
            CUdeviceptr p = _gpu.Allocate(300);
            Assert.That(seen.Add(p.Value), Is.True);
            Assert.That(p.Value % 256, Is.Zero);
            _cu.Check(_cu.cuMemFree_v2(p));
        }
    }

    [Test]
    public void PinnedMemory_IsAllocatedAndFreedOnce()
    {
        void* host;
        _cu.Check(_cu.cuMemHostAlloc(&host, 5000, default));
        new Span<byte>(host, 5000).Fill(1);
        CUmemorytype type;
        nuint size;
        _cu.Check(_cu.cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, new((ulong)host + 10)));
        _cu.Check(_cu.cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, new((ulong)host)));
        Assert.That((type, (int)size), Is.EqualTo((CUmemorytype.CU_MEMORYTYPE_HOST, 5000)));
        _cu.Check(_cu.cuMemFreeHost(host));
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemFreeHost(host), "not page-locked");
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemHostAlloc(&host, 0, default));
        _gpu.AssertUsable();
    }

    [Test]
    public void PinnedMemory_EndsWithTheContext()
    {
        void* host;
        _cu.Check(_cu.cuMemHostAlloc(&host, 64, default));
        _gpu.Reset();
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemFreeHost(host), "not page-locked");
    }

    [Test]
    public void PointerAttributes_DescribeTheAllocation()
    {
        CUdeviceptr p = _gpu.Allocate(1000), start;
        CUmemorytype type;
        nuint size;
        CUcontext context;
        _cu.Check(_cu.cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p + 999));
        _cu.Check(_cu.cuPointerGetAttribute(&start, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, p + 999));
        _cu.Check(_cu.cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, p + 999));
        _cu.Check(_cu.cuPointerGetAttribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT, p + 999));
        Assert.That((type, start, (int)size, context),
            Is.EqualTo((CUmemorytype.CU_MEMORYTYPE_DEVICE, p, 1000, _gpu.Context)));
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE,
            _cu.cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p + 1000),
            "neither device nor page-locked");
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuPointerGetAttribute(&start, CU_POINTER_ATTRIBUTE_HOST_POINTER, p));
    }
}
