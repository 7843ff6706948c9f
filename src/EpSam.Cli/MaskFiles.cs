// Masks as files. The names of columns and keys, their order and the way numbers are written are those of SAM's own
// scripts/amg.py and SamAutomaticMaskGenerator, so that what reads theirs reads these.
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;
using EpSam.Imaging;
using EpSam.Native.Masks;

namespace EpSam.Cli;

internal static partial class MaskFiles
{
    const string Header = "id,area,bbox_x0,bbox_y0,bbox_w,bbox_h,point_input_x,point_input_y,predicted_iou,"
        + "stability_score,crop_box_x0,crop_box_y0,crop_box_w,crop_box_h";

    /// <summary>JSON as all commands write it: snake case; for people and files, not for HTML.</summary>
    public static JsonSerializerOptions Layout { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true,
        DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>An object as JSON, lists of numbers on one line.</summary>
    public static string Json(object value) => NumberList().Replace(JsonSerializer.Serialize(value, Layout),
        list => "[" + string.Join(", ", list.Value.Trim('[', ']').Split(',', StringSplitOptions.TrimEntries)) + "]");

    [GeneratedRegex(@"\[\s*-?[\d.eE+-]+(\s*,\s*-?[\d.eE+-]+)*\s*\]")]
    private static partial Regex NumberList();

    /// <summary>A mask (height, width) as a grey PNG of 0 and 255.</summary>
    public static byte[] Png(ReadOnlySpan<byte> mask, int width, int height)
    {
        byte[] grey = new byte[mask.Length];
        for (int i = 0; i < grey.Length; i++) grey[i] = mask[i] != 0 ? (byte)255 : (byte)0;
        return ImageWriter.EncodePng(grey, width, height, 1);
    }

    /// <summary>metadata.csv.</summary>
    public static byte[] Csv(IReadOnlyList<MaskRecord> masks)
    {
        StringBuilder text = new(Header);
        text.Append('\n');
        for (int i = 0; i < masks.Count; i++)
        {
            MaskRecord mask = masks[i];
            text.AppendJoin(',', [
                $"{i}", $"{mask.Area}", .. Numbers(mask.Box), Number(mask.Point.X), Number(mask.Point.Y),
                Number(mask.PredictedIou), Number(mask.StabilityScore), .. Numbers(mask.Crop),
            ]).Append('\n');
        }
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    /// <summary>The records with COCO's compressed run lengths: a JSON array.</summary>
    public static byte[] Coco(IReadOnlyList<MaskRecord> masks) =>
        JsonSerializer.SerializeToUtf8Bytes(masks.Select(m => new
    {
        Segmentation = Segmentation(m.Segmentation),
        m.Area,
        Bbox = Xywh(m.Box),
        PredictedIou = (double)m.PredictedIou,
        PointCoords = new[] { new[] { m.Point.X, m.Point.Y } },
        StabilityScore = (double)m.StabilityScore,
        CropBox = Xywh(m.Crop),
    }), new JsonSerializerOptions(Layout) { WriteIndented = false });

    /// <summary>COCO's form of one mask.</summary>
    public static object Segmentation(Rle mask) =>
        new { Size = new[] { mask.Height, mask.Width }, Counts = mask.ToCoco() };

    /// <summary>Left, top, width, height.</summary>
    public static int[] Xywh(Box box)
    {
        (int x, int y, int width, int height) = box.ToXywh();
        return [x, y, width, height];
    }

    /// <summary>All masks over the picture, the largest at the bottom, as a PNG.</summary>
    public static byte[] OverlayPng(Raster image, IReadOnlyList<MaskRecord> masks, int seed)
    {
        byte[] rgb = [.. image.Pixels];
        byte[] mask = new byte[image.Width * image.Height];
        int colour = seed;
        // stable, as the reference's demo paints them
        foreach (MaskRecord record in masks.OrderByDescending(m => m.Area))
        {
            record.Segmentation.Decode(mask);
            Overlay.Paint(rgb, mask, image.Height, image.Width, Overlay.Colour(colour++));
        }
        return ImageWriter.EncodePng(rgb, image.Width, image.Height, 3);
    }

    static IEnumerable<string> Numbers(Box box) => Xywh(box).Select(v => v.ToString(CultureInfo.InvariantCulture));

    // As Python writes a float: the shortest text that gives the same double, with a point in it.
    internal static string Number(double value)
    {
        string text = value.ToString("R", CultureInfo.InvariantCulture);
        if (text.Contains('E', StringComparison.Ordinal)) return text.ToLowerInvariant();
        return text.Contains('.', StringComparison.Ordinal) || !double.IsFinite(value) ? text : text + ".0";
    }
}
