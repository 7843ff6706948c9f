using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Lanes;

namespace EpSam.VirtualGpu.Tests.Mma;

public sealed unsafe class MmaFloatTests
{
    /// <summary>A shape and its types; element bits to and from numbers.</summary>
    public sealed record Shape(string Key, int K, string Type, bool HalfAccumulator = false)
    {
        public int Bits => Type == "tf32" ? 32 : 16;
        public int CBits => HalfAccumulator ? 16 : 32;
        internal Fragment A => Fragment.A(16, K, Bits);
        internal Fragment B => Fragment.B(K, Bits);
        internal Fragment C => Fragment.C(16, CBits);

        public float Number(uint bits) => Type switch
        {
            "bf16" => BitConverter.UInt32BitsToSingle(bits << 16),
            "f16" => (float)BitConverter.UInt16BitsToHalf((ushort)bits),
            _ => BitConverter.UInt32BitsToSingle(bits & 0xffff_e000),
        };

        /// <summary>Some element near this number (rounded towards zero for bf16 and tf32).</summary>
        public uint Element(float value) => Type switch
        {
            "bf16" => BitConverter.SingleToUInt32Bits(value) >> 16,
            "f16" => BitConverter.HalfToUInt16Bits((Half)value),
            _ => BitConverter.SingleToUInt32Bits(value) & 0xffff_e000,
        };

        public float Sum(uint bits) => HalfAccumulator
            ? (float)BitConverter.UInt16BitsToHalf((ushort)bits) : BitConverter.UInt32BitsToSingle(bits);

        public uint SumBits(float value) => HalfAccumulator
            ? float.IsNaN(value) ? 0x7fffu : BitConverter.HalfToUInt16Bits((Half)value)
            : float.IsNaN(value) ? 0x7fff_ffffu : BitConverter.SingleToUInt32Bits(value);

        public override string ToString() => Key["mma.sync.aligned.".Length..];
    }

    static readonly Shape[] Shapes =
    [
        new("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", 16, "bf16"),
        new("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32", 8, "bf16"),
        new("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", 16, "f16"),
        new("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32", 8, "f16"),
        new("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16", 16, "f16", HalfAccumulator: true),
        new("mma.sync.aligned.m16n8k8.row.col.f16.f16.f16.f16", 8, "f16", HalfAccumulator: true),
        new("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", 8, "tf32"),
        new("mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32", 4, "tf32"),
    ];

    /// <summary>Runs D = A * B + C on row-major matrices of element bits; D's registers come last.</summary>
    static uint[] Multiply(Shape shape, uint[] a, uint[] b, uint[] c)
    {
        using var warp = new WarpHarness();
        int aFirst = 0, bFirst = shape.A.Count, cFirst = bFirst + shape.B.Count, dFirst = cFirst + shape.C.Count;
        shape.A.Store(warp, aFirst, a);
        shape.B.Store(warp, bFirst, b);
        shape.C.Store(warp, cFirst, c);
        warp.Run(shape.Key,
        [
            .. Enumerable.Range(dFirst, shape.C.Count), .. Enumerable.Range(aFirst, shape.A.Count),
            .. Enumerable.Range(bFirst, shape.B.Count), .. Enumerable.Range(cFirst, shape.C.Count),
        ]);
        Assert.That(shape.A.Load(warp, aFirst), Is.EqualTo(a), "A was changed");
        Assert.That(shape.B.Load(warp, bFirst), Is.EqualTo(b), "B was changed");
        Assert.That(shape.C.Load(warp, cFirst), Is.EqualTo(c), "C was changed");
        return shape.C.Load(warp, dFirst);
    }

    static uint[] Matrix(int count, Func<int, uint> element) => Enumerable.Range(0, count).Select(element).ToArray();

    /// <summary>The documented result: k ascending, one fused step each, in f32.</summary>
    static uint[] InOrder(Shape s, uint[] a, uint[] b, uint[] c) => Matrix(16 * 8, index =>
    {
        int row = index / 8, column = index % 8;
        float sum = s.Sum(c[index]);
        for (int k = 0; k < s.K; k++)
            sum = MathF.FusedMultiplyAdd(s.Number(a[row * s.K + k]), s.Number(b[k * 8 + column]), sum);
        return s.SumBits(sum);
    });

    [TestCaseSource(nameof(Shapes))]
    public void OneHotA_PicksARowOfB(Shape s)
    {
        uint[] b = Matrix(s.K * 8, i => s.Element(i + 1)), zero = new uint[128];
        for (int hot = 0; hot < 16 * s.K; hot++)
        {
            uint[] a = Matrix(16 * s.K, i => i == hot ? s.Element(1) : 0);
            uint[] expected = Matrix(128, i => i / 8 == hot / s.K ? s.SumBits(hot % s.K * 8 + i % 8 + 1) : 0);
            Assert.That(Multiply(s, a, b, zero), Is.EqualTo(expected), $"A({hot / s.K},{hot % s.K}) = 1");
        }
    }

