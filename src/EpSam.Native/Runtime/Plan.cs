// How much memory a run needs, before any is allocated: the run's own code is executed once on the null provider, whose
// addresses are fake and whose kernels do nothing, with an arena that records. Its high-water mark is the real arena's
// size.
using System.Globalization;
using EpSam.Cuda;

namespace EpSam.Native.Runtime;

/// <summary>A scope of a planned run.</summary>
/// <param name="Name">Names of the scopes it is in and its own: "blocks.0/attn".</param>
/// <param name="Depth">In how many scopes it is.</param>
/// <param name="Start">Bytes taken when it began.</param>
/// <param name="FirstStep">Pieces taken when it began.</param>
/// <param name="LastStep">Pieces taken when it ended.</param>
/// <param name="Peak">The most bytes taken at any time in it.</param>
public sealed record PlanPhase(string Name, int Depth, long Start, long FirstStep = 0, long LastStep = 0,
    long Peak = 0);

/// <summary>The memory of a run.</summary>
public sealed class Plan
{
    const long NullBytes = 1L << 43; // 8 TiB of fake addresses

    Plan(Arena arena, CuNull device)
    {
        (Peak, PeakStep, Steps) = (arena.Peak, arena.PeakStep, arena.Taken);
        Pieces = arena.Pieces;
        Launches = device.Launches;
        GemmFlops = device.GemmFlops;
        long[] used = UsedByStep();
        Phases = [.. arena.Phases.Select(p => p with { Peak = Highest(used, p) })];
    }

    /// <summary>Bytes that the run needs: the size of its arena.</summary>
    public long Peak { get; }

    /// <summary>All pieces in the order in which they are taken.</summary>
    public IReadOnlyList<ArenaPiece> Pieces { get; }

    /// <summary>All scopes in the order in which they begin.</summary>
    public IReadOnlyList<PlanPhase> Phases { get; }

    /// <summary>How many pieces are taken.</summary>
    public long Steps { get; }

    /// <summary>The piece that makes the peak.</summary>
    public long PeakStep { get; }

    /// <summary>Kernels launched.</summary>
    public long Launches { get; }

    /// <summary>Operations in matrix products by cuBLAS.</summary>
    public double GemmFlops { get; }

    /// <summary>Runs <paramref name="work"/> on the null provider and sees what it takes.</summary>
    public static Plan Of(Action<Arena> work)
    {
        CuNull device = CuNull.Create(new CuNullOptions(TotalBytes: 2 * NullBytes));
        using Gpu gpu = new(device.Driver, device.Blas);
        using Arena arena = new(gpu, NullBytes, true);
        work(arena);
        return new Plan(arena, device);
    }

    /// <summary>
    /// The run in its parts: the outermost phases, each with the phases that it is made of. A phase that is all that
    /// another
    /// is made of stands for it.
    /// </summary>
    public IEnumerable<(PlanPhase Part, IReadOnlyList<PlanPhase> Stages)> Outline()
    {
        for (int i = 0; i < Phases.Count; i++)
        {
            if (Phases[i].Depth > 0) continue;
            List<int> inside = Inside(i);
            while (inside.Count == 1) inside = Inside(inside[0]);
            yield return (Phases[i], [.. inside.Select(k => Phases[k])]);
        }
    }

    List<int> Inside(int phase) // the phases directly in it: they follow it
    {
        List<int> inside = [];
        for (int i = phase + 1; i < Phases.Count && Phases[i].Depth > Phases[phase].Depth; i++)
            if (Phases[i].Depth == Phases[phase].Depth + 1) inside.Add(i);
        return inside;
    }

    /// <summary>Bytes of one use at the time of the peak.</summary>
    public long AtPeak(ArenaUse use) => Pieces.Where(p => p.Use == use && p.IsAliveAt(PeakStep)).Sum(p => p.Bytes);

    /// <summary>
    /// Throws <see cref="BudgetException"/> when the plan is over the budget; it names the first of the alternatives
    /// that fits.
    /// </summary>
    public void Require(long budget, params IEnumerable<(string What, Func<Plan> Plan)> alternatives)
    {
        if (Peak <= budget) return;
        string advice = "";
        foreach ((string what, Func<Plan> make) in alternatives)
        {
            long peak = make().Peak;
            advice = peak <= budget ? $"; {what} fits with {Sizes.Text(peak)}"
                : "; nothing smaller that was tried fits either";
            if (peak <= budget) break;
        }
        throw new BudgetException(
            $"the plan needs {Sizes.Text(Peak)} of device memory, the budget is {Sizes.Text(budget)} (weights "
            + $"{Sizes.Text(AtPeak(ArenaUse.Weight))}, activations {Sizes.Text(AtPeak(ArenaUse.Activation))}, "
            + $"workspace {Sizes.Text(AtPeak(ArenaUse.Workspace))}){advice}");
    }

    // Bytes taken after each step. A piece that ends at step d is gone when piece d is taken.
    long[] UsedByStep()
    {
        long[] change = new long[Steps + 1];
        foreach (ArenaPiece piece in Pieces)
        {
            change[piece.Born] += piece.Bytes;
            if (piece.Died < Steps) change[piece.Died] -= piece.Bytes;
        }
        for (int i = 1; i < change.Length; i++) change[i] += change[i - 1];
        return change;
    }

    static long Highest(long[] used, PlanPhase phase)
    {
        long highest = phase.Start;
        for (long i = phase.FirstStep; i < phase.LastStep; i++) highest = Math.Max(highest, used[i]);
        return highest;
    }
}

/// <summary>A plan needs more than it may have.</summary>
public sealed class BudgetException(string message) : Exception(message);

/// <summary>Sizes of memory as people write them.</summary>
public static class Sizes
{
    static readonly string[] Units = ["bytes", "KiB", "MiB", "GiB", "TiB"];

    /// <summary>"445.3 MiB".</summary>
    public static string Text(long bytes)
    {
        double value = bytes;
        int unit = 0;
        for (; value >= 1024 && unit < Units.Length - 1; unit++) value /= 1024;
        string format = unit == 0 ? "F0" : value >= 100 ? "F1" : "F2";
        return string.Create(CultureInfo.InvariantCulture,
            $"{value.ToString(format, CultureInfo.InvariantCulture)} {Units[unit]}");
    }

    /// <summary>Reads "12GiB", "800 MiB", "1.5GB", "4096"; throws FormatException.</summary>
    public static long Parse(string text)
    {
        string trimmed = text.Trim();
        int end = trimmed.Length;
        while (end > 0 && !char.IsAsciiDigit(trimmed[end - 1])) end--;
        double unit = trimmed[end..].Trim().ToUpperInvariant() switch
        {
            "" or "B" or "BYTES" => 1,
            "KIB" => 1 << 10, "MIB" => 1 << 20, "GIB" => 1 << 30, "TIB" => 1L << 40,
            "KB" => 1e3, "MB" => 1e6, "GB" => 1e9, "TB" => 1e12,
            _ => 0,
        };
        const NumberStyles Digits = NumberStyles.AllowDecimalPoint;
        if (unit == 0 || !double.TryParse(trimmed[..end], Digits, CultureInfo.InvariantCulture, out double value)
            || value * unit is not (>= 1 and < long.MaxValue))
        {
            throw new FormatException($"'{text}' is not a size of memory; expected for example 12GiB or 800MiB");
        }
        return (long)(value * unit);
    }
}
