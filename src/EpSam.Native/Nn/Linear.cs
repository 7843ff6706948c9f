using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Nn;

/// <summary>
/// y = x · weightᵀ + bias. The product and the bias are apart, so that a model can put other work between them.
/// </summary>
/// <param name="parameters">Where weight and bias go.</param>
/// <param name="name">What their names begin with.</param>
/// <param name="input">Columns of x.</param>
/// <param name="output">Columns of y.</param>
/// <param name="precise">The weight is f32 whatever the model's precision.</param>
internal sealed class Linear(Parameters parameters, string name, long input, long output, bool precise = false)
{
    public Tensor Weight { get; } = precise // (output, input)
        ? parameters.Vector($"{name}.weight", output, input)
        : parameters.Matrix($"{name}.weight", output, input);
    public Tensor Bias { get; } = parameters.Vector($"{name}.bias", output);             // (output) f32

    /// <summary>y (…, output) = x (…, input) · weightᵀ, without the bias.</summary>
    public void Multiply(Gpu gpu, Tensor x, Tensor y) => MatMul.Forward(gpu, x, Weight, y);

    /// <summary>y (…, output) = x · weightᵀ + bias, or y += that; y from tape.New.</summary>
    public void Forward(Tape tape, Tensor x, Tensor y, bool add)
    {
        Forward(tape.Gpu, x, y, add);
        if (add) tape.Push("linear", y, () => Backward(tape, x, tape.GradientOf(y), true), y, x, Weight, Bias);
        else tape.Push("linear", y, () => Backward(tape, x, tape.GradientOf(y), true), x, Weight, Bias);
    }

    /// <summary>In backward: dy (…, output) of the weight's type gives those of x, the weight and the bias.</summary>
    public void Backward(Tape tape, Tensor x, Tensor dy, bool bias)
    {
        if (tape.ParameterGradient(Weight) is Tensor sum) MatMul.BackwardWeight(tape.Gpu, x, dy, sum, add: true);
        if (bias) Steps.BiasGradient(tape, dy, Bias);
        tape.Accumulate(x, dx => MatMul.Forward(tape.Gpu, dy, Weight, dx, transposed: false));
    }

    /// <summary>y (…, output) = x · weightᵀ + bias, or y += that.</summary>
    public void Forward(Gpu gpu, Tensor x, Tensor y, bool add)
    {
        if (add)
        {
            AddTo(gpu, x, y);
            return;
        }
        Multiply(gpu, x, y);
        Ops.Bias.Forward(gpu, y, Bias, y);
    }

    /// <summary>sum (…, output) += x · weightᵀ + bias: a residual connection.</summary>
    public void AddTo(Gpu gpu, Tensor x, Tensor sum)
    {
        Ops.Bias.Forward(gpu, sum, Bias, sum);
        MatMul.Forward(gpu, x, Weight, sum, add: true);
    }
}
