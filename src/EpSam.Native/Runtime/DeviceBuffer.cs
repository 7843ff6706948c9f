using EpSam.Cuda;
using EpSam.Native.Tensors;

namespace EpSam.Native.Runtime;

/// <summary>
/// One allocation with one owner, for tests, benches and tools; models get their memory from a plan. Dispose frees it.
/// </summary>
public sealed unsafe class DeviceBuffer : IDisposable
{
    readonly Gpu _gpu;
    bool _disposed;

    /// <summary>
    /// Allocates room for one tensor; its content is undefined. Throws CuException when memory is short.
    /// </summary>
    public DeviceBuffer(Gpu gpu, DType type, Shape shape)
    {
        _gpu = gpu;
        Tensor = new Tensor(default, type, shape);
        CUdeviceptr address;
        gpu.Driver.Check(gpu.Driver.cuMemAlloc_v2(&address, (nuint)Math.Max(1, Tensor.Bytes)), $"{Tensor}");
        Tensor = Tensor with { Address = address };
    }

    /// <summary>The memory as a tensor.</summary>
    public Tensor Tensor { get; }

    /// <summary>Frees the memory; the driver waits for work that uses it.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _gpu.Driver.Check(_gpu.Driver.cuMemFree_v2(Tensor.Address), $"{Tensor}");
    }
}
