using System.Text;
using EpSam.Cuda;
using static EpSam.Cuda.CUresult;

namespace EpSam.Native.Tests.Boundary;

public sealed unsafe class NullTests
{
    const string Ptx = """
        .version 7.0
        .target sm_80
        .address_size 64
        .visible .const .align 4 .u32 kTile = 64;
        .visible .global .align 2 .u16 kSizes[3] = {1, 0x20, 3};
        .visible .entry scale_fwd_f32(.param .u64 x) { ret; }
        """;

    CuNull _null = null!;
    CuDriver _cu;
    CUcontext _context;

    [SetUp]
    public void Start()
    {
        _null = CuNull.Create(new CuNullOptions(TotalBytes: 1 << 20));
        _cu = _null.Driver;
        CUdevice device;
        CUcontext context;
        _cu.Check(_cu.cuInit(0));
        _cu.Check(_cu.cuDeviceGet(&device, 0));
        _cu.Check(_cu.cuDevicePrimaryCtxRetain(&context, device));
        _cu.Check(_cu.cuCtxSetCurrent(context));
        _context = context;
    }

    [TearDown]
    public void Stop() => _cu.cuCtxSetCurrent(default);

    CUdeviceptr Allocate(int bytes)
    {
        CUdeviceptr p;
        _cu.Check(_cu.cuMemAlloc_v2(&p, (nuint)bytes), $"bytes {bytes}");
        return p;
    }

    CUmodule Load()
    {
        CUmodule module;
        fixed (byte* text = Encoding.UTF8.GetBytes(Ptx + "\0")) _cu.Check(_cu.cuModuleLoadData(&module, text));
        return module;
    }

    [Test]
    public void Tables_HaveNoNullPointer()
    {
        CuDriver driver = _null.Driver;
        CuBlas blas = _null.Blas;
        Assert.That(new ReadOnlySpan<nint>(&driver, sizeof(CuDriver) / sizeof(nint)).Contains(0), Is.False);
        Assert.That(new ReadOnlySpan<nint>(&blas, sizeof(CuBlas) / sizeof(nint)).Contains(0), Is.False);
    }

    [Test]
    public void Allocations_AreCountedAndPeakIsKept()
    {
        CUdeviceptr a = Allocate(1000), b = Allocate(5000);
        Assert.That(b.Value, Is.GreaterThanOrEqualTo(a.Value + 1000));
        Assert.That((a.Value % 256, b.Value % 256), Is.EqualTo((0UL, 0UL)));
        _cu.Check(_cu.cuMemFree_v2(a));
        Allocate(100);
        Assert.That((_null.LiveBytes, _null.PeakBytes, _null.LiveAllocations), Is.EqualTo((5100L, 6000L, 2)));
    }

    [Test]
    public void Free_Twice_IsInvalid()
    {
        CUdeviceptr p = Allocate(16);
        _cu.Check(_cu.cuMemFree_v2(p));
        Assert.That(_cu.cuMemFree_v2(p), Is.EqualTo(CUDA_ERROR_INVALID_VALUE));
    }

    [Test]
    public void Allocate_BeyondTotal_IsOutOfMemoryWithAdvice()
    {
        CuException error = Assert.Throws<CuException>(() => Allocate((1 << 20) + 1))!;
        Assert.That(error.Result, Is.EqualTo(CUDA_ERROR_OUT_OF_MEMORY));
        Assert.That(error.Message,
            Does.StartWith("cuMemAlloc_v2(bytes 1048577): CUDA_ERROR_OUT_OF_MEMORY (2): out of memory")
            .And.Contain("smaller batch"));
        Assert.That(_null.LiveAllocations, Is.Zero);
    }

    [Test]
    public void Launches_AreCountedByKernel()
    {
        CUfunction function = default;
        CUmodule module = Load();
        fixed (byte* name = "scale_fwd_f32\0"u8) _cu.Check(_cu.cuModuleGetFunction(&function, module, name));
        for (int i = 0; i < 3; i++)
            _cu.Check(_cu.cuLaunchKernel(function, 4, 2, 1, 128, 1, 1, 0, default, null, null));
        Assert.That(_null.Kernels(), Is.EqualTo(new[] { new CuNullLaunches("scale_fwd_f32", 3, 24, 3072) }));
        Assert.That(_cu.cuLaunchKernel(function, 1, 1, 1, 1025, 1, 1, 0, default, null, null),
            Is.EqualTo(CUDA_ERROR_INVALID_VALUE));
        Assert.That(_null.Launches, Is.EqualTo(3));
    }

    [Test]
    public void GetFunction_UnknownEntry_IsNotFound()
    {
        CUfunction function;
        CUmodule module = Load();
        fixed (byte* name = "scale_fwd\0"u8)
            Assert.That(_cu.cuModuleGetFunction(&function, module, name), Is.EqualTo(CUDA_ERROR_NOT_FOUND));
    }

