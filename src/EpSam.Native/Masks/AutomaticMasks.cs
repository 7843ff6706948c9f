// SAM's automatic mask generator without the model (segment_anything/automatic_mask_generator.py): crops, grids of
// points, the filters in the reference's order, suppression within and between crops, removal of small regions. The
// model comes in as IMaskPredictor, so that it can keep logits on the device: of a mask that passes the first filter
// two counts are asked for, of one that passes the second its pixels.
namespace EpSam.Native.Masks;

/// <summary>What the generator needs of a model.</summary>
public interface IMaskPredictor
{
    /// <summary>Logits above this are set.</summary>
    double MaskThreshold { get; }

    /// <summary>Takes a picture, (height, width, 3).</summary>
    void SetImage(ReadOnlySpan<byte> rgb, int height, int width);

    /// <summary>Decodes one foreground point each, given in pixels of the picture, into three masks each.</summary>
    IMaskBatch Predict(ReadOnlySpan<(double X, double Y)> points);
}

/// <summary>
/// The masks of one call: those of the first point, of the second, and so on. Valid until the next call.
/// </summary>
public interface IMaskBatch
{
    /// <summary>The predicted quality of each mask.</summary>
    ReadOnlySpan<float> PredictedIou { get; }

    /// <summary>Counts logits above threshold + offset and above threshold - offset.</summary>
    (int Inner, int Outer) Counts(int index, double threshold, double offset);

    /// <summary>
    /// Writes 0 and 1 to <paramref name="mask"/> (height, width of the picture) for logits above the threshold.
    /// </summary>
    void Mask(int index, double threshold, Span<byte> mask);
}

/// <summary>Finds all masks of a picture.</summary>
public static class AutomaticMasks
{
    sealed class Candidate(Rle rle, Box box, float iou, (double X, double Y) point, float stability, Box crop)
    {
        public Rle Rle = rle;
        public Box Box = box;
        public readonly Box Crop = crop;
        public readonly float Iou = iou, Stability = stability;
        public readonly (double X, double Y) Point = point;
    }

    /// <summary>
    /// Runs the generator on <paramref name="rgb"/> (height, width, 3). The order of masks is the reference's.
    /// </summary>
    /// <param name="predictor">The model.</param>
    /// <param name="rgb">The picture.</param>
    /// <param name="height">Its rows.</param>
    /// <param name="width">Its columns.</param>
    /// <param name="options">The parameters.</param>
    /// <param name="progress">Told the share of points that are done, 0 to 1.</param>
    /// <param name="cancel">Looked at between calls of the model.</param>
    public static IReadOnlyList<MaskRecord> Generate(
        IMaskPredictor predictor, ReadOnlySpan<byte> rgb, int height, int width,
        AutomaticMaskOptions options, IProgress<double>? progress = null, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(predictor);
        ArgumentNullException.ThrowIfNull(options);
        if (height <= 0 || width <= 0 || rgb.Length != 3L * height * width)
        {
            throw new ArgumentException(
                $"AutomaticMasks: the picture must hold {height} x {width} x 3 values, got {rgb.Length}", nameof(rgb));
        }
        IReadOnlyList<(double X, double Y)[]> grids = options.Grids();
        Crop[] crops = CropBoxes.Generate(height, width, options.CropLayers, options.CropOverlapRatio);
        long total = crops.Sum(c => (long)grids[c.Layer].Length), done = 0;
        List<Candidate> found = [];
        foreach (Crop crop in crops)
        {
            // Deep layers of a tiny picture can have crops without pixels.
            if (crop.Box.Width <= 0 || crop.Box.Height <= 0) continue;
            Work work = new(predictor, options, crop.Box, new Box(0, 0, width, height), cancel);
            found.AddRange(work.Run(rgb, grids[crop.Layer], n => progress?.Report((double)(done += n) / total)));
        }
        if (crops.Length > 1)
            found = Suppress(found, [.. found.Select(c => 1f / c.Crop.Area)], options.CropNmsThreshold);
        if (options.MinMaskRegionArea > 0) found = WithoutSmallRegions(found, options, cancel);
        return [.. found.Select(c => new MaskRecord(c.Rle, c.Box, c.Iou, c.Point, c.Stability, c.Crop))];
    }

