// epsam segment --classifier: EP-SAM's way, without prompts (model_inference.py). Where the classifier sees tumour
// becomes a mask, points are drawn from it by the activation map, and SAM makes its mask from these. An image's folder:
//   mask_0.png      SAM's mask; empty where the classifier sees nothing
//   cam.png, cam_mask.png   the activation map and what the rule made of it
//   overlay_0.png   the image with mask and points
//   segment.json    points, score, area, box, COCO run lengths
using System.CommandLine;
using System.Text;
using EpSam.Imaging;
using EpSam.Native.Masks;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Models.Sam;

namespace EpSam.Cli.Commands;

internal static class SegmentByClassifier
{
    const int MostPoints = 1024;

    static readonly Option<string?> Classifier = new("--classifier")
    {
        HelpName = "CKPT", Description =
            "a patch classifier, or the folder of a run: it shows SAM where to look, and no prompt is needed",
    };
    static readonly Option<int> PointCount = new("--point-count")
    {
        HelpName = "N", DefaultValueFactory = _ => 50, Description = "points that are drawn by the classifier's map",
    };
    static readonly Option<int> PointSeed = new("--point-seed")
    {
        HelpName = "N", DefaultValueFactory = _ => 0, Description = "other seeds draw other points",
    };

    public static void AddTo(Command command)
    {
        command.Add(Classifier);
        command.Add(PointCount);
        command.Add(PointSeed);
        CamFlags.AddTo(command);
    }

    /// <summary>Whether a classifier is given; throws for its flags without it.</summary>
    public static bool IsWanted(ParseResult parsed)
    {
        if (parsed.GetValue(Classifier) is not null) return true;
        string? given = CamFlags.Given(parsed) ?? new Option[] { PointCount, PointSeed }
            .FirstOrDefault(o => parsed.GetResult(o) is { Implicit: false })?.Name;
        return given is null ? false : throw UserError.Usage($"{given} is about --classifier, which is not given");
    }

    public static int Run(ParseResult parsed, SamFlags flags, InputImage[] images, string target, string? embedding)
    {
        CamFlags cam = CamFlags.Read(parsed, parsed.GetValue(Classifier)!);
        (int count, int seed) = (parsed.GetValue(PointCount), parsed.GetValue(PointSeed));
        if (count is < 1 or > MostPoints) throw UserError.Usage($"--point-count {count}: expected 1 to {MostPoints}");
        if (seed < 0) throw UserError.Usage($"--point-seed {seed}: expected 0 or more");
        ClassifierFlags classifier =
            ClassifierFlags.Of(parsed.GetValue(Classifier)!, flags.Precision) with { Scale = cam.Scale };
        SamOptions options = new() { MaxPoints = count, ImagesPerPass = 1, PromptsPerPass = 1 };
        return SamRun.Execute(parsed, flags, images, options, (run, image, pixels) =>
        {
            using (run.Reporter.Begin(Path.GetFileName(image.Path), 1, "image"))
            {
                ActivationMap map = cam.MapOf(run.Classifier!, pixels);
                byte[] region = map.Mask(cam.Rule);
                SamPrediction? answer = null;
                (int X, int Y)[] points = [];
                if (region.AsSpan().ContainsAnyExcept((byte)0))
                {
                    points = map.Points(region, count, (ulong)seed);
                    answer = Ask(run, pixels, points, embedding);
                }
                else run.Reporter.Note($"{image.Path}: the classifier sees nothing; the mask is empty");
                string folder = Path.Combine(target, image.Name);
                Write(folder, run, image, pixels, map, region, points, answer);
                return (folder, 1);
            }
        }, classifier);
    }

    static SamPrediction Ask(SamRun run, Raster pixels, (int X, int Y)[] points, string? embedding)
    {
        SamPredictor predictor = new(run.Model);
        if (embedding is null) predictor.SetImage(pixels.Pixels, pixels.Height, pixels.Width, run.Cancel);
        else predictor.SetImage(SegmentCommand.Saved(embedding, pixels));
        SamPrompt prompt = new() { Points = [.. points.Select(p => new SamPoint(p.X, p.Y))] };
        return predictor.Predict(prompt, multimask: false, run.Cancel);
    }

    static void Write(string path, SamRun run, InputImage image, Raster pixels, ActivationMap map, byte[] region,
        (int X, int Y)[] points, SamPrediction? answer)
    {
        byte[] mask = answer?.Masks[0] ?? new byte[region.Length];
        using OutputFolder folder = new(path);
        folder.Add("mask_0.png", MaskFiles.Png(mask, pixels.Width, pixels.Height));
        folder.Add("cam.png", ImageWriter.EncodePng(map.Map, map.Width, map.Height, 1));
        folder.Add("cam_mask.png", MaskFiles.Png(region, pixels.Width, pixels.Height));
        byte[] rgb = [.. pixels.Pixels];
        Overlay.Paint(rgb, mask, pixels.Height, pixels.Width, Overlay.Colour(run.Flags.Seed));
        PromptMarks.Draw(rgb, pixels.Height, pixels.Width, points.Select(p => new PointPrompt(p.X, p.Y, 1)), null);
        folder.Add("overlay_0.png", ImageWriter.EncodePng(rgb, pixels.Width, pixels.Height, 3));
        run.Cancel.ThrowIfCancellationRequested();
        folder.Add("segment.json", Encoding.UTF8.GetBytes(MaskFiles.Json(new
        {
            Image = image.Path, pixels.Width, pixels.Height, run.Flags.Checkpoint,
            Objects = answer is null ? [] : new object[]
            {
                new
                {
                    Points = points.Select(p => new[] { p.X, p.Y, 1 }), answer.Best,
                    Masks = new[] { SegmentCommand.MaskReport(answer, 0, "mask_0.png") },
                },
            },
        })));
        folder.Commit();
    }
}
