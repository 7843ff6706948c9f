// Where patches are cut from a slide, as EP-SAM lays them (tools/wsi_preprocess.py, sample_centers): two centres a cell
// of the grid of patches, the second half a patch further down and right, where there is tissue around the centre.
namespace EpSam.Native.Preprocess;

/// <summary>The lattice of patch centres on a tissue mask. Exact to the reference.</summary>
public static class PatchCentres
{
    /// <summary>Centres in pixels of the slide, as row and column (the reference calls them x and y).</summary>
    /// <param name="tissue">(height, width), not 0 where there is tissue.</param>
    /// <param name="height">Rows of the mask.</param>
    /// <param name="width">Columns of the mask.</param>
    /// <param name="side">Of a patch, in pixels of the slide.</param>
    /// <param name="downsample">Pixels of the slide to one of the mask.</param>
    /// <param name="focus">Half the side of the box that must hold tissue, as a share of the patch's side.</param>
    /// <param name="margin">The outermost share of the mask that no such box may enter.</param>
    public static List<(int Row, int Column)> Of(ReadOnlySpan<byte> tissue, int height, int width, int side = 512,
        int downsample = 16, double focus = 0.25, double margin = 0.01)
    {
        List<(int Row, int Column)> centres = OnMask(tissue, height, width, side, downsample, focus, margin);
        for (int i = 0; i < centres.Count; i++)
            centres[i] = (centres[i].Row * downsample, centres[i].Column * downsample);
        return centres;
    }

    /// <summary>
    /// The same for any ratio of slide and mask, in pixels of the mask: the reference's centres before they are
    /// multiplied. A box of less than a pixel of the mask, which the reference finds no tissue in, is of one each way.
    /// </summary>
    public static List<(int Row, int Column)> OnMask(ReadOnlySpan<byte> tissue, int height, int width, double side,
        double downsample, double focus = 0.25, double margin = 0.01)
    {
        Pixels.Check("PatchCentres", nameof(tissue), tissue.Length, height, width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(side);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(downsample);
        double cell = side / downsample;
        int half = Math.Max(1, (int)(side * focus / downsample));
        List<(int Row, int Column)> centres = [];
        for (int i = 0; i < Cells(height, cell); i++)
            for (int j = 0; j < Cells(width, cell); j++)
                for (double shift = 0; shift <= 0.5; shift += 0.5)
                {
                    (int row, int column) = ((int)((i + shift) * cell), (int)((j + shift) * cell));
                    (int top, int bottom) = (Math.Max(0, row - half), Math.Min(row + half, height - 1));
                    (int left, int right) = (Math.Max(0, column - half), Math.Min(column + half, width - 1));
                    if (top < height * margin || bottom > height - height * margin) continue;
                    if (left < width * margin || right > width - width * margin) continue;
                    if (HasTissue(tissue, width, top, bottom, left, right))
                        centres.Add((row, column));
                }
        return centres;
    }

    // Python's floor division of floats.
    static int Cells(int size, double cell) => (int)Math.Round((size - size % cell) / cell);

    static bool HasTissue(ReadOnlySpan<byte> tissue, int width, int top, int bottom, int left, int right)
    {
        for (int y = top; y < bottom && left < right; y++)
            if (tissue[(y * width + left)..(y * width + right)].ContainsAnyExcept((byte)0)) return true;
        return false;
    }
}
