namespace EpSam.Native.Checkpoints;

/// <summary>
/// Counts what the reading of one file allocates and visits. A byte of a hostile file can ask for much more than a byte
/// of memory (a one-byte instruction makes a list; a list can hold itself twice), so everything that is made from a
/// file is charged here first. Numbers are estimates of the objects' sizes, on the high side.
/// </summary>
internal sealed class MemoryBudget(long fileLength)
{
    /// <summary>What small files may use beyond twice their size.</summary>
    public const long Constant = 4 << 20;

    readonly long _limit = 2 * Math.Min(fileLength, long.MaxValue / 4) + Constant;
    long _used = 64 << 10;   // what the reading of any file takes, its exception included

    /// <summary>Most bytes that one thing made from this file can have.</summary>
    public long Limit => _limit;

    public long Used => _used;

    public void Charge(long bytes)
    {
        _used += bytes;
        if (bytes < 0 || _used > _limit)
        {
            throw new CheckpointException(CheckpointError.MemoryLimit,
                $"reading would take more than {_limit} bytes of memory, twice the file's {fileLength} and {Constant}");
        }
    }
}
