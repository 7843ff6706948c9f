// Parameters of a SAM that has learnt nothing, drawn from the distributions in which the reference starts: PyTorch's
// defaults for the layers that it uses, and zeros for positional tables. The numbers are our own generator's, not
// torch's: by the seed, the parameter's name and the index, so a parameter does not depend on any other.
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.Native.Training;

namespace EpSam.Native.Models.Sam;

/// <summary>
/// An untrained model: for training from scratch, for trying things out, for measuring. Its masks mean nothing.
/// </summary>
public sealed class UntrainedSam : IParameterSource
{
    readonly OrderedDictionary<string, Shape> _shapes = new(StringComparer.Ordinal);
    readonly ulong _seed;

    /// <summary>
    /// All parameters of a model of these sizes. Throws <see cref="SamConfigException"/> for impossible ones.
    /// </summary>
    public UntrainedSam(SamConfig config, int seed = 0)
    {
        config.Check();
        _seed = CounterRandom.BitsAt((ulong)seed, 0);
        Plan.Of(arena =>
        {
            Parameters parameters = new(arena, DType.F32);
            _ = new ImageEncoder(config, parameters);
            _ = new PromptEncoder(config, parameters);
            _ = new MaskDecoder(config, parameters);
            foreach ((string name, Tensor tensor) in parameters.All) _shapes.Add(name, tensor.Shape);
        });
    }

    /// <inheritdoc/>
    public IEnumerable<string> Names => _shapes.Keys;

    /// <inheritdoc/>
    public bool TryGetShape(string name, out Shape shape) => _shapes.TryGetValue(name, out shape);

    /// <inheritdoc/>
    public void Read(string name, Span<float> values)
    {
        (bool isNormal, double scale, double constant) = Distribution(name);
        if (scale == 0)
        {
            values.Fill((float)constant);
            return;
        }
        ulong key = _seed ^ Hash(name);
        for (int i = 0; i < values.Length; i++)
            values[i] = (float)(scale * (isNormal ? Normal(key, (ulong)i)
                : 2 * CounterRandom.DoubleAt(key, (ulong)i) - 1));
    }

    // Which distribution, its deviation or half-width, or with a scale of 0 the value of all.
    (bool IsNormal, double Scale, double Constant) Distribution(string name)
    {
        Shape shape = _shapes[name];
        string[] parts = name.Split('.');
        string last = parts[^1];
        // image_encoder.py: zeros
        if (last is "pos_embed" or "rel_pos_h" or "rel_pos_w") return (false, 0, 0);
        // prompt_encoder.py: scale 1
        if (last == "positional_encoding_gaussian_matrix") return (true, 1, 0);
        if (parts.Any(p => p is "point_embeddings" or "not_a_point_embed" or "no_mask_embed" or "iou_token"
            or "mask_tokens"))
            // torch.nn.Embedding: N(0, 1)
            return (true, 1, 0);
        Shape weight = _shapes[name[..^last.Length] + "weight"];
        if (weight.Rank == 1) return (false, 0, last == "weight" ? 1 : 0);                      // norms
        // Linear, Conv2d, ConvTranspose2d: kaiming_uniform_(a = sqrt 5) is U(±1/sqrt(fan in)), and so is the bias;
        // torch's fan in is the product of all axes but the first, in a transposed convolution too.
        return (false, 1 / Math.Sqrt(weight.Count / (double)weight[0]), 0);
    }

    // Box and Muller's, one of the pair: two uniform numbers for each.
    static double Normal(ulong key, ulong index)
    {
        double radius = Math.Sqrt(-2 * Math.Log(1 - CounterRandom.DoubleAt(key, 2 * index)));
        return radius * Math.Cos(2 * Math.PI * CounterRandom.DoubleAt(key, 2 * index + 1));
    }

    static ulong Hash(string name) // FNV-1a
    {
        ulong hash = 0xCBF29CE484222325;
        foreach (byte b in System.Text.Encoding.UTF8.GetBytes(name)) hash = (hash ^ b) * 0x100000001B3;
        return hash;
    }
}