    [TestCaseSource(nameof(Shapes))]
    public void OneHotB_PicksAColumnOfA(Shape s)
    {
        uint[] a = Matrix(16 * s.K, i => s.Element(i + 1)), zero = new uint[128];
        for (int hot = 0; hot < s.K * 8; hot++)
        {
            uint[] b = Matrix(s.K * 8, i => i == hot ? s.Element(1) : 0);
            uint[] expected = Matrix(128, i => i % 8 == hot % 8 ? s.SumBits(s.Number(a[i / 8 * s.K + hot / 8])) : 0);
            Assert.That(Multiply(s, a, b, zero), Is.EqualTo(expected), $"B({hot / 8},{hot % 8}) = 1");
        }
    }

    [TestCaseSource(nameof(Shapes))]
    public void ZeroProduct_GivesC(Shape s)
    {
        uint[] c = Matrix(128, i => s.SumBits(i - 64.5f));
        Assert.That(Multiply(s, new uint[16 * s.K], new uint[s.K * 8], c), Is.EqualTo(c));
    }

    [TestCaseSource(nameof(Shapes))]
    public void Random_IsWithinTheBoundOfADoubleReference(Shape s)
    {
        var random = new Random(s.Key.Length * 1000 + s.K);
        for (int run = 0; run < 50; run++)
        {
            uint[] a = Matrix(16 * s.K, _ => s.Element(Value(random)));
            uint[] b = Matrix(s.K * 8, _ => s.Element(Value(random)));
            uint[] c = Matrix(128, _ => s.SumBits(Value(random)));
            uint[] d = Multiply(s, a, b, c);
            for (int i = 0; i < 128; i++)
            {
                double sum = s.Sum(c[i]), size = Math.Abs(sum);
                for (int k = 0; k < s.K; k++)
                {
                    double product = (double)s.Number(a[i / 8 * s.K + k]) * s.Number(b[k * 8 + i % 8]);
                    sum += product;
                    size += Math.Abs(product);
                }
                // 4 sqrt(K) eps sum|a||b|; an f16 result is rounded once more (half a unit in its last place).
                double bound = 4 * Math.Sqrt(s.K) * Math.Pow(2, -24) * size;
                if (s.HalfAccumulator) bound += Math.Pow(2, -11) * Math.Abs(sum) + Math.Pow(2, -25);
                Assert.That(Math.Abs(s.Sum(d[i]) - sum), Is.LessThanOrEqualTo(bound), $"run {run}, element {i}");
            }
        }
    }

    static float Value(Random random) => (random.NextSingle() - 0.5f) * MathF.Pow(2, random.Next(-6, 4));

    [TestCaseSource(nameof(Shapes))]
    public void AnyBits_AccumulateInTheDocumentedOrder(Shape s)
    {
        var random = new Random(7);
        uint mask = s.Bits == 32 ? uint.MaxValue : 0xffff;
        for (int run = 0; run < 200; run++)
        {
            // All exponents: overflow, subnormals, infinities and NaN of both signs turn up. Every other run is
            // moderate.
            bool moderate = run % 2 == 0;
            uint Next() => moderate ? s.Element(Value(random)) : (uint)random.NextInt64(1L << 32) & mask;
            uint NextSum() =>
                moderate || s.HalfAccumulator ? s.SumBits(Value(random)) : (uint)random.NextInt64(1L << 32);
            uint[] a = Matrix(16 * s.K, _ => Next()), b = Matrix(s.K * 8, _ => Next()), c = Matrix(128, _ => NextSum());
            Assert.That(Multiply(s, a, b, c), Is.EqualTo(InOrder(s, a, b, c)), $"run {run}");
        }
    }

