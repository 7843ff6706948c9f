// Warp exchange instructions, called through the lane table on a warp of our own making. Expected values are computed
// lane by lane from the ISA's pseudo-code (Shfl below), or written out.
using System.Runtime.InteropServices;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Exec;
using EpSam.VirtualGpu.Lanes;

namespace EpSam.VirtualGpu.Tests.Lanes;

public sealed unsafe class WarpOpsTests
{
    const uint Old = 0xdeadbeef;    // what destinations hold before
    const int Slot = 256;           // bytes of a register in the frame

    /// <summary>Operands are registers of 32 values, or predicates (isPredicate), or absent (null).</summary>
    sealed record Operand(uint[]? Values = null, ulong[]? Wide = null, uint? Predicate = null)
    {
        public static Operand All(uint value) => new([.. Enumerable.Repeat(value, 32)]);
    }

    static (uint[][] Registers, uint[] Predicates) Run(string key, uint active, Operand?[] operands,
        uint live = ~0u, CheckFlags checks = CheckFlags.None, int[]? shared = null)
    {
        Assert.That(LaneTable.TryWarp(key, checks != CheckFlags.None, out LaneMethod? method), Is.True, key);
        byte* frame = (byte*)NativeMemory.AlignedAlloc((nuint)(Slot * operands.Length), 64);
        try
        {
            BlockState block = new()
            {
                Checks = (int)checks, ThreadsX = 40, ThreadsY = 2, ThreadsZ = 1, BlockX = 3, BlockY = 4, BlockZ = 5,
            };
            Warp warp = new() { Active = active, Live = live, Block = &block, Frame = frame, Index = 1 };
            int[] layout = [77, .. Enumerable.Range(0, operands.Length).Select(i =>
                operands[i] is null ? -1 : Slot * (shared?[i] ?? i)), .. method!.Choices];
            for (int i = 0; i < operands.Length; i++) Write(frame + Slot * i, operands[i]);
            fixed (int* o = layout)
                method.Method.CreateDelegate<WarpMethod>()(&warp, frame, o + 1);
            Assert.That(warp.Active, Is.EqualTo(active), "the active lanes are not the method's to change");
            return ([.. operands.Select((_, i) => new ReadOnlySpan<uint>(frame + Slot * i, 32).ToArray())],
                [.. operands.Select((_, i) => *(uint*)(frame + Slot * i))]);
        }
        finally { NativeMemory.AlignedFree(frame); }
    }

    delegate void WarpMethod(Warp* w, byte* f, int* o);

    static void Write(byte* slot, Operand? operand)
    {
        if (operand?.Values is uint[] values) values.CopyTo(new Span<uint>(slot, 32));
        if (operand?.Wide is ulong[] wide) wide.CopyTo(new Span<ulong>(slot, 32));
        if (operand?.Predicate is uint predicate) *(uint*)slot = predicate;
    }

    static readonly string[] modes = ["up", "down", "bfly", "idx"];
    static readonly Operand dst = Operand.All(Old);
    static readonly Operand lanes = new([.. Enumerable.Range(0, 32).Select(i => 100u + (uint)i)]);

    /// <summary>The pseudo-code of shfl.sync in the ISA, for one lane.</summary>
    static (int Source, bool InRange) Shfl(string mode, int lane, uint b, uint c)
    {
        int bval = (int)(b & 31), cval = (int)(c & 31), mask = (int)(c >> 8 & 31);
        int maxLane = (lane & mask) | (cval & ~mask & 31), minLane = lane & mask;
        (int j, bool inRange) = mode switch
        {
            "up" => (lane - bval, lane - bval >= maxLane),
            "down" => (lane + bval, lane + bval <= maxLane),
            "bfly" => (lane ^ bval, (lane ^ bval) <= maxLane),
            _ => (minLane | (bval & ~mask), (minLane | (bval & ~mask)) <= maxLane),
        };
        return (inRange ? j : lane, inRange);
    }

    [Test]
    public void ShflFollowsTheIsa([Values("up", "down", "bfly", "idx")] string mode, [Values] bool sync,
        [Values(0xffffffffu, 0x0000ffffu, 0x80000001u, 0x5555aaaau)] uint active)
    {
        foreach (uint b in (uint[])[0, 1, 5, 16, 31, 32, ~0u])
        {
            foreach (uint c in (uint[])[0x1f, 0, 0x1c1f, 0x100f, 0x1800, 0x0710, ~0u])
                CheckShfl(mode, sync, active, b, c);
        }
    }

