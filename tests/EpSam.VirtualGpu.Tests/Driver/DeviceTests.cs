using System.Runtime.InteropServices;
using EpSam.Cuda;
using EpSam.VirtualGpu.Driver;
using static EpSam.Cuda.CUdevice_attribute;
using static EpSam.Cuda.CUresult;

namespace EpSam.VirtualGpu.Tests.Driver;

public sealed unsafe class DeviceTests
{
    static int Ask(VirtualDevice gpu, CUdevice_attribute attribute)
    {
        int value;
        gpu.Cu.Check(gpu.Cu.cuDeviceGetAttribute(&value, attribute, gpu.Device));
        return value;
    }

    // Data sheets and the tables of technical specifications in the CUDA C++ Programming Guide.
    [TestCase("rtx-3060", 8, 6, 28, 101376, 1536, 16, 12L << 30)]
    [TestCase("rtx-3090", 8, 6, 82, 101376, 1536, 16, 24L << 30)]
    [TestCase("rtx-4090", 8, 9, 128, 101376, 1536, 24, 24L << 30)]
    [TestCase("a100-40", 8, 0, 108, 166912, 2048, 32, 40L << 30)]
    [TestCase("a100-80", 8, 0, 108, 166912, 2048, 32, 80L << 30)]
    [TestCase("h100", 9, 0, 132, 232448, 2048, 32, 80L << 30)]
    [TestCase("h200", 9, 0, 132, 232448, 2048, 32, 143771L << 20)]
    [TestCase("titan-xp", 6, 1, 30, 49152, 2048, 32, 12L << 30)]
    [TestCase("t4", 7, 5, 40, 65536, 1024, 16, 15L << 30)]
    public void Card_HasItsPublicFigures(
        string card, int major, int minor, int count, int optIn, int threads, int blocks, long memory)
    {
        using VirtualDevice gpu = new(card);
        nuint bytes;
        gpu.Cu.Check(gpu.Cu.cuDeviceTotalMem_v2(&bytes, gpu.Device));
        long total = (long)bytes;
        Assert.Multiple(() =>
        {
            Assert.That(Ask(gpu, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR), Is.EqualTo(major));
            Assert.That(Ask(gpu, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR), Is.EqualTo(minor));
            Assert.That(Ask(gpu, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT), Is.EqualTo(count));
            Assert.That(Ask(gpu, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN), Is.EqualTo(optIn));
            Assert.That(Ask(gpu, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR), Is.EqualTo(threads));
            Assert.That(Ask(gpu, CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR), Is.EqualTo(blocks));
            Assert.That(Ask(gpu, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK), Is.EqualTo(49152));
            Assert.That(Ask(gpu, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK), Is.EqualTo(1024));
            Assert.That(Ask(gpu, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X), Is.EqualTo(2147483647));
            Assert.That(Ask(gpu, CU_DEVICE_ATTRIBUTE_WARP_SIZE), Is.EqualTo(32));
            Assert.That(total, Is.EqualTo(memory));
        });
    }

    // Published memory bandwidth in GB/s and f32 TFLOP/s: the clocks must lead to them.
    [TestCase("rtx-3060", 360, 12.7)]
    [TestCase("rtx-3090", 936, 35.6)]
    [TestCase("rtx-4090", 1008, 82.6)]
    [TestCase("a100-40", 1555, 19.5)]
    [TestCase("a100-80", 2039, 19.5)]
    [TestCase("h100", 3350, 67)]
    [TestCase("h200", 4800, 67)]
    [TestCase("titan-xp", 548, 12.1)]
    [TestCase("t4", 320, 8.1)]
    public void Card_RatesFollowFromItsClocks(string card, double bandwidth, double tflops)
    {
        Card found = Cards.Find(card);
        Assert.That(found.MemoryGBs, Is.EqualTo(bandwidth).Within(3).Percent);
        Assert.That(found.Fp32Tflops, Is.EqualTo(tflops).Within(2).Percent);
    }

