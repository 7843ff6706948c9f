// Instructions that exchange values between the lanes of a warp (PTX ISA 9.7.8.6, 9.7.12): shfl, vote, match, redux,
// activemask, with .sync and, for vote and shfl, in the older form without.
// Lanes that run together have arrived together, so nothing waits here: the members of an exchange are the active lanes
// that the membermask names. With the barrier check on, a membermask that names a living lane that is not here, that
// leaves out the lane itself, or that differs between members, is a fault; otherwise such lanes are left out.
// None of these order memory, so none counts as a synchronisation for the race check.
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Exec;
using static EpSam.VirtualGpu.Lanes.PredicateMask;

namespace EpSam.VirtualGpu.Lanes;

internal static unsafe class WarpOps
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [PtxWarp("shfl.sync.<up,down,bfly,idx>.b32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ShflSync(Warp* w, byte* f, int* o)   // d, p, a, b, c, membermask, mode
    {
        uint* members = (uint*)(f + o[5]);
        CheckMembers(w, members, o);
        Shuffle(w->Active, f, o, Vector512.Load(members), Vector512.Load(members + 16), o[6]);
    }

    [PtxWarp("shfl.<up,down,bfly,idx>.b32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Shfl(Warp* w, byte* f, int* o) =>    // d, p, a, b, c, mode
        Shuffle(w->Active, f, o, U32.AllBitsSet, U32.AllBitsSet, o[5]);

    static void Shuffle(uint active, byte* f, int* o, U32 members0, U32 members1, int mode)
    {
        uint* a = (uint*)(f + o[2]), b = (uint*)(f + o[3]), c = (uint*)(f + o[4]);
        U32 lanes0 = Vector512.Create(0u, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        U32 lanes1 = lanes0 + Vector512.Create(16u);
        U32 source0 = Source(mode, lanes0, Vector512.Load(b), Vector512.Load(c), out U32 inRange0);
        U32 source1 = Source(mode, lanes1, Vector512.Load(b + 16), Vector512.Load(c + 16), out U32 inRange1);
        U32 here = Vector512.Create(active);
        source0 = OwnUnlessMember(source0, lanes0, here & members0);
        source1 = OwnUnlessMember(source1, lanes1, here & members1);
        Pick(a, source0, source1, out U32 value0, out U32 value1);
        Store(f, o[0], active, value0, value1);
        StoreBits(f, o[1], active, Bits(inRange0) | (Bits(inRange1) << 16));
    }

    /// <summary>The lane that each lane reads, itself if that is not in range (ISA, shfl.sync, Semantics).</summary>
    [MethodImpl(Inline)]
    static U32 Source(int mode, U32 lane, U32 b, U32 c, out U32 inRange)
    {
        U32 five = Vector512.Create(31u), segment = (c >> 8) & five;
        U32 minLane = lane & segment, maxLane = minLane | Vector512.AndNot(c & five, segment);
        b &= five;
        U32 source;
        if (mode == 0)   // up: may come out negative
        {
            source = lane - b;
            inRange = Vector512.GreaterThanOrEqual(source.AsInt32(), maxLane.AsInt32()).AsUInt32();
        }
        else
        {
            source = mode == 1 ? lane + b : mode == 2 ? lane ^ b : minLane | Vector512.AndNot(b, segment);
            inRange = Vector512.LessThanOrEqual(source, maxLane);
        }
        return Vector512.ConditionalSelect(inRange, source, lane);
    }

    [MethodImpl(Inline)]
    static U32 OwnUnlessMember(U32 source, U32 lane, U32 members)
    {
        U32 member = IntegerWide.ShiftRight(members, source) & U32.One;
        return Vector512.ConditionalSelect(Vector512.Equals(member, U32.Zero), lane, source);
    }

    [MethodImpl(Inline)]
    static void Pick(uint* a, U32 source0, U32 source1, out U32 value0, out U32 value1)
    {
        if (Avx512F.IsSupported)
        {
            U32 a0 = Vector512.Load(a), a1 = Vector512.Load(a + 16);
            value0 = Avx512F.PermuteVar16x32x2(a0, source0, a1);
            value1 = Avx512F.PermuteVar16x32x2(a0, source1, a1);
            return;
        }
        uint* picked = stackalloc uint[32];   // apart: the destination may be the source
        for (int i = 0; i < 16; i++)
        {
            picked[i] = a[source0[i]];
            picked[16 + i] = a[source1[i]];
        }
        (value0, value1) = (Vector512.Load(picked), Vector512.Load(picked + 16));
    }

    [PtxWarp("vote.sync.<all,any,uni>.pred")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void VoteSync(Warp* w, byte* f, int* o)   // d, p, membermask, mode
    {
        uint* members = (uint*)(f + o[2]);
        uint votes = *(uint*)(f + o[1]);
        CheckMembers(w, members, o);
        for (uint left = w->Active; left != 0;)
        {
            uint asking = NextGroup(ref left, w->Active, members, out uint group);
            StoreBits(f, o[0], asking, Vote(votes, group, o[3]) ? ~0u : 0);
        }
    }

    [PtxWarp("vote.<all,any,uni>.pred")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void VoteOld(Warp* w, byte* f, int* o) =>   // d, p, mode
        StoreBits(f, o[0], w->Active, Vote(*(uint*)(f + o[1]), w->Active, o[2]) ? ~0u : 0);

    static bool Vote(uint votes, uint group, int mode)
    {
        uint ayes = votes & group;
        return mode switch { 0 => ayes == group, 1 => ayes != 0, _ => ayes == 0 || ayes == group };
    }

    [PtxWarp("vote.sync.ballot.b32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void BallotSync(Warp* w, byte* f, int* o)   // d, p, membermask
    {
        uint* members = (uint*)(f + o[2]);
        uint votes = *(uint*)(f + o[1]);
        CheckMembers(w, members, o);
        for (uint left = w->Active; left != 0;)
        {
            uint asking = NextGroup(ref left, w->Active, members, out uint group);
            Fill(f, o[0], asking, votes & group);
        }
    }

    [PtxWarp("vote.ballot.b32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void BallotOld(Warp* w, byte* f, int* o) =>   // d, p
        Fill(f, o[0], w->Active, *(uint*)(f + o[1]) & w->Active);

    [PtxWarp("activemask.b32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ActiveMask(Warp* w, byte* f, int* o) => Fill(f, o[0], w->Active, w->Active);

    [PtxWarp("match.any.sync.<b32,b64>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MatchAny(Warp* w, byte* f, int* o)   // d, a, membermask, width
    {
        uint* members = (uint*)(f + o[2]);
        CheckMembers(w, members, o);
        // The destination may be the source or the membermask: collect first.
        U32* result = stackalloc U32[2];
        for (uint left = w->Active; left != 0;)
        {
            uint asking = NextGroup(ref left, w->Active, members, out uint group);
            while (asking != 0)
            {
                uint equal = Equal(f + o[1], BitOperations.TrailingZeroCount(asking), o[3]) & group;
                Fill((byte*)result, 0, equal & asking, equal);
                asking &= ~equal;
            }
        }
        Store(f, o[0], w->Active, result[0], result[1]);
    }

    [PtxWarp("match.all.sync.<b32,b64>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MatchAll(Warp* w, byte* f, int* o)   // d, p, a, membermask, width
    {
        uint* members = (uint*)(f + o[3]);
        CheckMembers(w, members, o);
        U32* result = stackalloc U32[2];
        uint all = 0;
        for (uint left = w->Active; left != 0;)
        {
            uint asking = NextGroup(ref left, w->Active, members, out uint group);
            bool same = (group & ~Equal(f + o[2], BitOperations.TrailingZeroCount(group), o[4])) == 0;
            Fill((byte*)result, 0, asking, same ? group : 0);
            if (same) all |= asking;
        }
        Store(f, o[0], w->Active, result[0], result[1]);
        StoreBits(f, o[1], w->Active, all);
    }

    /// <summary>The lanes whose value equals that of one lane.</summary>
    static uint Equal(byte* a, int lane, int wide)
    {
        if (wide == 0)
        {
            U32 value = Vector512.Create(((uint*)a)[lane]);
            return Bits(Vector512.Equals(Vector512.Load((uint*)a), value))
                | (Bits(Vector512.Equals(Vector512.Load((uint*)a + 16), value)) << 16);
        }
        U64 value64 = Vector512.Create(((ulong*)a)[lane]);
        uint equal = 0;
        for (int i = 0; i < 32; i += 8) equal |= Bits(Vector512.Equals(Vector512.Load((ulong*)a + i), value64)) << i;
        return equal;
    }

    [PtxWarp("redux.sync.<add,min,max>.<u32,s32>")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Redux(Warp* w, byte* f, int* o) => Reduce(w, f, o, o[3] == 0 ? 0 : 2 * o[3] - 1 + o[4]);

    [PtxWarp("redux.sync.<and,or,xor>.b32")]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ReduxBits(Warp* w, byte* f, int* o) => Reduce(w, f, o, 5 + o[3]);

    static void Reduce(Warp* w, byte* f, int* o, int operation)   // d, a, membermask
    {
        uint* members = (uint*)(f + o[2]), a = (uint*)(f + o[1]);
        CheckMembers(w, members, o);
        U32* result = stackalloc U32[2];
        for (uint left = w->Active; left != 0;)
        {
            uint asking = NextGroup(ref left, w->Active, members, out uint group);
            uint sum = a[BitOperations.TrailingZeroCount(group)];
            for (uint rest = group & (group - 1); rest != 0; rest &= rest - 1)
            {
                sum = Combine(operation, sum, a[BitOperations.TrailingZeroCount(rest)]);
            }
            Fill((byte*)result, 0, asking, sum);
        }
        Store(f, o[0], w->Active, result[0], result[1]);
    }

    static uint Combine(int operation, uint a, uint b) => operation switch
    {
        0 => a + b,
        1 => Math.Min(a, b),
        2 => Scalar.MinS32(a, b),
        3 => Math.Max(a, b),
        4 => Scalar.MaxS32(a, b),
        5 => a & b,
        6 => a | b,
        _ => a ^ b,
    };

    /// <summary>
    /// Takes out of <paramref name="left"/> the lanes that name the same members as its first lane and returns them;
    /// <paramref name="group"/> are the lanes they exchange values with.
    /// </summary>
    static uint NextGroup(ref uint left, uint active, uint* members, out uint group)
    {
        uint mask = members[BitOperations.TrailingZeroCount(left)];
        uint asking = left & Equal((byte*)members, BitOperations.TrailingZeroCount(left), 0);
        left &= ~asking;
        group = (mask & active) | asking;
        return asking;
    }

    [MethodImpl(Inline)]
    static void Store(byte* f, int offset, uint lanes, U32 value0, U32 value1)
    {
        if (offset < 0) return;   // the sink
        uint* d = (uint*)(f + offset);
        if (lanes != ~0u)
        {
            value0 = Vector512.ConditionalSelect(Mask32(lanes), value0, Vector512.Load(d));
            value1 = Vector512.ConditionalSelect(Mask32(lanes >> 16), value1, Vector512.Load(d + 16));
        }
        value0.Store(d);
        value1.Store(d + 16);
    }

    [MethodImpl(Inline)]
    static void Fill(byte* f, int offset, uint lanes, uint value) =>
        Store(f, offset, lanes, Vector512.Create(value), Vector512.Create(value));

    [MethodImpl(Inline)]
    static void StoreBits(byte* f, int offset, uint lanes, uint bits)
    {
        if (offset < 0) return;   // absent, or the sink
        uint* p = (uint*)(f + offset);
        *p = (*p & ~lanes) | (bits & lanes);
    }

    [MethodImpl(Inline)]
    static void CheckMembers(Warp* w, uint* members, int* o)
    {
        if ((w->Block->Checks & (int)CheckFlags.Barriers) != 0) Verify(w, members, o);
    }

    static void Verify(Warp* w, uint* members, int* o)
    {
        for (uint left = w->Active; left != 0;)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            uint mask = members[lane], asking = NextGroup(ref left, w->Active, members, out _);
            uint outside = asking & ~mask, absent = mask & w->Live & ~w->Active, different = mask & w->Active & ~asking;
            if (outside != 0)
            {
                lane = BitOperations.TrailingZeroCount(outside);
                throw Fault(w, o, lane, $"lane {lane} executes, but is not in its membermask 0x{mask:x8}");
            }
            if (absent != 0)
                throw Fault(w, o, lane, $"membermask 0x{mask:x8} names lanes 0x{absent:x8}, which are elsewhere");
            if (different != 0)
                throw Fault(w, o, lane, $"membermask 0x{mask:x8} names lanes 0x{different:x8}, whose own is another");
        }
    }

    static KernelFault Fault(Warp* w, int* o, int lane, string detail) =>
        Faults.At(FaultKind.DivergentBarrier, detail, w, o[-1], lane);
}
