// How the methods that execute PTX instructions look, and how they are found.
// A warp is 32 lanes. A register of 8, 16 or 32 bits is 32 lanes x 4 bytes = two U32 (narrow values are kept
// zero-extended); a 64-bit register is 32 lanes x 8 bytes = four U64; a predicate is one bit a lane in a uint.
// Three shapes of method:
//   * lane method    [Ptx]      static U32 F(U32 a, U32 b)        16 lanes at a time, 32-bit operands only
//                               static U64 F(U64 a, H32 b)        8 lanes at a time, as soon as one operand is 64-bit
//                               a predicate operand or result is a uint holding the bits of these 16 or 8 lanes only
//   * scalar method  [PtxScalar] static uint F(uint a, ulong b)   the same instruction where all lanes hold one value
//   * warp method    [PtxWarp]  static void F(Warp* w, byte* f, int* o)   whole warp, operands in the frame
//                               (see PtxWarp)
global using U32 = System.Runtime.Intrinsics.Vector512<uint>;
global using U64 = System.Runtime.Intrinsics.Vector512<ulong>;
global using H32 = System.Runtime.Intrinsics.Vector256<uint>;

namespace EpSam.VirtualGpu.Lanes;

/// <summary>
/// The PTX spellings a lane method executes. {a,b} expands to alternatives (one may be empty, with its dot inside:
/// "add{,.rn}.f64"); &lt;a,b&gt; does too and passes the index of the chosen one as a trailing int argument, a constant
/// to the compiler; several groups give several ints in order. .ftz never appears and .sat only where it is not a plain
/// clamp of a float result: the builder wraps both round the method. Immediates arrive as broadcast vectors; an
/// immediate that must be a compile-time constant (lop3's table) is a parameter of type byte.
/// </summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
internal sealed class PtxAttribute(string pattern) : Attribute
{
    public string Pattern { get; } = pattern;
}

/// <summary>
/// As <see cref="PtxAttribute"/>, on plain uint (32 bits), ulong (64 bits) and bool (predicate) values.
/// </summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
internal sealed class PtxScalarAttribute(string pattern) : Attribute
{
    public string Pattern { get; } = pattern;
}

/// <summary>
/// A whole-warp instruction. w-&gt;Active are the lanes that execute. f is the warp's frame; o lists the operands,
/// destination first, vectors flattened, in PTX order: each entry is the byte offset in the frame of a register (W32:
/// 128 bytes, W64: 256 bytes, predicate: 4 bytes). Immediates have been put into frame slots as full registers. -1
/// stands for an operand that is absent or the sink "_". The chosen index of each &lt;…&gt; group follows after the
/// operands. o[-1] is the PTX line. Inactive lanes of a destination must keep their values. Memory instructions have
/// operands laid out as the comment in Lanes/Memory.cs says. With Checked the method is used when any check or counter
/// is on.
/// </summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
internal sealed class PtxWarpAttribute(string pattern) : Attribute
{
    public string Pattern { get; } = pattern;
    public bool Checked { get; init; }
}
