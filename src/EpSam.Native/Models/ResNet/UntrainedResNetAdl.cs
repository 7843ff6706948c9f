// A classifier that has learnt nothing, as EP-SAM begins (resnet_adl.py): convolutions by Xavier's uniform rule, norms
// 1 and 0, the last layer N(0, 0.01) with bias 0. Numbers follow from seed and name alone, and are the same on every
// machine.
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.Native.Training;

namespace EpSam.Native.Models.ResNet;

/// <summary>Initial parameters and running statistics of the patch classifier.</summary>
public sealed class UntrainedResNetAdl : IParameterSource
{
    const double HeadDeviation = 0.01;

    readonly OrderedDictionary<string, Shape> _shapes = new(StringComparer.Ordinal);
    readonly CounterRandom _random;

    /// <summary>All that a classifier of these sizes has. Throws ArgumentException for impossible ones.</summary>
    public UntrainedResNetAdl(ResNetAdlConfig config, ulong seed)
    {
        config.Check();
        _random = new(seed);
        Plan.Of(arena =>
        {
            Parameters parameters = new(arena, DType.F32);
            _ = new ResNetAdl(config, parameters);
            foreach ((string name, Shape shape) in parameters.Stored) _shapes.Add(name, shape);
        });
    }

    /// <inheritdoc/>
    public IEnumerable<string> Names => _shapes.Keys;

    /// <inheritdoc/>
    public bool TryGetShape(string name, out Shape shape) => _shapes.TryGetValue(name, out shape);

    /// <inheritdoc/>
    public void Read(string name, Span<float> values)
    {
        Shape shape = _shapes[name];
        CounterRandom random = _random.Child(name, 0);
        switch (shape.Rank)
        {
            case 4: // (N, C, KH, KW): U(±√(6 / (fan in + fan out)))
                long positions = shape[2] * shape[3];
                double limit = Math.Sqrt(6.0 / ((shape[0] + shape[1]) * positions));
                foreach (ref float value in values) value = (float)random.NextDouble(-limit, limit);
                break;
            case 2:
                foreach (ref float value in values) value = (float)(HeadDeviation * random.NextNormal());
                break;
            default:
                bool isOne = name.EndsWith(".weight", StringComparison.Ordinal)
                    || name.EndsWith(".running_var", StringComparison.Ordinal);
                values.Fill(isOne ? 1 : 0);
                break;
        }
    }
}
