// Suggests what a mistyped name may have meant. Costs are bounded: long names and far candidates are not looked at.
namespace EpSam.VirtualGpu.Ptx;

/// <summary>"; did you mean …?" for names that were mistyped.</summary>
internal static class Spelling
{
    const int Longest = 64, MostCandidates = 10_000;

    /// <summary>The text to append to an error: the candidate within two edits that is nearest, or nothing.</summary>
    public static string Nearest(ReadOnlySpan<char> name, IEnumerable<string> candidates)
    {
        if (name.Length is 0 or > Longest)
        {
            return "";
        }
        int best = Math.Min(3, (name.Length + 1) / 2 + 1);
        string nearest = "";
        int left = MostCandidates;
        foreach (string candidate in candidates)
        {
            if (--left < 0)
            {
                break;
            }
            if (candidate.Length <= Longest && Math.Abs(candidate.Length - name.Length) < best)
            {
                int distance = Distance(name, candidate);
                if (distance < best)
                {
                    best = distance;
                    nearest = candidate;
                }
            }
        }
        return nearest.Length == 0 ? "" : $"; did you mean '{nearest}'?";
    }

    /// <summary>Edits (insert, delete, replace a character, swap two neighbours) from one name to the other.</summary>
    static int Distance(ReadOnlySpan<char> a, ReadOnlySpan<char> b)
    {
        Span<int> before = stackalloc int[Longest + 1], last = stackalloc int[Longest + 1],
            now = stackalloc int[Longest + 1];
        for (int j = 0; j <= b.Length; j++)
        {
            last[j] = j;
        }
        for (int i = 1; i <= a.Length; i++)
        {
            now[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                now[j] = Math.Min(replace, Math.Min(last[j], now[j - 1]) + 1);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                {
                    now[j] = Math.Min(now[j], before[j - 2] + 1);
                }
            }
            Span<int> free = before;
            before = last;
            last = now;
            now = free;
        }
        return last[b.Length];
    }
}
