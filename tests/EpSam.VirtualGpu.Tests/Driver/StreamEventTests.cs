using System.Diagnostics;
using EpSam.Cuda;
using static EpSam.Cuda.CUresult;

namespace EpSam.VirtualGpu.Tests.Driver;

public sealed unsafe class StreamEventTests
{
    VirtualDevice _gpu = null!;
    CuDriver _cu;

    [SetUp]
    public void Start()
    {
        _gpu = new VirtualDevice();
        _cu = _gpu.Cu;
    }

    [TearDown]
    public void Stop() => _gpu.Dispose();

    CUevent NewEvent(CUevent_flags flags = default)
    {
        CUevent e;
        _cu.Check(_cu.cuEventCreate(&e, flags));
        return e;
    }

    [Test]
    public void ElapsedTime_IsRealTime()
    {
        CUevent start = NewEvent(), end = NewEvent();
        float milliseconds;
        long before = Stopwatch.GetTimestamp();
        _cu.Check(_cu.cuEventRecord(start, default));
        long within = Stopwatch.GetTimestamp();
        Thread.Sleep(30);
        double least = Stopwatch.GetElapsedTime(within).TotalMilliseconds;
        _cu.Check(_cu.cuEventRecord(end, default));
        double most = Stopwatch.GetElapsedTime(before).TotalMilliseconds;
        _cu.Check(_cu.cuEventElapsedTime(&milliseconds, start, end));
        Assert.That(milliseconds, Is.InRange(least - 0.1, most + 0.1));
    }

    [Test]
    public void ElapsedTime_NeedsRecordsAndTiming()
    {
        CUevent recorded = NewEvent(), never = NewEvent(), untimed = NewEvent(CUevent_flags.CU_EVENT_DISABLE_TIMING);
        float milliseconds;
        _cu.Check(_cu.cuEventRecord(recorded, default));
        _cu.Check(_cu.cuEventRecord(untimed, default));
        _gpu.Fails(CUDA_ERROR_INVALID_HANDLE, _cu.cuEventElapsedTime(&milliseconds, recorded, never), "never recorded");
        _gpu.Fails(CUDA_ERROR_INVALID_HANDLE, _cu.cuEventElapsedTime(&milliseconds, recorded, untimed),
            "DISABLE_TIMING");
        _gpu.AssertUsable();
    }

    [Test]
    public void Events_AreDoneWhenRecorded()
    {
        CUevent e = NewEvent();
        CUstream stream;
        _cu.Check(_cu.cuStreamCreate(&stream, default));
        _cu.Check(_cu.cuEventQuery(e)); // never recorded counts as done
        _cu.Check(_cu.cuEventRecord(e, stream));
        _cu.Check(_cu.cuEventSynchronize(e));
        _cu.Check(_cu.cuStreamWaitEvent(stream, e, 0));
        _cu.Check(_cu.cuStreamQuery(stream));
    }

    [Test]
    public void Handles_AreNotInterchangeableAndDieOnce()
    {
        CUevent e = NewEvent();
        CUstream stream;
        _cu.Check(_cu.cuStreamCreate(&stream, default));
        _gpu.Fails(CUDA_ERROR_INVALID_HANDLE, _cu.cuEventQuery(new(stream.Value)), "it is a stream");
        _gpu.Fails(CUDA_ERROR_INVALID_HANDLE, _cu.cuStreamDestroy_v2(default), "it is null");
        _cu.Check(_cu.cuStreamDestroy_v2(stream));
        _gpu.Fails(CUDA_ERROR_INVALID_HANDLE, _cu.cuStreamSynchronize(stream), "destroyed");
        _gpu.Fails(CUDA_ERROR_INVALID_HANDLE, _cu.cuStreamDestroy_v2(stream), "destroyed");
        _cu.Check(_cu.cuEventDestroy_v2(e));
        _gpu.Fails(CUDA_ERROR_INVALID_HANDLE, _cu.cuEventRecord(e, default), "destroyed");
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuStreamCreate(&stream, (CUstream_flags)8), "0x8");
        _gpu.AssertUsable();
    }

    [Test]
    public void SpecialStreams_AreAlwaysThere()
    {
        foreach (nint special in new nint[] { 0, CuConstants.CU_STREAM_LEGACY, CuConstants.CU_STREAM_PER_THREAD })
            _cu.Check(_cu.cuStreamSynchronize(new(special)));
    }
}
