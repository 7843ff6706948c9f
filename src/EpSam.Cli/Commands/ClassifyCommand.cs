// epsam classify: whether images show tumour. Prints CSV, a line for each image: image, logit, probability.
using System.CommandLine;
using System.Globalization;
using System.Text;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Pipeline;
using EpSam.Native.Preprocess;

namespace EpSam.Cli.Commands;

internal static class ClassifyCommand
{
    const string Header = "image,logit,probability";

    static readonly Argument<string[]> Images = new("IMAGE")
    {
        Arity = ArgumentArity.OneOrMore, Description = "PNG, JPEG, TIFF or WebP; a folder means its images",
    };
    static readonly Option<int?> Size = new("--size")
    {
        HelpName = "PIXELS", Description = "resize images to this side first; else each keeps its own",
    };
    static readonly Option<double?> ScaleBy = new("--scale")
    {
        HelpName = "X", Description =
            "resize images by this first: tissue as large as in the training patches; a run's folder brings its own",
    };
    static readonly Option<string?> Out = new("--out")
    {
        HelpName = "FILE.csv", Description = "write the lines into a file too",
    };

    public static Command Create()
    {
        Command command = new("classify", "Say whether images show tumour, with a patch classifier.")
        {
            Images, Size, ScaleBy, Out,
        };
        ClassifierRun.AddTo(command);
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        InputImage[] images = ImageList.Of(parsed.GetRequiredValue(Images));
        int? size = parsed.GetValue(Size);
        if (size is < 1 or > 4096) throw UserError.Usage($"--size {size}: expected 1 to 4096");
        double? given = parsed.GetValue(ScaleBy);
        if (given is not (null or (> 0 and <= 16)))
            throw UserError.Usage(FormattableString.Invariant($"--scale {given}: expected above 0, at most 16"));
        if (given is not null && size is not null) throw UserError.Usage("give --size or --scale, not both");
        string classifier = parsed.GetRequiredValue(ClassifierFlags.Required);
        double scale = given ?? (Directory.Exists(classifier) ? CamFlags.OfRun(new(classifier)).Scale : 1);
        string? target = parsed.GetValue(Out);
        if (target is not null) OutputFiles.RequireWritable(target);
        bool isFirst = true;
        ClassifierFlags Change(ClassifierFlags flags) => flags with { Side = size, Scale = scale };
        return ClassifierRun.Execute(parsed, images, 1, Change, (run, image, pixels) =>
        {
            (int h, int w) = size is int side ? (side, side)
                : PatchClassifier.Scaled(pixels.Height, pixels.Width, scale);
            byte[] seen = pixels.Pixels;
            if ((h, w) != (pixels.Height, pixels.Width))
            {
                seen = new byte[3 * h * w];
                Resample.PillowBilinear(pixels.Pixels, pixels.Height, pixels.Width, 3, h, w, seen);
            }
            PatchScore score = run.Classifier.Classify(seen, h, w);
            ImageReport report = new(image.Path, "done", null, pixels.Width, pixels.Height, Logit: score.Logit,
                Probability: score.Probability);
            if (isFirst) run.Reporter.Say(Header);
            isFirst = false;
            run.Reporter.Say(Line(report));
            return report;
        }, reports =>
        {
            if (target is null) return;
            StringBuilder csv = new(Header + "\n");
            foreach (ImageReport report in reports.Where(r => r.Status == "done"))
                csv.Append(Line(report)).Append('\n');
            OutputFiles.Write([(target, stream => stream.Write(Encoding.UTF8.GetBytes(csv.ToString())))]);
        });
    }

    // As floats, in the shortest text that gives the same.
    static string Line(ImageReport report) => string.Create(CultureInfo.InvariantCulture,
        $"{CsvText.Field(report.Image)},{(float)report.Logit!.Value:R},{(float)report.Probability!.Value:R}");
}
