// atom and red against values worked out by hand, in every space; atomicity with two threads.
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;
using EpSam.VirtualGpu.Exec;
using EpSam.VirtualGpu.Lanes;

namespace EpSam.VirtualGpu.Tests.Memory;

public sealed unsafe class AtomicTests
{
    // op.type, memory before, b, c, memory after. The returned value is always the memory before.
    static readonly object[] s_rows =
    [
        new object[] { "and.b32", 0xFF00FF00UL, 0x0FF00FF0UL, 0UL, 0x0F000F00UL },
        new object[] { "or.b32", 0xFF00FF00UL, 0x0FF00FF0UL, 0UL, 0xFFF0FFF0UL },
        new object[] { "xor.b32", 0xFF00FF00UL, 0x0FF00FF0UL, 0UL, 0xF0F0F0F0UL },
        new object[] { "exch.b32", 1UL, 0xDEADBEEFUL, 0UL, 0xDEADBEEFUL },
        new object[] { "cas.b32", 7UL, 7UL, 9UL, 9UL },
        new object[] { "cas.b32", 7UL, 8UL, 9UL, 7UL },
        new object[] { "cas.b16", 0x1234UL, 0xFFFF1234UL, 0xABCDUL, 0xABCDUL },
        new object[] { "cas.b16", 0x1234UL, 0x1235UL, 0xABCDUL, 0x1234UL },
        new object[] { "and.b64", 0xFF00FF00FF00FF00UL, 0x0FF00FF00FF00FF0UL, 0UL, 0x0F000F000F000F00UL },
        new object[] { "or.b64", 0x8000000000000000UL, 1UL, 0UL, 0x8000000000000001UL },
        new object[] { "xor.b64", ulong.MaxValue, 1UL, 0UL, 0xFFFFFFFFFFFFFFFEUL },
        new object[] { "exch.b64", 1UL, 0x0123456789ABCDEFUL, 0UL, 0x0123456789ABCDEFUL },
        new object[] { "cas.b64", 0x100000007UL, 7UL, 9UL, 0x100000007UL },
        new object[] { "cas.b64", 0x100000007UL, 0x100000007UL, 9UL, 9UL },
        new object[] { "add.u32", 0xFFFFFFFFUL, 2UL, 0UL, 1UL },
        new object[] { "add.s32", 5UL, 0xFFFFFFFAUL, 0UL, 0xFFFFFFFFUL },
        new object[] { "add.u64", 0xFFFFFFFFUL, 1UL, 0UL, 0x100000000UL },
        new object[] { "min.u32", 0xFFFFFFFFUL, 2UL, 0UL, 2UL },
        new object[] { "min.s32", 0xFFFFFFFFUL, 2UL, 0UL, 0xFFFFFFFFUL },
        new object[] { "max.u32", 0xFFFFFFFFUL, 2UL, 0UL, 0xFFFFFFFFUL },
        new object[] { "max.s32", 0x80000000UL, 2UL, 0UL, 2UL },
        new object[] { "min.u64", ulong.MaxValue, 2UL, 0UL, 2UL },
        new object[] { "min.s64", ulong.MaxValue, 2UL, 0UL, ulong.MaxValue },
        new object[] { "max.u64", ulong.MaxValue, 2UL, 0UL, ulong.MaxValue },
        new object[] { "max.s64", 0x8000000000000000UL, 2UL, 0UL, 2UL },
        new object[] { "inc.u32", 4UL, 5UL, 0UL, 5UL },
        new object[] { "inc.u32", 5UL, 5UL, 0UL, 0UL },
        new object[] { "inc.u32", 6UL, 5UL, 0UL, 0UL },
        new object[] { "dec.u32", 4UL, 5UL, 0UL, 3UL },
        new object[] { "dec.u32", 0UL, 5UL, 0UL, 5UL },
        new object[] { "dec.u32", 6UL, 5UL, 0UL, 5UL },
        new object[] { "add.f32", 0x3F800000UL, 0x40000000UL, 0UL, 0x40400000UL },    // 1 + 2
        new object[] { "add.f32", 0x7F800000UL, 0xFF800000UL, 0UL, 0x7FFFFFFFUL },    // inf - inf
        new object[] { "add.f64", 0x3FF0000000000000UL, 0x4000000000000000UL, 0UL, 0x4008000000000000UL },
        new object[] { "add.f16", 0x3C00UL, 0x4000UL, 0UL, 0x4200UL },                // 1 + 2
        new object[] { "add.f16", 0x0001UL, 0x0001UL, 0UL, 0x0002UL },                // subnormals are kept
        new object[] { "add.f16", 0x6800UL, 0x3C00UL, 0UL, 0x6800UL },                // 2048 + 1, tie to even
        new object[] { "add.f16", 0x7BFFUL, 0x7BFFUL, 0UL, 0x7C00UL },                // overflow
        new object[] { "add.f16x2", 0x4000_3C00UL, 0x3C00_3C00UL, 0UL, 0x4200_4000UL },
        new object[] { "add.bf16", 0x3F80UL, 0x4000UL, 0UL, 0x4040UL },               // 1 + 2
        new object[] { "add.bf16", 0x4380UL, 0x3F80UL, 0UL, 0x4380UL },               // 256 + 1, tie to even
        new object[] { "add.bf16", 0x4380UL, 0x4040UL, 0UL, 0x4382UL },               // 256 + 3 = 259 -> 260
        new object[] { "add.bf16x2", 0x4000_3F80UL, 0x3F80_3F80UL, 0UL, 0x4040_4000UL },
    ];

