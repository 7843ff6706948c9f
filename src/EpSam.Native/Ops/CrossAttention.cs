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
    const int Threads = 128, Warps = 4;
    const string Op = "CrossAttention";
    const long FewOwners = 1024, Chunk = 128; // backward: of that few tokens each, the others are shared out

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
        (long prompts, long queries, long keys, long heads, long size) =
            Check(q, k, v, output, logSumExp, qTable, kTable, qOf, kvOf);
        bool narrow = size <= 16, byKey = keys > queries;
        long together = byKey ? narrow ? 8 : 2 : narrow ? 256 : 128; // queries of a block
        Launch.Run(gpu, $"cross_attention_fwd_{q.DType.Name()}_k{(narrow ? 16 : 32)}_by_{(byKey ? "key" : "query")}",
            new LaunchGrid(heads, (queries + together - 1) / together, prompts), Threads, q, k, v, qTable, kTable,
            qOf, kvOf, output, logSumExp, (int)queries, (int)keys, (int)heads, (int)size, scale);
    }

    /// <summary>
    /// Gradients of what a prompt has read: dq (P, Tq, N, K), dk and dv (P, Tk, N, K) of q's type, from dOutput like
    /// output. The other arguments are those of <see cref="Forward"/>, output and logSumExp as it made them. Where
    /// prompts share tokens, add up theirs by Gather.Backward; a table's gradient is the sum over all prompts,
    /// ColumnSum.Few. delta (P, N, Tq) f32 and parts f32 of <see cref="PartsShape"/> are working space. Does not
    /// synchronise.
    /// </summary>
    public static void Backward(Gpu gpu, Tensor q, Tensor k, Tensor v, float scale, Tensor output, Tensor logSumExp,
        Tensor dOutput, Tensor delta, Tensor parts, Tensor dq, Tensor dk, Tensor dv,
        Tensor? qTable = null, Tensor? kTable = null, Tensor? qOf = null, Tensor? kvOf = null)
    {
        (long prompts, long queries, long keys, long heads, long size) =
            Check(q, k, v, output, logSumExp, qTable, kTable, qOf, kvOf);
        Expect.Same(Op, "dOutput", dOutput, output);
        Expect.Same(Op, "dq", dq, output);
        Expect.Shape(Op, "dk", dk, q.DType, prompts, keys, heads, size);
        Expect.Same(Op, "dv", dv, dk);
        Expect.Same(Op, "delta", delta, logSumExp);
        Expect.Same(Op, "parts", parts, new Tensor(default, DType.F32, PartsShape(output, k)));
        foreach (Tensor tensor in (ReadOnlySpan<Tensor>)[dOutput, parts, dq, dk, dv])
            Expect.Aligned(Op, "a tensor", tensor, 16);
        string kernel = $"cross_attention_bwd_{q.DType.Name()}", wide = size <= 16 ? "k16" : "k32";
        int rows = Expect.Int(Op, "P·Tq·N", prompts * queries * heads);
        Launch.Run(gpu, $"{kernel}_delta", new LaunchGrid((rows + Threads - 1L) / Threads), Threads,
            output, dOutput, delta, (int)prompts, (int)queries, (int)heads, (int)size);

        (long each, long chunks) = Chunks(queries, keys);
        Tensor sums = parts with { Shape = new Shape(chunks, dq.Shape.Count) };
        Launch.Run(gpu, $"{kernel}_{wide}_query", Grid(queries, chunks), Threads, q, k, v, qTable, kTable, qOf, kvOf,
            dOutput, logSumExp, delta, dq, chunks > 1 ? sums : null, (int)queries, (int)keys, (int)heads, (int)size,
            (int)each, scale);
        if (chunks > 1) ColumnSum.Few(gpu, sums, dq);

        (each, chunks) = Chunks(keys, queries);
        sums = parts with { Shape = new Shape(chunks, dk.Shape.Count) };
        Tensor values = sums with { Address = new(sums.Address.Value + (ulong)sums.Bytes) };
        Launch.Run(gpu, $"{kernel}_{wide}_key", Grid(keys, chunks), Threads, q, k, v, qTable, kTable, qOf, kvOf,
            dOutput, logSumExp, delta, dk, dv, chunks > 1 ? sums : null, chunks > 1 ? values : (Tensor?)null,
            (int)queries, (int)keys, (int)heads, (int)size, (int)each, scale);
        if (chunks == 1) return;
        ColumnSum.Few(gpu, sums, dk);
        ColumnSum.Few(gpu, values, dv);

        LaunchGrid Grid(long owners, long shares) =>
            new(heads, ((owners + 31) / 32 * shares + Warps - 1) / Warps, prompts);
    }

    /// <summary>Working space of <see cref="Backward"/>: of the larger of its two sums by chunks.</summary>
    public static Shape PartsShape(Tensor output, Tensor k)
    {
        (long prompts, long queries, long keys) = (output.Shape[0], output.Shape[1], k.Shape[1]);
        long row = output.Shape[2] * output.Shape[3];
        long ofQueries = Chunks(queries, keys).Count, ofKeys = Chunks(keys, queries).Count;
        return new Shape(prompts, row, Math.Max(1, Math.Max(ofQueries > 1 ? ofQueries * queries : 0,
            ofKeys > 1 ? 2 * ofKeys * keys : 0)));
    }

    static (long Each, long Count) Chunks(long owners, long others)
    {
        long each = owners > FewOwners || others <= 2 * Chunk ? Math.Max(1, others) : Chunk;
        return (each, Math.Max(1, (others + each - 1) / each));
    }

    static (long Prompts, long Queries, long Keys, long Heads, long Size) Check(in Tensor q, in Tensor k, in Tensor v,
        in Tensor output, in Tensor logSumExp, Tensor? qTable, Tensor? kTable, Tensor? qOf, Tensor? kvOf)
    {
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
        Table("qTable", q.DType, qTable, queries);
        Table("kTable", q.DType, kTable, keys);
        if (qOf is Tensor index) Expect.Shape(Op, "qOf", index, DType.I32, prompts);
        if (kvOf is Tensor other) Expect.Shape(Op, "kvOf", other, DType.I32, prompts);
        return (prompts, queries, keys, heads, size);

        void Table(string name, DType type, Tensor? table, long tokens)
        {
            if (table is not Tensor given) return;
            Expect.Shape(Op, name, given, type, tokens, heads, size);
            Expect.Aligned(Op, name, given, 16);
        }
    }

    /// <summary>The two products, of all queries with all keys.</summary>
    public static long Flops(Tensor output, Tensor k) => 4 * output.Shape.Count * k.Shape[1];
}
