// epsam segment: masks for prompts. Each image gets a folder of its name:
//   mask_0.png …       one for each mask (with --multimask three for an object, in the model's order)
//   overlay_0.png …    the image with the first, second, … mask of every object, and the prompts
//   segment.json       prompts, scores, areas, boxes, COCO run lengths
using System.CommandLine;
using System.Text;
using EpSam.Imaging;
using EpSam.Native.Checkpoints;
using EpSam.Native.Masks;
using EpSam.Native.Models.Sam;

namespace EpSam.Cli.Commands;

internal static class SegmentCommand
{
    const int MostPoints = 1024;

    static readonly Argument<string[]> Images = new("IMAGE")
    {
        Arity = ArgumentArity.OneOrMore, Description = "PNG, JPEG, TIFF or WebP; a folder means its images",
    };
    static readonly Option<string[]> Points = new("--points")
    {
        HelpName = "x,y,label;…",
        Description = "points in pixels, label 1 (or none) in the object, 0 outside of it; given again: another object",
    };
    static readonly Option<string[]> Boxes = new("--box")
    {
        HelpName = "x0,y0,x1,y1", Description = "a box in pixels round the object; given again: another object",
    };
    static readonly Option<string?> Mask = new("--mask")
    {
        HelpName = "M.png", Description = "a first guess of the object: an image of the same size, bright where it is",
    };
    static readonly Option<bool> Multimask = new("--multimask")
    {
        Description = "several masks an object: a point may mean a part or the whole",
    };
    static readonly Option<string?> Embedding = new("--embedding")
    {
        HelpName = "E.safetensors", Description = "what epsam encode made of the image; it is not encoded again",
    };
    static readonly Option<string> Out = new("--out")
    {
        HelpName = "DIR", Required = true, Description = "gets a folder for each image",
    };
    public static readonly Option<bool> Overwrite = new("--overwrite")
    {
        Description = "replace folders that are there already",
    };

    sealed record ObjectPrompt(PointPrompt[] Points, BoxPrompt? Box);

    public static Command Create()
    {
        Command command = new("segment", "Segment objects that points, boxes, masks or a classifier show.")
        {
            Images, Points, Boxes, Mask, Multimask, Embedding, Out, Overwrite,
        };
        SegmentByClassifier.AddTo(command);
        SamFlags.AddTo(command);
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        SamFlags flags = SamFlags.Read(parsed);
        bool byClassifier = SegmentByClassifier.IsWanted(parsed);
        ObjectPrompt[] prompts = byClassifier ? [] : Prompts(parsed);
        InputImage[] images = ImageList.Of(parsed.GetRequiredValue(Images));
        string? mask = parsed.GetValue(Mask), embedding = parsed.GetValue(Embedding);
        if (mask is not null) InputFile.Open(mask, "mask").Dispose();
        if (embedding is not null && images.Length > 1)
            throw UserError.Usage($"--embedding {embedding} is of one image; {images.Length} are given");
        string target = parsed.GetRequiredValue(Out);
        SamRun.RequireFree(target, images, parsed.GetValue(Overwrite));
        bool multimask = parsed.GetValue(Multimask);
        if (byClassifier)
        {
            if (mask is not null || multimask || parsed.GetValue(Points) is { Length: > 0 }
                || parsed.GetValue(Boxes) is { Length: > 0 })
            {
                throw UserError.Usage("--classifier finds the prompts; leave out --points, --box, --mask and "
                    + "--multimask");
            }
            return SegmentByClassifier.Run(parsed, flags, images, target, embedding);
        }
        SamOptions options = new()
        {
            MaxPoints = Math.Max(1, prompts.Max(p => p.Points.Length)), ImagesPerPass = 1,
            PromptsPerPass = Math.Min(prompts.Length, new SamOptions().PromptsPerPass),
        };
        return SamRun.Execute(parsed, flags, images, options, (run, image, pixels) =>
        {
            SamPredictor predictor = new(run.Model);
            WarnOutside(run, image, pixels, prompts);
            float[]? guess = mask is null ? null : Guess(run.Model, mask, pixels);
            using (run.Reporter.Begin(Path.GetFileName(image.Path), 1, "image"))
            {
                if (embedding is null) predictor.SetImage(pixels.Pixels, pixels.Height, pixels.Width, run.Cancel);
                else predictor.SetImage(Saved(embedding, pixels));
                IReadOnlyList<SamPrediction> predictions = predictor.Predict(
                    [.. prompts.Select(p => AsPrompt(p, guess))], multimask, null, run.Cancel);
                string folder = Path.Combine(target, image.Name);
                return (folder, Write(folder, run, image, pixels, prompts, mask, predictions));
            }
        });
    }

    // One object for each --points and each --box; where both are given, the first of each are the first object's.
    static ObjectPrompt[] Prompts(ParseResult parsed)
    {
        PointPrompt[][] points = [.. (parsed.GetValue(Points) ?? []).Select(PromptText.Points)];
        BoxPrompt[] boxes = [.. (parsed.GetValue(Boxes) ?? []).Select(PromptText.Box)];
        bool hasMask = parsed.GetValue(Mask) is not null;
        if (points.Length == 0 && boxes.Length == 0 && !hasMask)
            throw UserError.Usage(
                "nothing is asked for: give --points, --box or --mask, or --classifier (epsam amg finds all masks)");
        if (points.Length > 0 && boxes.Length > 0 && points.Length != boxes.Length)
            throw UserError.Usage($"--points is given {points.Length} times and --box {boxes.Length} times: which "
                + "points are in which box? Give one of them only, or both equally often");
        int count = Math.Max(1, Math.Max(points.Length, boxes.Length));
        if (hasMask && count > 1) throw UserError.Usage($"--mask shows one object; {count} are asked for");
        foreach (PointPrompt[] p in points)
            if (p.Length > MostPoints)
                throw UserError.Usage($"--points: {p.Length} points; at most {MostPoints} for an object");
        return [.. Enumerable.Range(0, count).Select(i =>
            new ObjectPrompt(points.Length > 0 ? points[i] : [], boxes.Length > 0 ? boxes[i] : null))];
    }

