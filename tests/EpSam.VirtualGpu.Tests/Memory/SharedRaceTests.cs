// Shared memory: races between warps and inside a warp, uninitialised bytes, asynchronous copies, ldmatrix rows.
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Exec;

namespace EpSam.VirtualGpu.Tests.Memory;

public sealed unsafe class SharedRaceTests
{
    MemoryRig _rig = null!;
    int _values, _equal, _d;

    [SetUp]
    public void SetUp()
    {
        _rig = new MemoryRig(CheckFlags.All, warps: 4);
        _values = _rig.W32(l => (uint)(l + 1) * 0x01010101);
        _equal = _rig.W32(_ => 77);
        _d = _rig.W32();
    }

    [TearDown]
    public void TearDown() => _rig.Dispose();

    int[] Row(int offset = 0, int stride = 4) => _rig.At32(l => (uint)(offset + stride * l));

    // An access by some lanes of a warp, from a line of its own.
    void Do(int warp, string key, int line, int[] address, uint lanes = uint.MaxValue)
    {
        int[] operands = key[0] switch
        {
            'l' => [_d],
            'r' => [_equal],
            _ => [_values],
        };
        _rig.Line = line;
        _rig.Warp[warp].Active = lanes;
        _rig.RunWarp(warp, key, [.. address, .. operands]);
    }

    void Write(int warp, int line, int[] address, uint lanes = uint.MaxValue) =>
        Do(warp, "st.shared.b32", line, address, lanes);
    void Read(int warp, int line, int[] address, uint lanes = uint.MaxValue) =>
        Do(warp, "ld.shared.b32", line, address, lanes);
    void Atomic(int warp, int line, int[] address, uint lanes = uint.MaxValue) =>
        Do(warp, "red.shared.add.u32", line, address, lanes);
    void Barrier() => _rig.Block->Epoch++;
    void WarpBarrier(int warp) => _rig.Warp[warp].Sequence++;

    static KernelFault Fault(FaultKind kind, Action run)
    {
        KernelFault fault = Assert.Throws<KernelFault>(run);
        Assert.That(fault.Kind, Is.EqualTo(kind), fault.Detail);
        return fault;
    }

    void Initialise(int bytes = 1024)
    {
        for (int i = 0; i < bytes; i += 128)
            Write(0, 1, Row(i));
        Barrier();
    }

    [Test]
    public void OwnData_NeedsNoBarrier()
    {
        Write(0, 1, Row());
        Read(0, 2, Row());
        Write(0, 3, Row());
        Atomic(0, 4, Row());
        Read(0, 5, Row());
    }

    [Test]
    public void ReadOfAnotherWarpsWrite_WithoutBarrier_Races()
    {
        Write(0, 10, Row());
        KernelFault fault = Fault(FaultKind.Race, () => Read(1, 20, Row(4)));
        Assert.That(fault.Detail, Is.EqualTo("read of 4 bytes at shared offset 4 (0x4) by thread (0,1,0) races with " +
            "the write in PTX line 10 by thread (1,0,0) at byte 4: no block-wide barrier between them"));
        Assert.That(fault.Line, Is.EqualTo(20));
        Assert.That(fault.Thread, Is.EqualTo(new Dim3(0, 1, 0)));
    }

    [Test]
    public void WriteAfterAnotherWarpsRead_WithoutBarrier_Races()
    {
        Initialise();
        Read(0, 10, Row());
        KernelFault fault = Fault(FaultKind.Race, () => Write(1, 20, Row()));
        Assert.That(fault.Detail, Does.StartWith("write of 4 bytes")
            .And.Contain("read in PTX line 10 by thread (0,0,0)"));
    }

    [Test]
    public void WriteAfterAnotherWarpsWrite_RacesUnlessValuesAreEqual()
    {
        Write(0, 10, Row());
        Write(1, 20, Row()); // the same values
        KernelFault fault = Fault(FaultKind.Race, () => Do(2, "st.shared.b32", 30, Row(4)));
        Assert.That(fault.Detail, Does.Contain("write in PTX line 20 by thread (1,1,0)"));
    }