    [Test]
    public void ModuleConstants_HaveTheirValues()
    {
        CUdeviceptr address;
        nuint bytes;
        uint tile;
        CUmodule module = Load();
        fixed (byte* name = "kTile\0"u8) _cu.Check(_cu.cuModuleGetGlobal_v2(&address, &bytes, module, name));
        _cu.Check(_cu.cuMemcpyDtoH_v2(&tile, address, bytes));
        Assert.That((tile, (int)bytes), Is.EqualTo((64u, 4)));
        ushort* sizes = stackalloc ushort[3];
        fixed (byte* name = "kSizes\0"u8) _cu.Check(_cu.cuModuleGetGlobal_v2(&address, &bytes, module, name));
        _cu.Check(_cu.cuMemcpyDtoH_v2(sizes, address, bytes));
        Assert.That((sizes[0], sizes[1], sizes[2], (int)bytes), Is.EqualTo(((ushort)1, (ushort)32, (ushort)3, 6)));
        fixed (byte* name = "kTil\0"u8)
            Assert.That(_cu.cuModuleGetGlobal_v2(&address, &bytes, module, name), Is.EqualTo(CUDA_ERROR_NOT_FOUND));
    }

    [Test]
    public void Copies_AreCounted_AndGiveZeros()
    {
        CUdeviceptr p = Allocate(64);
        long* host = stackalloc long[8];
        new Span<long>(host, 8).Fill(-1);
        _cu.Check(_cu.cuMemcpyHtoD_v2(p, host, 64));
        _cu.Check(_cu.cuMemsetD32_v2(p, 1, 8));
        _cu.Check(_cu.cuMemcpyDtoD_v2(p, p + 32, 16));
        _cu.Check(_cu.cuMemcpyDtoH_v2(host, p, 40));
        Assert.That((_null.BytesToDevice, _null.BytesSet, _null.BytesOnDevice, _null.BytesToHost),
            Is.EqualTo((64L, 32L, 16L, 40L)));
        Assert.That((host[0], host[4], host[5]), Is.EqualTo((0L, 0L, -1L)));
    }

    [Test]
    public void Gemm_CountsFlops()
    {
        CuBlas blas = _null.Blas;
        cublasHandle_t handle;
        float one = 1, zero = 0;
        blas.Check(blas.cublasCreate_v2(&handle));
        blas.Check(blas.cublasGemmStridedBatchedEx(handle, cublasOperation_t.CUBLAS_OP_N, cublasOperation_t.CUBLAS_OP_T,
            2, 3, 5, &one, null, cudaDataType_t.CUDA_R_32F, 2, 10, null, cudaDataType_t.CUDA_R_32F, 3, 15,
            &zero, null, cudaDataType_t.CUDA_R_32F, 2, 6, 4, cublasComputeType_t.CUBLAS_COMPUTE_32F,
            cublasGemmAlgo_t.CUBLAS_GEMM_DEFAULT), $"m {2}");
        Assert.That((_null.Gemms, _null.GemmFlops), Is.EqualTo((4L, 2.0 * 2 * 3 * 5 * 4)));
        CuException error = Assert.Throws<CuException>(() => blas.Check(blas.cublasSetStream_v2(new(77), default)))!;
        Assert.That(error.CodeName, Is.EqualTo("CUBLAS_STATUS_NOT_INITIALIZED"));
    }

    [Test]
    public void Devices_AreSeparate()
    {
        CUdeviceptr p = Allocate(16);
        CuNull other = CuNull.Create();
        Assert.That(other.LiveAllocations, Is.Zero);
        CUdevice device;
        CUcontext context;
        Assert.That(other.Driver.cuDeviceGet(&device, 0), Is.EqualTo(CUDA_ERROR_NOT_INITIALIZED));
        other.Driver.cuInit(0);
        Assert.That(other.Driver.cuDeviceGet(&device, 1), Is.EqualTo(CUDA_ERROR_INVALID_DEVICE));
        other.Driver.cuDeviceGet(&device, 0);
        other.Driver.cuDevicePrimaryCtxRetain(&context, device);
        _cu.Check(_cu.cuCtxPushCurrent_v2(context));
        Assert.That(_cu.cuMemFree_v2(p), Is.EqualTo(CUDA_ERROR_INVALID_VALUE));
        _cu.Check(_cu.cuCtxPopCurrent_v2(&context));
        _cu.Check(_cu.cuMemFree_v2(p));
    }

    [Test]
    public void Calls_WithoutContext_AreRefused()
    {
        _cu.Check(_cu.cuCtxSetCurrent(default));
        CUdeviceptr p;
        Assert.That(_cu.cuMemAlloc_v2(&p, 16), Is.EqualTo(CUDA_ERROR_INVALID_CONTEXT));
        Assert.That(_cu.cuCtxSynchronize(), Is.EqualTo(CUDA_ERROR_INVALID_CONTEXT));
        _cu.Check(_cu.cuCtxSetCurrent(_context));
        Assert.That(_cu.cuCtxSynchronize(), Is.EqualTo(CUDA_SUCCESS));
    }
}
