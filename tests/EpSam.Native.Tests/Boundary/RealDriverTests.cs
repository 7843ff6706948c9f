// NVIDIA's own library as the judge of our names, texts and symbols. It needs no GPU: `cmake/get-libcuda build/libcuda`
// unpacks it aside. Skipped, and said so, where it is not there.
using System.Runtime.InteropServices;
using EpSam.Cuda;

namespace EpSam.Native.Tests.Boundary;

public sealed unsafe class RealDriverTests
{
    string _path = "";

    [OneTimeSetUp]
    public void FindLibrary()
    {
        string? set = Environment.GetEnvironmentVariable("EPSAM_LIBCUDA");
        if (!string.IsNullOrEmpty(set))
        {
            Assert.That(set, Does.Exist, "EPSAM_LIBCUDA names a file");
            _path = set;
            return;
        }
        _path = RepositoryRoot.File("build/libcuda/libcuda.so.1");
        if (!File.Exists(_path))
            Assert.Ignore("no libcuda.so.1: run cmake/get-libcuda build/libcuda, or set EPSAM_LIBCUDA");
    }

    // The kernel module's own file; /dev/nvidiactl is no sign, libcuda makes it itself when it may.
    static void SkipWithGpu()
    {
        if (File.Exists("/proc/driver/nvidia/version") || File.Exists("/dev/dxg"))
            Assert.Ignore("this machine has a GPU");
    }

    [Test]
    public void LoadDriver_RealLibrary_ResolvesEverySymbol()
    {
        CuDriver driver = CuNative.LoadDriver(_path);
        foreach (nint slot in new ReadOnlySpan<nint>(&driver, sizeof(CuDriver) / sizeof(nint)))
            Assert.That(slot, Is.Not.Zero);
        int version = 0;
        driver.Check(driver.cuDriverGetVersion(&version));
        Assert.That(version, Is.GreaterThanOrEqualTo(CuNative.RequiredDriverVersion));
    }

    [Test]
    public void ErrorNamesAndTexts_AreTheDriversOwn()
    {
        CuDriver driver = CuNative.LoadDriver(_path);
        for (int code = 0; code < 1000; code++)
        {
            byte* name = null, text = null;
            bool known = driver.cuGetErrorName((CUresult)code, &name) == CUresult.CUDA_SUCCESS;
            driver.cuGetErrorString((CUresult)code, &text);
            if (CuErrors.Text((CUresult)code) is not { } ours) continue; // a newer driver may know more codes
            Assert.That(known, Is.True, $"code {code}");
            Assert.That(((CUresult)code).ToString(), Is.EqualTo(Marshal.PtrToStringUTF8((nint)name)));
            Assert.That(ours, Is.EqualTo(Marshal.PtrToStringUTF8((nint)text)));
        }
    }

    [Test]
    public void OpenDriver_WithoutGpu_SaysNoDevice()
    {
        SkipWithGpu();
        CuNoDeviceException error = Assert.Throws<CuNoDeviceException>(() => CuNative.OpenDriver(_path))!;
        Assert.That(error.Result, Is.EqualTo(CUresult.CUDA_ERROR_NO_DEVICE));
        Assert.That(error.Message, Does.Contain("no CUDA-capable device is detected").And.Contain("nvidia-smi"));
    }

    [Test]
    public void CallsBeforeInit_AreRefusedByName()
    {
        CuDriver driver = CuNative.LoadDriver(_path);
        SkipWithGpu();
        CuException error = Assert.Throws<CuException>(() =>
        {
            CUdeviceptr p;
            driver.Check(driver.cuMemAlloc_v2(&p, 4096), $"bytes {4096}");
        })!;
        Assert.That(error.Call, Is.EqualTo("cuMemAlloc_v2"));
        Assert.That(error.Arguments, Is.EqualTo("bytes 4096"));
        Assert.That(error.Result, Is.EqualTo(CUresult.CUDA_ERROR_NOT_INITIALIZED));
        Assert.That(error.Message, Does.Contain("CUDA_ERROR_NOT_INITIALIZED (3): initialization error"));
    }
}
