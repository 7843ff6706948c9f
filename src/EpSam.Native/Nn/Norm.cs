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

    /// <summary>y = LayerNorm(x); y may be x, or bf16 for an x in f32.</summary>
    public void Forward(Arena arena, Tensor x, Tensor y)
    {
        using ArenaScope scope = arena.Scope("norm");
        Shape rows = new(x.Shape.Rows);
        Tensor mean = arena.Take("mean", DType.F32, rows), rstd = arena.Take("rstd", DType.F32, rows);
        LayerNorm.Forward(arena.Gpu, x, Weight, Bias, eps, y, mean, rstd);
    }
}
