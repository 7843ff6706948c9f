// A warp, its block and its memories made by hand, so that warp methods can be called without a kernel. Instructions
// are looked up by key as the builder does. Registers are given out in a poisoned frame; everything is native memory.
using System.Runtime.InteropServices;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;
using EpSam.VirtualGpu.Exec;
using EpSam.VirtualGpu.Lanes;

namespace EpSam.VirtualGpu.Tests.Memory;

internal sealed unsafe class MemoryRig : IDisposable
{
    const int FrameBytes = 64 << 10;
    readonly List<nint> _native = [];
    readonly CheckFlags _checks;
    readonly bool _counting;
    int _next;

    public readonly BlockState* Block;
    public readonly Warp* Warp;        // of warp 0
    public readonly byte* Frame;
    public readonly Heap Heap;
    public int Line = 100;

    public MemoryRig(CheckFlags checks = CheckFlags.None, int sharedBytes = 4096, int localBytes = 256,
        int paramBytes = 512, int warps = 1, bool counting = false)
    {
        _checks = checks;
        _counting = counting;
        Heap = new Heap(1L << 30, checks);
        Block = (BlockState*)Native(sizeof(BlockState));
        Warp = (Warp*)Native(sizeof(Warp) * warps);
        Frame = Native(FrameBytes);
        new Span<byte>(Frame, FrameBytes).Fill(0xCD);
        *Block = new BlockState
        {
            Shared = Native(sharedBytes), SharedBytes = sharedBytes,
            Param = Native(paramBytes), ParamBytes = paramBytes,
            BlockX = 3, BlockY = 2, BlockZ = 1, GridX = 8, GridY = 8, GridZ = 8,
            ThreadsX = 32, ThreadsY = warps, ThreadsZ = 1, WarpCount = warps, Checks = (int)checks,
        };
        if ((checks & (CheckFlags.Races | CheckFlags.Initialised)) != 0)
            Block->SharedShadow = Native(sharedBytes * Races.BytesPerSharedByte);
        if (counting)
            Block->Counters = (ulong*)Native(8 * (int)Counter.Count);
        for (int i = 0; i < warps; i++)
        {
            Warp[i] = new Warp
            {
                Active = uint.MaxValue, Live = uint.MaxValue, Index = i, Block = Block, Frame = Frame,
                Local = Native(32 * localBytes), LocalBytes = localBytes,
            };
        }
        LaunchContext.Current = new LaunchContext(Heap, checks, "rig", counting);
    }

    public ulong Count(Counter counter) => Block->Counters[(int)counter];

    public int W32() => Register(128);
    public int W64() => Register(256);

    public int W32(Func<int, uint> value)
    {
        int r = W32();
        for (int lane = 0; lane < 32; lane++)
            ((uint*)(Frame + r))[lane] = value(lane);
        return r;
    }

    public int W64(Func<int, ulong> value)
    {
        int r = W64();
        for (int lane = 0; lane < 32; lane++)
            ((ulong*)(Frame + r))[lane] = value(lane);
        return r;
    }

    public uint Get32(int register, int lane) => ((uint*)(Frame + register))[lane];
    public ulong Get64(int register, int lane) => ((ulong*)(Frame + register))[lane];

    /// <summary>Address operand of a W64 register.</summary>
    public int[] At(Func<int, ulong> address, int offset = 0) => [W64(address), offset, 1];

    /// <summary>Address operand of a W32 register.</summary>
    public int[] At32(Func<int, uint> address, int offset = 0) => [W32(address), offset, 0];

    /// <summary>Executes one instruction; warp is the number of the executing warp.</summary>
    public void Run(string key, int[] address, params int[] operands) => RunWarp(0, key, [.. address, .. operands]);

    public void RunWarp(int warp, string key, params int[] operands)
    {
        bool checks = _checks != CheckFlags.None || _counting;
        Assert.That(LaneTable.TryWarp(key, checks, out LaneMethod? found), $"no method for {key}");
        int[] all = [Line, .. operands, .. found!.Choices];
        var call = (delegate*<Warp*, byte*, int*, void>)found.Method.MethodHandle.GetFunctionPointer();
        fixed (int* o = all)
            call(Warp + warp, Frame, o + 1);
    }

    /// <summary>A device allocation, all written with the given bytes.</summary>
    public ulong Device(int bytes, Func<int, byte>? value = null, string name = "buffer")
    {
        ulong address = Heap.Allocate(bytes, name);
        if (value == null)
            return address;
        for (int i = 0; i < bytes; i++)
            AddressSpace.ToHost(address)[i] = value(i);
        Heap.MarkInitialised(address, bytes);
        return address;
    }

    public void Dispose()
    {
        LaunchContext.Current = null;
        foreach (nint p in _native)
            NativeMemory.AlignedFree((void*)p);
        Heap.Dispose();
    }

    int Register(int bytes)
    {
        int r = _next;
        _next += bytes;
        Assert.That(_next, Is.LessThanOrEqualTo(FrameBytes));
        return r;
    }

    byte* Native(int bytes)
    {
        var p = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 64), 64);
        new Span<byte>(p, Math.Max(bytes, 64)).Clear();
        _native.Add((nint)p);
        return p;
    }
}
