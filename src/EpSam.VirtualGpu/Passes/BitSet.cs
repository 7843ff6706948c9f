namespace EpSam.VirtualGpu.Passes;

/// <summary>A set of small integers.</summary>
internal sealed class BitSet(int size)
{
    readonly ulong[] words = new ulong[(size + 63) / 64];

    public bool this[int i] => (words[i >> 6] >> (i & 63) & 1) != 0;
    public void Add(int i) => words[i >> 6] |= 1ul << (i & 63);
    public void Remove(int i) => words[i >> 6] &= ~(1ul << (i & 63));

    /// <summary>Adds all of other; true if anything was new.</summary>
    public bool Unite(BitSet other)
    {
        ulong changed = 0;
        for (int i = 0; i < words.Length; i++)
        {
            ulong united = words[i] | other.words[i];
            changed |= united ^ words[i];
            words[i] = united;
        }
        return changed != 0;
    }

    public BitSet Copy()
    {
        BitSet copy = new(words.Length * 64);
        words.CopyTo(copy.words, 0);
        return copy;
    }

    public int Count
    {
        get
        {
            int n = 0;
            foreach (ulong word in words) n += System.Numerics.BitOperations.PopCount(word);
            return n;
        }
    }

    public IEnumerable<int> Members()
    {
        for (int i = 0; i < words.Length; i++)
            for (ulong rest = words[i]; rest != 0; rest &= rest - 1)
                yield return i * 64 + System.Numerics.BitOperations.TrailingZeroCount(rest);
    }
}
