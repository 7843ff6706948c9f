// One warp with a frame of registers and a block's shared memory, to run single whole-warp instructions by their key.
using System.Runtime.InteropServices;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Exec;
using EpSam.VirtualGpu.Lanes;

namespace EpSam.VirtualGpu.Tests.Mma;

internal sealed unsafe class WarpHarness : IDisposable
{
    public const int RegisterBytes = 128, Registers = 32;
    public const int Line = 17;
    public const int Sink = -1;   // "_" in the place of a destination
    const int MaxOperands = 32;

    readonly byte* frame = (byte*)NativeMemory.AlignedAlloc(Registers * RegisterBytes, 64);
    readonly Warp* warp = (Warp*)NativeMemory.AllocZeroed((nuint)sizeof(Warp));
    readonly BlockState* block = (BlockState*)NativeMemory.AllocZeroed((nuint)sizeof(BlockState));
    readonly int* operands = (int*)NativeMemory.AllocZeroed((MaxOperands + 1) * sizeof(int));

    public WarpHarness(int sharedBytes = 0)
    {
        *block = new BlockState
        {
            SharedBytes = sharedBytes, Shared = (byte*)NativeMemory.AllocZeroed((nuint)Math.Max(1, sharedBytes)),
            ThreadsX = 64, ThreadsY = 1, ThreadsZ = 1, BlockX = 3, WarpCount = 2, Checks = (int)CheckFlags.All,
        };
        *warp = new Warp { Active = uint.MaxValue, Live = uint.MaxValue, Block = block, Frame = frame, Index = 1 };
        Frame.Fill(0xa5);
    }

    public Span<byte> Frame => new(frame, Registers * RegisterBytes);
    public Span<byte> Shared => new(block->Shared, block->SharedBytes);
    public uint Active { set => warp->Active = value; }
    public CheckFlags Checks { set => block->Checks = (int)value; }

    public Span<uint> Register(int register) =>
        MemoryMarshal.Cast<byte, uint>(Frame.Slice(register * RegisterBytes, RegisterBytes));

    public Span<ulong> WideRegister(int register) =>
        MemoryMarshal.Cast<byte, ulong>(Frame.Slice(register * RegisterBytes, 2 * RegisterBytes));

    /// <summary>Runs the instruction on registers given by number.</summary>
    public void Run(string key, params ReadOnlySpan<int> registers)
    {
        var list = new int[registers.Length];
        for (int i = 0; i < list.Length; i++) list[i] = registers[i] == Sink ? -1 : registers[i] * RegisterBytes;
        RunList(key, list);
    }

    /// <summary>Runs it on a ready operand list.</summary>
    public void RunList(string key, ReadOnlySpan<int> list)
    {
        Assert.That(LaneTable.TryWarp(key, checks: true, out LaneMethod? method), Is.True, $"no method for {key}");
        operands[0] = Line;
        list.CopyTo(new Span<int>(operands + 1, MaxOperands));
        method!.Choices.CopyTo(new Span<int>(operands + 1 + list.Length, MaxOperands - list.Length));
        var run = (delegate*<Warp*, byte*, int*, void>)method.Method.MethodHandle.GetFunctionPointer();
        run(warp, frame, operands + 1);
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(frame);
        NativeMemory.Free(block->Shared);
        NativeMemory.Free(block);
        NativeMemory.Free(warp);
        NativeMemory.Free(operands);
    }
}
