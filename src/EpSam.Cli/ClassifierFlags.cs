// --classifier, and its opening for the images of a command line: what is wrong with a checkpoint becomes one message
// that begins with the file. Memory is planned for the largest of the images.
using System.CommandLine;
using EpSam.Imaging;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Pipeline;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Cli;

internal sealed record ClassifierFlags(string Checkpoint, DType Precision)
{
    const string Description = "a patch classifier with EP-SAM's names, .safetensors or .pth, or the folder of a run; "
        + "its sizes are told by its shapes";

    public static readonly Option<string> Required = new("--classifier")
    {
        HelpName = "CKPT", Required = true, Description = Description,
    };

    /// <summary>What an image is resized by before the classifier sees it.</summary>
    public double Scale { get; init; } = 1;

    /// <summary>What all images are resized to instead; null: each keeps its own size.</summary>
    public int? Side { get; init; }

    /// <summary>A run's folder means its classifier.</summary>
    public static ClassifierFlags Of(string path, DType precision) =>
        new(Directory.Exists(path) ? new RunFolder(path).Classifier : path, precision);

    /// <summary>Throws unless there is a checkpoint of some kind: before anything is opened.</summary>
    public void RequireCheckpoint()
    {
        using FileStream stream = InputFile.Open(Checkpoint, "classifier");
        if (stream.Length == 0) throw new UserError($"classifier {Checkpoint} is empty");
    }

    /// <summary>Plans, allocates and loads the classifier.</summary>
    public PatchClassifier Open(Gpu gpu, InputImage[] images, int batch, long? budget)
    {
        try
        {
            PatchClassifierOptions options = new PatchClassifierOptions
            {
                Precision = Precision, Batch = batch, MemoryBudget = budget,
            }.For(Side is int side ? [(side, side)] : SizesOf(images));
            return PatchClassifier.Load(gpu, Checkpoint, options);
        }
        catch (BudgetException e)
        {
            throw new UserError($"--memory-budget, classifier: {e.Message}");
        }
        catch (Exception e) when (e is CheckpointException or IOException or UnauthorizedAccessException)
        {
            bool isNamed = e.Message.Contains(Checkpoint, StringComparison.Ordinal);
            throw new UserError(isNamed ? e.Message : $"{Checkpoint}: {e.Message}");
        }
    }

    /// <summary>For people.</summary>
    public string Describe(PatchClassifier classifier) =>
        $"{Checkpoint}: blocks {string.Join(", ", classifier.Config.Blocks)}, width {classifier.Config.Width}; "
        + $"{Sizes.Text(classifier.Plan.Peak)} of device memory";

    IEnumerable<(int Height, int Width)> SizesOf(InputImage[] images)
    {
        VipsFiles files = new();
        foreach (InputImage image in images)
        {
            (int Height, int Width)? size = null;
            try
            {
                (int height, int width) = files.ReadSize(image.Path);
                size = PatchClassifier.Scaled(height, width, Scale);
            }
            catch (ImageFileException)
            {
                // reported when it is its turn
            }
            if (size is not null) yield return size.Value;
        }
    }
}
