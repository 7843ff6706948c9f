// A convolution without bias, alone or behind BatchNorm and ReLU. What it then reads, h = max(norm(x), 0), is a
// temporary that backward makes again from x with the same bits, or is kept where memory is not short.
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Nn;

/// <summary>A square convolution over H and W that keeps their size but for the stride.</summary>
internal sealed class ConvLayer(Parameters parameters, string name, long input, long output, int side, int stride = 1)
{
    readonly ConvSteps _steps = ConvSteps.In2D(stride, side / 2);

    public Tensor Weight { get; } = parameters.Kernel($"{name}.weight", output, input, side, side);

    /// <summary>(B, OH, OW, output) for x (B, H, W, input).</summary>
    public Shape OutputShape(Shape x) => new(x[0], Length(x[1]), Length(x[2]), output);

    /// <summary>The convolution of x, or of max(norm(x), 0).</summary>
    public Tensor Forward(Tape tape, Tensor x, Normalization? norm = null, bool keep = false)
    {
        Tensor y = tape.New("conv", x.DType, OutputShape(x.Shape));
        Tensor? kept = keep && tape.Recording && norm is not null ? tape.New("relu", x.DType, x.Shape) : null;
        using (tape.Arena.Scope("conv"))
        {
            Tensor h = norm is Normalization by ? Relu(tape, by, x, kept) : x;
            Conv.Forward(tape.Gpu, h, Weight, null, _steps, y);
        }
        tape.Push("conv", y, () => Backward(tape, x, norm, kept, y), norm is Normalization n
            ? [x, Weight, n.By.Weight, n.By.Bias]
            : [x, Weight]);
        return y;
    }

    void Backward(Tape tape, Tensor x, Normalization? norm, Tensor? kept, Tensor y)
    {
        Tensor dy = tape.GradientOf(y);
        if (tape.ParameterGradient(Weight) is Tensor dw)
        {
            using ArenaScope scope = tape.Arena.Scope("weight");
            Tensor h = norm is Normalization by ? kept ?? Relu(tape, by, x, null) : x;
            Tensor parts = tape.Arena.Take("parts", DType.F32, Conv.WeightParts(h, dy, dw, _steps));
            Conv.BackwardWeight(tape.Gpu, h, dy, _steps, parts, dw, add: true);
        }
        void Data(Tensor dx)
        {
            Conv.BackwardData(tape.Gpu, dy, Weight, _steps, dx);
            norm?.Backward(tape, x, null, true, dx, dx);
        }
        // a norm may be trained behind something that is not
        if (tape.Requires(x)) tape.Accumulate(x, Data);
        else if (norm is not null) Data(tape.Arena.Take("unwanted", x.DType, x.Shape));
    }

    static Tensor Relu(Tape tape, in Normalization norm, Tensor x, Tensor? kept)
    {
        Tensor h = kept ?? tape.Arena.Take("relu", x.DType, x.Shape);
        norm.Forward(tape.Gpu, x, null, true, h);
        return h;
    }

    long Length(long input) => Conv.Length(input, side, stride, side / 2);
}
