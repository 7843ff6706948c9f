// Attention and blocks of the image encoder in sizes that no SAM has: rectangular grids, tables of relative positions
// of other lengths, heads of 12 and 16. Layers are put together here from the library's ops in the order of the
// reference's forward.
using System.Runtime.InteropServices;
using EpSam.Cases;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu;
using Memory = EpSam.Native.Runtime.Arena;

namespace EpSam.Native.Tests.Models;

/// <summary>The attention cases of s01, forward.</summary>
public sealed class AttentionGoldenTests
{
    const string File = "s01_sam_tiny/attention_cases.safetensors";

    /// <summary>
    /// Tables of relative positions are as long as an input of tableH x tableW needs, not this one's.
    /// </summary>
    [TestCase("win7", 4, 7, 7, 48, 3, 7, 7)]
    [TestCase("rect6x10", 2, 6, 10, 48, 3, 6, 10)]
    [TestCase("interp_shrink", 1, 9, 11, 32, 2, 14, 14)]
    [TestCase("interp_grow", 2, 8, 6, 32, 2, 4, 5)]
    [TestCase("global16", 1, 16, 16, 64, 1, 16, 16)]
    public void Attention_WithRelativePosition_IsWithinTheGoldensTolerance(
        string name, int b, int h, int w, int e, int heads, int tableH, int tableW)
    {
        float[] y = Run($"att/{name}", new Shape(b, h, w, e), (parameters, arena, x) =>
        {
            Layer layer = new(parameters, "", h, w, e, heads);
            return () => layer.Forward(arena, x, x, add: false);
        }, (tableH, tableW));
        Golden golden = Golden.Open(File);
        Assert.That(golden.Compare($"att/{name}/y", y), Is.LessThanOrEqualTo(1));
    }

    /// <summary>Heads of 12, without relative position: what CrossAttention does for one set of tokens.</summary>
    [Test]
    public void Attention_WithoutRelativePosition_IsWithinTheGoldensTolerance()
    {
        const int B = 2, T = 45, E = 48, Heads = 4, K = E / Heads;
        float[] y = Run("att/norel", new Shape(B, T, E), (parameters, arena, x) =>
        {
            Linear qkv = new(parameters, "qkv", E, 3 * E), proj = new(parameters, "proj", E, E);
            return () =>
            {
                Tensor[] parts = new Tensor[3];
                for (int i = 0; i < 3; i++)
                {
                    parts[i] = arena.Take("part", DType.F32, x.Shape);
                    Tensor bias = Part(qkv.Bias, i, new Shape(E));
                    MatMul.Forward(arena.Gpu, x, Part(qkv.Weight, i, new Shape(E, E)), parts[i]);
                    Bias.Forward(arena.Gpu, parts[i], bias, parts[i]);
                    parts[i] = parts[i].Reshape(new Shape(B, T, Heads, K));
                }
                Tensor found = arena.Take("found", DType.F32, parts[0].Shape);
                Tensor logSumExp = arena.Take("log_sum_exp", DType.F32, new Shape(B, Heads, T));
                float scale = (float)(1 / Math.Sqrt(K));
                CrossAttention.Forward(arena.Gpu, parts[0], parts[1], parts[2], scale, found, logSumExp);
                proj.Forward(arena.Gpu, found.Reshape(x.Shape), x, add: false);
            };
        });
        Assert.That(Golden.Open(File).Compare("att/norel/y", y), Is.LessThanOrEqualTo(1));

        static Tensor Part(Tensor x, int i, Shape shape)
        {
            Tensor part = x with { Shape = shape };
            return part with { Address = new(x.Address.Value + (ulong)(i * part.Bytes)) };
        }
    }

    /// <summary>The library's own block: windows that need padding on both axes.</summary>
    [Test]
    public void Block_WithWindows_IsWithinTheGoldensTolerance()
    {
        SamConfig config = new() { EmbedDim = 48, Heads = 3, MlpDim = 192, WindowSize = 7, GlobalBlocks = [] };
        float[] y = Run("blk/win7_pad_10x13", new Shape(2, 10, 13, 48), (parameters, arena, x) =>
        {
            Block block = new(config, parameters, "block", 0);
            return () => block.Forward(arena, x);
        }, declaredAs: "block.");
        Assert.That(Golden.Open(File).Compare("blk/win7_pad_10x13/y", y), Is.LessThanOrEqualTo(1));
    }

