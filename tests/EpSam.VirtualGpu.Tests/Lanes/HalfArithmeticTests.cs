// f16, bf16 and their packed pairs: exact rounding on edges and random numbers, and every one of the 65,536 values
// for the operations of one operand. The packed forms run two different rows in their two halves.
namespace EpSam.VirtualGpu.Tests.Lanes;

[Parallelizable(ParallelScope.All)]
internal sealed class HalfArithmeticTests
{
    static readonly string[] formats = ["f16", "bf16"];
    static readonly ulong[] all = [.. Enumerable.Range(0, 65536).Select(i => (ulong)i)];

    [Test, Combinatorial]
    public void Binary_MatchesExactRounding(
        [Values("add", "sub", "mul")] string op, [ValueSource(nameof(formats))] string type)
    {
        Format f = Format.Named(type);
        (ulong[] a, ulong[] b) = Pairs(f);
        CheckBoth(op, type, i => op switch
        {
            "add" => FloatReference.Add(f, a[i], b[i], Mode.Rn),
            "sub" => FloatReference.Sub(f, a[i], b[i], Mode.Rn),
            _ => FloatReference.Mul(f, a[i], b[i], Mode.Rn),
        }, a, b);
    }

    [TestCaseSource(nameof(formats))]
    public void Fma_RoundsOnce(string type)
    {
        Format f = Format.Named(type);
        (ulong[] a, ulong[] b, ulong[] c) = FloatOperands.Triples(f, 12000);
        CheckBoth("fma.rn", type, i => FloatReference.Fma(f, a[i], b[i], c[i], Mode.Rn), a, b, c);
        CheckBoth("fma.rn.relu", type, i =>
        {
            ulong result = FloatReference.Fma(f, a[i], b[i], c[i], Mode.Rn);
            return f.IsNegative(result) ? 0 : result;
        }, a, b, c);
    }

    // (1 + 2^-10) 2^-5 * (1 - 2^-10) 2^-6 + (1 + 2^-10) lies 2^-31 below a tie of f16; rounded to f32 first it would
    // be the tie.
    [Test]
    public void Fma_JustBelowATie_RoundsDown() =>
        Assert.That(FloatLane.Run("fma.rn.f16", [0x2801], [0x23fe], [0x3c01])[0], Is.EqualTo(0x3c01));

    [Test, Combinatorial]
    public void MinMax_SignedZerosAndNaN(
        [Values("min", "max")] string op, [Values("", ".NaN")] string nan, [Values("", ".xorsign.abs")] string xorSign,
        [ValueSource(nameof(formats))] string type)
    {
        Format f = Format.Named(type);
        (ulong[] a, ulong[] b) = Pairs(f);
        CheckBoth(op + nan + xorSign, type,
            i => FloatReference.MinMax(f, a[i], b[i], op == "max", nan != "", xorSign != ""), a, b);
    }

    [Test, Combinatorial]
    public void Setp_BothHalves(
        [ValueSource(typeof(FloatCompareTests), nameof(FloatCompareTests.Comparisons))] string comparison,
        [ValueSource(nameof(formats))] string type)
    {
        Format f = Format.Named(type);
        (ulong[] a, ulong[] b) = Pairs(f);
        ulong Expected(int i) => FloatCompareTests.Compare(f, a[i], b[i], comparison) ? 1u : 0u;
        FloatLane.Check($"setp.{comparison}.{type}", f, Expected, true, a, b);
        int last = a.Length - 1;
        (ulong[] pa, ulong[] pb) = (Pack(a), Pack(b));
        FloatLane.Check($"setp.{comparison}.{type}x2", f, Expected, true, pa, pb);
        FloatLane.Check($"setp.{comparison}.{type}x2.hi", f, i => Expected(last - i), true, pa, pb);
    }

