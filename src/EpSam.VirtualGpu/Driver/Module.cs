// cuModule*: PTX text becomes a module. Everything that can be wrong with it is found here, at load, never at launch:
// it is parsed, its target compared with the card, its variables are allocated and initialised, its kernels built.
// Variables are device memory like any other, so faults name them.
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using EpSam.Cuda;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Exec;
using EpSam.VirtualGpu.Ptx;
using static EpSam.Cuda.CUresult;

namespace EpSam.VirtualGpu.Driver;

internal sealed unsafe partial class Module
{
    readonly Dictionary<string, (ulong Address, long Bytes)> _variables = [];
    readonly Dictionary<string, Function> _functions = [];

    Module(Context context, PtxModule ptx)
    {
        Context = context;
        Ptx = ptx;
    }

    public Context Context { get; }
    public PtxModule Ptx { get; }

    // ---- loading

    static Module Load(Context context, string text)
    {
        Code? known = CodeCache.Find(text);
        Module module = new(context, known?.Ptx ?? Parse(text));
        module.CheckTarget();
        try
        {
            module.AllocateVariables();
            module.InitialiseVariables();
            module.BuildFunctions(known);
            if (known is null && module._variables.Count == 0)
                CodeCache.Add(text, new Code(module.Ptx,
                    module._functions.ToDictionary(f => f.Key, f => f.Value.Program)));
            return module;
        }
        catch
        {
            module.FreeVariables();
            throw;
        }
    }

    // A newer PTX version has a code of its own: it is not the text that is wrong but the driver that is too old.
    static PtxModule Parse(string text)
    {
        try
        {
            return Parser.Parse(text);
        }
        catch (PtxException e) when (NewerVersion().Match(text) is { Success: true } m
            && int.Parse(m.Groups[1].ValueSpan) * 10 + int.Parse(m.Groups[2].ValueSpan) > 78)
        {
            throw new DriverError(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, e.Message);
        }
    }

