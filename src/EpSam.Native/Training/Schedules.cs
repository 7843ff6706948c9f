// Learning rates by epoch, as torch.optim.lr_scheduler finds them: each from the one before, with PyTorch's roundings.
// They are functions of the epoch, so there is no state to keep.
namespace EpSam.Native.Training;

/// <summary>The learning rate of each epoch (or step, if that is what is counted).</summary>
public abstract record Schedule(double Rate)
{
    /// <summary>The rate of an epoch, from 0.</summary>
    public abstract double At(long epoch);
}

/// <summary>The same rate always.</summary>
public sealed record ConstantSchedule(double Rate) : Schedule(Rate)
{
    /// <inheritdoc/>
    public override double At(long epoch) => Rate;
}

/// <summary>StepLR: the rate times <paramref name="Factor"/> every <paramref name="Every"/> epochs.</summary>
public sealed record StepSchedule(double Rate, int Every, double Factor) : Schedule(Rate)
{
    /// <inheritdoc/>
    public override double At(long epoch)
    {
        double rate = Rate;
        for (long drops = epoch / Every; drops > 0; drops--) rate *= Factor;
        return rate;
    }
}

/// <summary>
/// CosineAnnealingLR: from the rate down to <paramref name="Least"/> in <paramref name="Length"/> epochs; beyond, up
/// again.
/// </summary>
public sealed record CosineSchedule(double Rate, int Length, double Least = 0) : Schedule(Rate)
{
    /// <inheritdoc/>
    public override double At(long epoch)
    {
        double rate = Rate;
        for (long e = 1; e <= epoch; e++)
        {
            rate = (e - 1 - Length) % (2L * Length) == 0
                ? rate + (Rate - Least) * (1 - Math.Cos(Math.PI / Length)) / 2
                : (1 + Math.Cos(Math.PI * e / Length)) / (1 + Math.Cos(Math.PI * (e - 1) / Length)) * (rate - Least)
                  + Least;
        }
        return rate;
    }
}
