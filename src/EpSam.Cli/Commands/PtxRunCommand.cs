// epsam ptx run: launches one kernel of anyone's PTX file through the driver tables, on the virtual GPU or on a card.
// Arguments are checked against the entry's parameters before anything is allocated; output files appear only when
// the kernel has succeeded.
using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using EpSam.Cuda;
using EpSam.VirtualGpu.Exec;
using EpSam.VirtualGpu.Ptx;

namespace EpSam.Cli.Commands;

internal static class PtxRunCommand
{
    static readonly Argument<string> File = new("FILE") { Description = "the PTX file" };
    static readonly Option<string> Entry = new("--entry")
    {
        HelpName = "NAME", Required = true, Description = "the kernel to launch",
    };
    static readonly Option<string> Grid = new("--grid")
    {
        HelpName = "x[,y,z]", Required = true, Description = "blocks",
    };
    static readonly Option<string> Block = new("--block")
    {
        HelpName = "x[,y,z]", Required = true, Description = "threads of a block",
    };
    static readonly Option<int> Shared = new("--shared")
    {
        HelpName = "BYTES", Description = "dynamic shared memory of a block",
    };
    static readonly Option<string[]> Arguments = new("--arg")
    {
        HelpName = "SPEC", AllowMultipleArgumentsPerToken = true,
        Description = "one argument, in the entry's order: u32:5, s64:-1, f32:0.5 (also 8 and 16 bits, b8 to b64, f16, "
                      + "bf16, f64; u32:1,2,3 for arrays), in:FILE, out:BYTES:FILE, inout:FILE:FILE",
    };
    static readonly Option<string> Check = new("--check")
    {
        HelpName = "all|none", DefaultValueFactory = _ => "all",
        Description = "verify every access while running, or none: faster, but a stray access is only noticed when it "
                      + "leaves the device's address window (virtual GPU)",
    };
    static readonly Option<bool> Counters = new("--counters")
    {
        Description = "print what the kernel executed (virtual GPU)",
    };
    static readonly Option<bool> Interpret = new("--interpret")
    {
        Description = "interpret instead of compiling (virtual GPU)",
    };

    public static Command Create()
    {
        Command command = new("run", "Run one kernel of a PTX file.")
        {
            File, Entry, Grid, Block, Shared, Arguments, Check, Counters, Interpret, Provider.Option,
        };
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        string file = parsed.GetRequiredValue(File);
        Dim3 grid = Dimensions("--grid", parsed.GetRequiredValue(Grid));
        Dim3 block = Dimensions("--block", parsed.GetRequiredValue(Block));
        int shared = parsed.GetValue(Shared);
        if (shared < 0) throw UserError.Usage($"--shared {shared}: expected a number of bytes, 0 or more");
        ArgumentSpec[] specs = [.. (parsed.GetValue(Arguments) ?? []).Select(ArgumentSpec.Parse)];
        ProviderOptions options = ProviderOptions.Parse(parsed.GetValue(Provider.Option) ?? "virtual",
            parsed.GetValue(Check) ?? "all", parsed.GetValue(Interpret), parsed.GetValue(Counters));
        RequireDistinctOutputs(specs);

        string text = InputFile.ReadPtx(file);
        PtxFunction entry = PtxFile.Entry(file, text, parsed.GetRequiredValue(Entry));
        RequireMatch(entry, specs);
        foreach (string output in specs.OfType<ArgumentSpec.Buffer>().Select(b => b.Output).OfType<string>())
            OutputFiles.RequireWritable(output);

        TextWriter writer = parsed.InvocationConfiguration.Output;
        using Provider provider = Provider.Open(options);
        try
        {
            Launch(provider, file, text, entry.Name, grid, block, shared, specs, writer);
        }
        catch (CuException e)
        {
            throw new UserError($"{file}: {entry.Name}: {e.Message}");
        }
        provider.WriteCounters(writer);
        return ExitCode.Ok;
    }