    static void CheckShfl(string mode, bool sync, uint active, uint b, uint c)
    {
        const uint OldPredicate = 0x0f0f0f0f;
        Operand?[] operands = [dst, new(Predicate: OldPredicate), lanes, Operand.All(b), Operand.All(c)];
        if (sync) operands = [.. operands, Operand.All(~0u)];
        var (registers, predicates) = Run($"shfl.{(sync ? "sync." : "")}{mode}.b32", active, operands);
        for (int lane = 0; lane < 32; lane++)
        {
            (int source, bool inRange) = Shfl(mode, lane, b, c);
            if ((active >> source & 1) == 0) source = lane;
            bool isActive = (active >> lane & 1) != 0;
            uint value = isActive ? 100u + (uint)source : Old;
            uint predicate = isActive ? (inRange ? 1u : 0) : OldPredicate >> lane & 1;
            if (registers[0][lane] != value || (predicates[1] >> lane & 1) != predicate)
                Assert.Fail($"b {b:x} c {c:x} lane {lane}: {registers[0][lane]}, expected {value} with {predicate}");
        }
    }

    [Test]
    public void ShflTakesAnOffsetOfEachLanesOwn()
    {
        var random = new Random(5);
        for (int round = 0; round < 50; round++)
        {
            string mode = modes[round % modes.Length];
            uint[] b = Any(random), c = Any(random);
            var (registers, _) = Run($"shfl.sync.{mode}.b32", ~0u,
                [dst, null, lanes, new(b), new(c), Operand.All(~0u)]);
            for (int lane = 0; lane < 32; lane++)
                Assert.That(registers[0][lane], Is.EqualTo(100u + (uint)Shfl(mode, lane, b[lane], c[lane]).Source));
        }
    }

    static uint[] Any(Random random) => [.. Enumerable.Range(0, 32).Select(_ => (uint)random.NextInt64(1L << 32))];

    [Test]
    public void AButterflyOverItsOwnSourceSumsTheWarp()
    {
        uint[] sums = [.. Enumerable.Range(1, 32).Select(i => (uint)i)];
        for (uint distance = 16; distance > 0; distance /= 2)
        {
            // The destination is the source register.
            var (registers, _) = Run("shfl.sync.bfly.b32", ~0u,
                [new(sums), null, new(sums), Operand.All(distance), Operand.All(31), Operand.All(~0u)],
                shared: [0, 1, 0, 3, 4, 5]);
            for (int i = 0; i < 32; i++) sums[i] += registers[0][i];
        }
        Assert.That(sums, Is.All.EqualTo(32u * 33 / 2));
    }

    [Test]
    public void ShflReadsItselfWhereTheSourceIsNoMember()
    {
        // Lanes 0..15 exchange among themselves, lanes 16..31 too; bfly 16 leaves both halves.
        uint[] members = [.. Enumerable.Range(0, 32).Select(i => i < 16 ? 0xffffu : 0xffff0000u)];
        var (registers, _) = Run("shfl.sync.bfly.b32", ~0u,
            [dst, null, lanes, Operand.All(16), Operand.All(31), new(members)], checks: CheckFlags.All);
        Assert.That(registers[0], Is.EqualTo(lanes.Values));
    }

    [TestCase("all", 0xffffffffu, true)]
    [TestCase("all", 0xfffffffeu, false)]
    [TestCase("any", 0u, false)]
    [TestCase("any", 0x80000000u, true)]
    [TestCase("uni", 0u, true)]
    [TestCase("uni", 0xffffffffu, true)]
    [TestCase("uni", 1u, false)]
    public void VotesOfTheWholeWarp(string mode, uint votes, bool expected)
    {
        Operand d = new(Predicate: 0), p = new(Predicate: votes);
        var (_, sync) = Run($"vote.sync.{mode}.pred", ~0u, [d, p, Operand.All(~0u)]);
        var (_, old) = Run($"vote.{mode}.pred", ~0u, [d, p]);
        Assert.That((sync[0], old[0]), Is.EqualTo(expected ? (~0u, ~0u) : (0u, 0u)));
    }

