using EpSam.Native.Tensors;

namespace EpSam.Native.Nn;

/// <summary>Where a model's parameters come from: a checkpoint, a formula, a dictionary.</summary>
public interface IParameterSource
{
    /// <summary>Names of all parameters, in order.</summary>
    IEnumerable<string> Names { get; }

    /// <summary>The shape of a parameter; false where there is none of this name.</summary>
    bool TryGetShape(string name, out Shape shape);

    /// <summary>
    /// Copies all elements of a parameter as f32; <paramref name="values"/> has room for exactly these.
    /// </summary>
    void Read(string name, Span<float> values);
}

/// <summary>Parameters in host memory.</summary>
public sealed class ParameterDictionary : IParameterSource
{
    readonly OrderedDictionary<string, (Shape Shape, float[] Values)> _parameters = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public IEnumerable<string> Names => _parameters.Keys;

    /// <summary>
    /// Adds a parameter; throws ArgumentException when its name is there already or the count does not fit.
    /// </summary>
    public void Add(string name, Shape shape, float[] values)
    {
        if (values.Length != shape.Count)
            throw new ArgumentException($"{name}: {values.Length} values for shape {shape}");
        _parameters.Add(name, (shape, values));
    }

    /// <inheritdoc/>
    public bool TryGetShape(string name, out Shape shape)
    {
        bool found = _parameters.TryGetValue(name, out (Shape Shape, float[] Values) parameter);
        shape = parameter.Shape;
        return found;
    }

    /// <inheritdoc/>
    public void Read(string name, Span<float> values) => _parameters[name].Values.CopyTo(values);
}
