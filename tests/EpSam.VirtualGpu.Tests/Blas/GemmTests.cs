// The managed matrix product against a naive one in double. Bound: 4 sqrt(K) eps sum|a||b| for the sum, eps for adding
// beta * c, and half a unit in the last place where C is narrower than what is computed in.
using System.Runtime.InteropServices;
using EpSam.VirtualGpu.Blas;

namespace EpSam.VirtualGpu.Tests.Blas;

[NonParallelizable]   // sets the number of workers
internal sealed unsafe class GemmTests
{
    /// <summary>A matrix in native memory between guard bytes, filled with values that its type holds.</summary>
    sealed class Matrix : IDisposable
    {
        const int Guard = 256;
        readonly byte* memory;
        readonly long bytes;
        public readonly GemmType Type;
        public readonly long Count;

        public Matrix(GemmType type, long count, Random? random = null)
        {
            (Type, Count, bytes) = (type, count, count * Gemm.SizeOf(type));
            memory = (byte*)NativeMemory.Alloc((nuint)(bytes + 2 * Guard));
            new Span<byte>(memory, (int)bytes + 2 * Guard).Fill(0xff);   // NaN in every type
            for (long i = 0; random is not null && i < count; i++) this[i] = random.NextDouble() * 2 - 1;
        }

        public byte* Data => memory + Guard;

        public double this[long i]
        {
            get => Type switch
            {
                GemmType.F64 => ((double*)Data)[i],
                GemmType.F32 => ((float*)Data)[i],
                GemmType.F16 => (double)((Half*)Data)[i],
                _ => BitConverter.UInt32BitsToSingle((uint)((ushort*)Data)[i] << 16),
            };
            set
            {
                if (Type == GemmType.F64) ((double*)Data)[i] = value;
                else if (Type == GemmType.F32) ((float*)Data)[i] = (float)value;
                else if (Type == GemmType.F16) ((Half*)Data)[i] = (Half)value;
                else ((ushort*)Data)[i] = (ushort)(BitConverter.SingleToUInt32Bits((float)value) >> 16);
            }
        }

        public double[] Values()
        {
            var values = new double[Count];
            for (long i = 0; i < Count; i++) values[i] = this[i];
            return values;
        }

        public byte[] Bytes => new Span<byte>(Data, (int)bytes).ToArray();

        public bool GuardsIntact =>
            new Span<byte>(memory, Guard).IndexOfAnyExcept((byte)0xff) < 0
            && new Span<byte>(Data + bytes, Guard).IndexOfAnyExcept((byte)0xff) < 0;

        public void Dispose() => NativeMemory.Free(memory);
    }

    public sealed record Case(
        int M, int N, int K, bool TransA = false, bool TransB = false, double Alpha = 1, double Beta = 0,
        GemmType A = GemmType.F32, GemmType B = GemmType.F32, GemmType C = GemmType.F32, int Pad = 0)
    {
        public int Lda => Math.Max(1, TransA ? K : M) + Pad;
        public int Ldb => Math.Max(1, TransB ? N : K) + Pad;
        public int Ldc => Math.Max(1, M) + Pad;
        public long ACount => (long)Lda * (TransA ? M : K);
        public long BCount => (long)Ldb * (TransB ? K : N);
        public override string ToString() =>
            $"{M}x{N}x{K} {(TransA ? 'T' : 'N')}{(TransB ? 'T' : 'N')} {A} {B} {C} alpha {Alpha} beta {Beta} pad {Pad}";
    }

    static void Run(Case x, Matrix a, Matrix b, Matrix c) =>
        Gemm.Run(x.TransA, x.TransB, x.M, x.N, x.K, x.Alpha, a.Data, x.A, x.Lda, b.Data, x.B, x.Ldb,
            x.Beta, c.Data, x.C, x.Ldc);

    static double Eps(GemmType type) => type switch
    {
        GemmType.F64 => Math.Pow(2, -53),
        GemmType.F32 => Math.Pow(2, -24),
        GemmType.F16 => Math.Pow(2, -11),
        _ => Math.Pow(2, -8),
    };

