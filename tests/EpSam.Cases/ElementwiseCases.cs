// Sizes: one element, fewer than a vector, odd, prime, around one block's 1024 elements, and
// more than the grid at once.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class ElementwiseCases
{
    static readonly long[] Sizes = [1, 3, 5, 127, 1009, 1023, 1024, 1025, 40_009];
    const long Real = 4096 * 768;

    public static IEnumerable<OpCase> All { get; } =
    [
        .. Sizes.Select(n => Copy(n)), Copy(Real, true),
        .. Sizes.Select(n => Add(n, DType.F32)), Add(Real, DType.F32, true),
        .. Sizes.Select(n => Add(n, DType.BF16)), Add(Real, DType.BF16, true),
        .. Sizes.Select(n => Scale(n)), Scale(Real, true),
        .. Sizes.Select(n => Cast(n, DType.F32, DType.BF16)), Cast(Real, DType.F32, DType.BF16, true),
        .. Sizes.Select(n => Cast(n, DType.BF16, DType.F32)), Cast(Real, DType.BF16, DType.F32, true),
    ];

    static OpCase Copy(long n, bool realistic = false) => new()
    {
        Name = $"copy f32 {n}",
        Inputs = [new("x", DType.F32, new(n), Values.Normal())],
        Outputs = [new("y", DType.F32, new(n))],
        Run = (gpu, x, y) => Elementwise.Copy(gpu, x[0], y[0]),
        Reference = x => [Tolerance.Exact(x[0])],
        Flops = 0, Bytes = 8 * n, Realistic = realistic,
    };

    static OpCase Add(long n, DType type, bool realistic = false) => new()
    {
        Name = $"add {type.Name()} {n}",
        Inputs = [new("a", type, new(n), Values.Normal()), new("b", type, new(n), Values.Normal(3))],
        Outputs = [new("y", type, new(n))],
        Run = (gpu, x, y) => Elementwise.Add(gpu, x[0], x[1], y[0]),
        // in bf16 twice rounded: to f32 (exact unless exponents differ by more than 16), then to bf16
        Reference = x => [Tolerance.Exact([.. x[0].Zip(x[1], (a, b) => Values.Round((float)(a + b), type))])],
        Flops = n, Bytes = 3 * n * type.Size(), Realistic = realistic,
    };

    static OpCase Scale(long n, bool realistic = false) => new()
    {
        Name = $"scale f32 {n}",
        Inputs = [new("x", DType.F32, new(n), Values.Normal())],
        Outputs = [new("y", DType.F32, new(n))],
        Run = (gpu, x, y) => Elementwise.Scale(gpu, x[0], 0.3f, -1.7f, y[0]),
        Reference = x =>
            [Tolerance.Exact([.. x[0].Select(v => (double)MathF.FusedMultiplyAdd(0.3f, (float)v, -1.7f))])],
        Flops = 2 * n, Bytes = 8 * n, Realistic = realistic,
    };

    static OpCase Cast(long n, DType from, DType to, bool realistic = false) => new()
    {
        Name = $"cast {from.Name()} {to.Name()} {n}",
        Inputs = [new("x", from, new(n), Values.Normal(10))],
        Outputs = [new("y", to, new(n))],
        Run = (gpu, x, y) => Elementwise.Cast(gpu, x[0], y[0]),
        Reference = x => [Tolerance.Exact([.. x[0].Select(v => Values.Round(v, to))])],
        Flops = 0, Bytes = 6 * n, Realistic = realistic,
    };
}
