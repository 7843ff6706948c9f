// The second stage of a run: where the trained classifier sees tumour becomes a first mask (EP-SAM's
// 2_generate_initial_mask.py). Training images without tumour need none; of validation and test all have one, as their
// prompts are drawn from it. Each image is a pair of files, the mask last, so that a run that was interrupted anywhere
// goes on with the first image that has none.
using EpSam.Native.Models.ResNet;
using EpSam.Native.Prompts;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Pipeline;

/// <summary>Activation maps and initial masks.</summary>
public sealed class CamStage : IRunStage
{
    /// <summary>The figure that says what images were resized by.</summary>
    public const string ScaleFigure = "scale";

    const int Listed = 8;

    /// <inheritdoc/>
    public string Name => "masks";

    /// <inheritdoc/>
    public StageResult Run(RunContext run)
    {
        SourceImage[] images = [.. run.Data.Images.Where(IsWanted)];
        run.Journal.Rewind(Name, null); // a figure of each image, written anew from what is there
        if (images.Length == 0)
            throw new RunException("there are no images to make masks of: none for training has label 1");
        double scale = ScaleOf(run.Config, run.Data, run.Files);
        if (scale != 1)
            run.Observer.Note(FormattableString.Invariant($"the classifier sees images scaled by {scale:0.####}"));
        PatchClassifierOptions options =
            Options(run.Config, images.Select(i => run.Files.ReadSize(i.Path)), scale);
        using PatchClassifier classifier = PatchClassifier.Load(run.Gpu, run.Folder.Classifier, options);
        run.Folder.KeepTimeline(Name, classifier.Plan);
        double[] shares = MakeAll(run, classifier, images, scale);
        Dictionary<string, double> figures = Figures(run, images, shares);
        figures[ScaleFigure] = scale;
        return new(figures, classifier.Plan.Peak, classifier.MeasuredPeak);
    }

    /// <inheritdoc/>
    public void Reset(RunFolder folder)
    {
        string made = Path.GetDirectoryName(folder.InitialMask("any"))!;
        if (Directory.Exists(made)) Directory.Delete(made, recursive: true);
    }

    /// <summary>How a run's classifier looks at images of these sizes, scaled.</summary>
    public static PatchClassifierOptions Options(RunConfig config, IEnumerable<(int Height, int Width)> images,
        double scale) => new PatchClassifierOptions
        {
            Precision = config.Type, MemoryBudget = config.BudgetBytes,
        }.For(images.Select(s => PatchClassifier.Scaled(s.Height, s.Width, scale)));

    /// <summary>Whether an image gets a mask: not when it is for training and shows no tumour.</summary>
    public static bool IsWanted(SourceImage image) => image.Split != Split.Train || image.Label == 1;

    /// <summary>
    /// What images are resized by before the classifier sees them: the configuration's, or as its training patches
    /// were (the middle one of all, where they were not of one size).
    /// </summary>
    public static double ScaleOf(RunConfig config, PatchSet data, IImageFiles files)
    {
        if (config.Cam.Scale is double given) return given;
        Dictionary<int, (int Height, int Width)> sizes = [];
        List<double> scales = [];
        foreach (Patch patch in data.PatchesOf(Split.Train))
        {
            (double height, double width) = patch.Crop is Crop crop ? (crop.Height, crop.Width) : SizeOf(patch.Image);
            scales.Add(config.Classifier.Size / Math.Sqrt(height * width));
        }
        scales.Sort();
        return scales.Count == 0 ? 1 : scales[scales.Count / 2];

        (int Height, int Width) SizeOf(int image)
        {
            if (!sizes.TryGetValue(image, out (int Height, int Width) size))
                sizes[image] = size = files.ReadSize(data.Images[image].Path);
            return size;
        }
    }

    // The share of pixels that is set, of each image.
    double[] MakeAll(RunContext run, PatchClassifier classifier, SourceImage[] images, double scale)
    {
        double[] shares = new double[images.Length];
        using IWorkProgress progress = run.Observer.Begin("initial masks", images.Length, "images");
        Task<Picture>? ahead = null;
        try
        {
            for (int i = 0; i < images.Length; i++)
            {
                run.Cancel.ThrowIfCancellationRequested();
                if (ShareOfMade(run, images[i].Name) is double made) shares[i] = made;
                else
                {
                    Picture picture = (ahead ?? Read(run, images[i])).GetAwaiter().GetResult();
                    // images behind one without a mask mostly have none either
                    ahead = i + 1 < images.Length && !File.Exists(run.Folder.InitialMask(images[i + 1].Name))
                        ? Read(run, images[i + 1]) : null;
                    shares[i] = Make(run, classifier, images[i].Name, picture, scale);
                }
                run.Journal.Add(Name, 1, i + 1, "mask_share", shares[i]);
                progress.Report(i + 1, FormattableString.Invariant($"{100 * shares[i]:F1} % set"));
            }
        }
        catch (ImageFileException e)
        {
            throw new RunException($"{e.Message}. The masks made so far stay; when the image can be read, the same "
                + "command goes on from there", e);
        }
        finally
        {
            ahead?.ContinueWith(t => _ = t.Exception, TaskScheduler.Default); // nobody will ask for it
        }
        return shares;
    }

    static Task<Picture> Read(RunContext run, SourceImage image) => Task.Run(() => run.ReadRgb(image));

    static double Make(RunContext run, PatchClassifier classifier, string name, Picture picture, double scale)
    {
        CamMaskRule rule = run.Config.Cam.Effective;
        ActivationMap map = classifier.Cam(
            picture.Pixels, picture.Height, picture.Width, run.Config.Cam.WholeStage, scale);
        byte[] mask = map.Mask(rule);
        if (rule.Logit is not null) map = map.OfProbabilities(); // what points are drawn by
        RunFolder.Write(run.Folder.Cam(name), run.Files.EncodePng(new(map.Map, map.Height, map.Width, 1)));
        run.WriteMask(run.Folder.InitialMask(name), mask, picture.Height, picture.Width);
        return Share(mask);
    }

    // Null when the image is still to do.
    static double? ShareOfMade(RunContext run, string name)
    {
        if (!File.Exists(run.Folder.InitialMask(name)) || !File.Exists(run.Folder.Cam(name))) return null;
        try
        {
            return Share(run.Files.ReadGrey(run.Folder.InitialMask(name)).Pixels);
        }
        catch (ImageFileException)
        {
            return null; // damaged: made again
        }
    }

    static double Share(byte[] mask) => 1 - (double)mask.Count(v => v == 0) / mask.Length;

    Dictionary<string, double> Figures(RunContext run, SourceImage[] images, double[] shares)
    {
        Dictionary<string, double> figures = new() { ["images"] = images.Length };
        double[] training = [.. shares.Where((_, i) => images[i].Split == Split.Train)];
        if (training.Length > 0) figures["mask_share"] = training.Average();
        string[] empty = [.. images.Where((m, i) => m.Split == Split.Train && shares[i] == 0).Select(m => m.Name)];
        figures["empty"] = empty.Length;
        figures["empty_others"] = shares.Where((s, i) => images[i].Split != Split.Train && s == 0).Count();
        foreach ((string name, double value) in figures) run.Journal.Add(Name, 1, images.Length, name, value);
        run.Journal.Commit();
        if (empty.Length > 0)
        {
            string more = empty.Length > Listed ? $", … ({empty.Length - Listed} more)" : "";
            run.Observer.Warn($"{empty.Length} of {training.Length} training images have an empty mask although they "
                + $"have label 1: {string.Join(", ", empty.Take(Listed))}{more}");
        }
        return figures;
    }
}