    /// <summary>One product against the reference; guards and padding stay unharmed.</summary>
    static void Check(Case x)
    {
        var random = new Random(x.M * 10007 + x.N * 101 + x.K);
        using var a = new Matrix(x.A, x.ACount, random);
        using var b = new Matrix(x.B, x.BCount, random);
        using var c = new Matrix(x.C, (long)x.Ldc * x.N, x.Beta == 0 ? null : random);
        byte[] before = c.Bytes;
        double[] old = c.Values();
        Run(x, a, b, c);
        Verify(x, a.Values(), b.Values(), old, c.Values());
        Assert.That(a.GuardsIntact && b.GuardsIntact && c.GuardsIntact, Is.True, "wrote outside a matrix");
        byte[] after = c.Bytes;
        for (int j = 0; j < x.N; j++)
            for (int i = x.M * Gemm.SizeOf(x.C); i < x.Ldc * Gemm.SizeOf(x.C); i++)
                if (before[j * x.Ldc * Gemm.SizeOf(x.C) + i] != after[j * x.Ldc * Gemm.SizeOf(x.C) + i])
                    Assert.Fail($"{x}: wrote between the columns of C");
    }

    static void Verify(Case x, double[] a, double[] b, double[] old, double[] c)
    {
        for (int j = 0; j < x.N; j++)
            for (int i = 0; i < x.M; i++) VerifyElement(x, i, j, a, b, old, c);
    }

    static void VerifyElement(Case x, int i, int j, double[] a, double[] b, double[] old, double[] c)
    {
        long aAt = x.TransA ? (long)i * x.Lda : i, aStep = x.TransA ? 1 : x.Lda;
        long bAt = x.TransB ? j : (long)j * x.Ldb, bStep = x.TransB ? x.Ldb : 1, cAt = i + (long)j * x.Ldc;
        double sum = 0, size = 0;
        for (int l = 0; l < x.K; l++)
        {
            double product = a[aAt + l * aStep] * b[bAt + l * bStep];
            sum += product;
            size += Math.Abs(product);
        }
        double before = x.Beta == 0 ? 0 : x.Beta * old[cAt], expected = x.Alpha * sum + before;
        double eps = Eps(x.C == GemmType.F64 ? GemmType.F64 : GemmType.F32);
        double bound = 4 * Math.Sqrt(x.K) * eps * size * Math.Abs(x.Alpha)
            + 2 * eps * (Math.Abs(before) + Math.Abs(expected));
        // The sum's own error can move a narrow result by one rounding; f16 has subnormals that are 2^-24 apart.
        if (x.C is GemmType.F16 or GemmType.BF16) bound += Eps(x.C) * (Math.Abs(expected) + bound) + Math.Pow(2, -25);
        if (!(Math.Abs(c[cAt] - expected) <= bound))
            Assert.Fail($"{x}: C({i},{j}) is {c[cAt]:r}, expected {expected:r} within {bound:g3}");
    }

    static readonly int[] Odd = [1, 5, 12, 31, 33, 97];

    [Test]
    public void OddSizes_AllTransposes([ValueSource(nameof(Odd))] int m, [ValueSource(nameof(Odd))] int n)
    {
        foreach (int k in Odd)
            foreach (bool transA in new[] { false, true })
                foreach (bool transB in new[] { false, true })
                    Check(new Case(m, n, k, transA, transB, Alpha: 1.25, Beta: k % 2 == 0 ? 0 : -0.5, Pad: m % 3));
    }

    static readonly GemmType[] Narrow = [GemmType.F32, GemmType.F16, GemmType.BF16];

    [Test]
    public void Types_AllMixes([ValueSource(nameof(Narrow))] GemmType a, [ValueSource(nameof(Narrow))] GemmType b,
        [ValueSource(nameof(Narrow))] GemmType c, [Values] bool transA, [Values] bool transB)
    {
        Check(new Case(37, 29, 45, transA, transB, 0.75, 0, a, b, c));
        Check(new Case(65, 25, 800, transA, transB, 1, 0.5, a, b, c, Pad: 3));
        Check(new Case(3, 200, 17, transA, transB, 1, 0.5, a, b, c, Pad: 1));
    }

