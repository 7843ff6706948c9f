// cuDevice*: what the card says about itself, and its primary context. cuInit, cuDeviceGet and cuDeviceGetCount are
// made per table by CuEntry.
using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text;
using EpSam.Cuda;

namespace EpSam.VirtualGpu.Driver;

internal static unsafe class Device
{
    // CUDA 11.8, the toolkit whose PTX is 7.8.
    public const int DriverVersion = 11080;

    static readonly ConcurrentDictionary<int, VirtualGpu> Devices = new();
    static int s_last = 0x2000;

    /// <summary>Gives the device its number.</summary>
    public static CUdevice Add(VirtualGpu gpu)
    {
        int number = Interlocked.Increment(ref s_last);
        Devices[number] = gpu;
        return new CUdevice(number);
    }

    static VirtualGpu Get(CUdevice device) => Devices.TryGetValue(device.Value, out VirtualGpu? gpu)
        ? gpu
        : throw new DriverError(CUresult.CUDA_ERROR_INVALID_DEVICE,
            $"{device.Value} is no device of the virtual driver");

    [UnmanagedCallersOnly]
    public static CUresult cuDriverGetVersion(int* version) => Guard.Run(() =>
    {
        Guard.NotNull(version);
        *version = DriverVersion;
    });

    [UnmanagedCallersOnly]
    public static CUresult cuDeviceGetName(byte* name, int size, CUdevice device) => Guard.Run(() =>
    {
        VirtualGpu gpu = Get(device);
        Guard.NotNull(name);
        Guard.Require(size > 0, $"the buffer for the name has {size} bytes");
        byte[] text = Encoding.UTF8.GetBytes($"{gpu.Card.Name} (virtual)");
        int length = Math.Min(text.Length, size - 1);
        text.AsSpan(0, length).CopyTo(new Span<byte>(name, length));
        name[length] = 0;
    });

    [UnmanagedCallersOnly]
    public static CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) => Guard.Run(() =>
    {
        Get(device);
        Guard.NotNull(uuid);
        "EpSam virtual"u8.CopyTo(new Span<byte>(uuid->bytes, 16));
        *(int*)(uuid->bytes + 12) = device.Value;
    });

    [UnmanagedCallersOnly]
    public static CUresult cuDeviceTotalMem_v2(nuint* bytes, CUdevice device) => Guard.Run(() =>
    {
        VirtualGpu gpu = Get(device);
        Guard.NotNull(bytes);
        *bytes = (nuint)gpu.MemoryBytes;
    });

    [UnmanagedCallersOnly]
    public static CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) =>
        Guard.Run(() =>
        {
            VirtualGpu gpu = Get(device);
            Guard.NotNull(value);
            int? answer = gpu.Card.Attribute(attribute);
            Guard.Require(answer is not null, $"{(int)attribute} is no device attribute of the virtual driver");
            *value = answer!.Value;
        });

    [UnmanagedCallersOnly]
    public static CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) => Guard.Run(() =>
    {
        VirtualGpu gpu = Get(device);
        Guard.NotNull(context);
        *context = gpu.Primary.Retain();
    });

    [UnmanagedCallersOnly]
    public static CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) =>
        Guard.Run(() => Get(device).Primary.Release());

    [UnmanagedCallersOnly]
    public static CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) => Guard.Run(() => Get(device).Primary.Reset());
}
