// The --gpu option: which provider fills the driver table, opened with what the command wants of it.
using System.CommandLine;
using EpSam.Cuda;

namespace EpSam.Cli;

/// <summary>Checks is "all" or "none".</summary>
internal sealed record ProviderOptions(string Gpu, string Checks = "all", bool Interpret = false, bool Counters = false);

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
        string[] parts = options.Gpu.Split(':', 2);
        switch (parts)
        {
            case ["native"]:
                if (options.Interpret || options.Counters)
                    throw UserError.Usage("--interpret and --counters are the virtual GPU's; leave out --gpu native");
                return OpenNative();
            default:
                throw UserError.Usage($"--gpu {options.Gpu}: expected virtual, virtual:CARD or native");
        }
    }

    static Provider OpenNative()
    {
        try
        {
            return new Provider(new Device(CuNative.OpenDriver()), isVirtual: false);
        }
        catch (CuException e)
        {
            throw new UserError(e.Message);
        }
    }

    public void WriteCounters(TextWriter writer) => _ = writer;

    public void Dispose() => Device.Dispose();
}