    [Test]
    public void Barrier_OrdersEverything()
    {
        Write(0, 1, Row());
        Barrier();
        Read(1, 2, Row());
        Read(2, 3, Row());
        Barrier();
        Write(3, 4, Row(4));
        Barrier();
        Atomic(0, 5, Row(4));
        Barrier();
        Read(1, 6, Row(4));
    }

    [Test]
    public void ManyReaders_TheWriterMeetsAnyOfThem([Values(0, 1, 2, 3)] int writer)
    {
        Initialise();
        for (int warp = 0; warp < 4; warp++)
            Read(warp, 10 + warp, Row());
        Fault(FaultKind.Race, () => Write(writer, 20, Row()));
    }

    [Test]
    public void SiblingLanes_NeedAWarpBarrier()
    {
        Write(0, 10, Row());
        int[] shifted = _rig.At32(l => (uint)(4 * (l ^ 1)));
        KernelFault fault = Fault(FaultKind.Race, () => Read(0, 20, shifted));
        Assert.That(fault.Detail, Does.Contain("write in PTX line 10 by thread (1,0,0)")
            .And.Contain("no bar.warp.sync"));
        WarpBarrier(0);
        Read(0, 21, shifted);
        fault = Fault(FaultKind.Race, () => Write(0, 22, Row()));
        Assert.That(fault.Detail, Does.Contain("read in PTX line 21 by thread (1,0,0)"));
        WarpBarrier(0);
        Write(0, 23, Row());
    }

    [Test]
    public void Sibling_HiddenByOwnRead_IsStillFound()
    {
        Initialise();
        int[] same = _rig.At32(_ => 0);
        Read(0, 10, same, 0b011); // lanes 0 and 1
        Read(0, 11, same, 0b010); // the last reader is lane 1
        KernelFault fault = Fault(FaultKind.Race, () => Write(0, 12, same, 0b010));
        Assert.That(fault.Detail, Does.Contain("by thread (0,0,0)"));
        Fault(FaultKind.Race, () => Write(0, 12, same, 0b001));
    }

    [Test]
    public void WarpBarrier_DoesNotOrderWarps()
    {
        Write(0, 10, Row());
        WarpBarrier(0);
        WarpBarrier(1);
        Fault(FaultKind.Race, () => Read(1, 20, Row()));
    }

    [Test]
    public void OneInstruction_ToOnePlace_RacesOnlyWithDifferentValues()
    {
        int[] same = _rig.At32(_ => 64);
        _rig.RunWarp(0, "st.shared.b32", [.. same, _equal]);
        Barrier();
        KernelFault fault = Fault(FaultKind.Race, () => Write(0, 33, same));
        Assert.That(fault.Detail, Does.Contain("thread (1,0,0) races").And.Contain("line 33 by thread (0,0,0)"));
    }

    [Test]
    public void Atomics_RaceOnlyWithPlainAccesses()
    {
        Initialise();
        Atomic(0, 10, Row());
        Atomic(1, 11, Row());
        Atomic(2, 12, _rig.At32(_ => 0));
        KernelFault fault = Fault(FaultKind.Race, () => Read(3, 13, Row()));
        Assert.That(fault.Detail, Does.Contain("atomic in PTX line 12"));
        Fault(FaultKind.Race, () => Write(3, 14, Row()));
        Barrier();
        Read(0, 15, Row());
        Fault(FaultKind.Race, () => Atomic(1, 16, Row()));
    }

    [Test]
    public void Bytes_AreToldApart()
    {
        int[] bytes = _rig.At32(l => (uint)(4 * l)), next = _rig.At32(l => (uint)(4 * l + 1));
        Do(0, "st.shared.b8", 10, bytes);
        Do(1, "st.shared.b8", 11, next);
        Do(0, "ld.shared.b8", 12, bytes);
        KernelFault fault = Fault(FaultKind.Race, () => Do(0, "ld.shared.b16", 13, bytes));
        Assert.That(fault.Detail, Does.Contain("line 11").And.Contain("at byte 1"));
    }

    [Test]
    public void Uninitialised_SharedBytes_AreFound()
    {
        Do(0, "st.shared.b16", 10, _rig.At32(l => (uint)(4 * l)));
        Do(0, "ld.shared.b16", 11, _rig.At32(l => (uint)(4 * l)));
        KernelFault fault = Fault(FaultKind.Uninitialised, () => Read(0, 12, Row()));
        Assert.That(fault.Detail, Is.EqualTo("read of 4 bytes at shared offset 0 (0x0) by thread (0,0,0) but byte 2 " +
            "has not been written since the block started"));
        Fault(FaultKind.Uninitialised, () => Atomic(0, 12, Row()));
    }