    [Test]
    public void VotesCountActiveMembersOnlyAndLeaveOthersAlone()
    {
        // Active 0..15; lanes 0..7 vote among themselves (all yes), 8..15 too (8 says no).
        uint[] members = [.. Enumerable.Range(0, 32).Select(i => i < 8 ? 0xffu : 0xff00u)];
        Operand p = new(Predicate: 0xfffff0ffu & ~0x100u | 0xe00u), d = new(Predicate: 0xaaaa5555);
        var (_, all) = Run("vote.sync.all.pred", 0xffff, [d, p, new(members)]);
        Assert.That(all[0], Is.EqualTo(0xaaaa00ffu));
        var (_, any) = Run("vote.sync.any.pred", 0xffff, [d, p, new(members)]);
        Assert.That(any[0], Is.EqualTo(0xaaaaffffu));
        var (ballot, _) = Run("vote.sync.ballot.b32", 0xffff, [dst, p, new(members)]);
        Assert.That(ballot[0][..8], Is.All.EqualTo(0xffu));
        Assert.That(ballot[0][8..16], Is.All.EqualTo(p.Predicate!.Value & 0xff00));
        Assert.That(ballot[0][16..], Is.All.EqualTo(Old));
    }

    [Test]
    public void BallotAndActivemaskOfADivergedWarp()
    {
        var (sync, _) = Run("vote.sync.ballot.b32", 0x0ff0, [dst, new(Predicate: 0xf3f), Operand.All(~0u)]);
        var (old, _) = Run("vote.ballot.b32", 0x0ff0, [dst, new(Predicate: 0xf3f)]);
        var (mask, _) = Run("activemask.b32", 0x0ff0, [dst]);
        for (int lane = 0; lane < 32; lane++)
        {
            bool active = lane is >= 4 and < 12;
            uint[] results = [sync[0][lane], old[0][lane], mask[0][lane]];
            uint[] expected = active ? [0xf30, 0xf30, 0xff0] : [Old, Old, Old];
            Assert.That(results, Is.EqualTo(expected), $"lane {lane}");
        }
    }

    [Test]
    public void MatchAnyGroupsEqualValues([Values] bool wide, [Values(~0u, 0x00ffff0fu)] uint active)
    {
        // Values repeat every 5 lanes; 64-bit ones agree in their lower halves but for lane 31.
        ulong[] values = [.. Enumerable.Range(0, 32).Select(i => (ulong)(i % 5) << (wide ? 32 : 0))];
        values[31] = wide ? 1ul : 77;
        Operand a = wide ? new(Wide: values) : new([.. values.Select(v => (uint)v)]);
        var (registers, _) = Run($"match.any.sync.{(wide ? "b64" : "b32")}", active, [dst, a, Operand.All(~0u)]);
        for (int lane = 0; lane < 32; lane++)
        {
            uint equal = 0;
            for (int i = 0; i < 32; i++) if (values[i] == values[lane]) equal |= 1u << i;
            uint expected = (active >> lane & 1) != 0 ? equal & active : Old;
            Assert.That(registers[0][lane], Is.EqualTo(expected), $"lane {lane}");
        }
    }

    [Test]
    public void MatchAllTellsOneValueFromSeveral([Values] bool wide, [Values] bool withPredicate)
    {
        ulong[] values = [.. Enumerable.Repeat(7ul << (wide ? 40 : 0), 32)];
        values[31]++;
        Operand a = wide ? new(Wide: values) : new([.. values.Select(v => (uint)v)]);
        Operand? p = withPredicate ? new(Predicate: 0x80000000) : null;
        string key = $"match.all.sync.{(wide ? "b64" : "b32")}";
        var (same, isSame) = Run(key, 0x7fffffff, [dst, p, a, Operand.All(~0u)]);
        var (other, isOther) = Run(key, ~0u, [dst, p, a, Operand.All(~0u)]);
        Assert.That(same[0], Is.EqualTo((uint[])[.. Enumerable.Repeat(0x7fffffffu, 31), Old]));
        Assert.That(other[0], Is.All.Zero);
        if (withPredicate) Assert.That((isSame[1], isOther[1]), Is.EqualTo((~0u, 0u)));
    }

