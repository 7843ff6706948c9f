// A kernel entry that is ready to launch. Building it finds every error in the PTX; emitting code waits for the first
// launch, once per way of running it.
using EpSam.VirtualGpu.Ir;
using EpSam.VirtualGpu.Passes;
using EpSam.VirtualGpu.Ptx;

namespace EpSam.VirtualGpu.Exec;

internal sealed class Program
{
    // Long straight-line code is cut, so that frame slots and IL locals are reused along it.
    const int MaxBlockWeight = 1500;

    // The passes keep five sets of registers a block; this bounds them to about a gigabyte.
    const long MaxAnalysisBits = 2_000_000_000;

    readonly Kernel kernel;
    readonly Dictionary<(bool Interpret, bool Checks, bool Counting, bool WholeRows), Variant> variants = [];

    public string Name => kernel.Name;
    public (int Offset, int Size)[] Parameters { get; }
    public int ParamBytes { get; }
    public int StaticSharedBytes => kernel.StaticShared;
    public int LocalBytes => kernel.Local;
    public int Registers { get; }             // estimate: the most 32-bit values live at once
    public int MaxThreads { get; }            // .maxntid, 0 = not given
    public int[]? RequiredThreads { get; }    // .reqntid

    /// <summary>The kernel's operations, for tests and for reading.</summary>
    internal Kernel Kernel => kernel;

    Program(Kernel kernel, PtxFunction entry)
    {
        this.kernel = kernel;
        (int[] offsets, ParamBytes) = Builder.ParameterLayout(entry);
        Parameters = [.. entry.Parameters.Select((p, i) => (offsets[i], (int)p.Size))];
        MaxThreads = entry.MaxThreads is { } max ? max.Aggregate(1, (a, b) => a * b) : 0;
        RequiredThreads = entry.RequiredThreads;
        Registers = EstimateRegisters(kernel);
    }

    /// <summary>Builds an entry. Throws <see cref="PtxException"/> for anything that could not run.</summary>
    public static Program Build(PtxModule module, PtxFunction entry, IReadOnlyDictionary<string, ulong> globals)
    {
        Kernel kernel = Builder.Build(module, entry, globals);
        ControlFlow.Clean(kernel, Homes.Weight, MaxBlockWeight);
        InterpretedVariant.MakeConstants(kernel);
        if ((long)kernel.Blocks.Count * kernel.Regs.Count > MaxAnalysisBits)
            throw new PtxException(
                $"{entry.Name} is too large: {kernel.Blocks.Count} blocks with {kernel.Regs.Count} registers",
                entry.Position);
        return new Program(kernel, entry);
    }

    static int EstimateRegisters(Kernel kernel)
    {
        int most = 0;
        Liveness liveness = Liveness.Run(kernel);
        foreach (BitSet live in liveness.In)
        {
            int sum = 0;
            foreach (int r in live.Members())
                if (!kernel.Regs[r].IsSpecial)
                    sum += kernel.Regs[r].Class switch { RegClass.W64 => 2, RegClass.W32 => 1, _ => 0 };
            most = Math.Max(most, sum);
        }
        return Math.Min(255, most + 8);
    }

    /// <summary>The code for one way of running, made at the first request.</summary>
    public Variant Get(bool interpret, bool checks, bool counting, Dim3 block)
    {
        bool wholeRows = !interpret && WarpRows.Holds(block.X, block.Y, block.Z);
        lock (variants)
        {
            if (variants.TryGetValue((interpret, checks, counting, wholeRows), out Variant? variant)) return variant;
            variant = interpret
                ? new InterpretedVariant(kernel, checks || counting)
                : new EmittedVariant(kernel, checks, counting, wholeRows);
            return variants[(interpret, checks, counting, wholeRows)] = variant;
        }
    }

    /// <summary>The text of a PTX line, for reports.</summary>
    public string LineText(int line) => kernel.LineText(line);
}
