// Where the elements of a matrix live in the registers of a warp, written down from the PTX ISA's figures for mma.sync:
// for thread `lane` and its element number i, the row and column. Elements of a register follow each other from bit 0.
namespace EpSam.VirtualGpu.Tests.Mma;

/// <summary>An operand matrix: bits per element, and position of element i of a lane.</summary>
internal sealed record Fragment(int Rows, int Columns, int Bits, Func<int, int, (int Row, int Column)> Place)
{
    public int PerRegister => 32 / Bits;
    public int Count => Rows * Columns * Bits / (32 * 32);   // registers

    /// <summary>Writes a row-major matrix of raw element bits to registers first, first + 1, …</summary>
    public void Store(WarpHarness warp, int first, uint[] matrix)
    {
        for (int r = 0; r < Count; r++) warp.Register(first + r).Clear();
        ForEach((lane, register, shift, index) => warp.Register(first + register)[lane] |= matrix[index] << shift);
    }

    public uint[] Load(WarpHarness warp, int first)
    {
        var matrix = new uint[Rows * Columns];
        uint mask = Bits == 32 ? uint.MaxValue : (1u << Bits) - 1;
        ForEach((lane, register, shift, index) =>
            matrix[index] = (warp.Register(first + register)[lane] >> shift) & mask);
        return matrix;
    }

    void ForEach(Action<int, int, int, int> visit)
    {
        for (int lane = 0; lane < 32; lane++)
        {
            for (int i = 0; i < Count * PerRegister; i++)
            {
                (int row, int column) = Place(lane, i);
                visit(lane, i / PerRegister, i % PerRegister * Bits, row * Columns + column);
            }
        }
    }

    /// <summary>groupID = lane >> 2, threadID_in_group = lane % 4, as the manual names them.</summary>
    public static Fragment A(int m, int k, int bits) => new(m, k, bits, (lane, i) =>
    {
        int group = lane >> 2, thread = lane % 4;
        return bits switch
        {
            // .f16/.bf16: row = group for a0 a1 a4 a5, group + 8 for a2 a3 a6 a7; column + 8 from a4 on
            16 => ((i / 2) % 2 == 0 ? group : group + 8, thread * 2 + (i & 1) + (i >= 4 ? 8 : 0)),
            // .tf32: row = group for a0 a2, group + 8 for a1 a3; column + 4 from a2 on
            32 => (i % 2 == 0 ? group : group + 8, thread + (i >= 2 ? 4 : 0)),
            // .u8/.s8, m = 8: row = group; m = 16: row = group for a0..a3 and a8..a11, else group + 8; column + 16
            // from a8 on
            _ when m == 8 => (group, thread * 4 + (i & 3)),
            _ => ((i / 4) % 2 == 0 ? group : group + 8, thread * 4 + (i & 3) + (i >= 8 ? 16 : 0)),
        };
    });

    public static Fragment B(int k, int bits) => new(k, 8, bits, (lane, i) =>
    {
        int group = lane >> 2, thread = lane % 4;
        return bits switch
        {
            16 => (thread * 2 + (i & 1) + (i >= 2 ? 8 : 0), group),
            32 => (i == 0 ? thread : thread + 4, group),
            _ => (thread * 4 + (i & 3) + (i >= 4 ? 16 : 0), group),
        };
    });

    /// <summary>c0 c1 in row group, c2 c3 in row group + 8; column = 2 * thread + i mod 2.</summary>
    public static Fragment C(int m, int bits) => new(m, 8, bits, (lane, i) =>
        ((lane >> 2) + (i >= 2 ? 8 : 0), lane % 4 * 2 + (i & 1)));
}
