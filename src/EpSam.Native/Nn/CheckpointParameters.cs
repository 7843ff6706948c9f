using EpSam.Native.Checkpoints;
using EpSam.Native.Tensors;

namespace EpSam.Native.Nn;

/// <summary>The tensors of a checkpoint as parameters; half, bfloat16, double and integers are converted.</summary>
/// <param name="checkpoint">Where they are read from; it stays open as long as this is used.</param>
public sealed class CheckpointParameters(StateDict checkpoint) : IParameterSource
{
    /// <inheritdoc/>
    public IEnumerable<string> Names => checkpoint.Names;

    /// <inheritdoc/>
    public bool TryGetShape(string name, out Shape shape)
    {
        bool found = checkpoint.TryGet(name, out TensorEntry? entry);
        shape = found && entry!.Sizes.Length <= Shape.MaxRank ? entry.Shape : default;
        return found;
    }

    /// <inheritdoc/>
    public void Read(string name, Span<float> values) => checkpoint[name].ReadFloats(0, values);
}
