using EpSam.Native.Tensors;

namespace EpSam.Native.Nn;

/// <summary>
/// One source over another: a parameter that both have comes from the upper, such as a decoder trained alone.
/// </summary>
/// <param name="upper">What replaces.</param>
/// <param name="lower">What the rest comes from.</param>
public sealed class OverlaidParameters(IParameterSource upper, IParameterSource lower) : IParameterSource
{
    /// <inheritdoc/>
    public IEnumerable<string> Names => lower.Names.Union(upper.Names, StringComparer.Ordinal);

    /// <inheritdoc/>
    public bool TryGetShape(string name, out Shape shape) =>
        upper.TryGetShape(name, out shape) || lower.TryGetShape(name, out shape);

    /// <inheritdoc/>
    public void Read(string name, Span<float> values) =>
        (upper.TryGetShape(name, out _) ? upper : lower).Read(name, values);
}
