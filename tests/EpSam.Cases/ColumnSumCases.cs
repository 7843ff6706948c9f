// One row, rows around a part's 64 and more than 256 parts hold of these; columns around a block's 128.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class ColumnSumCases
{
    static readonly (long R, long C)[] Sizes =
        [(1, 4), (3, 12), (63, 124), (64, 128), (65, 132), (1009, 36), (16_500, 20), (16_384, 256)];
    static readonly (long B, long R, long C)[] FewSizes =
        [(1, 1, 1), (1, 5, 127), (3, 4, 129), (2, 33, 5), (4, 1, 300)];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from type in new[] { DType.F32, DType.BF16 } from s in Sizes select AddTo(s.R, s.C, type),
        .. from type in new[] { DType.F32, DType.BF16 } from to in new[] { DType.F32, DType.BF16 } from s in FewSizes
           from add in new[] { false, true } select Few(s.B, s.R, s.C, type, to, add),
    ];

    static OpCase AddTo(long r, long c, DType type) => new()
    {
        Name = $"column_sum {type.Name()} {r}x{c}",
        Inputs = [new("x", type, new(r, c), Values.Normal(1, 0.1)), new("before", DType.F32, new(c), Values.Normal())],
        Outputs = [new("y", DType.F32, new(c))],
        Scratch = [new("parts", DType.F32, ColumnSum.PartsShape(new Tensor(default, type, new(r, c))))],
        Run = (gpu, x, y) =>
        {
            Elementwise.Copy(gpu, x[1], y[0]);
            ColumnSum.AddTo(gpu, x[0], y[1], y[0]);
        },
        Reference = x => [Reference(x, 1, r, c, true, DType.F32)],
        Flops = r * c, Bytes = r * c * type.Size(), Realistic = r * c > 1_000_000,
    };

    static OpCase Few(long b, long r, long c, DType type, DType to, bool add) => new()
    {
        Name = $"column_sum few {type.Name()} {to.Name()} {b}x{r}x{c}{(add ? " add" : "")}",
        Inputs = [new("x", type, new(b, r, c), Values.Normal()), new("before", to, new(b, c), Values.Normal())],
        Outputs = [new("y", to, new(b, c))],
        Run = (gpu, x, y) =>
        {
            if (add)
            {
                byte[] before = new byte[x[1].Bytes];
                gpu.Download(x[1], before);
                gpu.Upload(before, y[0]);
            }
            ColumnSum.Few(gpu, x[0], y[0], add, batched: true);
        },
        Reference = x => [Reference(x, b, r, c, add, to)],
        Flops = b * r * c, Bytes = b * r * c * type.Size() + b * c * to.Size(),
    };

    static Expected Reference(double[][] x, long b, long r, long c, bool add, DType type)
    {
        Sums sums = new(b * c);
        for (long i = 0; i < x[0].Length; i++) sums.Add(i / c / r * c + i % c, x[0][i]);
        if (add) for (int i = 0; i < x[1].Length; i++) sums.Add(i, x[1][i]);
        return sums.Within(r + 1, type);
    }
}
