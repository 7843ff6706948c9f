using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;

namespace EpSam.VirtualGpu.Tests.Memory;

public sealed unsafe class HeapTests
{
    [Test]
    public void Window_IsReservedAndReadsZeros()
    {
        Assert.That(AddressSpace.Size, Is.GreaterThanOrEqualTo(1UL << 34));
        Assert.That((nint)AddressSpace.ToHost(AddressSpace.DeviceBase), Is.EqualTo((nint)AddressSpace.HostBase));
        Assert.That(AddressSpace.IsDevice(AddressSpace.DeviceBase, 1));
        Assert.That(AddressSpace.IsDevice(AddressSpace.DeviceBase - 1, 1), Is.False);
        Assert.That(AddressSpace.IsDevice(AddressSpace.DeviceBase + AddressSpace.Size - 4, 4));
        Assert.That(AddressSpace.IsDevice(AddressSpace.DeviceBase + AddressSpace.Size - 4, 5), Is.False);
        if (!OperatingSystem.IsWindows())
            Assert.That(*AddressSpace.ToHost(AddressSpace.DeviceBase + AddressSpace.Size - 4096), Is.Zero);
    }

    [Test]
    public void Allocate_IsAlignedAndKeepsRedZones()
    {
        using var heap = new Heap(64 << 20, CheckFlags.All);
        ulong end = 0;
        foreach (int bytes in new[] { 1, 255, 256, 257, 4096, 5 << 20, 3 })
        {
            ulong a = heap.Allocate(bytes, "x");
            Assert.That(a % 256, Is.Zero);
            Assert.That(AddressSpace.IsDevice(a, (ulong)bytes));
            if (end != 0 && a >= end)
                Assert.That(a - end, Is.GreaterThanOrEqualTo(256));
            end = a + (ulong)bytes;
            *AddressSpace.ToHost(a) = 1;
            AddressSpace.ToHost(a)[bytes - 1] = 2;
        }
        Assert.That(heap.AllocationCount, Is.EqualTo(7));
    }

    [Test]
    public void Allocate_WithBoundsChecks_NeverReusesAddresses()
    {
        using var heap = new Heap(64 << 20, CheckFlags.Bounds);
        var seen = new HashSet<ulong>();
        for (int i = 0; i < 100; i++)
        {
            ulong a = heap.Allocate(1000 + i % 3, "x");
            Assert.That(seen.Add(a));
            Assert.That(heap.Free(a));
        }
        Assert.That(heap.FreeBytes, Is.EqualTo(heap.TotalBytes));
    }

    [Test]
    public void Allocate_WithoutChecks_ReusesWhatWasFreed()
    {
        using var heap = new Heap(1L << 40, CheckFlags.None);
        var seen = new HashSet<ulong>();
        for (int i = 0; i < 100; i++)
        {
            ulong a = heap.Allocate(8L << 30, "x"); // 800 GiB in all, were it not reused
            seen.Add(a);
            heap.Free(a);
        }
        Assert.That(seen, Has.Count.LessThan(100));
    }

    [Test]
    public void Allocate_BeyondCapacity_ThrowsTyped()
    {
        using var heap = new Heap(1024, CheckFlags.None);
        ulong a = heap.Allocate(512, "a");
        heap.Allocate(257, "b"); // charged as 512
        var e = Assert.Throws<OutOfDeviceMemory>(() => heap.Allocate(1, "c"));
        Assert.That(e.Requested, Is.EqualTo(1));
        Assert.That(e.Free, Is.Zero);
        Assert.That(e.Message, Does.Contain("1 bytes requested").And.Contain("0 of 1024").And.Contain("2 allocations"));
        Assert.Throws<OutOfDeviceMemory>(() => heap.Allocate(long.MaxValue, "d"));
        heap.Free(a);
        Assert.That(heap.Allocate(512, "e"), Is.Not.Zero);
        Assert.Throws<ArgumentOutOfRangeException>(() => heap.Allocate(0, "z"));
    }

    [Test]
    public void Free_OfAnythingButALiveStart_IsFalse([Values] bool check)
    {
        using var heap = new Heap(1 << 20, check ? CheckFlags.Bounds : CheckFlags.None);
        ulong a = heap.Allocate(1000, "a");
        Assert.That(heap.Free(a + 256), Is.False);
        Assert.That(heap.Free(0), Is.False);
        Assert.That(heap.Free(a), Is.True);
        Assert.That(heap.Free(a), Is.False);
        Assert.That(heap.AllocationCount, Is.Zero);
    }

    [Test]
    public void Describe_NamesNearestAndDistance()
    {
        using var heap = new Heap(1 << 20, CheckFlags.All);
        Assert.That(heap.Describe(5), Is.EqualTo("no memory is allocated"));
        ulong a = heap.Allocate(1000, "weights");
        Assert.That(heap.Describe(a + 1003),
            Is.EqualTo($"3 bytes past the end of live allocation 'weights' (1000 bytes at 0x{a:x})"));
        Assert.That(heap.Describe(a - 7), Does.StartWith("7 bytes before live allocation 'weights'"));
        heap.Free(a);
        Assert.That(heap.Describe(a + 20), Does.StartWith("20 bytes into freed allocation 'weights'"));
    }

    [Test]
    public void TryFind_FindsOnlyLiveBytes()
    {
        using var heap = new Heap(1 << 20, CheckFlags.All);
        ulong a = heap.Allocate(1000, "a"), b = heap.Allocate(10, "b");
        Assert.That(heap.TryFind(a + 999, out Allocation? found) && found.Name == "a");
        Assert.That(heap.TryFind(a + 1000, out _), Is.False);
        Assert.That(heap.TryFind(b + 9, out found) && found.Name == "b");
        Assert.That(heap.Contains(a, 1000));
        Assert.That(heap.Contains(a + 1, 1000), Is.False);
        heap.Free(b);
        Assert.That(heap.TryFind(b, out _), Is.False);
    }

    [Test]
    public void Shadow_FollowsWritesAndFrees()
    {
        using var heap = new Heap(64 << 20, CheckFlags.Initialised);
        ulong a = heap.Allocate(10 << 20, "a");
        Assert.That(heap.FirstUninitialised(a, 10 << 20), Is.Zero);
        heap.MarkInitialised(a, (10 << 20) - 5);
        Assert.That(heap.FirstUninitialised(a, 10 << 20), Is.EqualTo((10 << 20) - 5));
        Assert.That(heap.FirstUninitialised(a + 17, 4000), Is.EqualTo(-1));
        heap.Free(a);
        ulong b = heap.Allocate(10 << 20, "b"); // no bounds checks: the same addresses again
        Assert.That(heap.FirstUninitialised(b, 10 << 20), Is.Zero);
        Assert.That(heap.FirstUninitialised(b + (10 << 20) - 6, 6), Is.Zero);
    }

    [Test]
    public void Free_GivesPagesBack()
    {
        using var heap = new Heap(64 << 20, CheckFlags.None);
        ulong a = heap.Allocate(1 << 20, "a");
        new Span<byte>(AddressSpace.ToHost(a), 1 << 20).Fill(7);
        heap.Free(a);
        if (OperatingSystem.IsLinux())
            Assert.That(AddressSpace.ToHost(a)[8192], Is.Zero);
    }
}
