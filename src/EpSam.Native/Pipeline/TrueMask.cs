namespace EpSam.Native.Pipeline;

/// <summary>True masks as files: any value but 0 is tumour, but 2, which is normal tissue inside of one.</summary>
public static class TrueMask
{
    const byte Normal = 2;   // EP-SAM's masks are label images: 1 metastasis, 2 normal

    /// <summary>Reads a mask as 0 and 1.</summary>
    /// <param name="files">Reads images.</param>
    /// <param name="path">The file.</param>
    /// <param name="height">Rows that it must have.</param>
    /// <param name="width">Columns that it must have.</param>
    /// <param name="normalIsTumour">As the published code: 2 counts as tumour.</param>
    /// <exception cref="ImageFileException">It cannot be read, or its size is another.</exception>
    public static byte[] Read(IImageFiles files, string path, int height, int width, bool normalIsTumour)
    {
        Picture mask = files.ReadGrey(path);
        if ((mask.Height, mask.Width) != (height, width))
            throw new ImageFileException($"mask {path} has {mask.Width} x {mask.Height} pixels, its image has "
                + $"{width} x {height}; both must have the same size");
        return Of(mask.Pixels, normalIsTumour);
    }

    /// <summary>Levels as 0 and 1.</summary>
    public static byte[] Of(ReadOnlySpan<byte> levels, bool normalIsTumour)
    {
        byte[] mask = new byte[levels.Length];
        for (int i = 0; i < mask.Length; i++)
            mask[i] = levels[i] == 0 || (levels[i] == Normal && !normalIsTumour) ? (byte)0 : (byte)1;
        return mask;
    }
}
