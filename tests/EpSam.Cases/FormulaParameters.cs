// The goldens' weights (../shared/goldens/README.md §1): every parameter is a function of its name and of the index of
// its element, so that whole models can be compared, or timed, without a file. Written from that description alone.
using System.Text;
using EpSam.Native.Nn;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

/// <summary>Parameters by formula, for the names and shapes given.</summary>
public sealed class FormulaParameters(IEnumerable<KeyValuePair<string, Shape>> shapes, string prefix = "")
    : IParameterSource
{
    const ulong Golden = 0x9E3779B97F4A7C15;
    static readonly string[] Positions = ["rel_pos_h", "rel_pos_w", "rel_pos_d", "pos_embed", "depth_embed"];
    static readonly string[] Tokens =
        ["point_embeddings", "iou_token", "mask_tokens", "no_mask_embed", "not_a_point_embed", "global_query"];

    readonly OrderedDictionary<string, Shape> _shapes = new(shapes, StringComparer.Ordinal);

    public IEnumerable<string> Names => _shapes.Keys;

    public bool TryGetShape(string name, out Shape shape) => _shapes.TryGetValue(name, out shape);

    public void Read(string name, Span<float> values)
    {
        Shape shape = _shapes[name];
        string[] parts = name.Split('.');
        string last = parts[^1];
        (double offset, double factor) =
            Positions.Contains(last) ? (0, 0.1)
            : last == "positional_encoding_gaussian_matrix" ? (0, Math.Sqrt(3))
            : parts.Intersect(Tokens).Any() ? (0, 0.5)
            : last == "running_var" ? (1, 0.1)
            : last == "running_mean" ? (0, 0.1)
            : shape.Rank == 1 && last == "bias" ? (0, 0.1)
            : shape.Rank == 1 && last == "weight" ? (1.0, 0.1)
            : (0, Math.Sqrt(3.0 / (shape.Count / shape[0])));
        Fill(prefix + name, offset, factor, values);
    }

    /// <summary>offset + factor·v in double, rounded once.</summary>
    public static unsafe void Fill(string key, double offset, double factor, Span<float> values)
    {
        const int Part = 1 << 16;
        ulong start = Hash(key);
        int count = values.Length;
        fixed (float* pinned = values)
        {
            float* to = pinned;
            Parallel.For(0, (count + Part - 1) / Part, part =>
            {
                for (int i = part * Part, end = Math.Min(count, i + Part); i < end; i++)
                    to[i] = (float)(offset + factor * (2 * ((Mix(start + (ulong)i * Golden) >> 40) / 16777216.0) - 1));
            });
        }
    }

    /// <summary>factor·v: inputs of the goldens.</summary>
    public static float[] Floats(string key, int count, double factor = 1)
    {
        float[] values = new float[count];
        Fill(key, 0, factor, values);
        return values;
    }

    /// <summary>The bytes floor(256·u): images of the goldens.</summary>
    public static byte[] Bytes(string key, int count)
    {
        ulong start = Hash(key);
        return [.. Enumerable.Range(0, count).Select(i => (byte)(Mix(start + (ulong)i * Golden) >> 56))];
    }

    static ulong Hash(string key) // FNV-1a
    {
        ulong hash = 0xCBF29CE484222325;
        foreach (byte b in Encoding.UTF8.GetBytes(key)) hash = (hash ^ b) * 0x100000001B3;
        return hash;
    }

    static ulong Mix(ulong z) // splitmix64
    {
        z += Golden;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
