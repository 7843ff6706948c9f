using System.Runtime.InteropServices;
using EpSam.Cuda;

namespace EpSam.Native.Tests.Boundary;

public sealed unsafe class NativeTests
{
    static string SystemLibrary => OperatingSystem.IsWindows() ? "kernel32.dll" : "libc.so.6";

    [Test]
    public void LoadDriver_NoSuchFile_NamesLibraryFileAndRemedy()
    {
        CuLibraryMissingException error =
            Assert.Throws<CuLibraryMissingException>(() => CuNative.LoadDriver("/nowhere/libcuda.so.1"))!;
        Assert.That(error.Tried, Is.EqualTo(new[] { "/nowhere/libcuda.so.1" }));
        Assert.That(error.Message, Does.Contain("NVIDIA driver").And.Contain("/nowhere/libcuda.so.1"));
        Assert.That(error.Advice, Does.Contain("apt install nvidia-driver"));
    }

    [Test]
    public void LoadBlas_NoSuchFile_NamesLibraryFileAndRemedy()
    {
        CuLibraryMissingException error =
            Assert.Throws<CuLibraryMissingException>(() => CuNative.LoadBlas("/nowhere/libcublas.so.12"))!;
        Assert.That(error.Message, Does.Contain("cuBLAS").And.Contain("/nowhere/libcublas.so.12"));
        Assert.That(error.Advice, Does.Contain("libcublas"));
    }

    [Test]
    public void LoadDriver_NotALibrary_IsMissingToo()
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, "no library");
            Assert.Throws<CuLibraryMissingException>(() => CuNative.LoadDriver(file));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Test]
    public void LoadDriver_OtherLibrary_NamesTheMissingSymbol()
    {
        CuSymbolMissingException error =
            Assert.Throws<CuSymbolMissingException>(() => CuNative.LoadDriver(SystemLibrary))!;
        Assert.That(error.Symbol, Is.EqualTo("cuGetErrorString"));
        Assert.That(error.Message, Does.Contain(SystemLibrary).And.Contain("cuGetErrorString"));
    }

    [Test]
    public void LoadBlas_OtherLibrary_NamesTheMissingSymbol() => Assert.That(
        Assert.Throws<CuSymbolMissingException>(() => CuNative.LoadBlas(SystemLibrary))!.Symbol,
        Is.EqualTo("cublasCreate_v2"));

    [Test]
    public void Names_CoverEveryVersion()
    {
        string[] versions = [.. CuNative.BlasNames.Select(n => new string([.. n.Where(char.IsDigit)]))];
        if (OperatingSystem.IsLinux()) Assert.That(versions, Is.EqualTo(new[] { "13", "12", "11" }));
        Assert.That(CuNative.DriverNames[0], Is.EqualTo(OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1"));
    }

    [UnmanagedCallersOnly]
    static CUresult OldVersion(int* version)
    {
        *version = 11030;
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly]
    static CUresult NoDevice(uint flags) => CUresult.CUDA_ERROR_NO_DEVICE;

    [UnmanagedCallersOnly]
    static CUresult Stub(uint flags) => CUresult.CUDA_ERROR_STUB_LIBRARY;

    [UnmanagedCallersOnly]
    static CUresult CountNone(int* count)
    {
        *count = 0;
        return CUresult.CUDA_SUCCESS;
    }

    [Test]
    public void Start_OldDriver_NamesBothVersions()
    {
        CuDriver driver = CuNull.Create().Driver;
        driver.cuDriverGetVersion = &OldVersion;
        CuDriverTooOldException error = Assert.Throws<CuDriverTooOldException>(() => CuNative.Start(driver))!;
        Assert.That((error.Found, error.Required), Is.EqualTo((11030, 11040)));
        Assert.That(error.Message, Does.Contain("11.3").And.Contain("11.4").And.Contain("470"));
    }

    [Test]
    public void Start_InitFindsNoDevice_SaysSo()
    {
        CuDriver driver = CuNull.Create().Driver;
        driver.cuInit = &NoDevice;
        CuNoDeviceException error = Assert.Throws<CuNoDeviceException>(() => CuNative.Start(driver))!;
        Assert.That(error.Result, Is.EqualTo(CUresult.CUDA_ERROR_NO_DEVICE));
    }

    [Test]
    public void Start_CountIsZero_SaysNoDevice()
    {
        CuDriver driver = CuNull.Create().Driver;
        driver.cuDeviceGetCount = &CountNone;
        Assert.Throws<CuNoDeviceException>(() => CuNative.Start(driver));
    }

    [Test]
    public void Start_StubLibrary_IsACuExceptionWithAdvice()
    {
        CuDriver driver = CuNull.Create().Driver;
        driver.cuInit = &Stub;
        CuException error = Assert.Throws<CuException>(() => CuNative.Start(driver))!;
        Assert.That((error.Call, error.CodeName), Is.EqualTo(("cuInit", "CUDA_ERROR_STUB_LIBRARY")));
        Assert.That(error.Message, Does.Contain("stubs"));
    }

    [Test]
    public void Fill_AsksForEveryFieldByName()
    {
        List<string> asked = [];
        CuNative.Fill<CuDriver>(name =>
        {
            asked.Add(name);
            return 1;
        });
        Assert.That(asked, Is.EqualTo(typeof(CuDriver).GetFields().Select(f => f.Name)));
        Assert.That(asked, Has.Count.GreaterThanOrEqualTo(45).And.All.StartsWith("cu"));
    }
}
