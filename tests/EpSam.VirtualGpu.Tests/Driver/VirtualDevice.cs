// A virtual device with a current context, for the tests of the driver: short calls that check, and Fails, which wants
// a code and words of its report. Disposing sees that nothing is left allocated.
using System.Runtime.InteropServices;
using System.Text;
using EpSam.Cuda;
using EpSam.VirtualGpu.Checks;

namespace EpSam.VirtualGpu.Tests.Driver;

internal sealed unsafe class VirtualDevice : IDisposable
{
    public readonly VirtualGpu Gpu;
    public readonly CuDriver Cu;
    public readonly CUdevice Device;
    public readonly CUcontext Context;

    public VirtualDevice(VirtualGpuOptions? options = null)
    {
        Gpu = VirtualGpu.Create(options);
        Cu = Gpu.Driver;
        CUdevice device;
        CUcontext context;
        Cu.Check(Cu.cuInit(0));
        Cu.Check(Cu.cuDeviceGet(&device, 0));
        Cu.Check(Cu.cuDevicePrimaryCtxRetain(&context, device));
        Cu.Check(Cu.cuCtxSetCurrent(context));
        (Device, Context) = (device, context);
    }

    public VirtualDevice(string card, CheckFlags checks = CheckFlags.All) : this(new() { Card = card, Checks = checks })
    {
    }

    public void Dispose()
    {
        Cu.cuDevicePrimaryCtxReset_v2(Device);
        Cu.cuCtxSetCurrent(default);
    }

    /// <summary>Starts again after a sticky error.</summary>
    public void Reset()
    {
        CUcontext context;
        Cu.Check(Cu.cuDevicePrimaryCtxReset_v2(Device));
        Cu.Check(Cu.cuDevicePrimaryCtxRetain(&context, Device));
        Assert.That(context, Is.EqualTo(Context));
    }

    /// <summary>The device still does work: allocates, fills, reads back, frees.</summary>
    public void AssertUsable()
    {
        uint value = 0;
        CUdeviceptr p = Allocate(4);
        Cu.Check(Cu.cuMemsetD32_v2(p, 0x12345678, 1));
        Cu.Check(Cu.cuMemcpyDtoH_v2(&value, p, 4));
        Cu.Check(Cu.cuMemFree_v2(p));
        Cu.Check(Cu.cuCtxSynchronize());
        Assert.That(value, Is.EqualTo(0x12345678));
    }

    /// <summary>The call failed with this code, and its report has these words.</summary>
    public void Fails(CUresult expected, CUresult actual, params string[] words)
    {
        Assert.That(actual, Is.EqualTo(expected), Text(actual));
        foreach (string word in words) Assert.That(Text(actual), Does.Contain(word));
    }

    public string Text(CUresult code)
    {
        byte* text = null;
        Cu.cuGetErrorString(code, &text);
        return Marshal.PtrToStringUTF8((nint)text) ?? "";
    }

    public CUdeviceptr Allocate(long bytes)
    {
        CUdeviceptr p;
        Cu.Check(Cu.cuMemAlloc_v2(&p, (nuint)bytes), $"bytes {bytes}");
        return p;
    }

    public CUdeviceptr Upload<T>(params T[] values) where T : unmanaged
    {
        CUdeviceptr p = Allocate(values.Length * sizeof(T));
        fixed (T* source = values) Cu.Check(Cu.cuMemcpyHtoD_v2(p, source, (nuint)(values.Length * sizeof(T))));
        return p;
    }

    public T[] Download<T>(CUdeviceptr p, int count) where T : unmanaged
    {
        T[] values = new T[count];
        fixed (T* target = values) Cu.Check(Cu.cuMemcpyDtoH_v2(target, p, (nuint)(count * sizeof(T))));
        return values;
    }

    public CUresult TryLoad(string ptx, out CUmodule module)
    {
        CUmodule loaded;
        CUresult result;
        fixed (byte* text = Encoding.UTF8.GetBytes(ptx + "\0")) result = Cu.cuModuleLoadData(&loaded, text);
        module = result == CUresult.CUDA_SUCCESS ? loaded : default;
        return result;
    }

    public CUmodule Load(string ptx)
    {
        Cu.Check(TryLoad(ptx, out CUmodule module));
        return module;
    }

    public CUresult TryFind(CUmodule module, string entry, out CUfunction function)
    {
        CUfunction found = default;
        CUresult result;
        fixed (byte* name = Encoding.UTF8.GetBytes(entry + "\0")) result = Cu.cuModuleGetFunction(&found, module, name);
        function = found;
        return result;
    }

    public CUfunction Find(CUmodule module, string entry)
    {
        Cu.Check(TryFind(module, entry, out CUfunction function), $"entry {entry}");
        return function;
    }

    public CUresult Launch(
        CUfunction function, (uint X, uint Y, uint Z) grid, (uint X, uint Y, uint Z) block, uint shared,
        params ulong[] arguments)
    {
        fixed (ulong* values = arguments)
        {
            void** pointers = stackalloc void*[arguments.Length + 1];
            for (int i = 0; i < arguments.Length; i++) pointers[i] = values + i;
            return Cu.cuLaunchKernel(function, grid.X, grid.Y, grid.Z, block.X, block.Y, block.Z, shared, default,
                pointers, null);
        }
    }

    public int Attribute(CUfunction_attribute attribute, CUfunction function)
    {
        int value;
        Cu.Check(Cu.cuFuncGetAttribute(&value, attribute, function));
        return value;
    }
}
