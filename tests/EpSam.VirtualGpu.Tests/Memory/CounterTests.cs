// Sectors, conflicts and bytes of access patterns whose cost is known by counting on paper.
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;

namespace EpSam.VirtualGpu.Tests.Memory;

public sealed unsafe class CounterTests
{
    static MemoryRig NewRig() => new(CheckFlags.None, sharedBytes: 1 << 16, counting: true);

    // bytes a lane, stride in bytes, start offset -> sectors of a full warp
    [TestCase("b32", 4, 0, 4)]     // 128 consecutive bytes
    [TestCase("b32", 4, 4, 5)]     // the same, not aligned to a sector
    [TestCase("b32", 8, 0, 8)]     // stride 2
    [TestCase("b32", 32, 0, 32)]   // each lane a sector of its own
    [TestCase("b32", 4096, 0, 32)]
    [TestCase("b32", 0, 0, 1)]     // one address
    [TestCase("b64", 8, 0, 8)]
    [TestCase("v4.b32", 16, 0, 16)]
    [TestCase("b16", 2, 0, 2)]
    [TestCase("b8", 1, 0, 1)]
    public void GlobalSectors(string type, int stride, int start, int sectors)
    {
        using MemoryRig rig = NewRig();
        ulong a = rig.Device(1 << 18, null) + (ulong)start;
        int[] d = [rig.W64(), rig.W64(), rig.W64(), rig.W64()];
        int n = type[0] == 'v' ? 4 : 1;
        int bytes = type switch { "v4.b32" => 16, "b64" => 8, "b16" => 2, "b8" => 1, _ => 4 };
        rig.Run($"ld.global.{type}", rig.At(l => a + (ulong)(l * stride)), d[..n]);
        Assert.That(rig.Count(Counter.GlobalRequests), Is.EqualTo(1));
        Assert.That(rig.Count(Counter.GlobalSectors), Is.EqualTo(sectors));
        Assert.That(rig.Count(Counter.BytesRead), Is.EqualTo(32 * bytes));
        Assert.That(rig.Count(Counter.BytesWritten), Is.Zero);
        rig.Warp->Active = 1;
        rig.Run($"st.global.{type}", rig.At(l => a), d[..n]);
        Assert.That(rig.Count(Counter.GlobalSectors), Is.EqualTo(sectors + 1));
        Assert.That(rig.Count(Counter.BytesWritten), Is.EqualTo(bytes));
    }

    // stride in bytes -> extra wavefronts of a full warp
    [TestCase("b32", 4, 0)]       // a word of every bank
    [TestCase("b32", 0, 0)]       // broadcast
    [TestCase("b32", 8, 1)]       // 2 words a bank
    [TestCase("b32", 16, 3)]
    [TestCase("b32", 128, 31)]    // 32 words of one bank
    [TestCase("b32", 132, 0)]     // rows padded by a word
    [TestCase("b16", 2, 0)]       // two lanes share a word
    [TestCase("b8", 1, 0)]
    [TestCase("b64", 8, 0)]       // a half warp takes all banks
    [TestCase("b64", 16, 2)]      // 2 words a bank in each half warp: 1 + 1
    [TestCase("b64", 256, 30)]    // 16 words of one bank pair in each half: 15 + 15
    [TestCase("v4.b32", 16, 0)]   // a quarter warp takes all banks
    [TestCase("v4.b32", 32, 4)]   // 2 words a bank in each quarter: 1 x 4
    [TestCase("v4.b32", 128, 28)] // 8 words of 4 banks in each quarter: 7 x 4
    [TestCase("v4.b32", 0, 0)]
    public void SharedConflicts(string type, int stride, int conflicts)
    {
        using MemoryRig rig = NewRig();
        int[] d = [rig.W64(), rig.W64(), rig.W64(), rig.W64()];
        int n = type[0] == 'v' ? 4 : 1;
        rig.Run($"ld.shared.{type}", rig.At32(l => (uint)(l * stride)), d[..n]);
        Assert.That(rig.Count(Counter.SharedRequests), Is.EqualTo(1));
        Assert.That(rig.Count(Counter.SharedConflicts), Is.EqualTo(conflicts));
        Assert.That(rig.Count(Counter.GlobalRequests), Is.Zero);
    }

    [Test]
    public void InactiveLanes_CostNothing()
    {
        using MemoryRig rig = NewRig();
        int d = rig.W32();
        rig.Warp->Active = 0xF;
        rig.Run("ld.shared.b32", rig.At32(l => (uint)(l * 128)), d);
        Assert.That(rig.Count(Counter.SharedConflicts), Is.EqualTo(3));
        rig.Warp->Active = 0;
        rig.Run("ld.shared.b32", rig.At32(l => (uint)(l * 128)), d);
        Assert.That(rig.Count(Counter.SharedConflicts), Is.EqualTo(3));
    }

    [Test]
    public void AsyncCopy_AndAtomics_AreCounted()
    {
        using MemoryRig rig = NewRig();
        ulong a = rig.Device(1024, _ => 0);
        rig.RunWarp(0, "cp.async.cg", [.. rig.At32(l => (uint)(l * 16)), .. rig.At(l => a + (ulong)(l * 16)), 16, -1]);
        Assert.That(rig.Count(Counter.GlobalSectors), Is.EqualTo(16));
        Assert.That(rig.Count(Counter.BytesRead), Is.EqualTo(512));
        Assert.That(rig.Count(Counter.SharedRequests), Is.EqualTo(1));
        rig.Run("red.global.add.u32", rig.At(l => a + (ulong)(l * 4)), rig.W32(_ => 1));
        Assert.That(rig.Count(Counter.BytesWritten), Is.EqualTo(128));
        Assert.That(rig.Count(Counter.GlobalSectors), Is.EqualTo(20));
    }

    [Test]
    public void Generic_IsCountedWhereItGoes()
    {
        using MemoryRig rig = NewRig();
        ulong a = rig.Device(1024, _ => 0);
        rig.Run("ld.generic.b32",
            rig.At(l => l < 16 ? a + (ulong)(l * 4) : AddressSpace.SharedWindow + (ulong)(l * 128)), rig.W32());
        Assert.That(rig.Count(Counter.GlobalSectors), Is.EqualTo(2));
        Assert.That(rig.Count(Counter.SharedConflicts), Is.EqualTo(15));
    }
}
