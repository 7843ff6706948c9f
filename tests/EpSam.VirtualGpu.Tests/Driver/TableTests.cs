using EpSam.Cuda;
using static EpSam.Cuda.CUresult;

namespace EpSam.VirtualGpu.Tests.Driver;

public sealed unsafe class TableTests
{
    [Test]
    public void Tables_HaveNoNullPointer()
    {
        (CuDriver driver, CuBlas blas) = VirtualGpu.Create();
        string[] names = CuNative.Names<CuDriver>();
        ReadOnlySpan<nint> slots = new(&driver, sizeof(CuDriver) / sizeof(nint));
        for (int i = 0; i < slots.Length; i++) Assert.That(slots[i], Is.Not.Zero, names[i]);
        Assert.That(slots.ToArray(), Is.Unique); // no entry stands in for another
        names = CuNative.Names<CuBlas>();
        slots = new(&blas, sizeof(CuBlas) / sizeof(nint));
        for (int i = 0; i < slots.Length; i++) Assert.That(slots[i], Is.Not.Zero, names[i]);
        Assert.That(slots.ToArray(), Is.Unique);
    }

    [Test]
    public void ErrorString_KeepsTheLastReportOfEachCode()
    {
        using VirtualDevice gpu = new();
        gpu.Fails(CUDA_ERROR_INVALID_HANDLE, gpu.Cu.cuStreamQuery(new(123)), "0x7b", "never made");
        gpu.Fails(CUDA_ERROR_INVALID_VALUE, gpu.Cu.cuMemFree_v2(new(5)), "invalid argument", "0x5");
        Assert.That(gpu.Text(CUDA_ERROR_INVALID_HANDLE), Does.Contain("0x7b"));
    }

    [Test]
    public void ErrorString_PointersStayValid()
    {
        using VirtualDevice gpu = new();
        byte* first = null, second = null;
        gpu.Cu.cuMemFree_v2(new(5));
        gpu.Cu.cuGetErrorString(CUDA_ERROR_INVALID_VALUE, &first);
        string before = CuText.Read(first)!;
        for (ulong i = 10; i < 100; i++)
        {
            gpu.Cu.cuMemFree_v2(new(i));
            gpu.Cu.cuGetErrorString(CUDA_ERROR_INVALID_VALUE, &second);
        }
        Assert.That(CuText.Read(first), Is.EqualTo(before));
        Assert.That(CuText.Read(second), Is.Not.EqualTo(before));
    }

    [Test]
    public void ErrorString_BelongsToTheThread()
    {
        using VirtualDevice gpu = new();
        gpu.Cu.cuMemFree_v2(new(5));
        string elsewhere = "";
        Thread thread = new(() => elsewhere = gpu.Text(CUDA_ERROR_INVALID_VALUE));
        thread.Start();
        thread.Join();
        Assert.That(elsewhere, Is.EqualTo("invalid argument"));
    }

    [Test]
    public void ErrorStringAndName_OfUnknownCode_AreInvalid()
    {
        using VirtualDevice gpu = new();
        byte* text;
        Assert.That(gpu.Cu.cuGetErrorString((CUresult)12345, &text), Is.EqualTo(CUDA_ERROR_INVALID_VALUE));
        Assert.That(text == null, Is.True);
        Assert.That(gpu.Cu.cuGetErrorName((CUresult)12345, &text), Is.EqualTo(CUDA_ERROR_INVALID_VALUE));
        gpu.Cu.Check(gpu.Cu.cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
        Assert.That(CuText.Read(text), Is.EqualTo("CUDA_ERROR_ILLEGAL_ADDRESS"));
    }

    [Test]
    public void Check_ThrowsWithCallArgumentsAndReport()
    {
        using VirtualDevice gpu = new();
        CuDriver cu = gpu.Cu;
        CuException error = Assert.Throws<CuException>(() => cu.Check(cu.cuMemFree_v2(new(5)), $"address {5}"))!;
        Assert.That((error.Call, error.Arguments, error.Result),
            Is.EqualTo(("cuMemFree_v2", "address 5", CUDA_ERROR_INVALID_VALUE)));
        Assert.That(error.Text, Does.Contain("not the start of a live allocation"));
    }
}
