using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class GatherCases
{
    // one vector; fewer and more than a block; SAM's prompts for an image
    static readonly (long B, long P, long R, long C)[] Sizes = [(1, 1, 1, 4), (3, 5, 7, 12), (2, 3, 33, 36)];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from type in new[] { DType.F32, DType.BF16 } from s in Sizes
            from added in new[] { "", "row", "add", "row add" }
           select Case(s, added, type),
        .. from type in new[] { DType.F32, DType.BF16 } select Case((1, 16, 4096, 256), "row", type, true),
        .. from type in new[] { DType.F32, DType.BF16 }
           from s in new (long B, long P, long R, long C)[] { (1, 1, 1, 4), (3, 5, 7, 12), (2, 4, 300, 8) }
           select Backward(s.B, s.P, s.R, s.C, type),
    ];

    // An image without prompts gets zeros: the last one of the second case.
    static OpCase Backward(long b, long p, long r, long c, DType type) => new()
    {
        Name = $"gather bwd {type.Name()} {p}x{r}x{c} to {b}",
        Inputs =
        [
            new("dy", type, new(p, r, c), Values.Normal()),
            new("of", DType.I32, new(p), Values.Integer(0, (int)Math.Min(b - 1, 1))),
        ],
        Outputs = [new("dx", type, new(b, r, c))],
        Run = (gpu, x, y) => Gather.Backward(gpu, x[0], x[1], y[0]),
        Reference = x =>
        {
            Sums dx = new(b * r * c);
            for (long i = 0; i < x[0].Length; i++) dx.Add((long)x[1][i / (r * c)] * r * c + i % (r * c), x[0][i]);
            return [dx.Within(p, type)];
        },
        Flops = p * r * c, Bytes = (p + b) * r * c * type.Size(),
    };

    static OpCase Case((long B, long P, long R, long C) s, string added, DType type, bool realistic = false)
    {
        bool row = added.Contains("row"), add = added.Contains("add");
        return new OpCase
        {
            Name = $"gather {type.Name()} {s.P} of {s.B}x{s.R}x{s.C} {added}",
            Inputs =
            [
                new("x", type, new(s.B, s.R, s.C), Values.Normal()),
                new("of", DType.I32, new(s.P), Values.Integer(0, (int)s.B - 1)),
                new("row", DType.F32, new(s.C), Values.Normal()), new("add", type, new(s.P, s.R, s.C), Values.Normal()),
            ],
            Outputs = [new("y", type, new(s.P, s.R, s.C))],
            Run = (gpu, x, y) => Gather.Forward(gpu, x[0], x[1], row ? x[2] : null, add ? x[3] : null, y[0]),
            Reference = x =>
            {
                double[] y = new double[s.P * s.R * s.C];
                for (long i = 0; i < y.Length; i++)
                {
                    long each = s.R * s.C;
                    y[i] = x[0][(long)x[1][i / each] * each + i % each];
                    if (row) y[i] = (float)(y[i] + x[2][i % s.C]);
                    if (add) y[i] = (float)(y[i] + x[3][i]);
                    y[i] = Values.Round(y[i], type);
                }
                return [Tolerance.Exact(y)];
            },
            Flops = s.P * s.R * s.C, Bytes = type.Size() * s.P * s.R * s.C * (add ? 3 : 2), Realistic = realistic,
        };
    }
}