    [Test]
    public void NextBlock_StartsAfresh()
    {
        Write(0, 10, Row());
        new Span<byte>(_rig.Block->SharedShadow, _rig.Block->SharedBytes * Races.BytesPerSharedByte).Clear();
        _rig.Block->BlockX++;
        Fault(FaultKind.Uninitialised, () => Read(1, 20, Row()));
        Write(1, 21, Row(4));
        Read(1, 22, Row(4));
    }

    // ---- asynchronous copies ----

    int[] Copy(int[] to, ulong from, int bytes, int read = -1) =>
        [.. to, .. _rig.At(l => from + (ulong)(l * bytes)), bytes, read];

    [Test]
    public void AsyncCopy_MovesBytes_AndFillsWithZeros([Values] bool checks, [Values(4, 8, 16)] int bytes)
    {
        using var rig = new MemoryRig(checks ? CheckFlags.All : CheckFlags.None);
        ulong a = rig.Device(512, i => (byte)(i + 1));
        new Span<byte>(rig.Block->Shared, 4096).Fill(0xAA);
        int read = rig.W32(l => (uint)(l % (bytes + 3))); // more than the size counts as the size
        int[] from = rig.At(l => l % (bytes + 3) == 0 ? 0xBAD : a + (ulong)(l * bytes)); // unread: anything goes
        rig.Warp->Active = 0x7FFF_FFFF;
        rig.RunWarp(0, "cp.async.ca", [.. rig.At32(l => (uint)(l * 32)), .. from, bytes, read]);
        rig.RunWarp(0, "cp.async.cg", [.. rig.At32(l => (uint)(l * 32 + 16)),
            .. rig.At(l => a + (ulong)(l * bytes)), bytes, -1]);
        for (int lane = 0; lane < 32; lane++)
        {
            for (int i = 0; i < 16; i++)
            {
                int part = i >= bytes || lane == 31 ? 0xAA : i < lane % (bytes + 3) ? (byte)(lane * bytes + i + 1) : 0;
                int whole = i >= bytes || lane == 31 ? 0xAA : (byte)(lane * bytes + i + 1);
                Assert.That(rig.Block->Shared[lane * 32 + i], Is.EqualTo(part));
                Assert.That(rig.Block->Shared[lane * 32 + 16 + i], Is.EqualTo(whole));
            }
        }
    }

    [Test]
    public void AsyncCopy_ReadBeforeWait_Faults()
    {
        ulong a = _rig.Device(512, _ => 1);
        _rig.Line = 7;
        _rig.RunWarp(0, "cp.async.ca", Copy(Row(), a, 4));
        KernelFault fault = Fault(FaultKind.AsyncCopyNotWaited, () => Read(0, 8, Row()));
        Assert.That(fault.Detail, Is.EqualTo("read of 4 bytes at shared offset 0 (0x0) by thread (0,0,0) but byte 0 " +
            "is the destination of the cp.async in PTX line 7 by thread (0,0,0), which has not waited for it"));
        _rig.RunWarp(0, "cp.async.commit_group");
        Fault(FaultKind.AsyncCopyNotWaited, () => Read(0, 8, Row()));
        _rig.RunWarp(0, "cp.async.wait_group", 1); // one group may stay unfinished: this one
        Fault(FaultKind.AsyncCopyNotWaited, () => Read(0, 8, Row()));
        _rig.RunWarp(0, "cp.async.wait_group", 0);
        Read(0, 9, Row());
    }

    [Test]
    public void AsyncCopy_Groups_FinishInOrder()
    {
        ulong a = _rig.Device(512, _ => 1);
        for (int i = 0; i < 3; i++)
        {
            _rig.RunWarp(0, "cp.async.ca", Copy(Row(128 * i), a, 4));
            _rig.RunWarp(0, "cp.async.commit_group");
        }
        _rig.RunWarp(0, "cp.async.wait_group", 1);
        Read(0, 1, Row(0));
        Read(0, 1, Row(128));
        Fault(FaultKind.AsyncCopyNotWaited, () => Read(0, 1, Row(256)));
        Fault(FaultKind.AsyncCopyNotWaited, () => Write(0, 1, Row(256)));
        _rig.RunWarp(0, "cp.async.wait_all");
        Read(0, 1, Row(256));
    }

