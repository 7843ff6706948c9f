// What layers on a tape have in common: terms of sums, rows of a tensor, gradients of biases.
using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Native.Nn;

/// <summary>Small ops on a tape.</summary>
internal static class Steps
{
    /// <summary>x, to be changed in place; when recording a copy of it, as backward may need what x was.</summary>
    public static Tensor Own(Tape tape, Tensor x)
    {
        if (!tape.Recording) return x;
        Tensor y = tape.New("sum", x.DType, x.Shape);
        Elementwise.Copy(tape.Gpu, x, y);
        tape.Push("copy", y, () => tape.Share(y, x), x);
        return y;
    }

    /// <summary>y = a + b; y from tape.New.</summary>
    public static void Add(Tape tape, Tensor a, Tensor b, Tensor y)
    {
        Elementwise.Add(tape.Gpu, a, b, y);
        tape.Push("add", y, () =>
        {
            tape.Share(y, a);
            tape.Share(y, b);
        }, a, b);
    }

    /// <summary>y (P, count, C) = rows of x (P, N, C), from one on; y from tape.New.</summary>
    public static void Rows(Tape tape, Tensor x, long from, Tensor y)
    {
        long count = y.Shape[1];
        Slice.Copy(tape.Gpu, x, from, count, y, 0);
        tape.Push("rows", y, () => tape.Accumulate(x, dx =>
        {
            if (count < x.Shape[1]) Elementwise.Zero(tape.Gpu, dx);
            Slice.Copy(tape.Gpu, tape.GradientOf(y), 0, count, dx, from);
        }), x);
    }

    /// <summary>In backward: the sum of dy's rows is added to the bias's gradient, if it is trained.</summary>
    public static void BiasGradient(Tape tape, Tensor dy, Tensor bias)
    {
        if (tape.ParameterGradient(bias) is not Tensor sum) return;
        Tensor parts = tape.Arena.Take("parts", DType.F32, ColumnSum.PartsShape(dy));
        ColumnSum.AddTo(tape.Gpu, dy, parts, sum.Reshape(new Shape(dy.Shape[^1])));
    }

    /// <summary>
    /// In backward: where an op adds a gradient that comes with others; of no use if it is not trained.
    /// </summary>
    public static Tensor GradientOrSpare(Tape tape, Tensor parameter)
    {
        if (tape.ParameterGradient(parameter) is Tensor gradient) return gradient;
        Tensor spare = tape.Arena.Take("spare", DType.F32, parameter.Shape);
        Elementwise.Zero(tape.Gpu, spare);
        return spare;
    }
}
