// A kernel that runs without bounds checks may write anywhere in the window, which is far larger than the machine's
// memory, and every page it touches takes some of that. While such kernels run, and once after, pages where nothing is
// allocated are given back to the system; what was written there is lost, as nobody may rely on it. So a runaway kernel
// goes on until it leaves the window or is stopped, but does not take the memory of the host.
using EpSam.VirtualGpu.Checks;

namespace EpSam.VirtualGpu.Driver;

internal static class StrayPages
{
    const int PeriodMilliseconds = 100;   // two cores fault in a few hundred megabytes meanwhile

    static readonly Timer _timer = new(_ => Sweep(), null, PeriodMilliseconds, PeriodMilliseconds);
    static int _running, _left;

    /// <summary>To be disposed when the launch with these checks has ended.</summary>
    public static Watch During(CheckFlags checks) => new((checks & CheckFlags.Bounds) == 0);

    static void Sweep()
    {
        if (Interlocked.Exchange(ref _left, 0) != 0 || Volatile.Read(ref _running) > 0) AddressSpace.DiscardUnused();
    }

    internal readonly ref struct Watch
    {
        readonly bool _needed;

        public Watch(bool needed)
        {
            _needed = needed && !OperatingSystem.IsWindows();   // there only allocated pages can be touched
            if (!_needed) return;
            GC.KeepAlive(_timer);   // starts it
            Interlocked.Increment(ref _running);
        }

        public void Dispose()
        {
            if (!_needed) return;
            Volatile.Write(ref _left, 1);
            Interlocked.Decrement(ref _running);
        }
    }
}
