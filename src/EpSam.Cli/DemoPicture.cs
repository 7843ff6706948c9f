// Three pictures side by side: the unseen slide, its true tumour, what was found.
using EpSam.Imaging;
using EpSam.Imaging.Slides;
using EpSam.Native.Masks;
using EpSam.Native.Preprocess;
using EpSam.Slides;
using EpSam.Slides.Batch;

namespace EpSam.Cli;

internal static class DemoPicture
{
    const int Side = 560, Gap = 8, Line = 2, Quality = 82;
    const double Tint = 0.3;
    const byte White = 255;
    static readonly (byte, byte, byte) True = (0, 70, 200), Found = (0, 158, 60);

    /// <summary>Writes the picture of the first unseen slide.</summary>
    public static void Write(DemoRecipe recipe)
    {
        SlideFile file = SlideFiles.Find([recipe.Unseen])[0];
        using Slide slide = Slide.Open(file.Path);
        SlideView view = new(slide, Math.Max(1, slide.Levels[0].Width / (double)Side));
        (int width, int height) = ((int)view.Width, (int)view.Height);
        byte[] plain = view.Read(0, 0, width, height).Pixels;
        TumourAreas areas = file.Annotation is null ? new TumourAreas([], []) : TumourAreas.Read(file.Annotation);
        byte[] truth = areas.Mask(0, 0, view.Downsample, height, width);
        TumourAreas outlines = TumourAreas.Read(new BatchFolder(recipe.Results).Of(file.Name).GeoJson);
        byte[] found = outlines.Mask(0, 0, view.Downsample, height, width);
        byte[][] parts =
            [plain, Painted(plain, truth, height, width, True), Painted(plain, found, height, width, Found)];
        int whole = parts.Length * width + (parts.Length - 1) * Gap;
        byte[] rgb = new byte[3 * whole * height];
        Array.Fill(rgb, White);
        for (int i = 0; i < parts.Length; i++)
            for (int row = 0; row < height; row++)
                parts[i].AsSpan(3 * row * width, 3 * width)
                    .CopyTo(rgb.AsSpan(3 * (row * whole + i * (width + Gap))));
        ImageWriter.WriteJpeg(recipe.Picture, rgb, whole, height, 3, Quality);
    }

    static byte[] Painted(byte[] plain, byte[] mask, int height, int width, (byte, byte, byte) colour)
    {
        byte[] rgb = [.. plain], inside = new byte[mask.Length], rim = new byte[mask.Length];
        Morphology.Erode(mask, height, width, 3, inside, Line);
        for (int i = 0; i < rim.Length; i++) rim[i] = (byte)(mask[i] - inside[i]);
        Overlay.Paint(rgb, inside, height, width, colour, Tint, outline: false);
        Overlay.Paint(rgb, rim, height, width, colour, 1, outline: false);
        return rgb;
    }
}
