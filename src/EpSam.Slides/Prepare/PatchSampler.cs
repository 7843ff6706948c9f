// Which patches are kept. Each has a number of its own that follows from seed, slide and place; of a bin those with the
// smallest are kept. So it does not matter in which order slides are looked at, and a table is gone through line by
// line: memory holds what is kept and no more.
using EpSam.Native.Pipeline;
using EpSam.Native.Training;

namespace EpSam.Slides.Prepare;

/// <summary>A patch that is kept.</summary>
internal sealed record ChosenPatch(SlideScan Slide, Split Split, Candidate Candidate)
{
    public int Label => Candidate.HasTumour ? 1 : 0;

    /// <summary>Upper left corner and side in pixels of level 0.</summary>
    public double X => Candidate.Column * Slide.Downsample;
    public double Y => Candidate.Row * Slide.Downsample;

    /// <summary>The name of its files, without extension: with the label at its end.</summary>
    public string Id => FormattableString.Invariant(
        $"{Slide.Name}_x{(long)Math.Round(X):D6}_y{(long)Math.Round(Y):D6}_{Label}");
}

internal static class PatchSampler
{
    const int Bins = 20, TenthsOfBin = 1000 / Bins;

    /// <summary>A slide, its part, and its candidates, which may be asked for twice.</summary>
    public sealed record Source(SlideScan Slide, Split Split, Func<IEnumerable<Candidate>> Candidates);

    /// <summary>The patches that are kept, in order of part, slide and place.</summary>
    public static IReadOnlyList<ChosenPatch> Choose(IReadOnlyList<Source> sources, Sampling sampling, ulong seed) =>
    [
        .. Enum.GetValues<Split>()
            .SelectMany(s => Choose([.. sources.Where(x => x.Split == s)], sampling.Of(s), seed))
            .OrderBy(p => p.Split).ThenBy(p => p.Slide.Name, StringComparer.Ordinal)
            .ThenBy(p => p.Candidate.Row).ThenBy(p => p.Candidate.Column),
    ];

    static IEnumerable<ChosenPatch> Choose(Source[] sources, PartSampling part, ulong seed)
    {
        List<ChosenPatch> positives = Positives(sources, part, seed);
        Smallest negatives = new(part.Negatives ?? (int)Math.Min(int.MaxValue, part.Balance * positives.Count + 0.5));
        foreach ((Source source, Candidate c, ulong number) in All(sources, seed))
            if (!c.HasTumour) negatives.Add(source, c, number);
        return positives.Concat(negatives.Sorted);
    }

    static List<ChosenPatch> Positives(Source[] sources, PartSampling part, ulong seed)
    {
        bool IsKept(Candidate c) => c.Percentage >= part.Low && c.Percentage <= part.High;
        Smallest[] bins = [.. Enumerable.Range(0, Bins).Select(_ => new Smallest(part.PerBin))];
        Smallest filling = new(part.FillTo ?? 0);
        foreach ((Source source, Candidate c, ulong number) in All(sources, seed))
        {
            if (!c.HasTumour || (!part.BinsFirst && !IsKept(c))) continue;
            bins[Math.Min(Bins - 1, c.Tenths / TenthsOfBin)].Add(source, c, number);
            filling.Add(source, c, number);
        }
        List<(ChosenPatch Patch, ulong Number)> chosen = [.. bins.SelectMany(b => b.Numbered)];
        if (part.FillTo is int wanted)
        {
            HashSet<ulong> have = [.. chosen.Select(c => c.Number)];
            chosen.AddRange(filling.Numbered.Where(f => !have.Contains(f.Number)).OrderBy(f => f.Number)
                .Take(Math.Max(0, wanted - chosen.Count)).ToArray());
        }
        IEnumerable<ChosenPatch> kept = chosen.Where(c => IsKept(c.Patch.Candidate)).OrderBy(c => c.Number)
            .Select(c => c.Patch);
        return [.. part.Most is int most ? kept.Take(most) : kept];
    }

    static IEnumerable<(Source, Candidate, ulong)> All(Source[] sources, ulong seed)
    {
        CounterRandom patches = new CounterRandom(seed).Child("patches", 0);
        foreach (Source source in sources)
        {
            CounterRandom slide = patches.Child(source.Slide.Name, 0);
            foreach (Candidate c in source.Candidates())
                yield return (source, c, slide.Child("", ((ulong)(uint)c.Row << 32) | (uint)c.Column).NextBits());
        }
    }

    // The patches with the smallest numbers.
    sealed class Smallest(int? most)
    {
        readonly PriorityQueue<ChosenPatch, ulong> _queue = new(Comparer<ulong>.Create((a, b) => b.CompareTo(a)));

        public void Add(Source source, Candidate candidate, ulong number)
        {
            if (most == 0) return;
            bool isFull = _queue.Count == most;
            if (isFull && _queue.TryPeek(out _, out ulong greatest) && greatest <= number) return;
            if (isFull) _queue.Dequeue();
            _queue.Enqueue(new ChosenPatch(source.Slide, source.Split, candidate), number);
        }

        public IEnumerable<(ChosenPatch Patch, ulong Number)> Numbered => _queue.UnorderedItems;

        public IEnumerable<ChosenPatch> Sorted => Numbered.OrderBy(n => n.Number).Select(n => n.Patch);
    }
}