    [TestCaseSource(nameof(Shapes))]
    public void InfinityAndNaN_Follow(Shape s)
    {
        uint infinity = s.Element(float.PositiveInfinity), nan = s.Element(float.NaN), one = s.Element(1);
        uint[] ones = Matrix(s.K * 8, _ => one), c = new uint[128];
        var a = new uint[16 * s.K];
        a[0] = infinity;
        a[s.K] = nan;
        a[2 * s.K] = s.Element(float.NegativeInfinity);
        a[3 * s.K] = infinity;
        a[3 * s.K + s.K - 1] = s.Element(float.NegativeInfinity);
        uint[] d = Multiply(s, a, ones, c);
        Assert.Multiple(() =>
        {
            Assert.That(d[0..8], Is.All.EqualTo(s.SumBits(float.PositiveInfinity)), "inf * 1");
            Assert.That(d[8..16], Is.All.EqualTo(s.HalfAccumulator ? 0x7fffu : 0x7fff_ffffu), "NaN * 1, canonical");
            Assert.That(d[16..24], Is.All.EqualTo(s.SumBits(float.NegativeInfinity)), "-inf * 1");
            Assert.That(d[24..32], Is.All.EqualTo(s.HalfAccumulator ? 0x7fffu : 0x7fff_ffffu), "inf - inf");
            Assert.That(d[32..], Is.All.EqualTo(0u));
        });
    }

    [TestCaseSource(nameof(Shapes))]
    public void SubnormalElements_AreNotFlushed(Shape s)
    {
        // The smallest positive element times 1: 2^-133 (bf16), 2^-24 (f16), 2^-136 (tf32).
        uint least = s.Type == "tf32" ? 1u << 13 : 1u;
        double value = s.Type switch { "bf16" => Math.Pow(2, -133), "f16" => Math.Pow(2, -24), _ => Math.Pow(2, -136) };
        uint[] a = Matrix(16 * s.K, i => i % s.K == 0 ? least : 0), b = Matrix(s.K * 8, i => i < 8 ? s.Element(1) : 0);
        Assert.That(Multiply(s, a, b, new uint[128]).Select(d => (double)s.Sum(d)), Is.All.EqualTo(value));
    }

    [Test]
    public void AllF16_WidenExactly()
    {
        for (uint bits = 0; bits < 65536; bits++)
        {
            float expected = (float)BitConverter.UInt16BitsToHalf((ushort)bits);
            var even = System.Runtime.Intrinsics.Vector128.Create(bits | 0xabcd_0000);
            var odd = System.Runtime.Intrinsics.Vector512.Create(bits << 16 | 0xabcd);
            float low = MmaF16.Even(even)[0], high = MmaF16.Odd(odd)[3];
            bool right = float.IsNaN(expected)
                ? float.IsNaN(low) && float.IsNaN(high) : Same(low, expected) && Same(high, expected);
            if (!right) Assert.Fail($"f16 0x{bits:x4} is {expected}, not {low} or {high}");
        }
        static bool Same(float x, float y) => BitConverter.SingleToInt32Bits(x) == BitConverter.SingleToInt32Bits(y);
    }

    [Test]
    public void F32_NarrowsToF16ToNearestEven()
    {
        // Every f16, and the f32 values at and next to the midpoint above it.
        for (uint bits = 0; bits < 0x7c00; bits++)
        {
            float value = (float)BitConverter.UInt16BitsToHalf((ushort)bits);
            float next = bits == 0x7bff ? 65536f : (float)BitConverter.UInt16BitsToHalf((ushort)(bits + 1));
            float middle = value + (next - value) / 2;
            Check(value, bits);
            Check(middle, bits + (bits & 1));
            Check(MathF.BitDecrement(middle), bits);
            Check(MathF.BitIncrement(middle), bits + 1);
        }
        Check(float.PositiveInfinity, 0x7c00);
        Check(float.MaxValue, 0x7c00);
        Check(float.Epsilon, 0);
        Assert.That(MmaF16.Narrow(System.Runtime.Intrinsics.Vector256.Create(-float.NaN))[0], Is.EqualTo(0x7fffu));

        static void Check(float value, uint expected)
        {
            uint plus = MmaF16.Narrow(System.Runtime.Intrinsics.Vector256.Create(value))[0];
            uint minus = MmaF16.Narrow(System.Runtime.Intrinsics.Vector256.Create(-value))[5];
            if (plus != expected || minus != (expected | 0x8000))
                Assert.Fail($"{value:r}: 0x{plus:x4}, negated 0x{minus:x4}; expected 0x{expected:x4}");
        }
    }