    [Test]
    public void AsyncCopy_WaitAll_CoversTheOpenGroup()
    {
        ulong a = _rig.Device(512, _ => 1);
        _rig.RunWarp(0, "cp.async.ca", Copy(Row(), a, 4));
        _rig.RunWarp(0, "cp.async.wait_all");
        Read(0, 1, Row());
    }

    [Test]
    public void AsyncCopy_OtherThreads_NeedABarrierAfterTheWait()
    {
        ulong a = _rig.Device(512, _ => 1);
        _rig.RunWarp(0, "cp.async.ca", Copy(Row(), a, 4));
        _rig.RunWarp(0, "cp.async.commit_group");
        Barrier();
        Fault(FaultKind.AsyncCopyNotWaited, () => Read(1, 8, Row()));
        _rig.RunWarp(0, "cp.async.wait_group", 0);
        KernelFault fault = Fault(FaultKind.Race, () => Read(1, 8, Row()));
        Assert.That(fault.Detail, Does.Contain("no barrier since that thread waited for it"));
        int[] shifted = _rig.At32(l => (uint)(4 * (l ^ 1)));
        Fault(FaultKind.Race, () => Read(0, 8, shifted));
        WarpBarrier(0);
        Read(0, 8, shifted);
        Fault(FaultKind.Race, () => Read(1, 8, Row()));
        Barrier();
        Read(1, 8, Row());
    }

    [Test]
    public void AsyncCopy_IntoBytesThatOthersRead_Races()
    {
        ulong a = _rig.Device(512, _ => 1);
        Initialise();
        Read(1, 5, Row());
        KernelFault fault = Fault(FaultKind.Race, () => _rig.RunWarp(0, "cp.async.ca", Copy(Row(), a, 4)));
        Assert.That(fault.Detail, Does.StartWith("cp.async of 4 bytes at shared offset 0").And.Contain("line 5"));
    }

    [Test]
    public void AsyncCopy_ChecksSourceAndAlignment()
    {
        ulong a = _rig.Device(512, null, "source"), b = _rig.Device(512, _ => 1, "short");
        Fault(FaultKind.Uninitialised, () => _rig.RunWarp(0, "cp.async.ca", Copy(Row(), a, 4)));
        Fault(FaultKind.OutOfBounds, () => _rig.RunWarp(0, "cp.async.ca", Copy(Row(1024, 16), b + 16, 16)));
        Fault(FaultKind.Misaligned, () => _rig.RunWarp(1, "cp.async.ca", Copy(Row(4, 16), b, 16)));
        Fault(FaultKind.Misaligned, () => _rig.RunWarp(1, "cp.async.ca", Copy(Row(2048, 8), b + 4, 8)));
        Fault(FaultKind.OutOfBounds, () => _rig.RunWarp(1, "cp.async.ca", Copy(Row(4096), b, 4)));
    }

    [Test]
    public void LdMatrixRows_AreChecked()
    {
        Initialise(512);
        int[] d = [_rig.W32(), _rig.W32(), _rig.W32(), _rig.W32()];
        _rig.RunWarp(1, "ldmatrix.sync.aligned.m8n8.x4.shared.b16", [.. _rig.At32(l => (uint)(l * 16)), .. d]);
        _rig.Line = 55;
        KernelFault fault = Fault(FaultKind.Uninitialised, () => _rig.RunWarp(1,
            "ldmatrix.sync.aligned.m8n8.x4.shared.b16", [.. _rig.At32(l => l == 9 ? 1024u : (uint)(l * 16)), .. d]));
        Assert.That(fault.Kind, Is.EqualTo(FaultKind.Uninitialised));
        Assert.That((fault.Line, fault.Thread), Is.EqualTo((55, new Dim3(9, 1, 0))));
            fault = Fault(FaultKind.Race, () => Write(0, 56, Row(8, 0), 1));
        Assert.That(fault.Detail, Does.Contain("read in PTX line 55 by thread (0,1,0) at byte 8"));
    }
}
