// How a provider written in C# tells its devices apart. A table is made of static functions, and a process may hold
// several tables: handles say to which one they belong, but cuInit, cuDeviceGetCount and cuDeviceGet take none. These
// three are therefore closures over the provider's one device; their delegates are kept for the life of the process.
using System.Runtime.InteropServices;

namespace EpSam.Cuda;

/// <summary>The way into a provider with one device: cuInit and the two device queries without a handle.</summary>
internal sealed unsafe class CuEntry
{
    static readonly List<CuEntry> Kept = [];
    readonly CUdevice _device;
    readonly InitCall _init;
    readonly CountCall _count;
    readonly GetCall _get;
    volatile bool _initialised;

    delegate CUresult InitCall(uint flags);
    delegate CUresult CountCall(int* count);
    delegate CUresult GetCall(CUdevice* device, int ordinal);

    CuEntry(CUdevice device)
    {
        _device = device;
        _init = Init;
        _count = Count;
        _get = Get;
    }

    /// <summary>Sets the three entries of a table so that they know one device, at ordinal 0.</summary>
    public static void Bind(ref CuDriver table, CUdevice device)
    {
        CuEntry entry = new(device);
        lock (Kept) Kept.Add(entry);
        table.cuInit = (delegate* unmanaged<uint, CUresult>)Marshal.GetFunctionPointerForDelegate(entry._init);
        table.cuDeviceGetCount =
            (delegate* unmanaged<int*, CUresult>)Marshal.GetFunctionPointerForDelegate(entry._count);
        table.cuDeviceGet =
            (delegate* unmanaged<CUdevice*, int, CUresult>)Marshal.GetFunctionPointerForDelegate(entry._get);
    }

    CUresult Init(uint flags)
    {
        if (flags != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        _initialised = true;
        return CUresult.CUDA_SUCCESS;
    }

    CUresult Count(int* count)
    {
        if (!_initialised) return CUresult.CUDA_ERROR_NOT_INITIALIZED;
        if (count == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *count = 1;
        return CUresult.CUDA_SUCCESS;
    }

    CUresult Get(CUdevice* device, int ordinal)
    {
        if (!_initialised) return CUresult.CUDA_ERROR_NOT_INITIALIZED;
        if (device == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (ordinal != 0) return CUresult.CUDA_ERROR_INVALID_DEVICE;
        *device = _device;
        return CUresult.CUDA_SUCCESS;
    }
}
