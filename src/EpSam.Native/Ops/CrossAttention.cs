// Attention between two sets of tokens: kernels/cross_attention.cu.
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>
/// softmax(scale · q·kᵀ) · v with queries of one set of tokens and keys and values of another, head by head.
/// </summary>
/// <remarks>
/// Biases: that of k shifts all logits of a query alike and may be left out; that of v is added to every output, so it
/// may be added there, where tokens are few.
/// </remarks>
public static class CrossAttention
{
    const int Threads = 128;

    /// <summary>
    /// q (P, Tq, N, K), k and v (P, Tk, N, K), output (P, Tq, N, K), all f32 or all bf16; logSumExp (P, N, Tq) f32,
    /// natural. K is at most 32 and a multiple of 4 (f32) or 8 (bf16). qTable (Tq, N, K) and kTable (Tk, N, K), of q's
    /// type, are added to every prompt's q and k: what positions, the same for all prompts, contribute to a
    /// projection. With qOf (P) i32 prompt p has the queries q[qOf[p]], with kvOf (P) i32 the keys and values of
    /// kvOf[p]: prompts of one image share what does not depend on them. Any Tq and Tk. Does not synchronise.
    /// </summary>
    public static void Forward(Gpu gpu, Tensor q, Tensor k, Tensor v, float scale, Tensor output, Tensor logSumExp,
        Tensor? qTable = null, Tensor? kTable = null, Tensor? qOf = null, Tensor? kvOf = null)
    {
        const string Op = "CrossAttention";
        Expect.Type(Op, "q", q, DType.F32, DType.BF16);
        Expect.Rank(Op, "q", q, "P, Tq, N, K");
        Expect.Rank(Op, "k", k, "P, Tk, N, K");
        Expect.Rank(Op, "output", output, "P, Tq, N, K");
        (long prompts, long queries, long heads, long size) = (output.Shape[0], q.Shape[1], q.Shape[2], q.Shape[3]);
        long keys = k.Shape[1];
        Expect.Shape(Op, "q", q, q.DType, qOf is null ? prompts : q.Shape[0], queries, heads, size);
        Expect.Shape(Op, "k", k, q.DType, kvOf is null ? prompts : k.Shape[0], keys, heads, size);
        Expect.Same(Op, "v", v, k);
        Expect.Shape(Op, "output", output, q.DType, prompts, queries, heads, size);
        Expect.Shape(Op, "logSumExp", logSumExp, DType.F32, prompts, heads, queries);
        Expect.Multiple(Op, "K", size, 16 / q.DType.Size());
        if (size is < 1 or > 32) throw new ArgumentException($"{Op}: K must be 1 to 32, got {size}");
        if (keys < 1) throw new ArgumentException($"{Op}: needs a key, got {keys}");
        Expect.Int(Op, "T·N·K", checked(Math.Max(queries, keys) * heads * size));
        foreach (Tensor tensor in (ReadOnlySpan<Tensor>)[q, k, v, output]) Expect.Aligned(Op, "a tensor", tensor, 16);
        Table("qTable", qTable, queries);
        Table("kTable", kTable, keys);
        if (qOf is Tensor index) Expect.Shape(Op, "qOf", index, DType.I32, prompts);
        if (kvOf is Tensor other) Expect.Shape(Op, "kvOf", other, DType.I32, prompts);

        bool narrow = size <= 16, byKey = keys > queries;
        long together = byKey ? narrow ? 8 : 2 : narrow ? 256 : 128; // queries of a block
        Launch.Run(gpu, $"cross_attention_fwd_{q.DType.Name()}_k{(narrow ? 16 : 32)}_by_{(byKey ? "key" : "query")}",
            new LaunchGrid(heads, (queries + together - 1) / together, prompts), Threads, q, k, v, qTable, kTable,
            qOf, kvOf, output, logSumExp, (int)queries, (int)keys, (int)heads, (int)size, scale);

        void Table(string name, Tensor? table, long tokens)
        {
            if (table is not Tensor given) return;
            Expect.Shape(Op, name, given, q.DType, tokens, heads, size);
            Expect.Aligned(Op, name, given, 16);
        }
    }

    /// <summary>The two products, of all queries with all keys.</summary>
    public static long Flops(Tensor output, Tensor k) => 4 * output.Shape.Count * k.Shape[1];
}
