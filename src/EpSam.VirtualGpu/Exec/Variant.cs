// One way of running a kernel: emitted (with checks or without) or interpreted. It owns the layout of the frame.
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Ir;
using EpSam.VirtualGpu.Passes;

namespace EpSam.VirtualGpu.Exec;

internal abstract unsafe class Variant(Kernel kernel)
{
    protected Kernel Kernel { get; } = kernel;
    public abstract int FrameBytes { get; }
    public int LocalBytes => Kernel.Local;

    /// <summary>Runs a warp until it has exited (Pc -1) or waits at a barrier (BarrierId set, Pc behind it).</summary>
    public abstract void Run(Warp* w);

    protected abstract int OffsetOf(Reg special);

    /// <summary>Writes the registers that kernels only read: thread numbers, lane numbers, constants.</summary>
    public void WriteConstants(Warp* w, Dim3 threads)
    {
        for (int lane = 0; lane < 32; lane++)
        {
            Dim3 thread = Faults.ThreadOf(w, lane);
            At32(w, Kernel.Tid[0])[lane] = (uint)thread.X;
            At32(w, Kernel.Tid[1])[lane] = (uint)thread.Y;
            At32(w, Kernel.Tid[2])[lane] = (uint)thread.Z;
            At32(w, Kernel.LaneId)[lane] = (uint)lane;
        }
        foreach (Reg reg in Kernel.Regs)
        {
            if (reg.Constant is not { } bits) continue;
            byte* at = w->Frame + OffsetOf(reg);
            if (reg.Class == RegClass.W32) new Span<uint>(at, 32).Fill((uint)bits);
            else if (reg.Class == RegClass.W64) new Span<ulong>(at, 32).Fill(bits);
            else *(uint*)at = (uint)bits;
        }
    }

    uint* At32(Warp* w, Reg reg) => (uint*)(w->Frame + OffsetOf(reg));
}

/// <summary>The kernel as .NET methods.</summary>
internal sealed unsafe class EmittedVariant : Variant
{
    readonly Homes homes;
    readonly ChunkMethod[] methods;
    readonly int[] methodOf;
    readonly int[] operands;   // pinned: emitted code reads it by address

    public EmittedVariant(Kernel kernel, bool checks, bool counting, bool wholeRows) : base(kernel)
    {
        int[] reconvergence = ControlFlow.PostDominators(kernel);
        Liveness liveness = Liveness.Run(kernel);
        Uniformity facts = Uniformity.Run(kernel, liveness, reconvergence, checks || counting, wholeRows);
        homes = new Homes(kernel, liveness, facts);
        (methods, int[] list) = Emitter.Emit(kernel, homes, liveness, facts, reconvergence, checks, counting);
        operands = GC.AllocateUninitializedArray<int>(Math.Max(1, list.Length), pinned: true);
        list.CopyTo(operands, 0);
        methodOf = [.. kernel.Blocks.Select(homes.ChunkOf)];
    }

    public override int FrameBytes => homes.FrameBytes;
    protected override int OffsetOf(Reg special) => homes[special].Offset;

    public override void Run(Warp* w)
    {
        fixed (int* list = operands)
            do methods[methodOf[w->Pc]](w, w->Frame, list);
            while (w->Pc >= 0 && w->BarrierId < 0);
    }
}
