namespace EpSam.Native.Masks;

/// <summary>Removes what is too small to be meant (segment_anything/utils/amg.py, remove_small_regions).</summary>
public static class SmallRegions
{
    /// <summary>Sets the holes with fewer than <paramref name="area"/> pixels; true when any was found.</summary>
    public static bool FillHoles(Span<byte> mask, int height, int width, double area)
    {
        byte[] inverse = new byte[mask.Length];
        for (int i = 0; i < mask.Length; i++) inverse[i] = (byte)(mask[i] == 0 ? 1 : 0);
        int[] labels = new int[mask.Length];
        Region[] regions = ConnectedComponents.Label(inverse, height, width, labels);
        bool found = false;
        for (int i = 1; i < regions.Length; i++) found |= regions[i].Area < area;
        if (!found) return false;
        for (int i = 0; i < mask.Length; i++)
            mask[i] = (byte)(labels[i] == 0 || regions[labels[i]].Area < area ? 1 : 0);
        return true;
    }

    /// <summary>
    /// Clears the islands with fewer than <paramref name="area"/> pixels, but keeps the largest (of equals the first,
    /// in OpenCV's numbering) when all are; true when any was found.
    /// </summary>
    public static bool DropIslands(Span<byte> mask, int height, int width, double area)
    {
        int[] labels = new int[mask.Length];
        Region[] regions = ConnectedComponents.Label(mask, height, width, labels);
        bool found = false;
        int largest = Math.Min(1, regions.Length - 1);
        for (int i = 1; i < regions.Length; i++)
        {
            found |= regions[i].Area < area;
            if (regions[i].Area > regions[largest].Area) largest = i;
        }
        if (!found) return false;
        bool onlySmall = regions[largest].Area < area;
        for (int i = 0; i < mask.Length; i++)
        {
            int label = labels[i];
            mask[i] = (byte)(label != 0 && (onlySmall ? label == largest : regions[label].Area >= area) ? 1 : 0);
        }
        return true;
    }
}
