namespace EpSam.Native.Training;

/// <summary>
/// Batches of a data set in a new random order each epoch. The order follows from seed and epoch, so the state is a
/// position.
/// </summary>
/// <param name="count">Items of the data set.</param>
/// <param name="batch">Items of a batch; the last one of an epoch may have fewer.</param>
/// <param name="seed">Of the orders.</param>
public sealed class Sampler(int count, int batch, ulong seed)
{
    readonly int _count = count > 0 && batch > 0
        ? count
        : throw new ArgumentException($"batches of {batch} of {count} items are impossible");

    int[]? _order; // of the epoch

    /// <summary>Batches of an epoch.</summary>
    public int Batches => (_count + batch - 1) / batch;

    /// <summary>From 0.</summary>
    public long Epoch { get; private set; }

    /// <summary>Which batch of the epoch <see cref="Next"/> gives.</summary>
    public int Position { get; private set; }

    /// <summary>The next batch's items, which stay the next.</summary>
    public int[] Peek()
    {
        _order ??= Order();
        int first = Position * batch;
        return _order[first..Math.Min(_count, first + batch)];
    }

    /// <summary>The next batch's items; after an epoch's last batch the next epoch begins.</summary>
    public int[] Next()
    {
        int[] items = Peek();
        if (++Position == Batches) (Epoch, Position, _order) = (Epoch + 1, 0, null);
        return items;
    }

    /// <summary>Puts its state among values to be saved.</summary>
    public void Save(StateValues values, string name)
    {
        values.Set($"{name}.count", _count);
        values.Set($"{name}.batch", batch);
        values.Set($"{name}.seed", unchecked((long)seed));
        values.Set($"{name}.epoch", Epoch);
        values.Set($"{name}.position", Position);
    }

    /// <summary>Takes its state from saved values, which must be of the same data set, batch and seed.</summary>
    public void Load(StateValues values, string name)
    {
        values.Require($"{name}.count", _count);
        values.Require($"{name}.batch", batch);
        values.Require($"{name}.seed", unchecked((long)seed));
        long position = values.Long($"{name}.position");
        if (position < 0 || position >= Batches) throw values.Wrong($"{name}.position", $"below {Batches}");
        (Epoch, Position, _order) = (values.Long($"{name}.epoch"), (int)position, null);
    }

    int[] Order()
    {
        int[] order = [.. Enumerable.Range(0, _count)];
        new CounterRandom(seed).Child("order", (ulong)Epoch).Shuffle(order.AsSpan());
        return order;
    }
}