    [TestCaseSource(nameof(formats))]
    public void Unary_BitOperations_AllValues(string type)
    {
        Format f = Format.Named(type);
        CheckBoth("abs", type, i => all[i] & 0x7fff, all);
        CheckBoth("neg", type, i => all[i] ^ 0x8000, all);
        CheckBoth("flush", type, i => (all[i] & 0x7fff) < f.LeastNormal ? all[i] & 0x8000 : all[i], all);
        CheckBoth("sat", type, i => FloatCompareTests.Saturate(f, all[i]), all);
    }

    // ISA: ex2.approx.f16 2^-9.9 relative, ex2.approx.ftz.bf16 2^-7 relative; tanh.approx.f16 2^-10.987 absolute,
    // bf16 2^-8.
    [TestCase("ex2.approx", "f16", -9.9, false)]
    [TestCase("ex2.approx", "bf16", -7.0, false)]
    [TestCase("tanh.approx", "f16", -10.987, true)]
    [TestCase("tanh.approx", "bf16", -8.0, true)]
    public void Approximation_AllValues_WithinIsaBound(string op, string type, double log2Bound, bool absolute)
    {
        Format f = Format.Named(type);
        double bound = Math.Pow(2, log2Bound), leastNormal = ToDouble(f, f.LeastNormal);
        double largest = ToDouble(f, f.Infinity - 1);
        ulong[] actual = FloatLane.Run($"{op}.{type}", all), packed = FloatLane.Run($"{op}.{type}x2", Pack(all));
        for (int i = 0; i < all.Length; i++)
        {
            Assert.That(packed[i], Is.EqualTo(actual[i] | actual[65535 - i] << 16), "packed as scalar");
            if (f.IsNaN(all[i]))
            {
                Assert.That(actual[i], Is.EqualTo(0x7fff));
                continue;
            }
            double a = ToDouble(f, all[i]) * (f.IsInfinite(all[i]) ? double.PositiveInfinity : 1);
            double expected = op[0] == 'e' ? Math.Pow(2, a) : Math.Tanh(a);
            double result = ToDouble(f, actual[i]);
            if (expected > largest)
            {
                Assert.That(actual[i], Is.EqualTo(f.Infinity));
                continue;
            }
            double scale = absolute ? 1 : expected;
            // Below the least normal number f16 has only its fixed last place; bf16 (.ftz) has zero.
            double allowed = absolute || expected >= leastNormal ? bound * scale
                : type == "f16" ? ToDouble(f, 1) : leastNormal;
            Assert.That(Math.Abs(result - expected), Is.LessThanOrEqualTo(allowed), $"{op}.{type} of 0x{i:x4}");
        }
    }

    static double ToDouble(Format f, ulong bits)
    {
        Exact x = f.Value(bits);
        return (double)x.M * Math.Pow(2, x.E);
    }

    static (ulong[] A, ulong[] B) Pairs(Format f)
    {
        (ulong[] a, ulong[] b) = FloatLane.Cross(f.Edges(), f.Edges());
        return ([.. a, .. f.Random(new Random(1), 6000)], [.. b, .. f.Random(new Random(2), 6000)]);
    }

    /// <summary>Each row in the lower half, the rows in reverse order in the upper one.</summary>
    static ulong[] Pack(ulong[] column) => [.. column.Select((x, i) => x | column[column.Length - 1 - i] << 16)];

    /// <summary>The scalar form, with rubbish above its operands, and the packed one. NaN must be canonical.</summary>
    static void CheckBoth(string op, string type, Func<int, ulong> expected, params ulong[][] operands)
    {
        ulong[] rows = [.. Enumerable.Range(0, operands[0].Length).Select(expected)];
        ulong[][] dirty = [.. operands.Select(o => o.Select(x => x | 0xabcd0000u).ToArray())];
        FloatLane.Check($"{op}.{type}", Format.Named(type), i => rows[i], true, dirty);
        FloatLane.Check($"{op}.{type}x2", Format.Named(type), i => rows[i] | rows[rows.Length - 1 - i] << 16, true,
            [.. operands.Select(Pack)]);
    }
}
