// A virtual card for the bench: module cache, typed buffers, launches with parameters as they stand in the kernel.
using System.Runtime.InteropServices;
using EpSam.Cli;
using EpSam.Cuda;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;
using EpSam.VirtualGpu.Exec;
using Device = EpSam.Cli.Device;

namespace EpSam.Bench;

internal sealed unsafe class Rig : IDisposable
{
    readonly Dictionary<string, CUmodule> modules = [];

    public Rig(CheckFlags checks, int workers = 0)
    {
        Gpu = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions { Checks = checks, Workers = workers });
        Device = new Device(Gpu.Driver);
    }

    public VirtualGpu.VirtualGpu Gpu { get; }
    public Device Device { get; }
    public CuDriver Driver => Gpu.Driver;

    /// <summary>PTX of the bench itself, or of the library.</summary>
    public static string Ptx(string name)
    {
        System.Reflection.Assembly[] assemblies =
            [typeof(Rig).Assembly, System.Reflection.Assembly.Load("EpSam.Native")];
        foreach (System.Reflection.Assembly assembly in assemblies)
        {
            using System.IO.Stream? stream = assembly.GetManifestResourceStream(name + ".ptx");
            if (stream is null) continue;
            using StreamReader reader = new(stream);
            return reader.ReadToEnd();
        }
        throw new ArgumentException($"no embedded {name}.ptx", nameof(name));
    }

    /// <summary>The PTX files of the library, without their extension.</summary>
    public static IEnumerable<string> LibraryFiles() =>
        System.Reflection.Assembly.Load("EpSam.Native").GetManifestResourceNames()
            .Where(n => n.EndsWith(".ptx", StringComparison.Ordinal)).Select(n => n[..^4])
            .Order(StringComparer.Ordinal);

    public CUfunction Function(string file, string entry)
    {
        if (!modules.TryGetValue(file, out CUmodule module)) modules[file] = module = Device.Load(Ptx(file));
        return Device.Function(module, entry);
    }

    /// <summary>
    /// Calls go to the current context, whichever table they are made through: needed when there are two rigs.
    /// </summary>
    public Rig Current()
    {
        Device.MakeCurrent();
        return this;
    }

    public CUdeviceptr Upload<T>(T[] values) where T : unmanaged
    {
        CUdeviceptr address = Device.Allocate((long)values.Length * sizeof(T));
        nuint bytes = (nuint)values.Length * (nuint)sizeof(T);
        fixed (T* host = values) Driver.Check(Driver.cuMemcpyHtoD_v2(address, host, bytes));
        return address;
    }

    public T[] Download<T>(CUdeviceptr address, int count) where T : unmanaged
    {
        T[] values = new T[count];
        fixed (T* host = values) Driver.Check(Driver.cuMemcpyDtoH_v2(host, address, (nuint)count * (nuint)sizeof(T)));
        return values;
    }

    /// <summary>Host memory behind a buffer of this process's virtual card.</summary>
    public static T* Host<T>(CUdeviceptr address) where T : unmanaged => (T*)AddressSpace.ToHost(address.Value);

    public void Launch(CUfunction function, Dim3 grid, Dim3 block, params byte[][] parameters) =>
        Device.Launch(function, grid, block, 0, parameters);

    public static byte[] P<T>(T value) where T : unmanaged =>
        MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)).ToArray();

    public void Free(params CUdeviceptr[] buffers)
    {
        foreach (CUdeviceptr buffer in buffers) Driver.Check(Driver.cuMemFree_v2(buffer));
    }

    public void Dispose() => Device.Dispose();
}