    [Test]
    public void Double_AllTransposes([Values] bool transA, [Values] bool transB, [Values(0, 1, -2.5)] double beta)
    {
        foreach ((int m, int n, int k) in new[] { (1, 1, 1), (33, 31, 97), (16, 12, 5), (5, 130, 900), (100, 37, 64) })
            Check(new Case(m, n, k, transA, transB, 0.1, beta, GemmType.F64, GemmType.F64, GemmType.F64, Pad: 2));
    }

    [TestCase(0.0, 0.0)]
    [TestCase(0.0, 1.0)]
    [TestCase(1.0, 1.0)]
    [TestCase(-3.0, 0.25)]
    public void AlphaAndBeta(double alpha, double beta)
    {
        foreach (GemmType c in Narrow) Check(new Case(70, 40, 500, false, true, alpha, beta, C: c, Pad: 1));
        foreach (GemmType c in Narrow) Check(new Case(7, 400, 33, false, true, alpha, beta, C: c, Pad: 1));
    }

    [Test]
    public void NothingToSum_ScalesC([Values(0, 1, 0.5)] double beta, [ValueSource(nameof(Narrow))] GemmType c) =>
        Check(new Case(5, 7, 0, Beta: beta, C: c, Pad: 2));

    [TestCase(0, 5, 5)]
    [TestCase(5, 0, 5)]
    [TestCase(0, 0, 0)]
    public void EmptyC_IsLeftAlone(int m, int n, int k) => Check(new Case(m, n, k));

    [Test]
    public void NaN_SpreadsFromOperandsButNotFromWhatIsNotRead()
    {
        using var a = new Matrix(GemmType.F32, 4, new Random(1));
        using var b = new Matrix(GemmType.F32, 4, new Random(2));
        using var c = new Matrix(GemmType.F32, 4);   // all NaN
        var x = new Case(2, 2, 2);
        Run(x, a, b, c);
        Assert.That(new[] { c[0], c[1], c[2], c[3] }, Has.None.NaN, "beta = 0 does not read C");
        a[1] = double.NaN;
        Run(x, a, b, c);
        Assert.That(new[] { double.IsNaN(c[0]), double.IsNaN(c[1]), double.IsNaN(c[2]), double.IsNaN(c[3]) },
            Is.EqualTo(new[] { false, true, false, true }), "row 1 only");
        Run(x with { Alpha = 0 }, a, b, c);
        Assert.That(new[] { c[0], c[1], c[2], c[3] }, Is.All.Zero, "alpha = 0 does not read A");
    }

    /// <summary>Sizes that reach every level of blocking: several chunks and parts of k, parts of columns.</summary>
    static readonly Case[] Large =
    [
        new(300, 200, 1000), new(64, 64, 20000, true, false, 1, 1), new(32, 3000, 1100, false, true),
        new(700, 24, 300, true, true), new(4, 5000, 40, true), new(64, 2000, 64, C: GemmType.F16),
        new(257, 385, 390, A: GemmType.BF16, B: GemmType.BF16, C: GemmType.BF16),
    ];

    [TestCaseSource(nameof(Large))]
    public void WorkersAndRepetition_DoNotChangeABit(Case x)
    {
        var random = new Random(5);
        using var a = new Matrix(x.A, x.ACount, random);
        using var b = new Matrix(x.B, x.BCount, random);
        var results = new List<byte[]>();
        try
        {
            foreach (int workers in new[] { 1, 2, 2, 3, 7 })
            {
                using var c = new Matrix(x.C, (long)x.Ldc * x.N, new Random(6));
                Gemm.Workers = workers;
                Run(x, a, b, c);
                results.Add(c.Bytes);
            }
        }
        finally
        {
            Gemm.Workers = 0;
        }
        Assert.That(results, Is.All.EqualTo(results[0]));
    }

