// Area and mean probability of each region of tumour, row by row: runs of set pixels are numbered, numbers that meet
// are joined (union-find), and only the row before is remembered. Regions come in the order in which outlines do: by
// their first pixel, which is found in the first of the numbers that were joined.
using System.Runtime.InteropServices;

namespace EpSam.Slides.Segment;

/// <summary>A region of pixels that share edges.</summary>
/// <param name="Pixels">Its size.</param>
/// <param name="Levels">Sum of its probabilities, 0 to 255.</param>
internal readonly record struct RegionFigures(long Pixels, long Levels)
{
    /// <summary>0 to 1.</summary>
    public double MeanProbability => Levels / (255.0 * Pixels);
}

/// <summary>Counts regions of a mask that comes row by row.</summary>
internal sealed class RegionTally
{
    readonly record struct Span(int From, int End, int Region);

    readonly List<int> _parent = [];
    readonly List<RegionFigures> _figures = [];
    List<Span> _above = [], _row = [];

    /// <summary>The next row: which pixels are set, and their probabilities.</summary>
    public void Row(ReadOnlySpan<byte> set, ReadOnlySpan<byte> levels)
    {
        _row.Clear();
        int above = 0;
        for (int x = 0; x < set.Length;)
        {
            int from = set[x..].IndexOfAnyExcept((byte)0);
            if (from < 0) break;
            from += x;
            int end = set[from..].IndexOf((byte)0);
            x = end = end < 0 ? set.Length : from + end;
            int region = -1;
            while (above < _above.Count && _above[above].End <= from) above++;
            for (int i = above; i < _above.Count && _above[i].From < end; i++)
                region = region < 0 ? Root(_above[i].Region) : Join(region, _above[i].Region);
            if (region < 0)
            {
                region = _parent.Count;
                _parent.Add(region);
                _figures.Add(default);
            }
            long sum = 0;
            foreach (byte level in levels[from..end]) sum += level;
            ref RegionFigures figures = ref CollectionsMarshal.AsSpan(_figures)[region];
            figures = new(figures.Pixels + end - from, figures.Levels + sum);
            _row.Add(new(from, end, region));
        }
        (_above, _row) = (_row, _above);
    }

    /// <summary>Rows without any set pixel.</summary>
    public void EmptyRows(int count)
    {
        if (count > 0) _above.Clear();
    }

    /// <summary>All regions, by their first pixels from top to bottom.</summary>
    public IReadOnlyList<RegionFigures> All()
    {
        RegionFigures[] sums = new RegionFigures[_parent.Count];
        for (int i = 0; i < sums.Length; i++)
        {
            ref RegionFigures sum = ref sums[Root(i)];
            sum = new(sum.Pixels + _figures[i].Pixels, sum.Levels + _figures[i].Levels);
        }
        return [.. sums.Where((_, i) => _parent[i] == i)];
    }

    // To the lower number, which was given first.
    int Join(int a, int b)
    {
        (a, b) = (Root(a), Root(b));
        int root = Math.Min(a, b);
        _parent[Math.Max(a, b)] = root;
        return root;
    }

    int Root(int region)
    {
        while (_parent[region] != region) region = _parent[region] = _parent[_parent[region]];
        return region;
    }
}
