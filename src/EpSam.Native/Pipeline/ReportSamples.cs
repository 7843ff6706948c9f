// Which images the report shows, and what of each: image, activation map, initial mask, points, the masks of the rounds
// (on evaluated images predictions, on training images the pseudo masks that were learned from), truth where there is
// one.
using System.Globalization;

namespace EpSam.Native.Pipeline;

/// <summary>An image with its pictures, in the order of their making.</summary>
internal sealed record ReportSample(SourceImage Image, string Why, IReadOnlyList<ReportPicture> Pictures);

internal sealed class ReportSamples(ReportData data, PatchSet set, IImageFiles files, List<string> problems)
{
    const int OfEach = 2, Training = 4, WithoutFigures = 4;

    /// <summary>The best, the middle and the worst by the Dice of the last masks there are.</summary>
    public List<ReportSample> Evaluated(Split split)
    {
        string? kind = data.Kinds(split).LastOrDefault();
        List<(SourceImage Image, string Why)> chosen = [];
        Dictionary<string, SourceImage> images = set.Of(split).ToDictionary(i => i.Name);
        EvaluationLine[] ranked = [.. data.Images
            .Where(i => i.Split == split && i.Kind == kind && i.True > 0 && images.ContainsKey(i.Image))
            .OrderByDescending(i => i.Dice).ThenBy(i => i.Image, StringComparer.Ordinal)];
        if (ranked.Length == 0)
        {
            chosen.AddRange(Spread([.. set.Of(split).Where(i => i.Label != 0)], WithoutFigures).Select(i => (i, "")));
        }
        else
        {
            string of = EvaluationKind.Title(kind!);
            bool hasRanks = ranked.Length >= 3 * OfEach;
            int middle = Math.Clamp(ranked.Length / 2 - OfEach / 2, 0, ranked.Length);
            Take(ranked.Take(OfEach), "best");
            Take(ranked.Skip(middle).Take(OfEach), "median");
            Take(ranked.TakeLast(OfEach), "worst");

            void Take(IEnumerable<EvaluationLine> lines, string rank)
            {
                foreach (EvaluationLine line in lines)
                {
                    string place = hasRanks ? $"{rank}, " : "";
                    place += $"{1 + Array.IndexOf(ranked, line)} of {ranked.Length}";
                    if (chosen.TrueForAll(c => c.Image.Name != line.Image))
                        chosen.Add((images[line.Image], $"{place} by {of}"));
                }
            }
        }
        return Make(chosen);
    }

    /// <summary>Some training images with tumour.</summary>
    public List<ReportSample> Trained() =>
        Make([.. Spread([.. set.Of(Split.Train).Where(i => i.Label == 1)], Training).Select(i => (i, ""))]);

    static IEnumerable<SourceImage> Spread(SourceImage[] images, int count) => images.Length <= count ? images
        : Enumerable.Range(0, count).Select(i => images[(int)((i + 0.5) * images.Length / count)]);

    List<ReportSample> Make(List<(SourceImage Image, string Why)> chosen)
    {
        List<ReportSample> samples = [];
        foreach ((SourceImage image, string why) in chosen)
        {
            try
            {
                samples.Add(new ReportSample(image, why, Chain(image)));
            }
            catch (Exception e) when (e is ImageFileException or IOException or UnauthorizedAccessException
                or ArgumentException)
            {
                problems.Add($"{image.Name}: {e.Message}");
            }
        }
        return samples;
    }

    List<ReportPicture> Chain(SourceImage image)
    {
        Picture source = files.ReadRgb(image.Path);
        ReportPictures paint = new(files, source);
        byte[]? truth = image.MaskPath is null ? null : TrueMask.Read(
            files, image.MaskPath, source.Height, source.Width, data.Config.Compat.NormalIsTumour);
        List<ReportPicture> pictures = [new("image", $"{source.Width} × {source.Height}", paint.Plain("image"))];
        Picture? cam = Grey(data.Folder.Cam(image.Name)), initial = Grey(data.Folder.InitialMask(image.Name));
        if (cam is not null) pictures.Add(new("activation map", "", paint.Warm(cam, "activation map")));
        if (initial is not null && Fits(initial))
        {
            pictures.Add(Mask("initial mask", initial.Pixels, ""));
            if (cam is not null)
            {
                bool isEmpty = !initial.Pixels.AsSpan().ContainsAnyExcept((byte)0);
                (int X, int Y)[] points =
                    isEmpty ? [] : CamPoints.Of(cam, initial, data.Config.Decoder, image.Name);
                pictures.Add(new("points", Count(points.Length), paint.Dotted(points, "points")));
            }
        }
        bool isTrained = image.Split == Split.Train;
        for (int round = 0; round <= data.Config.Decoder.Rounds; round++)
        {
            string kind = EvaluationKind.OfRound(round);
            PseudoMaskLine? kept = data.PseudoMasks.FirstOrDefault(m => m.Round == round && m.Image == image.Name);
            string name = (isTrained ? "pseudo mask, " : "") + EvaluationKind.Title(kind);
            if (isTrained && kept is { IsKept: false })
            {
                pictures.Add(new(name, Score(kept) + " dropped", default));
                continue;
            }
            Picture? mask = Grey(isTrained ? data.Folder.PseudoMask(round, image.Name)
                : data.Folder.Prediction(image.Split, kind, image.Name));
            if (mask is not null && Fits(mask))
                pictures.Add(Mask(name, mask.Pixels, kept is null ? "" : Score(kept) + " kept"));
        }
        if (truth is not null) pictures.Add(new("truth", Share(truth), paint.True(truth, "truth")));
        return pictures;

        bool Fits(Picture mask) => (mask.Height, mask.Width) == (source.Height, source.Width);

        ReportPicture Mask(string caption, byte[] mask, string note)
        {
            string dice = truth is null ? "" : string.Create(CultureInfo.InvariantCulture,
                $"Dice {MaskOverlap.Of(mask, truth).Dice:F3}");
            return new(caption, string.Join(", ", new[] { dice, note }.Where(t => t.Length > 0)),
                paint.Masked(mask, truth, caption));
        }
    }

    static string Score(PseudoMaskLine line) =>
        string.Create(CultureInfo.InvariantCulture, $"score {line.Score:F2},");

    static string Count(int points) => points switch
    {
        0 => "none: the mask is empty", 1 => "1 point", _ => $"{points} points",
    };

    static string Share(byte[] truth) => string.Create(CultureInfo.InvariantCulture,
        $"{100.0 * (truth.Length - truth.AsSpan().Count((byte)0)) / truth.Length:F0} % tumour");

    Picture? Grey(string path) => File.Exists(path) ? files.ReadGrey(path) : null;
}
