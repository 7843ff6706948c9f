// One device behind a provider's tables: its primary context, one stream, its kernels and cuBLAS handle. All work goes
// into the one stream in order. Contexts are current per thread: a thread other than the one that made the Gpu calls
// MakeCurrent first.
using System.Runtime.InteropServices;
using EpSam.Cuda;
using EpSam.Native.Tensors;

namespace EpSam.Native.Runtime;

/// <summary>An open GPU, real, virtual or null. Not thread-safe.</summary>
public sealed unsafe class Gpu : IDisposable
{
    readonly CUdevice _device;
    readonly CUcontext _context;
    readonly Kernels _kernels;
    cublasHandle_t _blasHandle;
    bool _disposed;

    /// <summary>Opens the first device of a provider. Throws CuException when the provider refuses.</summary>
    /// <param name="driver">A provider's driver table.</param>
    /// <param name="blas">Its cuBLAS table, if large matrix products are wanted.</param>
    public Gpu(CuDriver driver, CuBlas? blas = null)
    {
        Driver = driver;
        Blas = blas;
        CUdevice device;
        CUcontext context;
        CUstream stream;
        driver.Check(driver.cuInit(0));
        driver.Check(driver.cuDeviceGet(&device, 0));
        driver.Check(driver.cuDevicePrimaryCtxRetain(&context, device));
        driver.Check(driver.cuCtxSetCurrent(context));
        driver.Check(driver.cuStreamCreate(&stream, CUstream_flags.CU_STREAM_NON_BLOCKING));
        (_device, _context, Stream) = (device, context, stream);
        _kernels = new Kernels(driver);
    }

    /// <summary>The provider's driver table.</summary>
    public CuDriver Driver { get; }

    /// <summary>The provider's cuBLAS table, or null.</summary>
    public CuBlas? Blas { get; }

    /// <summary>The stream that all work goes into.</summary>
    public CUstream Stream { get; }

    /// <summary>The cuBLAS handle, made on first use, bound to <see cref="Stream"/>.</summary>
    public cublasHandle_t BlasHandle
    {
        get
        {
            if (_blasHandle.Value != 0) return _blasHandle;
            CuBlas blas = Blas ?? throw new InvalidOperationException("this Gpu was opened without a cuBLAS table");
            cublasHandle_t handle;
            blas.Check(blas.cublasCreate_v2(&handle));
            blas.Check(blas.cublasSetStream_v2(handle, Stream));
            return _blasHandle = handle;
        }
    }

    internal Kernels Kernels => _kernels;

    /// <summary>Gives cuBLAS memory of ours, or with null its own again; nothing where there is no cuBLAS.</summary>
    internal void UseBlasWorkspace(Tensor? memory)
    {
        if (Blas is not CuBlas blas || (memory is null && _blasHandle.Value == 0)) return;
        void* address = (void*)(memory?.Address.Value ?? 0);
        blas.Check(blas.cublasSetWorkspace_v2(BlasHandle, address, (nuint)(memory?.Bytes ?? 0)));
    }

    /// <summary>Makes the device current on the calling thread.</summary>
    public void MakeCurrent() => Driver.Check(Driver.cuCtxSetCurrent(_context));

    /// <summary>Waits for all work; a kernel's fault comes out here at the latest.</summary>
    public void Synchronize() => Driver.Check(Driver.cuStreamSynchronize(Stream));

    /// <summary>Sets all bytes of a tensor to zero. Does not synchronise.</summary>
    public void Clear(Tensor tensor)
    {
        if (tensor.Bytes == 0) return;
        Driver.Check(Driver.cuMemsetD8Async(tensor.Address, 0, (nuint)tensor.Bytes, Stream), $"{tensor}");
    }

    /// <summary>Copies to the device; the source may be reused on return.</summary>
    /// <param name="source">As many bytes as the tensor has.</param>
    /// <param name="destination">Where to.</param>
    public void Upload(ReadOnlySpan<byte> source, Tensor destination)
    {
        if (source.Length != destination.Bytes)
            throw new ArgumentException($"Upload: {destination} has {destination.Bytes} bytes, got {source.Length}");
        if (source.IsEmpty) return;
        Synchronize();
        fixed (byte* from = source)
            Driver.Check(Driver.cuMemcpyHtoD_v2(destination.Address, from, (nuint)source.Length), $"{destination}");
    }

    /// <summary>Copies to the host after all work before it is done.</summary>
    /// <param name="source">Where from.</param>
    /// <param name="destination">As many bytes as the tensor has.</param>
    public void Download(Tensor source, Span<byte> destination)
    {
        if (destination.Length != source.Bytes)
            throw new ArgumentException(
                $"Download: {source} has {source.Bytes} bytes, got room for {destination.Length}");
        if (destination.IsEmpty) return;
        Synchronize();
        fixed (byte* to = destination)
            Driver.Check(Driver.cuMemcpyDtoH_v2(to, source.Address, (nuint)destination.Length), $"{source}");
    }

    /// <summary>
    /// Destroys stream and handle, unloads the kernels, lets go of the context. Waits for work first.
    /// </summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        // after a fault all of these fail alike; the fault itself has been thrown where it was noticed
        Driver.cuCtxSetCurrent(_context);
        Driver.cuStreamSynchronize(Stream);
        if (_blasHandle.Value != 0) Blas!.Value.cublasDestroy_v2(_blasHandle);
        _kernels.Unload();
        Driver.cuStreamDestroy_v2(Stream);
        Driver.cuDevicePrimaryCtxRelease_v2(_device);
    }
}
