using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class UnfoldCases
{
    // smallest; padding on all sides of one pixel; an input that strides do not use up; SAM's patch embedding, neck and
    // mask prompt
    static readonly (long B, long H, long W, long C, int Side, int Stride, int Padding)[] Sizes =
    [
        (1, 1, 1, 1, 3, 1, 1), (2, 5, 4, 3, 3, 1, 1), (1, 8, 7, 5, 3, 2, 1), (1, 6, 9, 2, 3, 3, 0),
        (1, 4, 3, 64, 3, 1, 1),
        (1, 16, 16, 1, 16, 16, 0), (2, 48, 37, 3, 16, 16, 0), (2, 6, 8, 1, 2, 2, 0), (1, 5, 4, 4, 2, 2, 0),
    ];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from type in new[] { DType.F32, DType.BF16 }
           from s in Sizes.Append((1, 1024, 1024, 3, 16, 16, 0)).Append((1, 64, 64, 256, 3, 1, 1)) select Case(s, type),
    ];

    static OpCase Case((long B, long H, long W, long C, int Side, int Stride, int Padding) s, DType type)
    {
        long oh = (s.H + 2 * s.Padding - s.Side) / s.Stride + 1, ow = (s.W + 2 * s.Padding - s.Side) / s.Stride + 1;
        long columns = s.C * s.Side * s.Side;
        return new OpCase
        {
            Name = $"unfold {type.Name()} {s.B}x{s.H}x{s.W}x{s.C} side {s.Side} stride {s.Stride} padding {s.Padding}",
            Inputs = [new("x", type, new(s.B, s.H, s.W, s.C), Values.Normal())],
            Outputs = [new("y", type, new(s.B, oh, ow, columns))],
            Run = (gpu, x, y) => Unfold.Forward(gpu, x[0], s.Side, s.Stride, s.Padding, y[0]),
            Reference = x =>
            {
                double[] y = new double[s.B * oh * ow * columns];
                long i = 0;
                for (long b = 0; b < s.B; b++)
                    for (long oy = 0; oy < oh; oy++)
                        for (long ox = 0; ox < ow; ox++)
                            for (long c = 0; c < s.C; c++)
                                for (long ky = 0; ky < s.Side; ky++)
                                    for (long kx = 0; kx < s.Side; kx++, i++)
                                    {
                                        long py = oy * s.Stride + ky - s.Padding, px = ox * s.Stride + kx - s.Padding;
                                        bool inside = py >= 0 && py < s.H && px >= 0 && px < s.W;
                                        y[i] = inside ? x[0][((b * s.H + py) * s.W + px) * s.C + c] : 0;
                                    }
                return [Tolerance.Exact(y)];
            },
            Flops = 0, Bytes = type.Size() * s.B * (s.H * s.W * s.C + oh * ow * columns), Realistic = s.H >= 64,
        };
    }
}
