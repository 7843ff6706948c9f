// epsam doctor: which providers work here, with which devices, what is missing and the command that installs it.
// A missing GPU is no failure: the virtual one always works.
using System.CommandLine;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Text.Json;
using EpSam.Cuda;
using EpSam.Imaging;
using EpSam.Imaging.Slides;
using EpSam.Slides.Viewer;
using Spectre.Console;

namespace EpSam.Cli.Commands;

internal sealed record DoctorDevice(string Name, string ComputeCapability, long MemoryBytes);

internal sealed record DoctorProvider(string Name, bool Works, string Detail, DoctorDevice[] Devices, string? Install);

internal sealed record DoctorTool(string Name, string Purpose, string? Found, string? Install);

internal sealed record DoctorReport(
    string Version, string Runtime, string System, int Threads, int VectorBits, DoctorProvider[] Providers,
    DoctorTool[] Tools);

internal static class DoctorCommand
{
    static readonly Option<bool> Json = new("--json") { Description = "print one JSON object" };
    static readonly JsonSerializerOptions Layout = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        // for people and files, not for HTML
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static Command Create()
    {
        const string Description = "Show what this machine can run, what is missing and how to install it.";
        Command command = new("doctor", Description) { Json };
        command.SetAction(parsed =>
        {
            DoctorReport report = Examine();
            TextWriter writer = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(Json)) writer.WriteLine(JsonSerializer.Serialize(report, Layout));
            else Print(report, writer);
            return report.Providers.Any(p => p.Works) ? ExitCode.Ok : ExitCode.Failure;
        });
        return command;
    }

    static DoctorReport Examine() => new(
        typeof(DoctorCommand).Assembly.GetName().Version?.ToString(3) ?? "",
        RuntimeInformation.FrameworkDescription,
        $"{RuntimeInformation.OSDescription} ({RuntimeInformation.ProcessArchitecture})",
        Environment.ProcessorCount,
        Vector512.IsHardwareAccelerated ? 512 : Vector256.IsHardwareAccelerated ? 256 : 128,
        [Native(), Virtual(), new("null", true, "computes nothing; plans memory and counts work", [], null)],

        [
            Blas(), Library("libvips", "images and slides", () => ImageReader.LibraryVersion),
            Library("OpenSlide", "slides in scanners' formats", () => Slide.OpenSlideVersion), OpenSeadragon(),
            Assembler(),
        ]);

    static DoctorProvider Native()
    {
        try
        {
            using Provider provider = Provider.Open(ProviderOptions.Native);
            return new DoctorProvider("native", true, "CUDA driver", [Describe(provider.Device)], null);
        }
        catch (CuUnavailableException e)
        {
            string reason = e is CuLibraryMissingException missing
                ? $"{missing.Library} is not here: {string.Join(", ", missing.Tried)}" : FirstLine(e.Message);
            return new DoctorProvider("native", false, reason, [], e.Advice);
        }
        catch (Exception e) when (e is CuException or UserError)
        {
            return new DoctorProvider("native", false, FirstLine(e.Message), [], null);
        }
    }

    static DoctorProvider Virtual()
    {
        try
        {
            using Provider provider = Provider.Open(ProviderOptions.Virtual);
            return new DoctorProvider("virtual", true, "PTX on the CPU", [Describe(provider.Device)], null);
        }
        catch (Exception e) when (e is CuException or UserError or InvalidOperationException)
        {
            return new DoctorProvider("virtual", false, FirstLine(e.Message), [], null);
        }
    }

    static DoctorTool Blas()
    {
        const string Purpose = "large matrix products on the native provider";
        try
        {
            CuNative.LoadBlas();
            return new DoctorTool("cuBLAS", Purpose, "found", null);
        }
        catch (CuUnavailableException e)
        {
            return new DoctorTool("cuBLAS", Purpose, null, e.Advice);
        }
    }

    static DoctorTool Library(string name, string purpose, Func<string> version)
    {
        try
        {
            return new DoctorTool(name, purpose, version(), null);
        }
        catch (ImagingException e)
        {
            return new DoctorTool(name, purpose, null, e.Message);
        }
    }

    static DoctorTool OpenSeadragon()
    {
        string? folder = SlideViewer.FindOpenSeadragon();
        return new DoctorTool("OpenSeadragon", "viewers of slides", folder,
            folder is null ? "cmake/get-openseadragon" : null);
    }

    static DoctorTool Assembler()
    {
        string? program = Ptxas.Find();
        string? version = program is null ? null : Ptxas.Version(program);
        return new DoctorTool("ptxas", "second opinion of epsam ptx check",
            version is null ? null : $"{version} at {program}",
            version is null ? "cmake/get-ptxas" : null);
    }

    static DoctorDevice Describe(Device device) => new(device.Name, device.ComputeCapability, device.MemoryBytes);

    static string FirstLine(string text) => text.Split('\n')[0].Trim();

    static void Print(DoctorReport report, TextWriter writer)
    {
        writer.WriteLine($"epsam {report.Version}, {report.Runtime}, {report.System}");
        writer.WriteLine($"{report.Threads} threads, vectors of {report.VectorBits} bits");
        Table providers = new Table().Border(TableBorder.Minimal).AddColumns("provider", "state", "device or reason");
        foreach (DoctorProvider provider in report.Providers)
        {
            string devices = string.Join("; ", provider.Devices.Select(
                d => $"{d.Name}, compute capability {d.ComputeCapability}, {d.MemoryBytes / 1073741824.0:F1} GiB"));
            providers.AddRow(provider.Name, provider.Works ? "works" : "not here",
                Markup.Escape(devices.Length > 0 ? devices : provider.Detail));
        }
        foreach (DoctorTool tool in report.Tools)
            providers.AddRow(tool.Name, tool.Found is null ? "not here" : "found",
                Markup.Escape(tool.Found ?? tool.Purpose));
        Terminal.Write(writer, providers);
        foreach (DoctorProvider provider in report.Providers)
            if (provider.Install is string advice) writer.WriteLine($"{provider.Name}: {advice}");
        foreach (DoctorTool tool in report.Tools)
            if (tool.Install is string advice) writer.WriteLine($"{tool.Name}: {advice}");
    }
}
