using EpSam.Native.Nn;
using EpSam.Native.Tensors;

namespace EpSam.Native.Tests.Models;

/// <summary>The goldens' weights of the patch classifier that do not amplify rounding.</summary>
internal sealed class DampedParameters(IParameterSource source) : IParameterSource
{
    public IEnumerable<string> Names => source.Names;

    public bool TryGetShape(string name, out Shape shape) => source.TryGetShape(name, out shape);

    public void Read(string name, Span<float> values)
    {
        source.Read(name, values);
        if (!name.EndsWith(".bn3.weight", StringComparison.Ordinal)) return;
        foreach (ref float v in values) v = (float)(0.1 * v);
    }
}
