// What encode, segment and amg share: the model is opened once, then one image after the other is worked on. An image
// that fails is reported and the rest go on; the exit code is then 1. With --gpu null images are read and the model is
// planned and compared with its checkpoint, but nothing is computed or written.
using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using EpSam.Imaging;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Models.Sam;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Cli;

/// <summary>What became of one image: "done", "failed" with an error, or "planned".</summary>
internal sealed record ImageReport(string Image, string Status, string? Error = null, int? Width = null,
    int? Height = null,
    string? Output = null, int? Masks = null, double? Seconds = null, double? Logit = null,
    double? Probability = null)
{
    /// <summary>Of the image's pixels, in the mask.</summary>
    public double? SetShare { get; init; }
}

internal sealed class SamRun(SamFlags flags, SamModel model, PatchClassifier? classifier, Reporter reporter,
    CancellationToken cancel)
{
    public SamFlags Flags => flags;

    /// <summary>Where prompts come from when none are given.</summary>
    public PatchClassifier? Classifier => classifier;

    public SamModel Model => model;

    public Reporter Reporter => reporter;

    public CancellationToken Cancel => cancel;

    /// <summary>Where the output of an image goes, and how many masks it has.</summary>
    public delegate (string Output, int? Masks) Work(SamRun run, InputImage image, Raster pixels);

    /// <summary>Runs a whole command, with a classifier beside the model if one is given.</summary>
    public static int Execute(ParseResult parsed, SamFlags flags, InputImage[] images, SamOptions options, Work work,
        ClassifierFlags? prompter = null)
    {
        Reporter reporter = new(parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error,
            flags.IsJson, flags.IsQuiet);
        _ = ImageReader.LibraryVersion;   // missing: said before the model is loaded
        flags.RequireCheckpoint();
        prompter?.RequireCheckpoint();
        if (!images.Any(i => ImageList.LooksReadable(i.Path))) return NothingToDo(reporter, images);
        using OpenedGpu gpu = OpenedGpu.Open(flags.Gpu, reporter.Note);
        using SamModel model = flags.Open(gpu.Gpu, options, reporter.Note);
        using PatchClassifier? classifier = prompter?.Open(gpu.Gpu, images, 4, flags.Budget - model.Plan.Peak);
        bool isHalf = flags.Precision == DType.BF16;
        reporter.Note($"{flags.Checkpoint}: {Describe(model.Config)}, {(isHalf ? "bf16" : "fp32")}; "
            + $"{Sizes.Text(model.Plan.Peak)} of device memory; {gpu.Name}");
        if (classifier is not null) reporter.Note(prompter!.Describe(classifier));
        SamRun run = new(flags, model, classifier, reporter, Invocation.CancelOf(parsed));
        List<ImageReport> reports = [];
        reporter.Work(() =>
        {
            using Reporter.Stage? all = images.Length > 1 ? reporter.Begin("all images", images.Length, "images")
                : null;
            foreach (InputImage image in images)
            {
                reports.Add(run.Image(image, gpu.Kind == "null" ? null : work));
                all?.Report((double)reports.Count / images.Length);
            }
        });
        int failed = reports.Count(r => r.Status == "failed");
        reporter.Json(() => MaskFiles.Json(new
        {
            Checkpoint = flags.Checkpoint,
            Model = Describe(model.Config),
            Precision = isHalf ? "bf16" : "fp32",
            Gpu = gpu.Kind,
            Device = gpu.Name,
            DeviceMemoryBytes = model.Plan.Peak + (classifier?.Plan.Peak ?? 0),
            Images = reports,
        }));
        if (failed > 0 && images.Length > 1) reporter.Fail($"{failed} of {images.Length} images failed");
        return failed > 0 ? ExitCode.Failure : ExitCode.Ok;
    }

    // No image can be read: said without opening the model.
    internal static int NothingToDo(Reporter reporter, InputImage[] images)
    {
        List<ImageReport> reports = [];
        foreach (InputImage image in images)
        {
            try
            {
                ImageList.Read(image.Path);
            }
            catch (Exception e) when (IsOfTheImage(e))
            {
                reports.Add(Failed(reporter, image, e));
            }
        }
        reporter.Json(() => MaskFiles.Json(new { Images = reports }));
        return ExitCode.Failure;
    }

    /// <summary>Throws when an output folder is there already and may not be replaced.</summary>
    public static void RequireFree(string folder, IEnumerable<InputImage> images, bool overwrite)
    {
        if (File.Exists(folder)) throw new UserError($"--out {folder} is a file; expected a folder, which is made");
        foreach (InputImage image in images)
        {
            string target = Path.Combine(folder, image.Name);
            if (File.Exists(target) || (!overwrite && Directory.Exists(target)))
            {
                throw new UserError($"output {target} is there already; --overwrite replaces such folders, "
                    + "or choose another --out");
            }
        }
    }

    ImageReport Image(InputImage image, Work? work)
    {
        cancel.ThrowIfCancellationRequested();
        Stopwatch watch = Stopwatch.StartNew();
        try
        {
            Raster pixels = ImageList.Read(image.Path);
            if (work is null)
            {
                reporter.Say($"{image.Path}: {pixels.Width} x {pixels.Height}, nothing computed (--gpu null)");
                return new ImageReport(image.Path, "planned", null, pixels.Width, pixels.Height);
            }
            (string output, int? masks) = work(this, image, pixels);
            double seconds = Math.Round(watch.Elapsed.TotalSeconds, 3);
            string count = masks is int n ? $"{n} mask{(n == 1 ? "" : "s")}, " : "";
            reporter.Say(string.Create(CultureInfo.InvariantCulture, $"{output}: {count}{seconds:F1} s"));
            return new ImageReport(image.Path, "done", null, pixels.Width, pixels.Height, output, masks, seconds);
        }
        catch (Exception e) when (IsOfTheImage(e))
        {
            return Failed(reporter, image, e);
        }
    }

    internal static ImageReport Failed(Reporter reporter, InputImage image, Exception e)
    {
        string message = e.Message.Contains(image.Path, StringComparison.Ordinal) ? e.Message
            : $"{image.Path}: {e.Message}";
        reporter.Fail(message);
        return new ImageReport(image.Path, "failed", message);
    }

    internal static bool IsOfTheImage(Exception e) => e is UserError { Code: ExitCode.Failure } or IOException
        or UnauthorizedAccessException
        or ArgumentException or OutOfMemoryException or ImagingException { Kind: not ImagingError.LibraryMissing };

    static string Describe(SamConfig config)
    {
        string? name = SamConfig.Published.FirstOrDefault(p => p.Value.Equals(config)).Key;
        string sizes =
            $"{config.EmbedDim} channels, {config.Depth} blocks, {config.ImageSize} x {config.ImageSize} pixels";
        return name is null ? sizes : $"{name} ({sizes})";
    }
}
