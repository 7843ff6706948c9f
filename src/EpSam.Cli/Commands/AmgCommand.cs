// epsam amg: all masks of an image, as SAM's automatic mask generator finds them. The parameters have the names of the
// reference's scripts/amg.py. Each image gets a folder of its name:
//   0.png …  metadata.csv     a PNG for each mask and a line on each; or with --convert-to-rle
//   masks.json                the records with COCO's compressed run lengths
//   overlay.png               all masks over the image
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using EpSam.Imaging;
using EpSam.Native.Masks;
using EpSam.Native.Models.Sam;

namespace EpSam.Cli.Commands;

internal static class AmgCommand
{
    const int MostPoints = 1024;   // a side

    static readonly AutomaticMaskOptions Defaults = new();
    static readonly Argument<string[]> Images = new("IMAGE")
    {
        Arity = ArgumentArity.OneOrMore, Description = "PNG, JPEG, TIFF or WebP; a folder means its images",
    };
    static readonly Option<string> Out = new("--out")
    {
        HelpName = "DIR", Required = true, Description = "gets a folder for each image",
    };
    static readonly Option<bool> ConvertToRle = new("--convert-to-rle")
    {
        Description = "one masks.json with COCO's run lengths instead of a PNG for each mask",
    };
    static readonly Option<int> PointsPerSide = Whole("--points-per-side", Defaults.PointsPerSide,
        "points of the grid along a side");
    static readonly Option<string?> PointGrids = new("--point-grids")
    {
        HelpName = "FILE.json",
        Description = "own points instead of a grid: [[[x,y],…],…], 0 to 1, a list for each layer of crops",
    };
    static readonly Option<int> PointsPerBatch = Whole("--points-per-batch", new SamOptions().PromptsPerPass,
        "points in a pass of the decoder: more take more memory, results are the same");
    static readonly Option<double> PredIou = Real("--pred-iou-thresh", Defaults.PredIouThreshold,
        "masks go that the model itself rates no better; 0 keeps all");
    static readonly Option<double> Stability = Real("--stability-score-thresh", Defaults.StabilityScoreThreshold,
        "masks go that change more than this when the threshold moves; 0 keeps all");
    static readonly Option<double> StabilityOffset = Real("--stability-score-offset", Defaults.StabilityScoreOffset,
        "how far the threshold is moved");
    static readonly Option<double> BoxNms = Real("--box-nms-thresh", Defaults.BoxNmsThreshold,
        "overlap of boxes above which the worse mask goes");
    static readonly Option<int> CropLayers = Whole("--crop-n-layers", Defaults.CropLayers,
        "layers of crops beside the whole image; layer i has 4^i of them");
    static readonly Option<double> CropNms = Real("--crop-nms-thresh", Defaults.CropNmsThreshold,
        "overlap of boxes above which the mask of the larger crop goes");
    static readonly Option<double> CropOverlap = Real("--crop-overlap-ratio", Defaults.CropOverlapRatio,
        "overlap of crops, as a share of the shorter side");
    static readonly Option<int> CropDownscale = Whole("--crop-n-points-downscale-factor",
        Defaults.CropPointsDownscaleFactor, "points a side are divided by this for each layer");
    static readonly Option<double> MinArea = Real("--min-mask-region-area", Defaults.MinMaskRegionArea,
        "holes and islands with fewer pixels go");

    public static Command Create()
    {
        Command command = new("amg", "Find all masks of images, without prompts.")
        {
            Images, Out, SegmentCommand.Overwrite, ConvertToRle, PointsPerSide, PointGrids, PointsPerBatch, PredIou,
            Stability, StabilityOffset, BoxNms, CropLayers, CropNms, CropOverlap, CropDownscale, MinArea,
        };
        SamFlags.AddTo(command);
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        SamFlags flags = SamFlags.Read(parsed);
        AutomaticMaskOptions options = Options(parsed);
        InputImage[] images = ImageList.Of(parsed.GetRequiredValue(Images));
        string target = parsed.GetRequiredValue(Out);
        SamRun.RequireFree(target, images, parsed.GetValue(SegmentCommand.Overwrite));
        bool asRle = parsed.GetValue(ConvertToRle);
        SamOptions planned = new() { PromptsPerPass = options.PointsPerBatch, MaxPoints = 1, ImagesPerPass = 1 };
        return SamRun.Execute(parsed, flags, images, planned, (run, image, pixels) =>
        {
            IReadOnlyList<MaskRecord> masks;
            using (Reporter.Stage stage = run.Reporter.Begin(Path.GetFileName(image.Path), Points(options), "points"))
                masks = new SamAutomaticMaskGenerator(run.Model, options)
                    .Generate(pixels.Pixels, pixels.Height, pixels.Width, stage, run.Cancel);
            string path = Path.Combine(target, image.Name);
            using OutputFolder folder = new(path);
            if (asRle) folder.Add("masks.json", MaskFiles.Coco(masks));
            else Pictures(folder, masks, run.Cancel);
            folder.Add("overlay.png", MaskFiles.OverlayPng(pixels, masks, flags.Seed));
            folder.Commit();
            if (masks.Count == 0)
                run.Reporter.Note($"{image.Path}: no mask is left; "
                    + "--pred-iou-thresh and --stability-score-thresh decide");
            return (path, masks.Count);
        });
    }

