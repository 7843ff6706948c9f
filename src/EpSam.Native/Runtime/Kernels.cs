// The PTX that is embedded in this assembly: which file has which entry, and the modules loaded so far. A module is
// loaded when one of its kernels is first asked for. Entries and the kinds of their parameters are read from the PTX
// text once per process, so that a launch with the wrong arguments is an exception and not a wild read.
using System.Collections.Frozen;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using EpSam.Cuda;

namespace EpSam.Native.Runtime;

/// <summary>A kernel that can be launched.</summary>
/// <param name="Name">The entry's name.</param>
/// <param name="Function">Its handle.</param>
/// <param name="Parameters">One letter a parameter: l = 64 bits, i = 32 bits, f = f32.</param>
internal sealed record Kernel(string Name, CUfunction Function, string Parameters);

/// <summary>Embedded modules of one device, loaded on first use.</summary>
internal sealed unsafe partial class Kernels(CuDriver driver)
{
    readonly record struct Entry(string Resource, string Parameters);

    static readonly Assembly Home = typeof(Kernels).Assembly;
    static readonly Lazy<FrozenDictionary<string, Entry>> Entries = new(ReadEntries);
    readonly Dictionary<string, CUmodule> _modules = [];
    readonly Dictionary<string, Kernel> _kernels = [];

    /// <summary>All entries of all embedded files.</summary>
    public static IEnumerable<string> Names => Entries.Value.Keys;

    /// <summary>The embedded files, "gemm.ptx".</summary>
    public static IEnumerable<string> Files => Home.GetManifestResourceNames().Where(n => n.EndsWith(".ptx"));

    /// <summary>The text of an embedded file.</summary>
    public static string Text(string file)
    {
        using Stream stream = Home.GetManifestResourceStream(file)
            ?? throw new ArgumentException($"no embedded PTX file {file}");
        using StreamReader reader = new(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }

    /// <summary>A kernel by its entry's name.</summary>
    public Kernel Get(string name)
    {
        if (_kernels.TryGetValue(name, out Kernel? kernel)) return kernel;
        if (!Entries.Value.TryGetValue(name, out Entry entry)) throw new ArgumentException($"no kernel named {name}");
        CUmodule module = Load(entry.Resource);
        CUfunction function;
        fixed (byte* text = Encoding.UTF8.GetBytes(name + "\0"))
            driver.Check(driver.cuModuleGetFunction(&function, module, text), $"{name} of {entry.Resource}");
        return _kernels[name] = new Kernel(name, function, entry.Parameters);
    }

    /// <summary>Unloads all modules.</summary>
    public void Unload()
    {
        foreach (CUmodule module in _modules.Values) driver.cuModuleUnload(module);
        _modules.Clear();
        _kernels.Clear();
    }

    CUmodule Load(string resource)
    {
        if (_modules.TryGetValue(resource, out CUmodule module)) return module;
        fixed (byte* image = Encoding.UTF8.GetBytes(Text(resource) + "\0"))
            driver.Check(driver.cuModuleLoadData(&module, image), $"{resource}");
        return _modules[resource] = module;
    }

    static FrozenDictionary<string, Entry> ReadEntries()
    {
        Dictionary<string, Entry> entries = [];
        foreach (string file in Files)
        {
            foreach (Match entry in EntryPattern().Matches(Text(file)))
            {
                StringBuilder kinds = new();
                foreach (Match parameter in ParameterPattern().Matches(entry.Groups["parameters"].Value))
                    kinds.Append(parameter.Groups[1].Value switch
                    {
                        "u64" or "s64" or "b64" => 'l',
                        "u32" or "s32" or "b32" => 'i',
                        "f32" => 'f',
                        string other =>
                            throw new InvalidDataException($"{file}: parameter of type .{other} is not supported"),
                    });
                entries.Add(entry.Groups["name"].Value, new Entry(file, kinds.ToString()));
            }
        }
        return entries.ToFrozenDictionary();
    }

    [GeneratedRegex(@"\.entry\s+(?<name>\w+)\s*\((?<parameters>[^)]*)\)")]
    private static partial Regex EntryPattern();

    [GeneratedRegex(@"\.param\s+\.(\w+)")]
    private static partial Regex ParameterPattern();
}
