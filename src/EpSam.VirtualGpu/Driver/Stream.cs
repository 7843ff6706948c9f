// cuStream*: work is done when the call that asked for it returns, so a stream is a name whose order always holds.
using System.Runtime.InteropServices;
using EpSam.Cuda;

namespace EpSam.VirtualGpu.Driver;

internal sealed unsafe class Stream(Context context)
{
    public Context Context { get; } = context;

    /// <summary>Throws unless the handle is one of the default streams or a stream of this context.</summary>
    public static void Require(Context context, CUstream stream)
    {
        if (stream.Value is 0 or CuConstants.CU_STREAM_LEGACY or CuConstants.CU_STREAM_PER_THREAD) return;
        if (Handles.Get<Stream>(stream.Value).Context != context)
            throw new DriverError(CUresult.CUDA_ERROR_INVALID_HANDLE, "the stream belongs to another context");
    }

    [UnmanagedCallersOnly]
    public static CUresult cuStreamCreate(CUstream* stream, CUstream_flags flags) => Guard.Run(() =>
    {
        Context context = Context.Require();
        Guard.NotNull(stream);
        Guard.Require(flags <= CUstream_flags.CU_STREAM_NON_BLOCKING, $"unknown stream flags 0x{(uint)flags:x}");
        *stream = new CUstream(context.Own(new Stream(context)));
    });

    [UnmanagedCallersOnly]
    public static CUresult cuStreamWaitEvent(CUstream stream, CUevent e, uint flags) => Guard.Run(() =>
    {
        Require(Context.Require(), stream);
        Handles.Get<Event>(e.Value);
    });

    [UnmanagedCallersOnly]
    public static CUresult cuStreamQuery(CUstream stream) => Guard.Run(() => Require(Context.Require(), stream));

    [UnmanagedCallersOnly]
    public static CUresult cuStreamSynchronize(CUstream stream) => Guard.Run(() => Require(Context.Require(), stream));

    [UnmanagedCallersOnly]
    public static CUresult cuStreamDestroy_v2(CUstream stream) => Guard.Run(() =>
    {
        Context.Require();
        Handles.Get<Stream>(stream.Value).Context.Disown(stream.Value);
    });
}