    [TestCaseSource(nameof(Shapes))]
    public void D_MayShareRegistersWithAnyOperand(Shape s)
    {
        var random = new Random(3);
        uint[] a = Matrix(16 * s.K, _ => s.Element(Value(random))), b = Matrix(s.K * 8, _ => s.Element(Value(random)));
        uint[] c = Matrix(128, _ => s.SumBits(Value(random)));
        uint[] expected = InOrder(s, a, b, c);
        int bFirst = s.A.Count, cFirst = bFirst + s.B.Count;
        // D on A's registers and beyond, on B's, on C's, and on C's in reverse order.
        int[][] places =
        [
            [.. Enumerable.Range(0, s.C.Count)], [.. Enumerable.Range(bFirst, s.C.Count)],
            [.. Enumerable.Range(cFirst, s.C.Count)], [.. Enumerable.Range(cFirst, s.C.Count).Reverse()],
        ];
        foreach (int[] d in places)
        {
            using var warp = new WarpHarness();
            s.A.Store(warp, 0, a);
            s.B.Store(warp, bFirst, b);
            s.C.Store(warp, cFirst, c);
            warp.Run(s.Key, [.. d, .. Enumerable.Range(0, s.A.Count), .. Enumerable.Range(bFirst, s.B.Count),
                .. Enumerable.Range(cFirst, s.C.Count)]);
            for (int r = 0; r < d.Length; r++) warp.Register(d[r]).CopyTo(warp.Register(20 + r));
            Assert.That(s.C.Load(warp, 20), Is.EqualTo(expected), $"D in registers {string.Join(' ', d)}");
        }
    }

    [TestCaseSource(nameof(Shapes))]
    public void ASink_LeavesTheOtherRegistersRight(Shape s)
    {
        var random = new Random(4);
        uint[] a = Matrix(16 * s.K, _ => s.Element(Value(random))), b = Matrix(s.K * 8, _ => s.Element(Value(random)));
        uint[] c = Matrix(128, _ => s.SumBits(Value(random)));
        using var whole = new WarpHarness();
        using var partial = new WarpHarness();
        int bFirst = s.A.Count, cFirst = bFirst + s.B.Count, dFirst = cFirst + s.C.Count;
        foreach (WarpHarness warp in new[] { whole, partial })
        {
            s.A.Store(warp, 0, a);
            s.B.Store(warp, bFirst, b);
            s.C.Store(warp, cFirst, c);
        }
        int[] d = [.. Enumerable.Range(dFirst, s.C.Count)], rest = [.. Enumerable.Range(0, dFirst)];
        whole.Run(s.Key, [.. d, .. rest]);
        partial.Run(s.Key, [d[0], WarpHarness.Sink, .. d[2..], .. rest]);
        whole.Register(d[1]).Fill(0xa5a5_a5a5);   // untouched
        Assert.That(partial.Frame.SequenceEqual(whole.Frame), Is.True);
    }

    [TestCaseSource(nameof(Shapes))]
    public void RegisterCounts_FollowFromTheSpelling(Shape s) =>
        Assert.That(MmaShape.Registers(s.Key), Is.EqualTo((s.C.Count, s.A.Count, s.B.Count, s.C.Count)));

    [TestCaseSource(nameof(Shapes))]
    public void MissingLanes_AreAFaultWithBarrierChecksOnly(Shape s)
    {
        using var warp = new WarpHarness { Active = 0xffff_fffb };
        int[] registers = [.. Enumerable.Range(0, 2 * s.C.Count + s.A.Count + s.B.Count)];
        KernelFault fault = Assert.Throws<KernelFault>(() => warp.Run(s.Key, registers))!;
        Assert.Multiple(() =>
        {
            Assert.That(fault.Kind, Is.EqualTo(FaultKind.DivergentBarrier));
            Assert.That(fault.Line, Is.EqualTo(WarpHarness.Line));
            Assert.That(fault.Thread.X, Is.EqualTo(34), "warp 1, lane 2");
            Assert.That(fault.Block.X, Is.EqualTo(3));
            Assert.That(fault.Detail, Does.Contain("fffffffb"));
        });
        warp.Checks = CheckFlags.All & ~CheckFlags.Barriers;
        Assert.That(() => warp.Run(s.Key, registers), Throws.Nothing);
    }

    [Test]
    public void PathsForWideAndAnyVectors_GiveTheSameBits()
    {
        if (!MmaTile.Wide) Assert.Ignore("no AVX-512 here: only one path");
        var random = new Random(11);
        byte* f = stackalloc byte[16 * 128];
        int* o = stackalloc int[14];
        for (int i = 0; i < 14; i++) o[i] = i < 4 ? 1280 + i * 128 : (i - 4) * 128;
        for (int i = 10; i < 14; i++) o[i] = o[i - 10];
        for (int run = 0; run < 2000; run++)
        {
            var frame = new Span<byte>(f, 16 * 128);
            random.NextBytes(frame);
            byte[] saved = frame.ToArray();
            MmaTile.K16<MmaBf16>(f, o + 4, o + 8, f, o + 10, f, o);
            byte[] wide = frame.ToArray();
            saved.CopyTo(frame);
            MmaRows.Run<MmaBf16>(f, o + 4, o + 8, 16, true, f, o + 10, f, o);
            Assert.That(frame.SequenceEqual(wide), Is.True, $"run {run}");
        }
    }
}
