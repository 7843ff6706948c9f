// What classify and cam share: the classifier is opened once, then one image after the other is worked on. An image
// that fails is reported and the rest go on; the exit code is then 1. With --gpu null images are read and memory is
// planned, but nothing is computed or written.
using System.CommandLine;
using EpSam.Imaging;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Cli;

internal sealed class ClassifierRun(PatchClassifier classifier, Reporter reporter, CancellationToken cancel)
{
    public PatchClassifier Classifier => classifier;

    public Reporter Reporter => reporter;

    public CancellationToken Cancel => cancel;

    /// <summary>What became of an image, for the summary; says its line.</summary>
    public delegate ImageReport Work(ClassifierRun run, InputImage image, Raster pixels);

    /// <summary>The flags that both commands have.</summary>
    public static void AddTo(Command command)
    {
        foreach (Option option in new Option[]
        {
            ClassifierFlags.Required, GpuChoice.Gpu, GpuChoice.Check, SamFlags.PrecisionName, SamFlags.MemoryBudget,
            SamFlags.Json, SamFlags.Quiet,
        })
        {
            command.Add(option);
        }
    }

    /// <summary>Runs a whole command.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="images">Its images.</param>
    /// <param name="batch">Images in one pass.</param>
    /// <param name="change">What is special about the classifier.</param>
    /// <param name="work">On one image.</param>
    /// <param name="finish">With all reports, when none was cancelled and something was computed.</param>
    public static int Execute(ParseResult parsed, InputImage[] images, int batch,
        Func<ClassifierFlags, ClassifierFlags> change, Work work, Action<List<ImageReport>>? finish = null)
    {
        GpuChoice choice = GpuChoice.Parse(parsed.GetValue(GpuChoice.Gpu)!, parsed.GetValue(GpuChoice.Check)!);
        DType precision = SamFlags.ReadPrecision(parsed);
        long? budget = SamFlags.ReadBudget(parsed);
        string path = parsed.GetRequiredValue(ClassifierFlags.Required);
        ClassifierFlags flags = change(ClassifierFlags.Of(path, precision));
        Reporter reporter = new(parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error,
            parsed.GetValue(SamFlags.Json), parsed.GetValue(SamFlags.Quiet));
        _ = ImageReader.LibraryVersion; // missing: said before the model is loaded
        flags.RequireCheckpoint();
        if (!images.Any(i => ImageList.LooksReadable(i.Path))) return SamRun.NothingToDo(reporter, images);
        using OpenedGpu gpu = OpenedGpu.Open(choice, reporter.Note);
        using PatchClassifier classifier = flags.Open(gpu.Gpu, images, batch, budget);
        string type = precision == DType.BF16 ? "bf16" : "fp32";
        reporter.Note($"{flags.Describe(classifier)}, {type}; {gpu.Name}");
        ClassifierRun run = new(classifier, reporter, Invocation.CancelOf(parsed));
        List<ImageReport> reports = [];
        bool isPlan = gpu.Kind == "null";
        reporter.Work(() =>
        {
            using Reporter.Stage all = reporter.Begin("images", images.Length, "images");
            foreach (InputImage image in images)
            {
                reports.Add(run.Image(image, isPlan ? null : work));
                all.Report((double)reports.Count / images.Length);
            }
        });
        if (!isPlan) finish?.Invoke(reports);
        int failed = reports.Count(r => r.Status == "failed");
        reporter.Json(() => MaskFiles.Json(new
        {
            Classifier = flags.Checkpoint,
            classifier.Config.Blocks,
            classifier.Config.Width,
            Precision = type,
            Gpu = gpu.Kind,
            Device = gpu.Name,
            DeviceMemoryBytes = classifier.Plan.Peak,
            Images = reports,
        }));
        if (failed > 0 && images.Length > 1) reporter.Fail($"{failed} of {images.Length} images failed");
        return failed > 0 ? ExitCode.Failure : ExitCode.Ok;
    }

    ImageReport Image(InputImage image, Work? work)
    {
        cancel.ThrowIfCancellationRequested();
        try
        {
            Raster pixels = ImageList.Read(image.Path);
            if (work is not null) return work(this, image, pixels);
            reporter.Say($"{image.Path}: {pixels.Width} x {pixels.Height}, nothing computed (--gpu null)");
            return new ImageReport(image.Path, "planned", null, pixels.Width, pixels.Height);
        }
        catch (Exception e) when (SamRun.IsOfTheImage(e))
        {
            return SamRun.Failed(reporter, image, e);
        }
    }
}
