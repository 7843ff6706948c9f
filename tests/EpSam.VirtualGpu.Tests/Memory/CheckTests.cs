// Every check of global, local and parameter memory: it fires on the fault, names what a person needs, and is silent on
// the nearest correct access.
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;
using EpSam.VirtualGpu.Exec;

namespace EpSam.VirtualGpu.Tests.Memory;

public sealed unsafe class CheckTests
{
    static KernelFault Fault(Action run, FaultKind kind)
    {
        KernelFault fault = Assert.Throws<KernelFault>(() => run());
        Assert.That(fault.Kind, Is.EqualTo(kind), fault.Detail);
        return fault;
    }

    [Test]
    public void Bounds_PastTheEnd_NamesAllocation([Values("ld", "st", "red")] string access)
    {
        using var rig = new MemoryRig(CheckFlags.Bounds) { Line = 42 };
        ulong a = rig.Device(1000, _ => 0, "weights");
        int value = rig.W32(_ => 0);
        string key = access == "red" ? "red.global.add.u32" : $"{access}.global.b32";
        rig.Run(key, rig.At(l => a + (ulong)l * 4 + 872), value); // the last lane ends at 1000
        KernelFault fault = Fault(() => rig.Run(key, rig.At(l => a + (ulong)l * 4 + 880), value),
            FaultKind.OutOfBounds);
        string verb = access switch { "ld" => "read", "st" => "write", _ => "atomic access" };
        Assert.That(fault.Detail, Is.EqualTo($"{verb} of 4 bytes at 0x{a + 1000:x}, 0 bytes past the end of live " +
            $"allocation 'weights' (1000 bytes at 0x{a:x})"));
        Assert.That(fault.Thread, Is.EqualTo(new Dim3(30, 0, 0)));
        Assert.That(fault.Block, Is.EqualTo(new Dim3(3, 2, 1)));
        Assert.That(fault.Line, Is.EqualTo(42));
        Assert.That(fault.Address, Is.EqualTo(a + 1000));
        Assert.That(fault.Kernel, Is.EqualTo("rig"));
        rig.Warp->Active = (1u << 30) - 1;
        rig.Run(key, rig.At(l => a + (ulong)l * 4 + 880), value);
    }

    [Test]
    public void Bounds_CrossingTheEnd_SaysByHowMuch()
    {
        using var rig = new MemoryRig(CheckFlags.Bounds);
        ulong a = rig.Device(1002, _ => 0, "odd");
        KernelFault fault = Fault(() => rig.Run("ld.global.b32", rig.At(_ => a + 1000), rig.W32()),
            FaultKind.OutOfBounds);
        Assert.That(fault.Detail, Does.Contain("1000 bytes into live allocation 'odd'")
            .And.Contain("crosses by 2 bytes"));
        fault = Fault(() => rig.Run("ld.global.v4.b32", rig.At(_ => a - 4), rig.W32(), rig.W32(), rig.W32(), rig.W32()),
            FaultKind.OutOfBounds);
        Assert.That(fault.Detail, Does.Contain("4 bytes before live allocation 'odd'"));
    }

    [Test]
    public void Bounds_NullPointer_IsIllegal()
    {
        using var rig = new MemoryRig(CheckFlags.Bounds);
        rig.Device(16, null, "x");
        KernelFault fault = Fault(() => rig.Run("ld.global.b32", rig.At(_ => 0), rig.W32()), FaultKind.IllegalAddress);
        Assert.That(fault.Detail, Does.Contain("0x0").And.Contain("not a device address"));
    }

    [Test]
    public void Bounds_FreedAllocation_IsUseAfterFree()
    {
        using var rig = new MemoryRig(CheckFlags.Bounds);
        ulong a = rig.Device(1024, _ => 0, "old"), b = rig.Device(1024, _ => 0, "new");
        int d = rig.W32();
        rig.Run("ld.global.b32", rig.At(_ => a), d);
        rig.Heap.Free(a);
        KernelFault fault = Fault(() => rig.Run("ld.global.b32", rig.At(l => l == 7 ? a + 28 : b), d),
            FaultKind.UseAfterFree);
        Assert.That(fault.Detail, Does.Contain("28 bytes into freed allocation 'old' (1024 bytes at"));
        Assert.That(fault.Thread, Is.EqualTo(new Dim3(7, 0, 0)));
    }

    [Test]
    public void Bounds_AnotherHeapsMemory_IsOutOfBounds()
    {
        using var rig = new MemoryRig(CheckFlags.Bounds);
        using var other = new Heap(1 << 20, CheckFlags.None);
        rig.Device(16, null, "mine");
        ulong b = other.Allocate(64, "theirs");
        Fault(() => rig.Run("ld.global.b32", rig.At(_ => b), rig.W32()), FaultKind.OutOfBounds);
    }