    /// <summary>A whole grid that is no square, which no configuration has.</summary>
    [Test]
    public void Block_OverARectangle_IsWithinTheGoldensTolerance()
    {
        const int E = 32;
        float[] y = Run("blk/global_6x9", new Shape(2, 6, 9, E), (parameters, arena, x) =>
        {
            Norm norm1 = new(parameters, "norm1", E, ImageEncoder.Eps);
            Norm norm2 = new(parameters, "norm2", E, ImageEncoder.Eps);
            Layer layer = new(parameters, "attn.", 6, 9, E, 2);
            Linear lin1 = new(parameters, "mlp.lin1", E, 4 * E), lin2 = new(parameters, "mlp.lin2", 4 * E, E);
            return () =>
            {
                Tensor normed = arena.Take("normed", DType.F32, x.Shape);
                Tensor hidden = arena.Take("hidden", DType.F32, new Shape(2, 6, 9, 4 * E));
                norm1.Forward(arena, x, normed);
                layer.Forward(arena, normed, x, add: true);
                norm2.Forward(arena, x, normed);
                lin1.Multiply(arena.Gpu, normed, hidden);
                Bias.Gelu(arena.Gpu, hidden, lin1.Bias, hidden);
                lin2.Forward(arena.Gpu, hidden, x, add: true);
            };
        });
        Assert.That(Golden.Open(File).Compare("blk/global_6x9/y", y), Is.LessThanOrEqualTo(1));
    }

    /// <summary>The reference's get_rel_pos: a table of some length for q queries and k keys along an axis.</summary>
    [TestCase(7, 7, 13)]
    [TestCase(7, 7, 9)]
    [TestCase(4, 8, 15)]
    [TestCase(8, 4, 15)]
    [TestCase(5, 10, 27)]
    [TestCase(9, 6, 11)]
    [TestCase(14, 14, 127)]
    [TestCase(64, 64, 27)]
    public void Tables_OfOtherLengths_AreResampledAsByTheReference(int q, int k, int length)
    {
        const int C = 6;
        string name = $"{q}_{k}_{length}";
        float[] table = FormulaParameters.Floats($"input:s01/relpos/{name}/table", length * C, 0.1);
        float[] r = Relative(table, length, C, q, k);
        Assert.That(Golden.Open(File).Compare($"relpos/{name}/R", r), Is.LessThanOrEqualTo(1));
    }

    /// <summary>
    /// add_decomposed_rel_pos. For as many keys as queries the kernel makes the sums, with heads of 8 padded by zeros
    /// to 16; for other numbers, which the library has no kernel for, they are made here of its tables.
    /// </summary>
    [TestCase(5, 6, 5, 6, 9, 11)]
    [TestCase(4, 6, 8, 3, 15, 11)]
    [TestCase(7, 4, 5, 9, 20, 12)]
    public void Logits_WithDecomposedPositions_AreWithinTheGoldensTolerance(
        int qh, int qw, int kh, int kw, int lh, int lw)
    {
        const int B = 3, C = 8;
        string name = $"q{qh}x{qw}_k{kh}x{kw}_Lh{lh}_Lw{lw}";
        float[] Input(string what, int count, double factor) =>
            FormulaParameters.Floats($"input:s01/decomp/{name}/{what}", count, factor);
        float[] q = Input("q", B * qh * qw * C, 1), logits = Input("attn", B * qh * qw * kh * kw, 1);
        float[] tableH = Input("rel_h", lh * C, 0.1), tableW = Input("rel_w", lw * C, 0.1);
        (float[] relH, float[] relW) = qh == kh && qw == kw
            ? OnDevice(q, tableH, tableW, B, qh, qw, C)
            : (Products(q, Relative(tableH, lh, C, qh, kh), qw, kh, C, t => t / qw % qh),
               Products(q, Relative(tableW, lw, C, qw, kw), qw, kw, C, t => t % qw));
        for (int i = 0; i < logits.Length; i++)
        {
            int key = i % (kh * kw), query = i / (kh * kw);
            logits[i] = logits[i] + relH[query * kh + key / kw] + relW[query * kw + key % kw];
        }
        Assert.That(Golden.Open(File).Compare($"decomp/{name}/out", logits), Is.LessThanOrEqualTo(1));
    }

    // R (q, k, C) from the library's resampled table.
    static float[] Relative(float[] table, int length, int channels, int q, int k)
    {
        int needed = 2 * Math.Max(q, k) - 1;
        Shape from = new(length, channels), to = new(needed, channels);
        float[] rows = from == to ? table : PositionTables.Rows(table, from, to), r = new float[q * k * channels];
        double perQuery = Math.Max((double)k / q, 1), perKey = Math.Max((double)q / k, 1);
        for (int i = 0; i < r.Length; i++)
        {
            int query = i / channels / k, key = i / channels % k;
            int row = (int)(query * perQuery - key * perKey + (k - 1) * perKey); // cut, as torch's long()
            r[i] = rows[row * channels + i % channels];
        }
        return r;
    }

    static float[] Products(float[] q, float[] r, int width, int keys, int channels, Func<int, int> line)
    {
        float[] products = new float[q.Length / channels * keys];
        for (int i = 0; i < products.Length; i++)
        {
            (int token, int key) = (i / keys, i % keys);
            double sum = 0;
            for (int c = 0; c < channels; c++)
                sum += (double)q[token * channels + c] * r[(line(token) * keys + key) * channels + c];
            products[i] = (float)sum;
        }
        return products;
    }

