// cuEvent*: points in time. An event happens when it is recorded, as all work before it is done by then.
using System.Diagnostics;
using System.Runtime.InteropServices;
using EpSam.Cuda;

namespace EpSam.VirtualGpu.Driver;

internal sealed unsafe class Event(Context context, bool timing)
{
    long _ticks; // Stopwatch time of the last record; 0 = never recorded

    [UnmanagedCallersOnly]
    public static CUresult cuEventCreate(CUevent* e, CUevent_flags flags) => Guard.Run(() =>
    {
        Context context = Context.Require();
        Guard.NotNull(e);
        Guard.Require((uint)flags < 8, $"unknown event flags 0x{(uint)flags:x}");
        *e = new CUevent(context.Own(new Event(context, (flags & CUevent_flags.CU_EVENT_DISABLE_TIMING) == 0)));
    });

    [UnmanagedCallersOnly]
    public static CUresult cuEventRecord(CUevent e, CUstream stream) => Guard.Run(() =>
    {
        Context context = Context.Require();
        Stream.Require(context, stream);
        Event found = Handles.Get<Event>(e.Value);
        if (found.Owner != context)
            throw new DriverError(CUresult.CUDA_ERROR_INVALID_HANDLE, "the event belongs to another context");
        found._ticks = Stopwatch.GetTimestamp();
    });

    Context Owner { get; } = context;

    bool HasTiming { get; } = timing;

    // An event that was never recorded counts as having happened (CUDA Driver API, cuEventQuery).
    [UnmanagedCallersOnly]
    public static CUresult cuEventQuery(CUevent e) => Guard.Run(() => RequireEvent(e));

    [UnmanagedCallersOnly]
    public static CUresult cuEventSynchronize(CUevent e) => Guard.Run(() => RequireEvent(e));

    [UnmanagedCallersOnly]
    public static CUresult cuEventDestroy_v2(CUevent e) => Guard.Run(() =>
    {
        Context.Require();
        Handles.Get<Event>(e.Value).Owner.Disown(e.Value);
    });

    [UnmanagedCallersOnly]
    public static CUresult cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end) => Guard.Run(() =>
    {
        Guard.NotNull(milliseconds);
        Event from = RequireEvent(start), to = RequireEvent(end);
        if (from._ticks == 0 || to._ticks == 0)
            throw new DriverError(CUresult.CUDA_ERROR_INVALID_HANDLE, "an event that was never recorded has no time");
        if (!from.HasTiming || !to.HasTiming)
            throw new DriverError(CUresult.CUDA_ERROR_INVALID_HANDLE,
                "an event made with CU_EVENT_DISABLE_TIMING has no time");
        *milliseconds = (float)((to._ticks - from._ticks) * 1000.0 / Stopwatch.Frequency);
    });

    static Event RequireEvent(CUevent e)
    {
        Context.Require();
        return Handles.Get<Event>(e.Value);
    }
}
