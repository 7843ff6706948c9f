// The --gpu option: which provider fills the driver table, opened with what the command wants of it.
using System.CommandLine;
using EpSam.Cuda;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Cli;

/// <summary>What a command wants of a GPU. Card is null for the default card, and for the native provider.</summary>
internal sealed record ProviderOptions(
    bool IsVirtual, string? Card = null, CheckFlags Checks = CheckFlags.All, bool Interpret = false, bool Counters = false)
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

internal sealed class Provider(Device device, bool isVirtual) : IDisposable
{
    public static readonly Option<string> Option = new("--gpu")
    {
        HelpName = "virtual[:CARD]|native", DefaultValueFactory = _ => "virtual", Description = "where kernels run",
    };

    public Device Device { get; } = device;

    /// <summary>What must be said beside a time.</summary>
    public string TimeNote => isVirtual ? " on the virtual GPU (a CPU time, no statement about a card)" : "";

    public static Provider Open(ProviderOptions options)
    {
        try
        {
            return options.IsVirtual
                ? throw new UserError("the virtual GPU is not there yet")
                : new Provider(new Device(CuNative.OpenDriver()), isVirtual: false);
        }
        catch (CuException e)
        {
            throw new UserError(e.Message);
        }
    }

    public void WriteCounters(TextWriter writer) => _ = writer;

    public void Dispose() => Device.Dispose();
}