    [TestCaseSource(nameof(s_rows))]
    public void Atom_OneLane_GivesOldAndUpdates(string op, ulong before, ulong b, ulong c, ulong after)
    {
        foreach (string space in new[] { "global", "shared", "generic" })
        {
            foreach (CheckFlags checks in new[] { CheckFlags.None, CheckFlags.All })
            {
                int size = op.EndsWith("64") ? 8 : op.EndsWith("16") ? 2 : 4;
                using var rig = new MemoryRig(checks);
                ulong a = rig.Device(64, _ => 0x55);
                byte* p = space == "shared" ? rig.Block->Shared + 16 : AddressSpace.ToHost(a + 16);
                int[] address = rig.At(_ => space == "shared" ? 16 : a + 16);
                int value = size == 8 ? rig.W64(_ => before) : rig.W32(_ => (uint)before);
                int rb = size == 8 ? rig.W64(_ => b) : rig.W32(_ => (uint)b);
                int rc = size == 8 ? rig.W64(_ => c) : rig.W32(_ => (uint)c);
                int d = rig.W64(_ => 0x7777777777777777);
                rig.Warp->Active = 1 << 9;
                foreach (bool red in new[] { false, true })
                {
                    if (red && op[0] is 'e' or 'c')
                        continue;
                    rig.Run($"st.{space}.b{size * 8}", address, value);
                    if (red)
                        rig.Run($"red.{space}.{op}", address, rb);
                    else
                        rig.Run($"atom.{space}.{op}", address, d, rb, op.StartsWith("cas") ? rc : -1);
                    ulong now = 0;
                    for (int i = 0; i < size; i++)
                        now |= (ulong)p[i] << 8 * i;
                    Assert.That(now, Is.EqualTo(after), $"{space} {op}");
                }
                Assert.That(size == 8 ? rig.Get64(d, 9) : rig.Get32(d, 9), Is.EqualTo(before));
                Assert.That(rig.Get32(d, 8), Is.EqualTo(0x77777777), "an inactive lane");
            }
        }
    }

