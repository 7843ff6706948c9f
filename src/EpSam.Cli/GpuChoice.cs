// --gpu of the commands that run models: auto takes a card where driver and cuBLAS are here, else the virtual GPU; null
// computes nothing and shows what would be done. The virtual GPU runs unchecked unless told otherwise: kernels are
// checked in the tests, and checks cost time.
using System.CommandLine;
using EpSam.Cuda;
using EpSam.Native.Runtime;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;
using VirtualDevice = EpSam.VirtualGpu.VirtualGpu;

namespace EpSam.Cli;

internal enum GpuKind { Auto, Native, Virtual, Null }

/// <summary>Where kernels run. Card is null for the default card.</summary>
internal sealed record GpuChoice(GpuKind Kind, string? Card = null, CheckFlags Checks = CheckFlags.None)
{
    public static readonly Option<string> Gpu = new("--gpu")
    {
        HelpName = "auto|native|virtual[:CARD]|null", DefaultValueFactory = _ => "auto",
        Description =
            "where kernels run; auto: a card where there is one, else the virtual GPU; null: nothing is computed, "
            + $"memory is planned; cards: {string.Join(", ", Cards.All.Select(c => c.Key))}",
    };
    public static readonly Option<string> Check = new("--check")
    {
        HelpName = "all|none", DefaultValueFactory = _ => "none",
        Description = "verify every access while running (virtual GPU; slow)",
    };

    /// <summary>From the command line; throws a usage error.</summary>
    public static GpuChoice Parse(string gpu, string checks)
    {
        CheckFlags flags = checks switch
        {
            "all" => CheckFlags.All,
            "none" => CheckFlags.None,
            _ => throw UserError.Usage($"--check {checks}: expected all or none"),
        };
        GpuChoice choice = gpu.Split(':', 2) switch
        {
            ["auto"] => new GpuChoice(GpuKind.Auto, null, flags),
            ["native"] => new GpuChoice(GpuKind.Native),
            ["null"] => new GpuChoice(GpuKind.Null),
            ["virtual"] => new GpuChoice(GpuKind.Virtual, null, flags),
            ["virtual", { Length: > 0 } card] => new GpuChoice(GpuKind.Virtual, Known(gpu, card), flags),
            _ => throw UserError.Usage($"--gpu {gpu}: expected auto, native, virtual, virtual:CARD or null"),
        };
        if (flags != CheckFlags.None && choice.Kind is GpuKind.Native or GpuKind.Null)
            throw UserError.Usage($"--check all is the virtual GPU's; leave out --gpu {gpu}");
        return choice;
    }

    static string Known(string gpu, string card)
    {
        string[] known = [.. Cards.All.Select(c => c.Key)];
        return known.Contains(card, StringComparer.OrdinalIgnoreCase) ? card
            : throw UserError.Usage($"--gpu {gpu}: unknown card {card}; known are {string.Join(", ", known)}");
    }
}

/// <summary>An open GPU and how it is called.</summary>
internal sealed class OpenedGpu : IDisposable
{
    OpenedGpu(Gpu gpu, string kind, string name) => (Gpu, Kind, Name) = (gpu, kind, name);

    public Gpu Gpu { get; }

    /// <summary>"native", "virtual" or "null".</summary>
    public string Kind { get; }

    /// <summary>What stands in front of a user: the card, or what is posed as.</summary>
    public string Name { get; }

    /// <summary>Opens the GPU; why auto took the virtual one is told.</summary>
    public static OpenedGpu Open(GpuChoice choice, Action<string> tell)
    {
        try
        {
            return choice.Kind switch
            {
                GpuKind.Native => Native(),
                GpuKind.Null => Null(),
                GpuKind.Virtual => Virtual(choice),
                _ => Auto(choice, tell),
            };
        }
        catch (CuException e)
        {
            throw new UserError(e.Message);
        }
    }

    public void Dispose() => Gpu.Dispose();

    static OpenedGpu Auto(GpuChoice choice, Action<string> tell)
    {
        try
        {
            return Native();
        }
        catch (CuUnavailableException e)
        {
            string reason = e is CuLibraryMissingException missing ? $"{missing.Library} is not here"
                : e.Message.Split('\n')[0];
            OpenedGpu gpu = Virtual(choice);
            tell($"no GPU ({reason.TrimEnd('.')}): running on the virtual GPU, on {Environment.ProcessorCount} "
                + "threads of the CPU");
            return gpu;
        }
    }

    static OpenedGpu Native()
    {
        CuDriver driver = CuNative.OpenDriver();
        Gpu gpu = new(driver, CuNative.LoadBlas());
        return new OpenedGpu(gpu, "native", NameOf(driver));
    }

    static OpenedGpu Null()
    {
        CuNull device = CuNull.Create();
        return new OpenedGpu(new Gpu(device.Driver, device.Blas), "null", "null");
    }

    static OpenedGpu Virtual(GpuChoice choice)
    {
        VirtualDevice device = VirtualDevice.Create(
            new VirtualGpuOptions { Card = choice.Card ?? Cards.All[0].Key, Checks = choice.Checks });
        return new OpenedGpu(new Gpu(device.Driver, device.Blas), "virtual", $"{device.Card.Name} (virtual)");
    }

    static unsafe string NameOf(CuDriver driver)
    {
        byte* name = stackalloc byte[256];
        CUdevice device;
        driver.Check(driver.cuDeviceGet(&device, 0));
        driver.Check(driver.cuDeviceGetName(name, 256, device));
        return System.Runtime.InteropServices.Marshal.PtrToStringUTF8((nint)name) ?? "";
    }
}