    static void Launch(Provider provider, string file, string text, string entry, Dim3 grid, Dim3 block, int shared,
        ArgumentSpec[] specs, TextWriter writer)
    {
        Device device = provider.Device;
        CUfunction function = device.Function(PtxFile.Load(device, file, text), entry);
        List<byte[]> parameters = [];
        List<(string Path, CUdeviceptr Address, long Bytes)> outputs = [];
        foreach (ArgumentSpec spec in specs)
        {
            if (spec is ArgumentSpec.Value value)
            {
                parameters.Add(value.Bytes);
                continue;
            }
            ArgumentSpec.Buffer buffer = (ArgumentSpec.Buffer)spec;
            (CUdeviceptr address, long bytes) = Place(device, buffer);
            parameters.Add(BitConverter.GetBytes(address.Value));
            if (buffer.Output is string path) outputs.Add((path, address, bytes));
        }
        Stopwatch watch = Stopwatch.StartNew();
        device.Launch(function, grid, block, shared, parameters);
        double milliseconds = watch.Elapsed.TotalMilliseconds;
        OutputFiles.Write([.. outputs.Select(o =>
            (o.Path, (Action<Stream>)(stream => device.Download(o.Address, stream, o.Bytes))))]);

        writer.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{entry}: grid {grid}, block {block}, {milliseconds:F1} ms{provider.TimeNote}"));
        foreach ((string path, _, long bytes) in outputs) writer.WriteLine($"{path}: {bytes} bytes");
    }

    static (CUdeviceptr Address, long Bytes) Place(Device device, ArgumentSpec.Buffer buffer)
    {
        if (buffer.Input is null) return (device.Allocate(buffer.Size), buffer.Size);
        using FileStream stream = InputFile.Open(buffer.Input, "input");
        if (stream.Length == 0)
            throw new UserError($"--arg {buffer.Text}: {buffer.Input} is empty; a buffer has 1 byte or more");
        CUdeviceptr address = device.Allocate(stream.Length);
        device.Upload(stream, address, stream.Length);
        return (address, stream.Length);
    }

    // Arguments against the entry's parameters: how many, and how many bytes each.
    static void RequireMatch(PtxFunction entry, ArgumentSpec[] specs)
    {
        List<PtxVariable> wanted = entry.Parameters;
        string all = wanted.Count == 0 ? "none" : string.Join(", ", wanted.Select(Describe));
        if (specs.Length != wanted.Count)
            throw new UserError($"entry {entry.Name} takes {wanted.Count} arguments ({all}); found {specs.Length}");
        for (int i = 0; i < specs.Length; i++)
        {
            long found = specs[i] is ArgumentSpec.Value value ? value.Bytes.Length : sizeof(ulong);
            string what = specs[i] is ArgumentSpec.Value ? $"{found} bytes" : $"the {found} bytes of an address";
            if (found != wanted[i].Size)
                throw new UserError($"--arg {specs[i].Text}: argument {i + 1} of entry {entry.Name} is "
                                    + $"{Describe(wanted[i])}, {wanted[i].Size} bytes; found {what}");
        }
    }

    static string Describe(PtxVariable v) =>
        $".{v.Type.ToString().ToLowerInvariant()} {v.Name}{(v.IsArray ? $"[{v.Count}]" : "")}";

    static void RequireDistinctOutputs(ArgumentSpec[] specs)
    {
        HashSet<string> seen = [];
        foreach (ArgumentSpec.Buffer buffer in specs.OfType<ArgumentSpec.Buffer>())
            if (buffer.Output is string path && !seen.Add(Path.GetFullPath(path)))
                throw UserError.Usage($"--arg {buffer.Text}: {path} is the output of another argument too");
    }

    internal static Dim3 Dimensions(string option, string text)
    {
        string[] parts = text.Split(',');
        int[] sizes = [1, 1, 1];
        if (parts.Length > 3)
            throw UserError.Usage($"{option} {text}: expected x, x,y or x,y,z, found {parts.Length} numbers");
        for (int i = 0; i < parts.Length; i++)
        {
            if (!int.TryParse(parts[i], System.Globalization.NumberStyles.None, null, out sizes[i]) || sizes[i] == 0)
                throw UserError.Usage($"{option} {text}: expected positive whole numbers, found '{parts[i]}'");
        }
        return new Dim3(sizes[0], sizes[1], sizes[2]);
    }
}
