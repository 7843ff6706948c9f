// One GPU through the driver table, as the commands need it: context, module, buffers in and out of streams, launch.
// Every result is checked. Buffers live until Dispose, which resets the context and so frees everything.
using System.Runtime.InteropServices;
using System.Text;
using EpSam.Cuda;
using EpSam.VirtualGpu.Exec;

namespace EpSam.Cli;

internal sealed unsafe class Device : IDisposable
{
    const int ChunkBytes = 16 << 20;
    const int LogBytes = 16 << 10;
    readonly CuDriver cu;
    readonly CUdevice device;
    readonly CUcontext context;
    readonly byte[] chunk = new byte[ChunkBytes];

    /// <summary>Takes the first device of the table.</summary>
    public Device(CuDriver driver)
    {
        cu = driver;
        CUdevice first;
        CUcontext retained;
        cu.Check(cu.cuInit(0));
        cu.Check(cu.cuDeviceGet(&first, 0));
        cu.Check(cu.cuDevicePrimaryCtxRetain(&retained, first));
        (device, context) = (first, retained);
        MakeCurrent();
    }

    /// <summary>Calls of this thread go to this device: needed where there are several.</summary>
    public void MakeCurrent() => cu.Check(cu.cuCtxSetCurrent(context));

    public string Name
    {
        get
        {
            byte* name = stackalloc byte[256];
            cu.Check(cu.cuDeviceGetName(name, 256, device));
            return Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name));
        }
    }

    public long MemoryBytes
    {
        get
        {
            nuint bytes;
            cu.Check(cu.cuDeviceTotalMem_v2(&bytes, device));
            return (long)bytes;
        }
    }

    public int Attribute(CUdevice_attribute attribute)
    {
        int value;
        cu.Check(cu.cuDeviceGetAttribute(&value, attribute, device));
        return value;
    }

    /// <summary>"8.6".</summary>
    public string ComputeCapability =>
        $"{Attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)}."
        + $"{Attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)}";

    /// <summary>Loads PTX text; the compiler's own words come with the exception.</summary>
    public CUmodule Load(string ptx)
    {
        byte[] image = Encoding.UTF8.GetBytes(ptx + "\0");
        byte[] log = new byte[LogBytes];
        CUmodule module;
        fixed (byte* imagePointer = image, logPointer = log)
        {
            CUjit_option* options = stackalloc CUjit_option[]
            {
                CUjit_option.CU_JIT_ERROR_LOG_BUFFER, CUjit_option.CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
            };
            void** values = stackalloc void*[] { logPointer, (void*)(nint)LogBytes };
            CUresult result = cu.cuModuleLoadDataEx(&module, imagePointer, 2, options, values);
            if (result == CUresult.CUDA_SUCCESS) return module;
            CuException failure = cu.Failure(result, "cuModuleLoadDataEx", "");
            string words = Encoding.UTF8.GetString(log, 0, Math.Max(0, Array.IndexOf(log, (byte)0))).Trim();
            throw new UserError(words.Length > 0 ? words : $"{failure.CodeName}: {failure.Text}");
        }
    }

    public CUfunction Function(CUmodule module, string entry)
    {
        CUfunction function;
        fixed (byte* name = Encoding.UTF8.GetBytes(entry + "\0"))
            cu.Check(cu.cuModuleGetFunction(&function, module, name), $"{entry}");
        return function;
    }

    public int Attribute(CUfunction function, CUfunction_attribute attribute)
    {
        int value;
        cu.Check(cu.cuFuncGetAttribute(&value, attribute, function));
        return value;
    }

    public CUdeviceptr Allocate(long bytes)
    {
        CUdeviceptr address;
        cu.Check(cu.cuMemAlloc_v2(&address, (nuint)bytes), $"{bytes} bytes");
        return address;
    }

    public void Upload(Stream source, CUdeviceptr target, long bytes)
    {
        for (long done = 0; done < bytes;)
        {
            int part = (int)Math.Min(ChunkBytes, bytes - done);
            source.ReadExactly(chunk, 0, part);
            fixed (byte* host = chunk) cu.Check(cu.cuMemcpyHtoD_v2(target + done, host, (nuint)part));
            done += part;
        }
    }

    public void Download(CUdeviceptr source, Stream target, long bytes)
    {
        for (long done = 0; done < bytes;)
        {
            int part = (int)Math.Min(ChunkBytes, bytes - done);
            fixed (byte* host = chunk) cu.Check(cu.cuMemcpyDtoH_v2(host, source + done, (nuint)part));
            target.Write(chunk, 0, part);
            done += part;
        }
    }

    /// <summary>Launches and waits. Parameters are the bytes of each, in order.</summary>
    public void Launch(CUfunction function, Dim3 grid, Dim3 block, int shared, IReadOnlyList<byte[]> parameters)
    {
        if (shared > 0)   // beyond 48 KiB a kernel must have asked for it; a limit that is too high is refused here
        {
            int most = Attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK);
            if (shared + Attribute(function, CUfunction_attribute.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES) > most)
                cu.Check(
                    cu.cuFuncSetAttribute(function,
                        CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared),
                    $"dynamic shared memory {shared} bytes");
        }
        byte[] all = [.. parameters.SelectMany(p => p.Concat(new byte[-p.Length & 15]))];   // each 16-byte aligned
        void** pointers = stackalloc void*[Math.Max(1, parameters.Count)];
        fixed (byte* start = all)
        {
            byte* at = start;
            for (int i = 0; i < parameters.Count; at += (parameters[i].Length + 15) & ~15, i++) pointers[i] = at;
            cu.Check(
                cu.cuLaunchKernel(function, (uint)grid.X, (uint)grid.Y, (uint)grid.Z, (uint)block.X, (uint)block.Y,
                    (uint)block.Z, (uint)shared, default, pointers, null),
                $"grid {grid}, block {block}, dynamic shared memory {shared} bytes");
            Synchronize();
        }
    }

    /// <summary>Waits for all work; a kernel's fault comes out here.</summary>
    public void Synchronize() => cu.Check(cu.cuCtxSynchronize());

    public void Dispose() => cu.cuDevicePrimaryCtxReset_v2(device);
}
