// Time of repeated work: some runs to warm up, then single runs until both a number and a time are reached. The median
// is quoted, with the distance from the first to the third quartile as spread: on a shared machine the mean lies.
using System.Diagnostics;

namespace EpSam.Bench;

/// <summary>Seconds of one run: median, and the quartile distance as a share of it.</summary>
internal readonly record struct Timing(double Seconds, double Spread, int Runs)
{
    public static Timing Of(List<double> seconds)
    {
        seconds.Sort();
        double median = At(seconds, 0.5);
        return new Timing(median, (At(seconds, 0.75) - At(seconds, 0.25)) / median, seconds.Count);
    }

    static double At(List<double> sorted, double share)
    {
        double position = share * (sorted.Count - 1);
        int low = (int)position;
        int high = Math.Min(low + 1, sorted.Count - 1);
        return sorted[low] + (position - low) * (sorted[high] - sorted[low]);
    }
}

internal static class Measure
{
    /// <summary>At least so many runs, for about that many seconds.</summary>
    public static Timing Run(Action work, int least = 7, double seconds = 0.7, int warmUp = 2)
    {
        for (int i = 0; i < warmUp; i++) work();
        List<double> times = [];
        Fill(times, work, least, seconds);
        return Timing.Of(times);
    }

    /// <summary>
    /// Two rivals in turn, so that what the machine does meanwhile meets both. Settle is slept before every run:
    /// threads of the one that ran last may still spin, waiting for more (OpenBLAS: 2^26 cycles), and
    /// take a core from the other.
    /// </summary>
    public static (Timing A, Timing B) Alternate(
        Action a, Action b, int least = 5, double seconds = 1.5, TimeSpan settle = default)
    {
        a();
        b();
        List<double> ours = [], theirs = [];
        long start = Stopwatch.GetTimestamp();
        while (ours.Count < least || Stopwatch.GetElapsedTime(start).TotalSeconds < seconds)
        {
            Thread.Sleep(settle);
            ours.Add(Once(a));
            Thread.Sleep(settle);
            theirs.Add(Once(b));
        }
        return (Timing.Of(ours), Timing.Of(theirs));
    }

    static void Fill(List<double> times, Action work, int least, double seconds)
    {
        long start = Stopwatch.GetTimestamp();
        while (times.Count < least || (Stopwatch.GetElapsedTime(start).TotalSeconds < seconds && times.Count < 2000))
            times.Add(Once(work));
    }

    static double Once(Action work)
    {
        long start = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