    [TestCaseSource(nameof(Large))]
    public void LargeSizes_AreRightAtSamples(Case x)
    {
        var random = new Random(5);
        using var a = new Matrix(x.A, x.ACount, random);
        using var b = new Matrix(x.B, x.BCount, random);
        using var c = new Matrix(x.C, (long)x.Ldc * x.N, new Random(6));
        double[] old = c.Values();
        Run(x, a, b, c);
        double[] aValues = a.Values(), bValues = b.Values(), cValues = c.Values();
        for (int sample = 0; sample < 400; sample++)
        {
            // The corners first, then anywhere.
            int i = sample < 4 ? sample % 2 * (x.M - 1) : random.Next(x.M);
            int j = sample < 4 ? sample / 2 * (x.N - 1) : random.Next(x.N);
            VerifyElement(x, i, j, aValues, bValues, old, cValues);
        }
    }

    [Test]
    public void StridedBatch_EachIsAProductOfItsOwn(
        [Values] bool transA, [Values] bool transB, [ValueSource(nameof(Narrow))] GemmType type)
    {
        const int Batch = 5;
        var x = new Case(19, 23, 34, transA, transB, 1.5, 0.5, type, type, type, Pad: 1);
        var random = new Random(9);
        long strideA = x.ACount + 3, strideC = x.Ldc * x.N + 5;
        using var a = new Matrix(type, strideA * Batch, random);
        using var b = new Matrix(type, x.BCount, random);   // stride 0: shared by all
        using var c = new Matrix(type, strideC * Batch, random);
        double[] old = c.Values();
        Gemm.StridedBatched(transA, transB, x.M, x.N, x.K, x.Alpha, a.Data, type, x.Lda, strideA,
            b.Data, type, x.Ldb, 0, x.Beta, c.Data, type, x.Ldc, strideC, Batch);
        double[] aValues = a.Values(), bValues = b.Values(), cValues = c.Values();
        for (int batch = 0; batch < Batch; batch++)
        {
            int aFrom = (int)strideA * batch, cFrom = (int)strideC * batch;
            Verify(x, aValues[aFrom..], bValues, old[cFrom..], cValues[cFrom..]);
        }
        Assert.That(c.GuardsIntact, Is.True);
    }

    [Test]
    public void LargeBatch_ManyThreads_SameBitsAsSingle()
    {
        var x = new Case(64, 64, 64);
        const int Batch = 40;
        var random = new Random(9);
        using var a = new Matrix(x.A, x.ACount * Batch, random);
        using var b = new Matrix(x.B, x.BCount * Batch, random);
        using var c = new Matrix(x.C, x.M * x.N * Batch);
        using var single = new Matrix(x.C, x.M * x.N * Batch);
        Gemm.StridedBatched(false, false, 64, 64, 64, 1, a.Data, x.A, 64, 4096, b.Data, x.B, 64, 4096,
            0, c.Data, x.C, 64, 4096, Batch);
        for (int i = 0; i < Batch; i++)
        {
            int at = i * 4096 * sizeof(float);
            Gemm.Run(false, false, 64, 64, 64, 1, a.Data + at, x.A, 64, b.Data + at, x.B, 64,
                0, single.Data + at, x.C, 64);
        }
        Assert.That(c.Bytes, Is.EqualTo(single.Bytes));
    }

    [Test]
    public void WrongArguments_AreNamed()
    {
        using var a = new Matrix(GemmType.F32, 16, new Random(1));
        Assert.Multiple(() =>
        {
            Assert.That(() => Call(-1, 1, 1, 1, 1, 1), Names("m"));
            Assert.That(() => Call(4, 1, 1, 3, 1, 4), Names("lda"));
            Assert.That(() => Call(1, 1, 4, 1, 3, 1), Names("ldb"));
            Assert.That(() => Call(4, 1, 1, 4, 1, 3), Names("ldc"));
            Assert.That(() => Call(1, 1, 1, 1, 1, 1, GemmType.F64),
                Throws.ArgumentException.With.Message.Contains("F64"));
        });

        static NUnit.Framework.Constraints.IConstraint Names(string parameter) =>
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo(parameter);

        void Call(int m, int n, int k, int lda, int ldb, int ldc, GemmType cType = GemmType.F32) => Gemm.Run(
            false, false, m, n, k, 1, a.Data, GemmType.F32, lda, a.Data, GemmType.F32, ldb, 0, a.Data, cType, ldc);
    }
}
