// Where trained parameters lie in the flat buffers of training: their f32 values, the bf16 copy of these, gradients and
// moments all have this layout, so that one kernel over one range updates everything. Layers get their parameters one
// by one, so the layout is found before, by making the model once without memory.
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Nn;

/// <summary>One parameter in the flat buffers.</summary>
/// <param name="Name">Its state-dict name.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="First">Index of its first element; a multiple of <see cref="TrainedLayout.Alignment"/>.</param>
public sealed record TrainedRange(string Name, Shape Shape, long First)
{
    /// <summary>Index behind its last element and what is left free for the next one's alignment.</summary>
    public long End => First + (Shape.Count + TrainedLayout.Alignment - 1) / TrainedLayout.Alignment
        * TrainedLayout.Alignment;
}

/// <summary>The trained parameters of a model in the order of their declaration.</summary>
public sealed class TrainedLayout
{
    /// <summary>Elements at whose multiples parameters start: 256 bytes of f32.</summary>
    public const int Alignment = 64;

    readonly OrderedDictionary<string, TrainedRange> _ranges = new(StringComparer.Ordinal);

    TrainedLayout()
    {
    }

    /// <summary>Elements of each flat buffer.</summary>
    public long Count { get; private set; }

    /// <summary>All parameters, from first to last.</summary>
    public IList<TrainedRange> Ranges => _ranges.Values;

    /// <summary>
    /// Makes the model without memory. Throws ArgumentException when none of its parameters is trained.
    /// </summary>
    /// <param name="declare">Makes the model; nothing is loaded or run.</param>
    /// <param name="isTrained">By name; running statistics are not.</param>
    public static TrainedLayout Of(Action<Parameters> declare, Func<string, bool> isTrained)
    {
        TrainedLayout layout = new();
        Plan.Of(arena =>
        {
            Parameters parameters = new(arena, DType.F32);
            declare(parameters);
            foreach ((string name, Tensor tensor) in parameters.All)
            {
                if (!isTrained(name)) continue;
                TrainedRange range = new(name, tensor.Shape, layout.Count);
                layout._ranges.Add(name, range);
                layout.Count = range.End;
            }
        });
        return layout.Count > 0 ? layout : throw new ArgumentException("no parameter of the model is trained");
    }

    /// <summary>The range of a trained parameter; null when it is not trained.</summary>
    public TrainedRange? Find(string name) => _ranges.GetValueOrDefault(name);

    /// <summary>A parameter's part of a flat buffer.</summary>
    public static Tensor Part(Tensor flat, TrainedRange range) => new(
        new(flat.Address.Value + (ulong)(range.First * flat.DType.Size())), flat.DType, range.Shape);
}
