using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Nn;

/// <summary>LayerNorm over the last axis. Channels last, SAM's LayerNorm2d is the same.</summary>
internal sealed class Norm(Parameters parameters, string name, long channels, float eps)
{
    public Tensor Weight { get; } = parameters.Vector($"{name}.weight", channels);   // (channels) f32
    public Tensor Bias { get; } = parameters.Vector($"{name}.bias", channels);       // (channels) f32
    public float Eps => eps;

    /// <summary>LayerNorm(x): in place, or when recording in memory of its own.</summary>
    public Tensor Forward(Tape tape, Tensor x)
    {
        Tensor y = tape.Recording ? tape.New("norm", x.DType, x.Shape) : x;
        using ArenaScope scope = tape.Arena.Scope("norm");
        Shape rows = new(x.Shape.Rows);
        Tensor mean = tape.New("mean", DType.F32, rows), rstd = tape.New("rstd", DType.F32, rows);
        LayerNorm.Forward(tape.Gpu, x, Weight, Bias, eps, y, mean, rstd);
        tape.Push("norm", y, () =>
        {
            Tensor dy = tape.GradientOf(y), parts = tape.Arena.Take("parts", DType.F32, LayerNorm.PartsShape(x));
            LayerNorm.BackwardWeight(tape.Gpu, x, mean, rstd, dy, parts, Steps.GradientOrSpare(tape, Weight),
                Steps.GradientOrSpare(tape, Bias));
            tape.Accumulate(x, dx => LayerNorm.Backward(tape.Gpu, x, Weight, mean, rstd, dy, dx));
        }, x, Weight, Bias);
        return y;
    }

    /// <summary>y = LayerNorm(x); y may be x, or bf16 for an x in f32.</summary>
    public void Forward(Arena arena, Tensor x, Tensor y)
    {
        using ArenaScope scope = arena.Scope("norm");
        Shape rows = new(x.Shape.Rows);
        Tensor mean = arena.Take("mean", DType.F32, rows), rstd = arena.Take("rstd", DType.F32, rows);
        LayerNorm.Forward(arena.Gpu, x, Weight, Bias, eps, y, mean, rstd);
    }
}
