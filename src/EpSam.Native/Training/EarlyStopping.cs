namespace EpSam.Native.Training;

/// <summary>
/// Ends training when a score that should become small has not for a number of epochs (EP-SAM's early stopping).
/// </summary>
/// <param name="patience">Epochs without a new best that end training.</param>
/// <param name="delta">By how much the best must be undercut.</param>
public sealed class EarlyStopping(int patience, double delta = 0)
{
    /// <summary>The smallest score; infinite before the first.</summary>
    public double Best { get; private set; } = double.PositiveInfinity;

    /// <summary>Epochs since the best one.</summary>
    public int Waited { get; private set; }

    /// <summary>Training is to end.</summary>
    public bool IsOver { get; private set; }

    /// <summary>Takes an epoch's score; true when it is the best so far. NaN never is.</summary>
    public bool Add(double score)
    {
        if (score < Best - delta)
        {
            (Best, Waited) = (score, 0);
            return true;
        }
        IsOver |= ++Waited >= patience;
        return false;
    }

    /// <summary>Puts its state among values to be saved.</summary>
    public void Save(StateValues values, string name)
    {
        values.Set($"{name}.best", Best);
        values.Set($"{name}.waited", Waited);
        values.Set($"{name}.over", IsOver ? 1 : 0L);
    }

    /// <summary>Takes its state from saved values.</summary>
    public void Load(StateValues values, string name)
    {
        double best = values.Double($"{name}.best");
        int waited = checked((int)values.Long($"{name}.waited"));
        (Best, Waited, IsOver) = (best, waited, values.Long($"{name}.over") != 0);
    }
}
