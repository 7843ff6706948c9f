// What a running warp and its block look like in memory. Unmanaged: emitted code, lane methods and the
// interpreter share these structs by pointer; they live as long as the block runs.
using System.Runtime.InteropServices;

namespace EpSam.VirtualGpu.Exec;

/// <summary>Grid and block coordinates and sizes.</summary>
internal readonly record struct Dim3(int X, int Y = 1, int Z = 1)
{
    public long Count => (long)X * Y * Z;
    public override string ToString() => $"({X},{Y},{Z})";
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Warp
{
    public uint Active;        // lanes executing the current instruction
    public uint Live;          // lanes that exist and have not exited
    public int Pc;             // block to run next, -1 = finished
    public int Reconvergence;  // block where the current path joins its siblings, -1 = none
    public int Depth;          // entries on the divergence stack
    public int Index;          // warp's number in its thread block
    public int BarrierId;      // >= 0: waiting at this barrier
    public int BarrierCount;   // threads the barrier waits for; 0 = all of the block
    public BarrierKind BarrierKind;
    public uint BarrierValue;  // bar.red: lanes whose predicate is true
    public int BarrierResult;  // bar.red: frame offset of the destination
    public int BarrierLine;    // PTX line, for reports
    public BlockState* Block;
    public byte* Frame;        // registers; 64-byte aligned
    public byte* Local;        // .local memory, lane-major: lane l owns [l*LocalBytes, (l+1)*LocalBytes)
    public int LocalBytes;     // per lane
    public int Sequence;       // counts bar.warp.sync and other warp-level synchronisations, for the race check
    public ulong Scratch;      // for Checks
    public StackEntry* Stack;  // Program.StackCapacity entries
}

/// <summary>What a warp does at a named barrier.</summary>
internal enum BarrierKind { Sync, Arrive, ReducePopc, ReduceAnd, ReduceOr }

/// <summary>Lanes waiting to run Pc once the current path has reached its reconvergence point.</summary>
internal struct StackEntry
{
    public int Pc;
    public int Reconvergence;
    public uint Mask;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct BlockState
{
    public byte* Shared;       // SharedBytes of shared memory
    public byte* Param;        // the launch's parameters, ParamBytes
    public byte* SharedShadow; // race and initialisation records, or null when these checks are off
    public int SharedBytes;    // static + dynamic
    public int DynamicBytes;   // the dynamic part of it
    public int ParamBytes;
    public int BlockX, BlockY, BlockZ;        // ctaid
    public int GridX, GridY, GridZ;           // nctaid
    public int ThreadsX, ThreadsY, ThreadsZ;  // ntid
    public int WarpCount;
    public int Epoch;          // counts block-wide barriers, for the race check
    public ulong* Counters;    // one slot per Checks.Counter, of the worker that runs the block; null when off
    public int Checks;         // the launch's CheckFlags
}