    /// <summary>One crop.</summary>
    sealed class Work(
        IMaskPredictor predictor, AutomaticMaskOptions options, Box crop, Box image, CancellationToken cancel)
    {
        readonly byte[] mask = new byte[crop.Area], whole = new byte[image.Area];
        readonly List<Candidate> found = [];

        public List<Candidate> Run(ReadOnlySpan<byte> rgb, (double X, double Y)[] grid, Action<int> report)
        {
            predictor.SetImage(Cut(rgb), crop.Height, crop.Width);
            (double X, double Y)[] points = [.. grid.Select(p => (p.X * crop.Width, p.Y * crop.Height))];
            for (int i = 0; i < points.Length; i += options.PointsPerBatch)
            {
                cancel.ThrowIfCancellationRequested();
                int count = Math.Min(options.PointsPerBatch, points.Length - i);
                Span<(double X, double Y)> batch = points.AsSpan(i, count);
                Filter(predictor.Predict(batch), batch);
                report(batch.Length);
            }
            List<Candidate> kept = Suppress(found, [.. found.Select(c => c.Iou)], options.BoxNmsThreshold);
            foreach (Candidate c in kept) c.Box = c.Box.Uncrop(crop);
            return kept;
        }

        byte[] Cut(ReadOnlySpan<byte> rgb)
        {
            byte[] part = new byte[checked((int)crop.Area * 3)];
            for (int y = 0, row = crop.Width * 3; y < crop.Height; y++)
                rgb.Slice(((crop.Y0 + y) * image.Width + crop.X0) * 3, row).CopyTo(part.AsSpan(y * row));
            return part;
        }

        // Comparisons with thresholds are made in float, as torch does for float tensors.
        void Filter(IMaskBatch batch, ReadOnlySpan<(double X, double Y)> points)
        {
            int perPoint = batch.PredictedIou.Length / points.Length;
            for (int i = 0; i < batch.PredictedIou.Length; i++)
            {
                float iou = batch.PredictedIou[i];
                if (options.PredIouThreshold > 0 && !(iou > (float)options.PredIouThreshold)) continue;
                (int inner, int outer) = batch.Counts(i, predictor.MaskThreshold, options.StabilityScoreOffset);
                float stability = Stability.Score(inner, outer);
                float stable = (float)options.StabilityScoreThreshold;
                if (options.StabilityScoreThreshold > 0 && !(stability >= stable)) continue;
                batch.Mask(i, predictor.MaskThreshold, mask);
                Box box = Box.OfMask(mask, crop.Height, crop.Width);
                if (box.IsNearCropEdge(crop, image)) continue;
                crop.Paste(mask, whole, image.Height, image.Width);
                (double x, double y) = points[i / perPoint];
                Rle rle = Rle.Encode(whole, image.Height, image.Width);
                found.Add(new(rle, box, iou, (x + crop.X0, y + crop.Y0), stability, crop));
            }
        }
    }

    // Masks that need no change are preferred to those that do, where they overlap.
    static List<Candidate> WithoutSmallRegions(
        List<Candidate> found, AutomaticMaskOptions options, CancellationToken cancel)
    {
        float[] unchanged = new float[found.Count];
        (Rle Rle, Box Box)[] cleaned = new (Rle, Box)[found.Count];
        for (int i = 0; i < found.Count; i++)
        {
            cancel.ThrowIfCancellationRequested();
            Rle rle = found[i].Rle;
            byte[] mask = rle.Decode();
            bool changed = SmallRegions.FillHoles(mask, rle.Height, rle.Width, options.MinMaskRegionArea);
            changed |= SmallRegions.DropIslands(mask, rle.Height, rle.Width, options.MinMaskRegionArea);
            unchanged[i] = changed ? 0 : 1;
            if (changed) rle = Rle.Encode(mask, rle.Height, rle.Width);
            cleaned[i] = (rle, Box.OfMask(mask, rle.Height, rle.Width));
        }
        BoxF[] boxes = [.. cleaned.Select(c => (BoxF)c.Box)];
        int[] keep = Nms.Run(boxes, unchanged, Math.Max(options.BoxNmsThreshold, options.CropNmsThreshold));
        foreach (int i in keep)
            if (unchanged[i] == 0) (found[i].Rle, found[i].Box) = cleaned[i];
        return [.. keep.Select(i => found[i])];
    }

    static List<Candidate> Suppress(List<Candidate> all, float[] scores, double threshold)
    {
        BoxF[] boxes = [.. all.Select(c => (BoxF)c.Box)];
        return [.. Nms.Run(boxes, scores, threshold).Select(i => all[i])];
    }
}
