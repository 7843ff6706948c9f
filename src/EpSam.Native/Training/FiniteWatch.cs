// Finds out where NaN or infinities come from first. The result of every op, and in backward its gradient, are counted
// on the device, each in a counter of its own, and nothing waits; once a step the counters are looked at. They are in
// the order of the work, so the first that is not zero names the op where the trouble began.
using System.Runtime.InteropServices;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Training;

/// <summary>The watch for NaN of a training run.</summary>
/// <param name="arena">Where the counters are kept.</param>
/// <param name="most">Tensors that a step can have counted; the last counter takes what goes beyond.</param>
public sealed class FiniteWatch(Arena arena, int most = 1024)
{
    readonly Tensor _counts = arena.Keep("counters of NaN", DType.I32, new Shape(most));
    readonly List<string> _names = [];

    /// <summary>Watches the results of a tape's ops and their gradients.</summary>
    public void Attach(Tape tape)
    {
        tape.WatchResult = (name, y) => Count($"result of {name}", y);
        tape.Watch = (name, gradient) => Count($"gradient of {name}'s result", gradient);
    }

    /// <summary>Counts the values of a tensor, f32 or bf16, that are no numbers. Does not synchronise.</summary>
    public void Count(string name, Tensor x)
    {
        if (_names.Count == 0) arena.Gpu.Clear(_counts);
        if (_names.Count < most) _names.Add(name);
        NonFinite.Count(arena.Gpu, x, _counts, _names.Count - 1);
    }

    /// <summary>
    /// Looks at what has been counted since the last time and begins anew. Throws <see cref="NonFiniteException"/>
    /// when there was anything. Synchronises.
    /// </summary>
    public void Check(long step)
    {
        if (_names.Count == 0) return;
        int[] counts = new int[most];
        arena.Gpu.Download(_counts, MemoryMarshal.AsBytes(counts.AsSpan()));
        int first = Array.FindIndex(counts, 0, _names.Count, c => c != 0);
        string name = first < 0 ? "" : _names[first];
        int others = counts.Take(_names.Count).Count(c => c != 0) - 1;
        _names.Clear();
        if (first >= 0) throw new NonFiniteException(name, step, (uint)counts[first], others);
    }
}

/// <summary>Training has met values that are no numbers.</summary>
public sealed class NonFiniteException(string where, long step, long count, int others) : Exception(
    $"step {step}: {count} values of the {where} are NaN or infinite"
    + (others > 0 ? $", and some of {others} more tensors" : "")
    + "; a smaller learning rate or a limit to the gradients' norm may help")
{
    /// <summary>The first tensor that had some.</summary>
    public string Where { get; } = where;

    /// <summary>The step.</summary>
    public long Step { get; } = step;
}
