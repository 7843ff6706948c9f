// The --gpu option: which provider fills the driver table, opened with what the command wants of it.
using System.CommandLine;
using System.Globalization;
using EpSam.Cuda;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;
using VirtualDevice = EpSam.VirtualGpu.VirtualGpu;

namespace EpSam.Cli;

/// <summary>What a command wants of a GPU. Card is null for the default card, and for the native provider.</summary>
internal sealed record ProviderOptions(
    bool IsVirtual, string? Card = null, CheckFlags Checks = CheckFlags.All, bool Interpret = false,
    bool Counters = false)
{
    public static ProviderOptions Virtual { get; } = new(true);
    public static ProviderOptions Native { get; } = new(false);

    /// <summary>From the command line; throws a usage error.</summary>
    public static ProviderOptions Parse(string gpu, string checks, bool interpret, bool counters)
    {
        CheckFlags flags = checks switch
        {
            "all" => CheckFlags.All,
            "none" => CheckFlags.None,
            _ => throw UserError.Usage($"--check {checks}: expected all or none"),
        };
        switch (gpu.Split(':', 2))
        {
            case ["virtual"]:
                return new ProviderOptions(true, null, flags, interpret, counters);
            case ["virtual", { Length: > 0 } card]:
                string[] known = [.. Cards.All.Select(c => c.Key)];
                if (!known.Contains(card, StringComparer.OrdinalIgnoreCase))
                    throw UserError.Usage($"--gpu {gpu}: unknown card {card}; known are {string.Join(", ", known)}");
                return new ProviderOptions(true, card, flags, interpret, counters);
            case ["native"]:
                if (interpret || counters)
                    throw UserError.Usage("--interpret and --counters are the virtual GPU's; leave out --gpu native");
                return Native;
            default:
                throw UserError.Usage($"--gpu {gpu}: expected virtual, virtual:CARD or native");
        }
    }
}

internal sealed class Provider(Device device, VirtualDevice? virtualGpu) : IDisposable
{
    public static readonly Option<string> Option = new("--gpu")
    {
        HelpName = "virtual[:CARD]|native", DefaultValueFactory = _ => "virtual",
        Description = $"where kernels run; cards: {string.Join(", ", Cards.All.Select(c => c.Key))}",
    };

    public Device Device { get; } = device;

    /// <summary>What must be said beside a time.</summary>
    public string TimeNote => virtualGpu is null ? "" : " on the virtual GPU (a CPU time, no statement about a card)";

    public static Provider Open(ProviderOptions options)
    {
        try
        {
            if (!options.IsVirtual) return new Provider(new Device(CuNative.OpenDriver()), null);
            VirtualDevice virtualGpu = VirtualDevice.Create(new VirtualGpuOptions
            {
                Card = options.Card ?? Cards.All[0].Key,
                Checks = options.Checks,
                Counters = options.Counters,
                Interpret = options.Interpret,
            });
            return new Provider(new Device(virtualGpu.Driver), virtualGpu);
        }
        catch (CuException e)
        {
            throw new UserError(e.Message);
        }
    }

    /// <summary>Counts of the last launch, one a line, and the least time the card posed as would take.</summary>
    public void WriteCounters(TextWriter writer)
    {
        if (virtualGpu?.Options.Counters != true || virtualGpu.LastLaunch is not KernelCounters c) return;
        (string Name, long Count)[] lines =
        [
            ("instructions", c.Instructions), ("integer", c.IntegerInstructions), ("float", c.FloatInstructions),
            ("special", c.SpecialInstructions), ("convert", c.ConvertInstructions), ("memory", c.MemoryInstructions),
            ("control", c.ControlInstructions), ("tensor", c.TensorInstructions), ("tensor flops", c.MmaFlops),
            ("global requests", c.GlobalRequests), ("global sectors", c.GlobalSectors), ("bytes read", c.BytesRead),
            ("bytes written", c.BytesWritten), ("shared requests", c.SharedRequests),
            ("shared conflicts", c.SharedConflicts), ("divergent branches", c.DivergentBranches),
        ];
        foreach ((string name, long count) in lines)
            writer.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {name,-20}{count,16:N0}"));
        (double seconds, string bound) = c.Roofline(virtualGpu.Card);
        writer.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"  {virtualGpu.Card.Name}: {seconds * 1e6:G3} µs at the least (bound: {bound}); modelled, not measured"));
    }

    public void Dispose() => Device.Dispose();
}
