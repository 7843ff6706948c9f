// One matrix product. The operand whose index runs along C's columns in memory is P (normally A), the other one Q.
//   for each range of columns of C that keeps packed Q within the last-level cache, and each range of k:
//     pack Q, all threads; then tasks = blocks of rows of C (and of columns, when there are few rows), each:
//       for each chunk of k: pack the block of P into the thread's buffer (it stays in the second-level cache), and for
//       each panel of Q (it stays in the first-level cache) and each panel of P: one register tile (GemmKernel).
// C is updated in place, once per chunk of k, if it has the type that is computed in; otherwise sums stay in the
// thread's buffer until they are complete. A narrow C (few rows, many columns) is computed transposed.
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace EpSam.VirtualGpu.Blas;

internal sealed unsafe class GemmProduct<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    const int ChunkBytes = 4 * 384;           // of k: a panel of Q of 12 x 384 floats fills half of a 32 KiB cache
    const int RowPanels = 6;                  // a block of P is then at most 6 * 48 KiB
    const long PackedBytes = 12 << 20;        // of Q at a time
    const int LongestK = 8192;                // packed at a time
    const int TasksPerWorker = 4;
    const int SumColumns = 768;               // at most, where a task keeps its sums in its buffer

    readonly GemmOperand p, q;
    readonly byte* c;
    readonly GemmType cType;
    readonly long cRow, cColumn;              // strides of C along P's and Q's index
    readonly bool inPlace;
    readonly int rows, columns, k, workers;
    readonly int width = GemmKernel.Width<T>(), depth = GemmKernel.Depth;
    readonly T alpha, beta;

    // What is packed now.
    T* packed;
    int firstColumn, columnCount, firstK, kCount;

    public GemmProduct(
        GemmOperand a, GemmOperand b, GemmOperand target, int m, int n, int k, T alpha, T beta, int workers)
    {
        // Whole tiles are computed. Transposed is chosen where it wastes clearly less; it costs a slower way into C.
        bool transposed = 1.5 * Padded(n, width) * Padded(m, depth) < (double)Padded(m, width) * Padded(n, depth);
        (p, q) = transposed ? (b, a) : (a, b);
        (rows, columns) = transposed ? (n, m) : (m, n);
        (cRow, cColumn) = transposed ? (target.KStride, 1L) : (1L, target.KStride);
        c = target.Data;
        cType = target.Type;
        inPlace = !transposed && (cType is GemmType.F32 or GemmType.F64);
        (this.k, this.alpha, this.beta, this.workers) = (k, alpha, beta, workers);
    }

    static long Padded(int x, int unit) => (x + unit - 1L) / unit * unit;
    static int Panels(int x, int unit) => (x + unit - 1) / unit;

    public void Run()
    {
        if (k == 0)
        {
            ScaleC();
            return;
        }
        int kPart = inPlace ? Math.Min(k, LongestK) : k;
        long fitting = PackedBytes / sizeof(T) / kPart / depth;
        int part = (int)Math.Min(Math.Max(fitting, 8), Panels(columns, depth)) * depth;
        (nint Address, long Bytes) buffer = GemmWorkers.Rent((long)part * kPart * sizeof(T));
        packed = (T*)buffer.Address;
        for (firstColumn = 0; firstColumn < columns; firstColumn += part)
        {
            columnCount = Math.Min(part, columns - firstColumn);
            for (firstK = 0; firstK < k; firstK += kPart)
            {
                kCount = Math.Min(kPart, k - firstK);
                PackQ();
                Multiply();
            }
        }
        GemmWorkers.Return(buffer);
    }

    void PackQ()
    {
        int panels = Panels(columnCount, depth);
        int each = Math.Max(1, Math.Min(8, panels / (workers * 2)));
        GemmWorkers.ForEach(Panels(panels, each), workers, 0, (task, _) =>
        {
            int first = task * each * depth;
            GemmPack.Panels(q, firstColumn + first, Math.Min(each * depth, columnCount - first), firstK, kCount, depth,
                packed + (nint)first * kCount, (nint)kCount * depth);
        });
    }

    void Multiply()
    {
        int rowPanels = Panels(rows, width), columnPanels = Panels(columnCount, depth);
        int rowBlocks = Panels(rowPanels, RowPanels), columnBlocks = 1;
        if (!inPlace) columnBlocks = Panels(columnPanels * depth, SumColumns);
        if (workers > 1)
        {
            rowBlocks = Math.Min(rowPanels, (int)Padded(rowBlocks, workers));
            int wanted = Panels(TasksPerWorker * workers, rowBlocks);
            columnBlocks = Math.Min(columnPanels, Math.Max(columnBlocks, wanted));
        }
        int chunk = Chunk();
        int blockPanels = Panels(rowPanels, rowBlocks), sumPanels = Panels(columnPanels, columnBlocks);
        long pElements = (long)blockPanels * width * chunk;
        long sumElements = (long)blockPanels * width * sumPanels * depth;
        long bytes = (pElements + (inPlace ? 0 : sumElements)) * sizeof(T);
        GemmWorkers.ForEach(rowBlocks * columnBlocks, workers, bytes, (task, buffer) =>
        {
            int row = task / columnBlocks, column = task % columnBlocks;
            var block = new Block(
                Share(rowPanels, rowBlocks, row), Share(rowPanels, rowBlocks, row + 1),
                Share(columnPanels, columnBlocks, column), Share(columnPanels, columnBlocks, column + 1));
            MultiplyBlock(block, (T*)buffer, (T*)buffer + pElements, chunk);
        });
    }

    /// <summary>Panels of P and Q, first and end.</summary>
    readonly record struct Block(int Row, int RowEnd, int Column, int ColumnEnd);

    static int Share(int total, int parts, int part) => (int)((long)total * part / parts);

    /// <summary>The packed k in equal chunks, so that no short one is left over.</summary>
    int Chunk() => Panels(kCount, Panels(kCount, ChunkBytes / sizeof(T)));

    void MultiplyBlock(Block block, T* packedP, T* sums, int chunk)
    {
        int firstRow = block.Row * width, rowCount = Math.Min(rows, block.RowEnd * width) - firstRow;
        nint sumStride = (nint)(block.RowEnd - block.Row) * width;
        for (int from = 0; from < kCount; from += chunk)
        {
            int some = Math.Min(chunk, kCount - from);
            bool first = firstK + from == 0;
            GemmPack.Panels(p, firstRow, rowCount, firstK + from, some, width, packedP, (nint)some * width);
            for (int j = block.Column; j < block.ColumnEnd; j++)
            {
                T* panel = packed + ((nint)j * kCount + from) * depth;
                for (int i = block.Row; i < block.RowEnd; i++)
                {
                    T* tile = packedP + (nint)(i - block.Row) * width * some;
                    if (inPlace) UpdateC(tile, panel, some, i * width, j * depth, first ? beta : T.One);
                    else
                    {
                        T* at = sums + (i - block.Row) * width + (j - block.Column) * depth * sumStride;
                        GemmKernel.Tile(tile, panel, some, at, sumStride, alpha, first ? T.Zero : T.One);
                    }
                }
            }
        }
        if (!inPlace) FinishBlock(block, firstRow, rowCount, sums, sumStride);
    }

    /// <summary>One tile of C, column counted from firstColumn; a tile that sticks out goes by a temporary.</summary>
    void UpdateC(T* tile, T* panel, int some, int row, int column, T factor)
    {
        T* to = (T*)c + row + (firstColumn + column) * cColumn;
        int rowCount = Math.Min(width, rows - row), count = Math.Min(depth, columnCount - column);
        if (rowCount == width && count == depth)
        {
            GemmKernel.Tile(tile, panel, some, to, (nint)cColumn, alpha, factor);
            return;
        }
        byte* temporary = stackalloc byte[GemmKernel.MaxTileBytes];
        T* whole = (T*)temporary;
        GemmKernel.Tile(tile, panel, some, whole, width, alpha, T.Zero);
        for (int j = 0; j < count; j++)
        {
            for (int i = 0; i < rowCount; i++)
            {
                T sum = whole[i + j * width];
                T* at = to + i + j * cColumn;
                *at = factor == T.Zero ? sum : T.FusedMultiplyAdd(factor, *at, sum);
            }
        }
    }

    /// <summary>c = sum + beta * c in C's own type, for the block's complete sums.</summary>
    void FinishBlock(Block block, int firstRow, int rowCount, T* sums, nint sumStride)
    {
        int columnEnd = Math.Min(columnCount, block.ColumnEnd * depth);
        for (int j = block.Column * depth; j < columnEnd; j++)
            FinishColumn(firstRow, rowCount, firstColumn + j, sums + (j - block.Column * depth) * sumStride);
    }

    void FinishColumn(int row, int count, int column, T* sums)
    {
        byte* at = c + (row * cRow + column * cColumn) * Gemm.SizeOf(cType);
        if (typeof(T) == typeof(double)) Finish((double*)at, (nint)cRow, count, (double*)sums, (double)(object)beta);
        else if (cType == GemmType.F32) Finish<GemmF32>(at, (nint)cRow, count, (float*)sums, (float)(object)beta);
        else if (cType == GemmType.BF16) Finish<GemmBf16>(at, (nint)cRow, count, (float*)sums, (float)(object)beta);
        else Finish<GemmF16>(at, (nint)cRow, count, (float*)sums, (float)(object)beta);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Finish<E>(byte* at, nint stride, int count, float* sums, float factor) where E : struct, IGemmElement
    {
        int i = 0;
        if (factor == 0 && stride == 1)
            for (; i + 16 <= count; i += 16, at += 16 * E.Size) E.Store16(at, Vector512.Load(sums + i));
        stride *= E.Size;
        for (; i < count; i++, at += stride)
            E.Store(at, factor == 0 ? sums[i] : MathF.FusedMultiplyAdd(factor, E.Load(at), sums[i]));
    }

    static void Finish(double* at, nint stride, int count, double* sums, double factor)
    {
        for (int i = 0; i < count; i++, at += stride)
            *at = factor == 0 ? sums[i] : Math.FusedMultiplyAdd(factor, *at, sums[i]);
    }

    /// <summary>c = beta * c.</summary>
    void ScaleC()
    {
        (nint Address, long Bytes) zeros = GemmWorkers.Rent((long)rows * sizeof(T));
        NativeMemory.Clear((void*)zeros.Address, (nuint)rows * (nuint)sizeof(T));
        for (int j = 0; j < columns; j++) FinishColumn(0, rows, j, (T*)zeros.Address);
        GemmWorkers.Return(zeros);
    }
}
