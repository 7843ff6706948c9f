// Boxes of masks and crops, as SAM's automatic mask generator uses them: of a mask the largest coordinates are the
// last set pixels, of a crop they are one past the end. Width and height are plain differences in both cases.
namespace EpSam.Native.Masks;

/// <summary>A box in whole pixels: left, top, right, bottom.</summary>
public readonly record struct Box(int X0, int Y0, int X1, int Y1)
{
    /// <summary>X1 - X0.</summary>
    public int Width => X1 - X0;

    /// <summary>Y1 - Y0.</summary>
    public int Height => Y1 - Y0;

    /// <summary>Width times height.</summary>
    public long Area => (long)Width * Height;

    /// <summary>Left, top, width, height.</summary>
    public (int X, int Y, int Width, int Height) ToXywh() => (X0, Y0, Width, Height);

    /// <summary>From the frame of a crop to that of the image.</summary>
    public Box Uncrop(Box crop) => new(X0 + crop.X0, Y0 + crop.Y0, X1 + crop.X0, Y1 + crop.Y0);

    /// <summary>
    /// The smallest box of the set pixels of <paramref name="mask"/> (height, width), with the largest coordinates
    /// still inside; all 0 for an empty mask.
    /// </summary>
    public static Box OfMask(ReadOnlySpan<byte> mask, int height, int width)
    {
        if (mask.Length != (long)height * width)
        {
            throw new ArgumentException(
                $"Box: the mask must hold {height} x {width} values, got {mask.Length}", nameof(mask));
        }
        int x0 = width, y0 = -1, x1 = -1, y1 = -1;
        for (int y = 0; y < height; y++)
        {
            ReadOnlySpan<byte> row = mask.Slice(y * width, width);
            int first = row.IndexOfAnyExcept((byte)0);
            if (first < 0) continue;
            if (y0 < 0) y0 = y;
            y1 = y;
            (x0, x1) = (Math.Min(x0, first), Math.Max(x1, row.LastIndexOfAnyExcept((byte)0)));
        }
        return y0 < 0 ? default : new Box(x0, y0, x1, y1);
    }

    /// <summary>
    /// Does this box (in the frame of <paramref name="crop"/>) come within <paramref name="tolerance"/> pixels of a
    /// side of the crop that is not as near to the same side of the image? Such masks are cut off by the crop.
    /// </summary>
    public bool IsNearCropEdge(Box crop, Box image, float tolerance = 20)
    {
        Box box = Uncrop(crop);
        return Near(box.X0, crop.X0, image.X0) || Near(box.Y0, crop.Y0, image.Y0)
            || Near(box.X1, crop.X1, image.X1) || Near(box.Y1, crop.Y1, image.Y1);

        bool Near(int side, int ofCrop, int ofImage) =>
            Math.Abs((float)side - ofCrop) <= tolerance && !(Math.Abs((float)side - ofImage) <= tolerance);
    }

    /// <summary>
    /// Puts a mask of this box's size, (Height, Width), into a mask of the image's size that is 0 elsewhere.
    /// </summary>
    public void Paste(ReadOnlySpan<byte> mask, Span<byte> image, int imageHeight, int imageWidth)
    {
        if (X0 < 0 || Y0 < 0 || X1 > imageWidth || Y1 > imageHeight || X1 < X0 || Y1 < Y0)
            throw new ArgumentException($"Box: {this} is not within {imageHeight} x {imageWidth}");
        if (mask.Length != Area || image.Length != (long)imageHeight * imageWidth)
        {
            throw new ArgumentException($"Box: masks of {mask.Length} and {image.Length} values do not fit {this} in "
                + $"{imageHeight} x {imageWidth}");
        }
        image.Clear();
        for (int y = 0; y < Height; y++)
            mask.Slice(y * Width, Width).CopyTo(image.Slice((Y0 + y) * imageWidth + X0, Width));
    }
}
