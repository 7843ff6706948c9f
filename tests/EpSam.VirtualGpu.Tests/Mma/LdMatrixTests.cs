using System.Runtime.InteropServices;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;

namespace EpSam.VirtualGpu.Tests.Mma;

public sealed class LdMatrixTests
{
    const int Address = 0, First = 4;   // registers: the address (two for 64 bits), the destinations

    static string Key(int matrices, bool transposed, string space = ".shared") =>
        $"ldmatrix.sync.aligned.m8n8.x{matrices}{(transposed ? ".trans" : "")}{space}.b16";

    /// <summary>Shared memory whose 16-bit element i is i; lane addresses are rows in a scattered order.</summary>
    static WarpHarness Warp(int sharedBytes = 4096)
    {
        var warp = new WarpHarness(sharedBytes);
        Span<ushort> shared = MemoryMarshal.Cast<byte, ushort>(warp.Shared);
        for (int i = 0; i < shared.Length; i++) shared[i] = (ushort)i;
        return warp;
    }

    static int Row(int lane) => lane * 11 % 37 + 3;   // all different, below 256 rows

    static int[] List(int matrices, int offset, bool wide, int first = First)
    {
        int[] destinations = Enumerable.Range(first, matrices).Select(r => r * WarpHarness.RegisterBytes).ToArray();
        return [Address * WarpHarness.RegisterBytes, offset, wide ? 1 : 0, .. destinations];
    }

    /// <summary>PTX ISA: thread l receives elements 2 * (l % 4) and + 1 of row l / 4 of each matrix.</summary>
    static uint Expected(int matrix, int lane, bool transposed, int extraRows)
    {
        int row = lane / 4, column = lane % 4 * 2;
        uint Element(int r, int c) => (uint)((Row(matrix * 8 + r) + extraRows) * 8 + c) & 0xffff;
        return transposed
            ? Element(column, row) | Element(column + 1, row) << 16
            : Element(row, column) | Element(row, column + 1) << 16;
    }

    [Test]
    public void EveryElement_ArrivesWhereTheManualSays([Values(1, 2, 4)] int matrices, [Values] bool transposed,
        [Values] bool wide, [Values(".shared", ".generic", "")] string space)
    {
        using WarpHarness warp = Warp();
        ulong window = space == ".shared" ? 0 : AddressSpace.SharedWindow;
        for (int lane = 0; lane < 32; lane++)
        {
            // Addresses of lanes past the last matrix are not used.
            ulong address = lane < 8 * matrices ? window + (ulong)Row(lane) * 16 - 32 : 0xffff_fff1;
            if (wide) warp.WideRegister(Address)[lane] = address;
            else warp.Register(Address)[lane] = (uint)address;
        }
        warp.RunList(Key(matrices, transposed, space), List(matrices, 64, wide));
        for (int matrix = 0; matrix < matrices; matrix++)
            for (int lane = 0; lane < 32; lane++)
                Assert.That(warp.Register(First + matrix)[lane], Is.EqualTo(Expected(matrix, lane, transposed, 2)),
                    $"matrix {matrix}, lane {lane}");
    }

    [Test]
    public void DestinationMayBeTheAddressRegister([Values] bool transposed)
    {
        using WarpHarness warp = Warp();
        for (int lane = 0; lane < 32; lane++) warp.Register(Address)[lane] = (uint)Row(lane) * 16;
        warp.RunList(Key(4, transposed), List(4, 0, false, first: Address));
        for (int matrix = 0; matrix < 4; matrix++)
            for (int lane = 0; lane < 32; lane++)
                Assert.That(warp.Register(Address + matrix)[lane], Is.EqualTo(Expected(matrix, lane, transposed, 0)));
    }

    [TestCase(4096 - 16, 0, null)]
    [TestCase(4096, 0, FaultKind.OutOfBounds)]
    [TestCase(0, -16, FaultKind.OutOfBounds)]
    [TestCase(8, 0, FaultKind.Misaligned)]
    [TestCase(4096 - 8, 0, FaultKind.Misaligned)]   // and out of bounds; alignment is looked at first
    [TestCase(0, 4, FaultKind.Misaligned)]
    public void BoundsAndAlignment_AreAlwaysChecked(int address, int offset, object? expected)
    {
        using WarpHarness warp = Warp();
        foreach (CheckFlags checks in new[] { CheckFlags.None, CheckFlags.All })
        {
            warp.Checks = checks;
            // The lanes before are fine; lane 5 is the one to be named.
            for (int lane = 0; lane < 32; lane++)
                warp.Register(Address)[lane] = (uint)(lane == 5 ? address : 64 - offset);
            if (expected is null)
            {
                Assert.That(() => warp.RunList(Key(1, false), List(1, offset, false)), Throws.Nothing);
                continue;
            }
            KernelFault fault = Assert.Throws<KernelFault>(() => warp.RunList(Key(1, false), List(1, offset, false)))!;
            Assert.That((fault.Kind, fault.Line, fault.Thread.X),
                Is.EqualTo(((FaultKind)expected, WarpHarness.Line, 32 + 5)));
        }
    }

    [Test]
    public void WideAndGenericAddressesOutsideTheWindow_AreFaults(
        [Values(0ul, 0x1_0000_0040ul, ulong.MaxValue - 15)] ulong address)
    {
        using WarpHarness warp = Warp();
        warp.WideRegister(Address).Fill(address);
        if (address != 0)
            Assert.That(() => warp.RunList(Key(1, false), List(1, 0, true)), Throws.TypeOf<KernelFault>());
        Assert.That(() => warp.RunList(Key(1, false, ".generic"), List(1, 0, true)), Throws.TypeOf<KernelFault>());
    }

    [Test]
    public void SinkAndAddressWithoutRegister()
    {
        using WarpHarness warp = Warp();
        int first = First * WarpHarness.RegisterBytes;
        warp.RunList(Key(2, false), [-1, 160, 0, -1, first]);   // all rows at byte 160 = element 80; "_" for matrix 0
        for (int lane = 0; lane < 32; lane++)
            Assert.That(warp.Register(First)[lane], Is.EqualTo((uint)(80 + lane % 4 * 2) * 0x10001 + 0x10000));
    }

    [Test]
    public void BlockWithoutSharedMemory_IsAFault()
    {
        using var warp = new WarpHarness();
        warp.Register(Address).Clear();
        Assert.That(() => warp.RunList(Key(1, false), List(1, 0, false)),
            Throws.TypeOf<KernelFault>().With.Property("Kind").EqualTo(FaultKind.OutOfBounds));
    }
}
