// cuMem*: allocation, copies, fills. Device memory is ordinary memory at a constant distance from the device address
// (AddressSpace), so a copy is a copy. A range that is not inside one live allocation is refused and described.
// Copies are done on return, the asynchronous ones too: the source may be reused at once, which hardware does not
// allow.
using System.Runtime.InteropServices;
using EpSam.Cuda;
using EpSam.VirtualGpu.Checks;
using static EpSam.Cuda.CUpointer_attribute;

namespace EpSam.VirtualGpu.Driver;

internal static unsafe class Memory
{
    static long s_allocations;

    // ---- allocation

    [UnmanagedCallersOnly]
    public static CUresult cuMemGetInfo_v2(nuint* free, nuint* total) => Guard.Run(() =>
    {
        Heap heap = Context.Require().Heap;
        if (free != null) *free = (nuint)heap.FreeBytes;
        if (total != null) *total = (nuint)heap.TotalBytes;
    });

    [UnmanagedCallersOnly]
    public static CUresult cuMemAlloc_v2(CUdeviceptr* address, nuint bytes) => Guard.Run(() =>
    {
        Context context = Context.Require();
        Guard.NotNull(address);
        Guard.Require(bytes > 0, $"an allocation of 0 bytes");
        *address = default;
        string name = $"cuMemAlloc #{Interlocked.Increment(ref s_allocations)}";
        *address = new CUdeviceptr(context.Heap.Allocate((long)Math.Min(bytes, long.MaxValue), name));
    });

    [UnmanagedCallersOnly]
    public static CUresult cuMemFree_v2(CUdeviceptr address) => Guard.Run(() =>
    {
        Context context = Context.Require();
        Guard.Require(!context.IsModuleVariable(address.Value), $"{address} is a variable of a module");
        if (!context.Heap.Free(address.Value))
        {
            throw new DriverError(CUresult.CUDA_ERROR_INVALID_VALUE,
                $"{address} cannot be freed: it is not the start of a live allocation but " +
                context.Heap.Describe(address.Value));
        }
    });

    [UnmanagedCallersOnly]
    public static CUresult cuMemHostAlloc(void** pointer, nuint bytes, CUmemhostalloc_flags flags) => Guard.Run(() =>
    {
        Context context = Context.Require();
        Guard.NotNull(pointer);
        Guard.Require(bytes > 0, $"an allocation of 0 bytes");
        *pointer = NativeMemory.AlignedAlloc(bytes, 4096);
        context.HostBlocks[(nint)(*pointer)] = bytes;
    });

    [UnmanagedCallersOnly]
    public static CUresult cuMemFreeHost(void* pointer) => Guard.Run(() =>
    {
        bool found = Context.Require().HostBlocks.TryRemove((nint)pointer, out _);
        Guard.Require(found, $"0x{(nint)pointer:x} is not page-locked host memory of this context");
        NativeMemory.AlignedFree(pointer);
    });

    [UnmanagedCallersOnly]
    public static CUresult cuPointerGetAttribute(void* value, CUpointer_attribute attribute, CUdeviceptr address) =>
        Guard.Run(() =>
        {
            Context context = Context.Require();
            Guard.NotNull(value);
            if (context.Heap.TryFind(address.Value, out Allocation? a))
                WriteAttribute(value, attribute, address.Value, context, a.Address, (nuint)a.Bytes, onDevice: true);
            else if (TryFindHost(context, address.Value, out nint start, out nuint bytes))
                WriteAttribute(value, attribute, address.Value, context, (ulong)start, bytes, onDevice: false);
            else
                throw new DriverError(CUresult.CUDA_ERROR_INVALID_VALUE,
                    $"{address} is neither device nor page-locked memory: {context.Heap.Describe(address.Value)}");
        });

    static bool TryFindHost(Context context, ulong address, out nint start, out nuint bytes)
    {
        foreach ((nint block, nuint size) in context.HostBlocks)
        {
            (start, bytes) = (block, size);
            if (address - (ulong)block < size) return true;
        }
        (start, bytes) = (0, 0);
        return false;
    }

    static void WriteAttribute(void* value, CUpointer_attribute attribute, ulong address, Context context,
        ulong start, nuint bytes, bool onDevice)
    {
        switch (attribute)
        {
            case CU_POINTER_ATTRIBUTE_CONTEXT: *(CUcontext*)value = context.Handle; break;
            case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
                *(CUmemorytype*)value = onDevice ? CUmemorytype.CU_MEMORYTYPE_DEVICE : CUmemorytype.CU_MEMORYTYPE_HOST;
                break;
            case CU_POINTER_ATTRIBUTE_DEVICE_POINTER when onDevice: *(ulong*)value = address; break;
            case CU_POINTER_ATTRIBUTE_HOST_POINTER when !onDevice: *(ulong*)value = address; break;
            case CU_POINTER_ATTRIBUTE_BUFFER_ID: *(ulong*)value = start; break;
            case CU_POINTER_ATTRIBUTE_IS_MANAGED: *(byte*)value = 0; break;
            case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *(int*)value = 0; break;
            case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: *(ulong*)value = start; break;
            case CU_POINTER_ATTRIBUTE_RANGE_SIZE: *(nuint*)value = bytes; break;
            case CU_POINTER_ATTRIBUTE_MAPPED: *(byte*)value = 1; break;
            default:
                throw new DriverError(CUresult.CUDA_ERROR_INVALID_VALUE,
                    $"attribute {attribute} does not apply to {(onDevice ? "device" : "host")} memory");
        }
    }

    // ---- copies