    [GeneratedRegex(@"^\s*\.version\s+(\d{1,3})\.(\d)", RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex NewerVersion();

    void CheckTarget()
    {
        Card card = Context.Gpu.Card;
        if (int.Parse(Ptx.Target.AsSpan(Ptx.Target.IndexOf('_') + 1)) > card.ComputeCapability)
        {
            throw new DriverError(CUDA_ERROR_NO_BINARY_FOR_GPU,
                $".target {Ptx.Target} does not run on {card.Name}, which is sm_{card.ComputeCapability}");
        }
    }

    // Module scope first; a variable inside a function is a static of its own, known by the same name.
    IEnumerable<PtxVariable> Variables() =>
        Ptx.Variables.Concat(Ptx.Functions.Where(f => f.HasBody).SelectMany(f => f.Variables))
            .Where(v => v.Space is StateSpace.Global or StateSpace.Const);

    void AllocateVariables()
    {
        foreach (PtxVariable variable in Variables())
        {
            if (variable.IsExternal)
                throw new PtxException($"extern {variable.Name} is not defined in this module", variable.Position);
            if (_variables.ContainsKey(variable.Name))
                throw new PtxException($"{variable.Name} is declared twice", variable.Position);
            ulong address = Context.Heap.Allocate(Math.Max(1, variable.Size), variable.Name);
            _variables.Add(variable.Name, (address, variable.Size));
            Context.AddModuleVariable(address);
        }
    }

    void InitialiseVariables()
    {
        foreach (PtxVariable variable in Variables())
        {
            (ulong address, long bytes) = _variables[variable.Name];
            byte* at = AddressSpace.ToHost(address);
            NativeMemory.Clear(at, (nuint)bytes); // without an initial value it is zero
            variable.Initial?.CopyTo(new Span<byte>(at, variable.Initial.Length)); // as long as the variable
            foreach (PtxRelocation r in variable.Relocations)
            {
                if (!_variables.TryGetValue(r.Symbol, out (ulong Address, long Bytes) target))
                {
                    throw new PtxException(
                        $"the initial value of {variable.Name} is the address of {r.Symbol}, which is no variable in "
                        + ".global or .const", variable.Position);
                }
                *(ulong*)(at + r.Offset) = target.Address + (ulong)r.Addend;
            }
            Context.Heap.MarkInitialised(address, bytes);
        }
    }

    void BuildFunctions(Code? known)
    {
        Dictionary<string, ulong> addresses = _variables.ToDictionary(v => v.Key, v => v.Value.Address);
        foreach (PtxFunction entry in Ptx.Functions.Where(f => f.IsEntry && f.HasBody))
        {
            Program program = known?.Programs[entry.Name] ?? Program.Build(Ptx, entry, addresses);
            Check(entry, program.StaticSharedBytes <= Limits.SharedBytes,
                $"uses too much shared data (0x{program.StaticSharedBytes:x} bytes, 0x{Limits.SharedBytes:x} max)");
            Check(entry, program.ParamBytes <= Limits.ParameterBytes,
                $"has {program.ParamBytes} bytes of parameters; {Limits.ParameterBytes} is the limit");
            Check(entry, program.LocalBytes <= Limits.LocalBytes,
                $"uses {program.LocalBytes} bytes of local memory a thread; {Limits.LocalBytes} is the limit");
            _functions.Add(entry.Name, new Function(this, entry, program));
        }
    }

    static void Check(PtxFunction entry, bool condition, string message)
    {
        if (!condition) throw new PtxException($"entry {entry.Name} {message}", entry.Position);
    }

    void FreeVariables()
    {
        foreach ((ulong address, _) in _variables.Values)
        {
            Context.RemoveModuleVariable(address);
            Context.Heap.Free(address);
        }
        _variables.Clear();
    }

    // An image has no length: text ends with a zero byte. Machine code is recognised by its first bytes.
    static string TextOf(void* image)
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.CreateReadOnlySpanFromNullTerminated((byte*)image);
        uint magic = bytes.Length >= 4 ? MemoryMarshal.Read<uint>(bytes) : 0;
        if (magic is 0x464c457f or 0xba55ed50 or 0x466243b1)
        {
            throw new DriverError(CUDA_ERROR_INVALID_IMAGE,
                $"the image is a {(magic == 0x464c457f ? "cubin" : "fatbin")}; the virtual GPU runs PTX text");
        }
        if (bytes.IsEmpty) throw new DriverError(CUDA_ERROR_INVALID_IMAGE, "the image is empty");
        return Encoding.UTF8.GetString(bytes);
    }

    // ---- entries

    [UnmanagedCallersOnly]
    public static CUresult cuModuleLoadData(CUmodule* module, void* image) => Guard.Run(() => LoadInto(module, image));

    static void LoadInto(CUmodule* module, void* image)
    {
        Context context = Context.Require();
        Guard.NotNull(module);
        Guard.NotNull(image);
        Module loaded = Load(context, TextOf(image));
        nint handle = context.Own(loaded);
        foreach (Function function in loaded._functions.Values) function.Handle = context.Own(function);
        *module = new CUmodule(handle);
    }

    [UnmanagedCallersOnly]
    public static CUresult cuModuleLoadDataEx(
        CUmodule* module, void* image, uint count, CUjit_option* options, void** values) => Guard.Run(() =>
    {
        Guard.Require(count == 0 || (options != null && values != null), $"{count} options at a null pointer");
        for (uint i = 0; i < count; i++) Guard.Require((uint)options[i] < 64, $"unknown option {(int)options[i]}");
        string log = "";
        try
        {
            LoadInto(module, image);
        }
        catch (Exception e)
        {
            log = e.Message;
            throw;
        }
        finally
        {
            WriteLog(count, options, values, CUjit_option.CU_JIT_ERROR_LOG_BUFFER, log);
            WriteLog(count, options, values, CUjit_option.CU_JIT_INFO_LOG_BUFFER, "");
        }
    });

    // A log takes two options: the buffer, and its size, which comes back as the bytes used.
    static void WriteLog(uint count, CUjit_option* options, void** values, CUjit_option kind, string log)
    {
        byte* buffer = null;
        void** size = null;
        for (uint i = 0; i < count; i++)
        {
            if (options[i] == kind) buffer = (byte*)values[i];
            if (options[i] == kind + 1) size = &values[i];
        }
        if (size == null) return;
        uint room = (uint)(nuint)(*size);
        byte[] text = Encoding.UTF8.GetBytes(log);
        int length = buffer == null || room == 0 ? 0 : (int)Math.Min((uint)text.Length, room - 1);
        if (buffer != null && room > 0)
        {
            text.AsSpan(0, length).CopyTo(new Span<byte>(buffer, length));
            buffer[length] = 0;
        }
        *size = (void*)length;
    }

    [UnmanagedCallersOnly]
    public static CUresult cuModuleUnload(CUmodule module) => Guard.Run(() =>
    {
        Context.Require();
        Module found = Handles.Get<Module>(module.Value);
        foreach (Function function in found._functions.Values) found.Context.Disown(function.Handle);
        found.FreeVariables();
        found.Context.Disown(module.Value);
    });

    [UnmanagedCallersOnly]
    public static CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, byte* name) => Guard.Run(() =>
    {
        Context.Require();
        Module found = Handles.Get<Module>(module.Value);
        Guard.NotNull(function);
        string key = Name(name);
        if (!found._functions.TryGetValue(key, out Function? entry))
            throw new DriverError(CUDA_ERROR_NOT_FOUND, found.NoEntry(key));
        *function = new CUfunction(entry.Handle);
    });

    [UnmanagedCallersOnly]
    public static CUresult cuModuleGetGlobal_v2(CUdeviceptr* address, nuint* bytes, CUmodule module, byte* name) =>
        Guard.Run(() =>
        {
            Context.Require();
            Module found = Handles.Get<Module>(module.Value);
            string key = Name(name);
            if (!found._variables.TryGetValue(key, out (ulong Address, long Bytes) variable))
            {
                throw new DriverError(CUDA_ERROR_NOT_FOUND,
                    $"the module has no variable '{key}'; it has {List(found._variables.Keys)}");
            }
            if (address != null) *address = new CUdeviceptr(variable.Address);
            if (bytes != null) *bytes = (nuint)variable.Bytes;
        });

    string NoEntry(string name) => Ptx.Find(name) is { IsEntry: false }
        ? $"'{name}' is a .func; only an .entry can be launched; the module has {List(_functions.Keys)}"
        : $"the module has no entry '{name}'; it has {List(_functions.Keys)}";

    static string List(IReadOnlyCollection<string> names) =>
        names.Count == 0 ? "none" : string.Join(", ", names.Take(20)) + (names.Count > 20 ? ", …" : "");

    static string Name(byte* name)
    {
        Guard.NotNull(name);
        return CuText.Read(name)!;
    }
}
