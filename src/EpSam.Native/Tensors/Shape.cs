// Sizes of a tensor's axes, slowest first. A value, up to six axes, no allocation. The element count is checked when
// the shape is made, so nothing later can overflow on sizes that came from a file.
using System.Runtime.CompilerServices;

namespace EpSam.Native.Tensors;

/// <summary>Sizes of a tensor's axes, slowest first.</summary>
public readonly struct Shape : IEquatable<Shape>
{
    /// <summary>Most axes a tensor can have.</summary>
    public const int MaxRank = 6;

    [InlineArray(MaxRank)]
    struct Sizes
    {
        long _first;
    }

    readonly Sizes _sizes;

    /// <summary>
    /// From the sizes of the axes; throws ArgumentException when one is negative or their product overflows.
    /// </summary>
    public Shape(params ReadOnlySpan<long> sizes)
    {
        if (sizes.Length > MaxRank) throw new ArgumentException($"{sizes.Length} axes, at most {MaxRank} are possible");
        Rank = sizes.Length;
        sizes.CopyTo(_sizes);
        UInt128 count = 1;
        foreach (long size in sizes)
        {
            if (size < 0) throw new ArgumentException($"negative size in shape {this}");
            count = count > long.MaxValue ? count : count * (ulong)size;
        }
        if (count > long.MaxValue) throw new ArgumentException($"shape {this} has more elements than fit 63 bits");
        Count = (long)count;
    }

    /// <summary>Number of axes.</summary>
    public int Rank { get; }

    /// <summary>Number of elements; 1 for no axes.</summary>
    public long Count { get; }

    /// <summary>Size of an axis; ^1 is the fastest.</summary>
    public long this[Index axis] => ((ReadOnlySpan<long>)_sizes)[..Rank][axis];

    /// <summary>Product of all sizes but the last: rows, when the last axis is taken as columns.</summary>
    public long Rows => Rank == 0 ? 1 : this[^1] == 0 ? 0 : Count / this[^1];

    /// <inheritdoc/>
    public bool Equals(Shape other) =>
        Rank == other.Rank
        && ((ReadOnlySpan<long>)_sizes)[..Rank].SequenceEqual(((ReadOnlySpan<long>)other._sizes)[..Rank]);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Shape other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Rank, Count);

    /// <summary>Same axes, same sizes.</summary>
    public static bool operator ==(Shape a, Shape b) => a.Equals(b);

    /// <summary>Not the same.</summary>
    public static bool operator !=(Shape a, Shape b) => !a.Equals(b);

    /// <summary>"(2, 196, 768)".</summary>
    public override string ToString() => "(" + string.Join(", ", ((ReadOnlySpan<long>)_sizes)[..Rank].ToArray()) + ")";
}