    // PTX ISA, atom: .add.f32 flushes subnormals in global memory, not in shared memory.
    [TestCase("global", 0u)]
    [TestCase("shared", 3u)]
    public void AtomAddF32_Subnormals(string space, uint expected)
    {
        using var rig = new MemoryRig();
        ulong a = space == "global" ? rig.Device(4, _ => 0) : 0;
        byte* p = space == "global" ? AddressSpace.ToHost(a) : rig.Block->Shared;
        *(uint*)p = 1;
        rig.Warp->Active = 1;
        rig.Run($"red.{space}.add.f32", rig.At(_ => a), rig.W32(_ => 2));
        Assert.That(*(uint*)p, Is.EqualTo(expected));
    }

    [Test]
    public void Atom_LanesInOrder()
    {
        using var rig = new MemoryRig();
        ulong a = rig.Device(4, _ => 0);
        int d = rig.W32();
        rig.Warp->Active = 0xFFFF_FFF0;
        rig.Run("atom.global.add.u32", rig.At(_ => a), d, rig.W32(l => (uint)l), -1);
        for (int lane = 4; lane < 32; lane++)
            Assert.That(rig.Get32(d, lane), Is.EqualTo(lane * (lane - 1) / 2 - 6)); // 4 + 5 + … + (lane - 1)
        Assert.That(*(uint*)AddressSpace.ToHost(a), Is.EqualTo(496 - 6));
    }

    [Test]
    public void Atom_OfTwoThreads_LosesNothing(
        [Values("add.u32", "add.u64", "add.f32", "add.f16", "inc.u32")] string op)
    {
        const int Rounds = 1000;
        using var rig = new MemoryRig(warps: 2);
        ulong a = rig.Device(8, _ => 0);
        int[] address = rig.At(_ => a);
        int one = op switch
        {
            "add.u64" => rig.W64(_ => 1),
            "add.f32" => rig.W32(_ => 0x3F80_0000),
            "add.f16" => rig.W32(_ => 0x0001), // 2^-24: exact up to 2048 of them
            "inc.u32" => rig.W32(_ => uint.MaxValue),
            _ => rig.W32(_ => 1),
        };
        uint lanes = op == "add.f16" ? 1u : uint.MaxValue;
        rig.Warp[0].Active = rig.Warp[1].Active = lanes;
        var threads = new Thread[2];
        for (int t = 0; t < 2; t++)
        {
            int warp = t;
            threads[t] = new Thread(() =>
            {
                for (int i = 0; i < Rounds; i++)
                    rig.RunWarp(warp, $"red.global.{op}", [.. address, one]);
            });
        }
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());
        int expected = 2 * Rounds * (lanes == 1 ? 1 : 32);
        byte* p = AddressSpace.ToHost(a);
        ulong result = op switch
        {
            "add.f32" => (ulong)*(float*)p,
            "add.f16" => *(ushort*)p,
            _ => *(ulong*)p,
        };
        Assert.That(result, Is.EqualTo(expected));
    }

    [Test]
    public void Atom_Misaligned_FaultsEvenWithoutChecks()
    {
        using var rig = new MemoryRig();
        ulong a = rig.Device(64, _ => 0);
        KernelFault fault = Assert.Throws<KernelFault>(() =>
            rig.Run("red.global.add.u32", rig.At(l => a + (l == 3 ? 2UL : 0)), rig.W32(_ => 1)));
        Assert.That(fault.Kind, Is.EqualTo(FaultKind.Misaligned));
        Assert.That(fault.Thread, Is.EqualTo(new Dim3(3, 0, 0)));
    }

    [Test]
    public void Table_HasNoOperationThatPtxHasNot()
    {
        foreach (string key in new[] { "atom.global.and.f32", "atom.global.inc.s32", "atom.global.add.s64",
            "red.global.exch.b32", "red.global.cas.b32", "atom.global.min.f32", "st.param.b32", "ld.global.v4.b64" })
            Assert.That(LaneTable.TryWarp(key, false, out _), Is.False, key);
    }
}