    [TestCase("add.u32", 0xffffffe0u)]   // 31 × -1 - 1
    [TestCase("add.s32", 0xffffffe0u)]
    [TestCase("min.u32", 5u)]
    [TestCase("max.u32", 0xffffffffu)]
    [TestCase("min.s32", 0x80000000u)]
    [TestCase("max.s32", 5u)]
    [TestCase("and.b32", 0u)]
    [TestCase("or.b32", 0xffffffffu)]
    [TestCase("xor.b32", 0x80000005u)]
    public void ReduxOfMostlyMinusOne(string operation, uint expected)
    {
        uint[] values = [.. Enumerable.Repeat(~0u, 32)];
        (values[3], values[30]) = (5, 0x80000000);
        if (operation.StartsWith("add")) values = [.. Enumerable.Repeat(~0u, 32)];
        var (registers, _) = Run($"redux.sync.{operation}", ~0u, [dst, new(values), Operand.All(~0u)],
            checks: CheckFlags.All);
        Assert.That(registers[0], Is.All.EqualTo(expected));
    }

    [Test]
    public void ReduxIsOverActiveMembers()
    {
        uint[] members = [.. Enumerable.Range(0, 32).Select(i => i % 2 == 0 ? 0x55555555u : 0xaaaaaaaau)];
        var (registers, _) = Run("redux.sync.add.u32", 0xff, [dst, lanes, new(members)]);
        Assert.That(registers[0][..8], Is.EqualTo(new uint[] { 412, 416, 412, 416, 412, 416, 412, 416 }));
        Assert.That(registers[0][8..], Is.All.EqualTo(Old));
    }

    // Lane 5 of warp 1 is thread 37 of a block 40 × 2; lane 8 is thread 40 = (0,1,0).
    [TestCase(0x0000ff00u, ~0u, 0xffffffffu, "names lanes 0xffff00ff", 0, 1)]
    [TestCase(0x00000020u, ~0u, 0x00000010u, "lane 5 executes, but is not", 37, 0)]
    public void AMembermaskThatDoesNotFitIsAFault(uint active, uint live, uint mask, string text, int x, int y)
    {
        foreach (string key in (string[])["shfl.sync.idx.b32", "vote.sync.all.pred", "vote.sync.ballot.b32",
            "match.any.sync.b32", "match.all.sync.b64", "redux.sync.or.b32"])
        {
            Operand?[] operands = key[0] == 's' ? [dst, null, lanes, lanes, lanes, Operand.All(mask)]
                : key.Contains("match.all") ? [dst, null, new(Wide: new ulong[32]), Operand.All(mask)]
                : [dst, lanes, Operand.All(mask)];
            var fault = Assert.Throws<KernelFault>(() => Run(key, active, operands, live, CheckFlags.Barriers))!;
            Assert.Multiple(() =>
            {
                Assert.That(fault.Kind, Is.EqualTo(FaultKind.DivergentBarrier), key);
                Assert.That(fault.Detail, Does.Contain(text), key);
                Assert.That(fault.Line, Is.EqualTo(77), key);
                Assert.That(fault.Block, Is.EqualTo(new Dim3(3, 4, 5)), key);
                Assert.That(fault.Thread, Is.EqualTo(new Dim3(x, y, 0)), key);
            });
            Assert.That(() => Run(key, active, operands, live), Throws.Nothing, "no check, no fault");
        }
    }

    [Test]
    public void MembersThatDisagreeAreAFault()
    {
        uint[] members = [.. Enumerable.Range(0, 32).Select(i => i == 9 ? 0x00000300u : ~0u)];
        var fault = Assert.Throws<KernelFault>(() => Run("vote.sync.any.pred", ~0u,
            [new(Predicate: 0), new(Predicate: 0), new(members)], checks: CheckFlags.All))!;
        Assert.That(fault.Detail, Does.Contain("whose own is another"));
    }

    [Test]
    public void LanesThatHaveExitedMayBeNamed() =>
        Assert.That(() => Run("vote.sync.any.pred", 0xffff, [new(Predicate: 0), new(Predicate: 0), Operand.All(~0u)],
            live: 0xffff, checks: CheckFlags.All), Throws.Nothing);
}