    [Test]
    public void Alignment_OfVectorsIsThatOfTheWhole([Values("global", "shared", "local", "param")] string space)
    {
        using var rig = new MemoryRig(CheckFlags.Alignment);
        ulong a = space == "global" ? rig.Device(1024, _ => 0, "x") : 0;
        int[] d = [rig.W32(), rig.W32(), rig.W32(), rig.W32()];
        rig.Run($"ld.{space}.v4.b32", rig.At(_ => a + 16), d);
        rig.Run($"ld.{space}.v4.b8", rig.At(_ => a + 4), d);
        rig.Run($"ld.{space}.b16", rig.At(_ => a + 6), d[0]);
        KernelFault fault = Fault(() => rig.Run($"ld.{space}.v4.b32", rig.At(l => a + (l == 2 ? 8UL : 16)), d),
            FaultKind.Misaligned);
        Assert.That(fault.Thread, Is.EqualTo(new Dim3(2, 0, 0)));
        Assert.That(fault.Detail, Does.StartWith("read of 16 bytes at").And.Contain("not a multiple of 16"));
        if (space == "global")
            Assert.That(fault.Detail, Does.Contain($"0x{a + 8:x}").And.Contain("8 bytes into live allocation 'x'"));
        Fault(() => rig.Run($"ld.{space}.v2.b16", rig.At(_ => a + 2), d[0], d[1]), FaultKind.Misaligned);
    }

    [Test]
    public void Initialised_Global_KnowsCopiesAndStores()
    {
        using var rig = new MemoryRig(CheckFlags.All);
        ulong a = rig.Device(1024, null, "scores");
        int v = rig.W32(_ => 1), d = rig.W32();
        KernelFault fault = Fault(() => rig.Run("ld.global.b32", rig.At(l => a + 4 * (ulong)l), d),
            FaultKind.Uninitialised);
        Assert.That(fault.Detail, Is.EqualTo($"read of 4 bytes at 0x{a:x}, but byte 0x{a:x} has never been written; " +
            $"0 bytes into live allocation 'scores' (1024 bytes at 0x{a:x})"));
        rig.Heap.MarkInitialised(a, 131); // a copy from the host, one byte short
        fault = Fault(() => rig.Run("ld.global.b32", rig.At(l => a + 4 * (ulong)l + 4), d), FaultKind.Uninitialised);
        Assert.That(fault.Detail, Does.Contain($"byte 0x{a + 131:x}"));
        Assert.That(fault.Thread, Is.EqualTo(new Dim3(31, 0, 0)));
        rig.Run("st.global.b16", rig.At(l => a + 512 + 2 * (ulong)l), v);
        rig.Run("ld.global.b32", rig.At(l => a + 512 + 4 * (ulong)(l / 2)), d);
        Fault(() => rig.Run("red.global.add.u32", rig.At(_ => a + 700), v), FaultKind.Uninitialised);
    }

    [Test]
    public void Initialised_Local_IsPerLane([Values("local", "generic")] string space)
    {
        using var rig = new MemoryRig(CheckFlags.All);
        int[] address = rig.At(_ => (space == "local" ? 0 : AddressSpace.LocalWindow) + 8);
        int v = rig.W32(l => (uint)l), d = rig.W32();
        rig.Warp->Active = 0x0000_FFFF;
        rig.Run($"st.{space}.b32", address, v);
        rig.Run($"ld.{space}.b32", address, d);
        rig.Warp->Active = 0x0001_FFFF;
        KernelFault fault = Fault(() => rig.Run($"ld.{space}.b32", address, d), FaultKind.Uninitialised);
        Assert.That(fault.Thread, Is.EqualTo(new Dim3(16, 0, 0)));
        Assert.That(fault.Detail, Does.Contain("local offset 8"));
        rig.Warp->Scratch = 0; // the grid runner starts another block
        rig.Warp->Active = 1;
        Fault(() => rig.Run($"ld.{space}.b32", address, d), FaultKind.Uninitialised);
    }

    [Test]
    public void Checks_ThatAreOff_StaySilent()
    {
        using var rig = new MemoryRig(CheckFlags.None, counting: true); // counting uses the checked methods
        ulong a = rig.Device(1024, null, "x");
        int d = rig.W32();
        rig.Run("ld.global.b32", rig.At(_ => a + 1026), d);
        rig.Run("ld.shared.b32", rig.At(_ => 5), d);
        rig.Run("ld.local.b32", rig.At(_ => 5), d);
    }

    [Test]
    public void Windows_EndWhereTheMemoryEnds([Values("shared", "local", "parameter")] string space)
    {
        using var rig = new MemoryRig(CheckFlags.Bounds, sharedBytes: 100, localBytes: 100, paramBytes: 100);
        string key = $"ld.{(space == "parameter" ? "param" : space)}.b32";
        int d = rig.W32();
        rig.Run(key, rig.At(_ => 96), d);
        KernelFault fault = Fault(() => rig.Run(key, rig.At(_ => 98), d), FaultKind.OutOfBounds);
        Assert.That(fault.Detail, Does.Contain($"{space} offset 98").And.Contain("crosses the end by 2 bytes")
            .And.Contain("100 bytes"));
        fault = Fault(() => rig.Run(key, rig.At(_ => 108), d), FaultKind.OutOfBounds);
        Assert.That(fault.Detail, Does.Contain("8 bytes past the end of the 100 bytes"));
    }
}