    [Test]
    public void DefaultCard_IsTheRtx3060()
    {
        Assert.That(VirtualGpu.Create().Card.Key, Is.EqualTo("rtx-3060"));
        Assert.That(Cards.All[0].Key, Is.EqualTo("rtx-3060"));
    }

    [Test]
    public void UnknownCard_ListsTheKnown() => Assert.That(
        Assert.Throws<ArgumentException>(() => VirtualGpu.Create(new() { Card = "voodoo-2" }))!.Message,
        Does.Contain("voodoo-2").And.Contain("rtx-3060").And.Contain("h200"));

    [Test]
    public void Name_IsTheCardsAndIsCutToFit()
    {
        using VirtualDevice gpu = new("a100-40");
        byte* name = stackalloc byte[100];
        gpu.Cu.Check(gpu.Cu.cuDeviceGetName(name, 100, gpu.Device));
        Assert.That(Marshal.PtrToStringUTF8((nint)name), Is.EqualTo("NVIDIA A100-SXM4-40GB (virtual)"));
        gpu.Cu.Check(gpu.Cu.cuDeviceGetName(name, 7, gpu.Device));
        Assert.That(Marshal.PtrToStringUTF8((nint)name), Is.EqualTo("NVIDIA"));
        gpu.Fails(CUDA_ERROR_INVALID_VALUE, gpu.Cu.cuDeviceGetName(name, 0, gpu.Device), "0 bytes");
    }

    [Test]
    public void Uuids_Differ()
    {
        using VirtualDevice a = new(), b = new();
        CUuuid x, y;
        a.Cu.Check(a.Cu.cuDeviceGetUuid(&x, a.Device));
        b.Cu.Check(b.Cu.cuDeviceGetUuid(&y, b.Device));
        Assert.That(new Span<byte>(x.bytes, 16).SequenceEqual(new Span<byte>(y.bytes, 16)), Is.False);
    }

    [Test]
    public void BeforeInit_NothingIsAnswered()
    {
        CuDriver cu = VirtualGpu.Create().Driver;
        CUdevice device;
        int value;
        Assert.That(cu.cuDeviceGet(&device, 0), Is.EqualTo(CUDA_ERROR_NOT_INITIALIZED));
        Assert.That(cu.cuDeviceGetCount(&value), Is.EqualTo(CUDA_ERROR_NOT_INITIALIZED));
        Assert.That(cu.cuInit(1), Is.EqualTo(CUDA_ERROR_INVALID_VALUE));
        cu.Check(cu.cuDriverGetVersion(&value));
        Assert.That(value, Is.EqualTo(11080));
        cu.Check(cu.cuInit(0));
        cu.Check(cu.cuDeviceGetCount(&value));
        Assert.That(value, Is.EqualTo(1));
    }

    [Test]
    public void WrongDevices_AreRefused()
    {
        using VirtualDevice gpu = new();
        CUdevice device;
        CUcontext context;
        nuint bytes;
        int value;
        Assert.That(gpu.Cu.cuDeviceGet(&device, 1), Is.EqualTo(CUDA_ERROR_INVALID_DEVICE));
        Assert.That(gpu.Cu.cuDeviceGet(&device, -1), Is.EqualTo(CUDA_ERROR_INVALID_DEVICE));
        gpu.Fails(CUDA_ERROR_INVALID_DEVICE, gpu.Cu.cuDeviceTotalMem_v2(&bytes, new(99)), "99");
        gpu.Fails(CUDA_ERROR_INVALID_DEVICE, gpu.Cu.cuDevicePrimaryCtxRetain(&context, new(99)), "99");
        gpu.Fails(CUDA_ERROR_INVALID_VALUE,
            gpu.Cu.cuDeviceGetAttribute(&value, (CUdevice_attribute)9999, gpu.Device), "9999");
        gpu.Fails(CUDA_ERROR_INVALID_VALUE, gpu.Cu.cuDeviceTotalMem_v2(null, gpu.Device), "null");
        gpu.AssertUsable();
    }
}