    static void Pictures(OutputFolder folder, IReadOnlyList<MaskRecord> masks, CancellationToken cancel)
    {
        for (int i = 0; i < masks.Count; i++)
        {
            cancel.ThrowIfCancellationRequested();
            Rle mask = masks[i].Segmentation;
            folder.Add($"{i}.png", MaskFiles.Png(mask.Decode(), mask.Width, mask.Height));
        }
        folder.Add("metadata.csv", MaskFiles.Csv(masks));
    }

    static AutomaticMaskOptions Options(ParseResult parsed)
    {
        AutomaticMaskOptions options = new()
        {
            PointsPerSide = Between(parsed, PointsPerSide, 1, MostPoints),
            PointsPerBatch = Between(parsed, PointsPerBatch, 1, 4096),
            PredIouThreshold = Between(parsed, PredIou, 0, 1),
            StabilityScoreThreshold = Between(parsed, Stability, 0, 1),
            StabilityScoreOffset = Between(parsed, StabilityOffset, 0, 1e6),
            BoxNmsThreshold = Between(parsed, BoxNms, 0, 1),
            CropLayers = Between(parsed, CropLayers, 0, 6),
            CropNmsThreshold = Between(parsed, CropNms, 0, 1),
            CropOverlapRatio = Between(parsed, CropOverlap, 0, 1),
            CropPointsDownscaleFactor = Between(parsed, CropDownscale, 1, MostPoints),
            MinMaskRegionArea = Between(parsed, MinArea, 0, 1e9),
        };
        return parsed.GetValue(PointGrids) is not string file ? options
            : options with { PointGrids = ReadGrids(file, options.CropLayers + 1) };
    }

    static IReadOnlyList<(double X, double Y)[]> ReadGrids(string path, int layers)
    {
        const int Longest = 64 << 20;
        using FileStream stream = InputFile.Open(path, "--point-grids");
        if (stream.Length > Longest)
            throw new UserError($"{path} has {stream.Length} bytes; at most {Longest} are read");
        double[][][]? grids;
        try
        {
            grids = JsonSerializer.Deserialize<double[][][]>(stream);
        }
        catch (JsonException e)
        {
            throw new UserError($"{path}: expected [[[x,y],…],…], a list of points for each layer: {e.Message}");
        }
        if (grids is null || grids.Length < layers)
            throw new UserError(
                $"{path}: has points for {grids?.Length ?? 0} layers, {layers} are needed (--crop-n-layers)");
        foreach (double[] point in grids.SelectMany(g => g ?? []))
            if (point is not [>= 0 and <= 1, >= 0 and <= 1])
            {
                string found = string.Join(", ", point ?? []);
                throw new UserError($"{path}: a point is two numbers from 0 to 1, found [{found}]");
            }
        return [.. grids.Select(g => (g ?? []).Select(p => (p[0], p[1])).ToArray())];
    }

    // Of all crops, for the bar: layer i has 4^i.
    static long Points(AutomaticMaskOptions options)
    {
        double total = 0;
        for (int layer = 0; layer <= options.CropLayers; layer++)
        {
            double side = Math.Floor(options.PointsPerSide / Math.Pow(options.CropPointsDownscaleFactor, layer));
            total += Math.Pow(4, layer) * (options.PointGrids is { } grids ? grids[layer].Length : side * side);
        }
        return (long)total;
    }

    static Option<int> Whole(string name, int value, string description) =>
        new(name) { HelpName = "N", DefaultValueFactory = _ => value, Description = description };

    static Option<double> Real(string name, double value, string description) =>
        new(name) { HelpName = "X", DefaultValueFactory = _ => value, Description = description };

    static int Between(ParseResult parsed, Option<int> option, int least, int most)
    {
        int value = parsed.GetValue(option);
        return value >= least && value <= most ? value
            : throw UserError.Usage($"{option.Name} {value}: expected {least} to {most}");
    }

    static double Between(ParseResult parsed, Option<double> option, double least, double most)
    {
        double value = parsed.GetValue(option);
        return value >= least && value <= most ? value
            : throw UserError.Usage(string.Create(CultureInfo.InvariantCulture,
                $"{option.Name} {value}: expected {least} to {most}"));
    }
}
