// BatchNorm as a layer: parameters and running statistics by their state-dict names. What normalises one input (its own
// statistics in training, the running ones in evaluation) is a value of its own, so that the op behind it can normalise
// while it is about to read, in forward and once more in backward.
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Nn;

/// <summary>One input's normalisation.</summary>
/// <param name="Layer">Whose parameters take part.</param>
/// <param name="By">Statistics and parameters.</param>
/// <param name="Batch">The statistics are the input's own.</param>
internal readonly record struct Normalization(ChannelNorm Layer, BatchNorm.Affine By, bool Batch)
{
    /// <summary>y = norm(x) + residual, at least 0 with relu; y may be x or the residual.</summary>
    public void Forward(Gpu gpu, Tensor x, Tensor? residual, bool relu, Tensor y) =>
        BatchNorm.Forward(gpu, x, By, residual, relu, y);

    /// <summary>
    /// dx and, if given, the residual's gradient; y is needed with a residual. The parameters' gradients are added up.
    /// </summary>
    public void Backward(Tape tape, Tensor x, Tensor? y, bool relu, Tensor dy, Tensor dx, Tensor? dResidual = null)
    {
        using ArenaScope scope = tape.Arena.Scope("norm");
        Tensor parts = tape.Arena.Take("parts", DType.F32, BatchNorm.Parts(x));
        BatchNorm.Backward(tape.Gpu, x, By, y, relu, Batch, dy, parts, dx, dResidual,
            tape.ParameterGradient(By.Weight), tape.ParameterGradient(By.Bias));
    }
}

/// <summary>BatchNorm over all axes but the last, with PyTorch's eps and momentum.</summary>
internal sealed class ChannelNorm(Parameters parameters, string name, long channels)
{
    const float Eps = 1e-5f, Momentum = 0.1f;

    public Tensor Weight { get; } = parameters.Vector($"{name}.weight", channels);
    public Tensor Bias { get; } = parameters.Vector($"{name}.bias", channels);
    public Tensor RunningMean { get; } = parameters.Vector($"{name}.running_mean", channels);
    public Tensor RunningVariance { get; } = parameters.Vector($"{name}.running_var", channels);

    /// <summary>
    /// The normalisation of x. In training its statistics are taken, and the running ones follow them, once a pass.
    /// </summary>
    public Normalization Of(Tape tape, Tensor x, bool training)
    {
        Tensor rstd = tape.New("rstd", DType.F32, Weight.Shape);
        if (!training)
        {
            BatchNorm.Rstd(tape.Gpu, RunningVariance, Eps, rstd);
            return new(this, new(RunningMean, rstd, Weight, Bias), false);
        }
        Tensor mean = tape.New("mean", DType.F32, Weight.Shape);
        using ArenaScope scope = tape.Arena.Scope("statistics");
        Tensor parts = tape.Arena.Take("parts", DType.F32, BatchNorm.Parts(x));
        bool follow = !tape.Recomputing;
        BatchNorm.Statistics(tape.Gpu, x, Eps, Momentum, parts, mean, rstd, follow ? RunningMean : null,
            follow ? RunningVariance : null);
        return new(this, new(mean, rstd, Weight, Bias), true);
    }
}