    static SamPrompt AsPrompt(ObjectPrompt prompt, float[]? guess) => new()
    {
        Points = [.. prompt.Points.Select(p =>
            new SamPoint(p.X, p.Y, p.Label == 1 ? PointLabel.Foreground : PointLabel.Background))],
        Box = prompt.Box is BoxPrompt b ? new SamBox(b.X0, b.Y0, b.X1, b.Y1) : null,
        Mask = guess,
    };

    static float[] Guess(SamModel model, string path, Raster pixels)
    {
        Raster grey = ImageReader.ReadGrey(path);
        if ((grey.Width, grey.Height) != (pixels.Width, pixels.Height))
            throw new UserError($"--mask {path} is {grey.Width} x {grey.Height} pixels, "
                + $"the image is {pixels.Width} x {pixels.Height}");
        return model.MaskLogits([.. grey.Pixels.Select(v => v >= 128 ? (byte)1 : (byte)0)], grey.Height, grey.Width);
    }

    internal static SamEmbedding Saved(string path, Raster pixels)
    {
        InputFile.Open(path, "embedding").Dispose();
        try
        {
            SamEmbedding saved = SamEmbedding.Load(path);
            return (saved.Width, saved.Height) == (pixels.Width, pixels.Height) ? saved
                : throw new UserError($"--embedding {path} is of an image of {saved.Width} x {saved.Height} pixels, "
                    + $"this one is {pixels.Width} x {pixels.Height}");
        }
        catch (CheckpointException e)
        {
            throw new UserError(e.Message);
        }
    }

    // Allowed, as in the reference; but mostly a mistake.
    static void WarnOutside(SamRun run, InputImage image, Raster pixels, ObjectPrompt[] prompts)
    {
        (int w, int h) = (pixels.Width, pixels.Height);
        foreach (PointPrompt p in prompts.SelectMany(p => p.Points))
            if (p.X < 0 || p.Y < 0 || p.X >= w || p.Y >= h) Say(FormattableString.Invariant($"point {p.X},{p.Y}"));
        foreach (BoxPrompt b in prompts.Select(p => p.Box).OfType<BoxPrompt>())
            if (b.X1 <= 0 || b.Y1 <= 0 || b.X0 >= w || b.Y0 >= h)
                Say(FormattableString.Invariant($"box {b.X0},{b.Y0},{b.X1},{b.Y1}"));

        void Say(string what) => run.Reporter.Note($"{image.Path}: the {what} is outside of the image ({w} x {h})");
    }

    static int Write(string path, SamRun run, InputImage image, Raster pixels, ObjectPrompt[] prompts, string? mask,
        IReadOnlyList<SamPrediction> predictions)
    {
        using OutputFolder folder = new(path);
        int written = 0, alternatives = predictions.Max(p => p.Masks.Count);
        List<object> objects = [];
        for (int o = 0; o < predictions.Count; o++)
        {
            List<object> masks = [];
            for (int m = 0; m < predictions[o].Masks.Count; m++, written++)
            {
                run.Cancel.ThrowIfCancellationRequested();
                string file = predictions.Count == 1 ? $"mask_{m}.png" : $"object_{o}_mask_{m}.png";
                folder.Add(file, MaskFiles.Png(predictions[o].Masks[m], pixels.Width, pixels.Height));
                masks.Add(MaskReport(predictions[o], m, file));
            }
            objects.Add(new
            {
                Points = prompts[o].Points.Select(p => new[] { p.X, p.Y, p.Label }), Box = Corners(prompts[o].Box),
                Mask = mask, predictions[o].Best, Masks = masks,
            });
        }
        for (int m = 0; m < alternatives; m++)
            folder.Add($"overlay_{m}.png", OverlayPng(pixels, prompts, predictions, m, run.Flags.Seed));
        string json = MaskFiles.Json(
            new { Image = image.Path, pixels.Width, pixels.Height, run.Flags.Checkpoint, Objects = objects });
        folder.Add("segment.json", Encoding.UTF8.GetBytes(json));
        folder.Commit();
        return written;
    }

    static double[]? Corners(BoxPrompt? box) => box is BoxPrompt b ? [b.X0, b.Y0, b.X1, b.Y1] : null;

    internal static object MaskReport(SamPrediction prediction, int m, string file)
    {
        Rle rle = Rle.Encode(prediction.Masks[m], prediction.Height, prediction.Width);
        return new
        {
            File = file, Overlay = $"overlay_{m}.png", Score = (double)prediction.Scores[m], rle.Area,
            Bbox = MaskFiles.Xywh(rle.ToBox()), Segmentation = MaskFiles.Segmentation(rle),
        };
    }

    static byte[] OverlayPng(Raster pixels, ObjectPrompt[] prompts, IReadOnlyList<SamPrediction> predictions, int m,
        int seed)
    {
        byte[] rgb = [.. pixels.Pixels];
        for (int o = 0; o < predictions.Count; o++)
            if (m < predictions[o].Masks.Count)
                Overlay.Paint(rgb, predictions[o].Masks[m], pixels.Height, pixels.Width, Overlay.Colour(seed + o));
        foreach (ObjectPrompt prompt in prompts)
            PromptMarks.Draw(rgb, pixels.Height, pixels.Width, prompt.Points, prompt.Box);
        return ImageWriter.EncodePng(rgb, pixels.Width, pixels.Height, 3);
    }
}