    [UnmanagedCallersOnly]
    public static CUresult cuMemcpyHtoD_v2(CUdeviceptr target, void* source, nuint bytes) =>
        Guard.Run(() => HostToDevice(target, source, bytes, default));

    [UnmanagedCallersOnly]
    public static CUresult cuMemcpyDtoH_v2(void* target, CUdeviceptr source, nuint bytes) =>
        Guard.Run(() => DeviceToHost(target, source, bytes, default));

    [UnmanagedCallersOnly]
    public static CUresult cuMemcpyDtoD_v2(CUdeviceptr target, CUdeviceptr source, nuint bytes) =>
        Guard.Run(() => DeviceToDevice(target, source, bytes, default));

    [UnmanagedCallersOnly]
    public static CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr target, void* source, nuint bytes, CUstream stream) =>
        Guard.Run(() => HostToDevice(target, source, bytes, stream));

    [UnmanagedCallersOnly]
    public static CUresult cuMemcpyDtoHAsync_v2(void* target, CUdeviceptr source, nuint bytes, CUstream stream) =>
        Guard.Run(() => DeviceToHost(target, source, bytes, stream));

    [UnmanagedCallersOnly]
    public static CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr target, CUdeviceptr source, nuint bytes, CUstream stream) =>
        Guard.Run(() => DeviceToDevice(target, source, bytes, stream));

    static void HostToDevice(CUdeviceptr target, void* source, nuint bytes, CUstream stream)
    {
        Context context = Begin(stream);
        if (bytes == 0) return;
        Guard.NotNull(source);
        RequireRange(context, target, bytes, "the destination");
        Copy(AddressSpace.ToHost(target.Value), (byte*)source, bytes);
        context.Heap.MarkInitialised(target.Value, (long)bytes);
    }

    static void DeviceToHost(void* target, CUdeviceptr source, nuint bytes, CUstream stream)
    {
        Context context = Begin(stream);
        if (bytes == 0) return;
        Guard.NotNull(target);
        RequireRange(context, source, bytes, "the source");
        Copy((byte*)target, AddressSpace.ToHost(source.Value), bytes);
    }

    static void DeviceToDevice(CUdeviceptr target, CUdeviceptr source, nuint bytes, CUstream stream)
    {
        Context context = Begin(stream);
        if (bytes == 0) return;
        RequireRange(context, target, bytes, "the destination");
        RequireRange(context, source, bytes, "the source");
        Copy(AddressSpace.ToHost(target.Value), AddressSpace.ToHost(source.Value), bytes);
        // What was not written at the source is not written at the destination either.
        if (context.Heap.TracksInitialisation)
            Copy(AddressSpace.Shadow(target.Value), AddressSpace.Shadow(source.Value), bytes);
    }

    static void Copy(byte* target, byte* source, nuint bytes) => Buffer.MemoryCopy(source, target, bytes, bytes);

    // ---- fills

    [UnmanagedCallersOnly]
    public static CUresult cuMemsetD8_v2(CUdeviceptr target, byte value, nuint count) =>
        Guard.Run(() => Fill(target, value, count, default));

    [UnmanagedCallersOnly]
    public static CUresult cuMemsetD16_v2(CUdeviceptr target, ushort value, nuint count) =>
        Guard.Run(() => Fill(target, value, count, default));

    [UnmanagedCallersOnly]
    public static CUresult cuMemsetD32_v2(CUdeviceptr target, uint value, nuint count) =>
        Guard.Run(() => Fill(target, value, count, default));

    [UnmanagedCallersOnly]
    public static CUresult cuMemsetD8Async(CUdeviceptr target, byte value, nuint count, CUstream stream) =>
        Guard.Run(() => Fill(target, value, count, stream));

    [UnmanagedCallersOnly]
    public static CUresult cuMemsetD16Async(CUdeviceptr target, ushort value, nuint count, CUstream stream) =>
        Guard.Run(() => Fill(target, value, count, stream));

    [UnmanagedCallersOnly]
    public static CUresult cuMemsetD32Async(CUdeviceptr target, uint value, nuint count, CUstream stream) =>
        Guard.Run(() => Fill(target, value, count, stream));

    static void Fill<T>(CUdeviceptr target, T value, nuint count, CUstream stream) where T : unmanaged
    {
        Context context = Begin(stream);
        if (count == 0) return;
        Guard.Require(target.Value % (ulong)sizeof(T) == 0, $"{target} is not aligned to {sizeof(T)} bytes");
        Guard.Require(count <= nuint.MaxValue / (nuint)sizeof(T), $"{count} values of {sizeof(T)} bytes");
        nuint bytes = count * (nuint)sizeof(T);
        RequireRange(context, target, bytes, "the destination");
        T* at = (T*)AddressSpace.ToHost(target.Value);
        const int Piece = 1 << 28; // a span holds no more than int.MaxValue elements
        for (nuint done = 0; done < count; done += Piece)
            new Span<T>(at + done, (int)Math.Min(Piece, count - done)).Fill(value);
        context.Heap.MarkInitialised(target.Value, (long)bytes);
    }

    static Context Begin(CUstream stream)
    {
        Context context = Context.Require();
        Stream.Require(context, stream);
        return context;
    }

    static void RequireRange(Context context, CUdeviceptr address, nuint bytes, string what)
    {
        if (bytes <= long.MaxValue && context.Heap.Contains(address.Value, (long)bytes)) return;
        throw new DriverError(CUresult.CUDA_ERROR_INVALID_VALUE,
            $"{what}, {bytes} bytes at {address}, is not inside one allocation: it starts " +
            context.Heap.Describe(address.Value));
    }
}