    static (float[] RelH, float[] RelW) OnDevice(
        float[] q, float[] tableH, float[] tableW, int b, int h, int w, int size)
    {
        const int K = 16;
        float[] Padded(float[] values, int parts) // rows of size to the first of parts rows of K
        {
            float[] rows = new float[values.Length / size * parts * K];
            for (int i = 0; i < values.Length; i++) rows[i / size * parts * K + i % size] = values[i];
            return rows;
        }
        using Gpu gpu = new(VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions()).Driver);
        using Memory arena = new(gpu, 16 << 20, false);
        Tensor Upload(float[] values, Shape shape)
        {
            Tensor tensor = arena.Keep("input", DType.F32, shape);
            gpu.Upload(MemoryMarshal.AsBytes<float>(values), tensor);
            return tensor;
        }
        Tensor qkv = Upload(Padded(q, 3), new Shape(b, h, w, 3, 1, K));
        Tensor rowsH = Upload(Padded(tableH, 1), new Shape(2 * h - 1, K));
        Tensor rowsW = Upload(Padded(tableW, 1), new Shape(2 * w - 1, K));
        Tensor relH = arena.Keep("rel_h", DType.F32, new Shape(b, 1, h * w, h));
        Tensor relW = arena.Keep("rel_w", DType.F32, new Shape(b, 1, h * w, w));
        RelPos.Forward(gpu, qkv, rowsH, rowsW, relH, relW);
        return (Download(gpu, relH), Download(gpu, relW));
    }

    // A model of one layer: its parameters by formula, x by formula, y in x's place.
    static float[] Run(string name, Shape shape, Func<Parameters, Memory, Tensor, Action> make,
        (int H, int W)? tables = null, string declaredAs = "")
    {
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions());
        using Gpu gpu = new(card.Driver, card.Blas);
        using Memory arena = new(gpu, 64 << 20, false);
        Parameters parameters = new(arena, DType.F32);
        Tensor x = arena.Keep("x", DType.F32, shape);
        Action forward = make(parameters, arena, x);
        parameters.Load(new Stored(parameters, $"s01/{name}/", declaredAs, tables));
        float[] values = FormulaParameters.Floats($"input:s01/{name}/x", (int)shape.Count, 1.5);
        gpu.Upload(MemoryMarshal.AsBytes<float>(values), x);
        using (arena.Scope("test")) forward();
        return Download(gpu, x);
    }

    static float[] Download(Gpu gpu, Tensor tensor)
    {
        float[] values = new float[tensor.Shape.Count];
        gpu.Download(tensor, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    // What a checkpoint of the case would hold: tables as long as the case says.
    sealed class Stored(Parameters parameters, string prefix, string declaredAs, (int H, int W)? tables)
        : IParameterSource
    {
        readonly FormulaParameters _formula = new(parameters.All.Select(p =>
        {
            string name = p.Key[declaredAs.Length..];
            Shape shape = p.Value.Shape;
            if (tables is (int h, int w) && name.Contains("rel_pos"))
                shape = new Shape(2 * (name.EndsWith('h') ? h : w) - 1, shape[1]);
            return KeyValuePair.Create(name, shape);
        }), prefix);

        public IEnumerable<string> Names => parameters.All.Select(p => p.Key);

        public bool TryGetShape(string name, out Shape shape) =>
            _formula.TryGetShape(name[declaredAs.Length..], out shape);

        public void Read(string name, Span<float> values) => _formula.Read(name[declaredAs.Length..], values);
    }

    // The reference's Attention over a whole grid.
    sealed class Layer(Parameters parameters, string name, long h, long w, long e, long heads)
    {
        readonly Linear _qkv = new(parameters, $"{name}qkv", e, 3 * e), _proj = new(parameters, $"{name}proj", e, e);
        readonly Tensor _relPosH = parameters.Table($"{name}rel_pos_h", PositionTables.Rows, 2 * h - 1, e / heads);
        readonly Tensor _relPosW = parameters.Table($"{name}rel_pos_w", PositionTables.Rows, 2 * w - 1, e / heads);

        public void Forward(Memory arena, Tensor x, Tensor y, bool add)
        {
            (Gpu gpu, long b, long k) = (arena.Gpu, x.Shape[0], e / heads);
            Tensor qkv = arena.Take("qkv", DType.F32, new Shape(b, h, w, 3 * e));
            _qkv.Multiply(gpu, x, qkv);
            Bias.Forward(gpu, qkv, _qkv.Bias, qkv);
            qkv = qkv.Reshape(new Shape(b, h, w, 3, heads, k));
            Tensor relH = arena.Take("rel_h", DType.F32, new Shape(b, heads, h * w, h));
            Tensor relW = arena.Take("rel_w", DType.F32, new Shape(b, heads, h * w, w));
            Tensor found = arena.Take("found", DType.F32, new Shape(b, h, w, heads, k));
            Tensor logSumExp = arena.Take("log_sum_exp", DType.F32, new Shape(b, heads, h * w));
            RelPos.Forward(gpu, qkv, _relPosH, _relPosW, relH, relW);
            Attention.Forward(gpu, qkv, relH, relW, (float)(1 / Math.Sqrt(k)), found, logSumExp);
            _proj.Forward(gpu, found.Reshape(x.Shape), y, add);
        }
    }
}
