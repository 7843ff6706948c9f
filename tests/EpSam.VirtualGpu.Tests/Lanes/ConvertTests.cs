// Every cvt: all pairs of types, all rounding modes, with and without .sat, against exact values. Operands narrower
// than their lane come with rubbish above, results narrower than 32 bits must be zero-extended.
using System.Numerics;

namespace EpSam.VirtualGpu.Tests.Lanes;

[Parallelizable(ParallelScope.All)]
internal sealed class ConvertTests
{
    static readonly string[] integers = ["u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64"];
    static readonly string[] floats = ["f16", "bf16", "f32", "f64"];
    static readonly bool[] saturation = [false, true];

    static string Name(Mode mode) => mode.ToString().ToLowerInvariant();
    static int Bits(string integer) => int.Parse(integer[1..]);
    static BigInteger Min(string integer) => integer[0] == 's' ? -(BigInteger.One << (Bits(integer) - 1)) : 0;
    static BigInteger Max(string integer) => (BigInteger.One << (Bits(integer) - (integer[0] == 's' ? 1 : 0))) - 1;
    static ulong Field(BigInteger value, int bits) => (ulong)(value & ((BigInteger.One << bits) - 1));

    static BigInteger IntegerValue(ulong bits, string type)
    {
        BigInteger value = Field(bits, Bits(type));
        return value > Max(type) ? value - (BigInteger.One << Bits(type)) : value;
    }

    [Test, Combinatorial]
    public void IntegerToInteger(
        [ValueSource(nameof(integers))] string to, [ValueSource(nameof(integers))] string from,
        [ValueSource(nameof(saturation))] bool sat)
    {
        ulong[] a = Integers(from);
        FloatLane.Check($"cvt{(sat ? ".sat" : "")}.{to}.{from}", Format.F64, i =>
        {
            BigInteger value = IntegerValue(a[i], from);
            return Field(sat ? BigInteger.Clamp(value, Min(to), Max(to)) : value, Bits(to));
        }, true, a);
    }

    [Test, Combinatorial]
    public void FloatToInteger_RoundsClampsAndMakesNaNZero(
        [ValueSource(nameof(integers))] string to, [ValueSource(nameof(floats))] string from, [Values] Mode mode,
        [ValueSource(nameof(saturation))] bool sat)
    {
        Format f = Format.Named(from);
        ulong[] a = FloatsNearIntegers(f, to);
        FloatLane.Check($"cvt.{Name(mode)}i{(sat ? ".sat" : "")}.{to}.{from}", Format.F64, i =>
        {
            ulong bits = a[i] & (f.Sign | f.Sign - 1);
            if (f.IsNaN(bits)) return 0;
            if (f.IsInfinite(bits)) return Field(f.IsNegative(bits) ? Min(to) : Max(to), Bits(to));
            return Field(BigInteger.Clamp(Integral(f.Value(bits), mode), Min(to), Max(to)), Bits(to));
        }, true, a);
    }

    [Test, Combinatorial]
    public void IntegerToFloat_RoundsOnce(
        [ValueSource(nameof(floats))] string to, [ValueSource(nameof(integers))] string from, [Values] Mode mode,
        [ValueSource(nameof(saturation))] bool sat)
    {
        Format f = Format.Named(to);
        ulong[] a = [.. Integers(from), .. IntegersNearTies(f, from)];
        FloatLane.Check($"cvt.{Name(mode)}{(sat ? ".sat" : "")}.{to}.{from}", f, i =>
        {
            ulong result = f.Round(IntegerValue(a[i], from), mode);
            return sat ? FloatCompareTests.Saturate(f, result) : result;
        }, true, a);
    }

    // Narrowing needs a mode, widening takes none, the same type takes an integral one or none.
    [Test, Combinatorial]
    public void FloatToFloat(
        [ValueSource(nameof(floats))] string to, [ValueSource(nameof(floats))] string from, [Values] Mode mode,
        [ValueSource(nameof(saturation))] bool sat)
    {
        (Format f, Format g) = (Format.Named(from), Format.Named(to));
        bool narrows = g.Mantissa < f.Mantissa || g.Exponent < f.Exponent, same = to == from;
        if (!narrows && !same && mode != Mode.Rn) return;
        ulong[] a = [.. f.Edges(), .. f.Random(new Random(11), 1500), .. narrows ? Ties(f, g, 700) : []];
        ulong[] dirty = [.. a.Select(x => f.Width == 16 ? x | 0xabcd0000u : x)];
        string rounding = narrows ? "." + Name(mode) : same ? $".{Name(mode)}i" : "";
        string key = $"cvt{rounding}{(sat ? ".sat" : "")}.{to}.{from}";
        FloatLane.Check(key, g, i =>
        {
            ulong sign = f.IsNegative(a[i]) ? g.Sign : 0;
            ulong result = f.IsNaN(a[i]) ? g.CanonicalNaN
                : f.IsInfinite(a[i]) ? sign | g.Infinity
                : same ? g.Round(Integral(f.Value(a[i]), mode), Mode.Rn, sign != 0)
                : g.Round(f.Value(a[i]), mode, sign != 0);
            return sat ? FloatCompareTests.Saturate(g, result) : result;
        }, exactNaN: sat || narrows && to.EndsWith("16"), dirty);
    }

    [TestCase("f16")]
    [TestCase("bf16")]
    [TestCase("f32")]
    [TestCase("f64")]
    public void SameType_WithoutRounding_IsTheValueOrItsClamp(string type)
    {
        Format f = Format.Named(type);
        ulong[] a = [.. f.Edges(), .. f.Random(new Random(3), 200)];
        FloatLane.Check($"cvt.{type}.{type}", f, i => a[i], true, a);
        FloatLane.Check($"cvt.sat.{type}.{type}", f, i => FloatCompareTests.Saturate(f, a[i]), true, a);
    }

    [TestCase("f16")]
    [TestCase("bf16")]
    public void HalfToSingle_AllValues(string type)
    {
        Format f = Format.Named(type);
        ulong[] a = [.. Enumerable.Range(0, 65536).Select(i => (ulong)i)];
        ulong[] actual = FloatLane.Run($"cvt.f32.{type}", a), back = FloatLane.Run($"cvt.rn.{type}.f32", actual);
        for (int i = 0; i < a.Length; i++)
        {
            float value = BitConverter.UInt32BitsToSingle((uint)actual[i]);
            if (f.IsNaN(a[i]))
            {
                Assert.That(float.IsNaN(value) && back[i] == f.CanonicalNaN, $"0x{a[i]:x4}");
                continue;
            }
            Exact x = f.Value(a[i]);
            double expected = f.IsInfinite(a[i]) ? x.Sign * double.PositiveInfinity : (double)x.M * Math.Pow(2, x.E);
            Assert.That((double)value, Is.EqualTo(expected), $"0x{a[i]:x4}");
            Assert.That(back[i], Is.EqualTo(a[i]), "and back");
        }
    }

    // Between each half and the next: the tie goes to the even one, one f32 step to either side decides.
    [TestCase("f16")]
    [TestCase("bf16")]
    public void SingleToHalf_EveryTie(string type)
    {
        Format f = Format.Named(type);
        var inputs = new List<ulong>();
        var expected = new List<ulong>();
        for (ulong half = 0; half < f.Infinity; half++)
        {
            Exact sum = f.Value(half) + f.Value(half + 1);
            ulong tie = Format.F32.Round(new Exact(sum.M, sum.E - 1), Mode.Rn);
            ulong sign = half % 2 == 0 ? 0u : 0x8000;
            inputs.AddRange([tie - 1 | sign << 16, tie | sign << 16, tie + 1 | sign << 16]);
            expected.AddRange([half | sign, half + (half & 1) | sign, half + 1 | sign]);
        }
        FloatLane.Check($"cvt.rn.{type}.f32", f, i => expected[i], true, [.. inputs]);
    }

    [Test, Combinatorial]
    public void Relu_And_Packed_UpperHalfIsTheFirstSource(
        [Values("f16", "bf16")] string type, [Values(Mode.Rn, Mode.Rz)] Mode mode, [Values("", ".relu")] string relu)
    {
        (Format f, Format g) = (Format.F32, Format.Named(type));
        ulong[] a = [.. f.Edges(), .. f.Random(new Random(5), 1000), .. Ties(f, g, 500)], b = [.. a.Reverse()];
        ulong Expected(ulong x)
        {
            if (f.IsNaN(x)) return g.CanonicalNaN;
            if (f.IsNegative(x) && relu != "") return 0;
            ulong sign = f.IsNegative(x) ? g.Sign : 0;
            return f.IsInfinite(x) ? sign | g.Infinity : g.Round(f.Value(x), mode, sign != 0);
        }
        FloatLane.Check($"cvt.{Name(mode)}{relu}.{type}x2.f32", g,
            i => Expected(a[i]) << 16 | Expected(b[i]), true, a, b);
        if (relu != "") FloatLane.Check($"cvt.{Name(mode)}{relu}.{type}.f32", g, i => Expected(a[i]), true, a);
    }

    // tf32 is f32 with 10 bits of fraction.
    [TestCase("rna", "")]
    [TestCase("rn", "")]
    [TestCase("rz", "")]
    [TestCase("rn", ".relu")]
    [TestCase("rz", ".relu")]
    public void SingleToTF32(string mode, string relu)
    {
        var tf32 = new Format("tf32", 10, 8);
        ulong[] a = [.. Format.F32.Edges(), .. Format.F32.Random(new Random(6), 1000), .. Ties(Format.F32, tf32, 500)];
        FloatLane.Check($"cvt.{mode}{relu}.tf32.f32", Format.F32, i =>
        {
            bool negative = Format.F32.IsNegative(a[i]);
            if (Format.F32.IsNaN(a[i])) return 0x7fffffff;
            if (relu != "" && negative) return 0;
            if (Format.F32.IsInfinite(a[i])) return a[i];
            Exact x = Format.F32.Value(a[i]);
            ulong down = tf32.Round(x, Mode.Rz, negative), up = tf32.Round(x, negative ? Mode.Rm : Mode.Rp, negative);
            Exact twice = x + x, sum = tf32.Value(down) + tf32.Value(up);
            bool isTie = Exact.Compare(twice, sum) == 0;
            ulong result = mode == "rz" ? down : mode == "rna" && isTie ? up : tf32.Round(x, Mode.Rn, negative);
            return result << 13;
        }, true, a);
    }

    [TestCase("u16", 16)]
    [TestCase("s16", 16)]
    [TestCase("u8", 8)]
    [TestCase("s8", 8)]
    [TestCase("u4", 4)]
    [TestCase("s4", 4)]
    [TestCase("u2", 2)]
    [TestCase("s2", 2)]
    public void Pack_ClampsAndPlacesTheFields(string type, int bits)
    {
        ulong[] a = Integers("s32"), b = [.. a.Reverse()], c = [.. a.Select(x => x * 0x9e3779b1 & 0xffffffff)];
        ulong Sat(ulong x) => Field(BigInteger.Clamp(IntegerValue(x, "s32"), Min(type), Max(type)), bits);
        if (bits == 16)
            FloatLane.Check($"cvt.pack.sat.{type}.s32", Format.F64, i => Sat(a[i]) << 16 | Sat(b[i]), true, a, b);
        else
            FloatLane.Check($"cvt.pack.sat.{type}.s32.b32", Format.F64,
                i => (c[i] << 2 * bits | Sat(a[i]) << bits | Sat(b[i])) & 0xffffffff, true, a, b, c);
    }

    static BigInteger Integral(Exact x, Mode mode)
    {
        if (x.E >= 0) return x.M << x.E;
        BigInteger unit = BigInteger.One << -x.E, rest = BigInteger.ModPow(x.M, 1, unit);
        if (rest < 0) rest += unit;
        BigInteger floor = (x.M - rest) / unit;
        bool up = mode switch
        {
            Mode.Rm => false,
            Mode.Rp => rest > 0,
            Mode.Rz => rest > 0 && x.Sign < 0,
            _ => 2 * rest > unit || 2 * rest == unit && !floor.IsEven,
        };
        return up ? floor + 1 : floor;
    }

    /// <summary>The ends of all integer types and their neighbours, random numbers, with rubbish above.</summary>
    static ulong[] Integers(string type)
    {
        var random = new Random(9);
        List<ulong> numbers = [];
        foreach (string t in integers)
        {
            for (int d = -2; d <= 2; d++) numbers.AddRange([Field(Min(t) + d, 64), Field(Max(t) + d, 64)]);
        }
        for (int i = 0; i < 200; i++) numbers.Add((ulong)random.NextInt64() << 1 >> random.Next(64));
        for (int i = 0; i < 100; i++) numbers.Add(~(ulong)random.NextInt64() >> random.Next(64));
        return [.. numbers.Select(x => Bits(type) > 32 ? x : x & 0xffffffff)];
    }

    /// <summary>Integers at, just below and just above a tie between two numbers of the format.</summary>
    static ulong[] IntegersNearTies(Format f, string type)
    {
        var random = new Random(10);
        List<ulong> numbers = [];
        for (int i = 0; i < 400; i++)
        {
            int below = random.Next(1, 40);
            BigInteger m = (random.NextInt64(1L << f.Mantissa) | 1L << f.Mantissa) * BigInteger.Pow(2, below);
            BigInteger tie = m + BigInteger.Pow(2, below - 1) + random.Next(-1, 2);
            if (tie <= Max(type)) numbers.AddRange([(ulong)tie, Field(type[0] == 's' ? -tie : tie, Bits(type))]);
        }
        return [.. numbers];
    }

    /// <summary>Halves and quarters, the ends of the integer range and their neighbours, edges, random.</summary>
    static ulong[] FloatsNearIntegers(Format f, string type)
    {
        List<ulong> bits = [.. f.Edges(), .. f.Random(new Random(12), 200)];
        foreach (BigInteger end in new[] { Min(type), Max(type), Max("s8"), BigInteger.Pow(2, f.Mantissa) })
        {
            for (int quarters = -6; quarters <= 6; quarters++)
            {
                ulong near = f.Round(new Exact(4 * end + quarters, -2), Mode.Rn);
                bits.AddRange([near, near + 1, near - 1, near ^ f.Sign]);
            }
        }
        for (int quarters = -40; quarters <= 40; quarters++) bits.Add(f.Round(new Exact(quarters, -2), Mode.Rn));
        return [.. bits.Select(x => f.Width == 16 ? x & 0xffff | 0xabcd0000 : x & (f.Sign | f.Sign - 1))];
    }

    /// <summary>Numbers at and beside ties of the narrower format, also among its subnormals.</summary>
    static ulong[] Ties(Format wide, Format narrow, int count)
    {
        var random = new Random(13);
        List<ulong> bits = [];
        for (int i = 0; i < count; i++)
        {
            ulong low = (ulong)random.NextInt64((long)narrow.Infinity);
            if (i % 5 == 0) low = (ulong)random.NextInt64((long)narrow.LeastNormal * 2);
            Exact sum = narrow.Value(low) + narrow.Value(low + 1);
            ulong tie = wide.Round(new Exact(sum.M, sum.E - 1), Mode.Rn) | (i % 2 == 0 ? 0 : wide.Sign);
            bits.AddRange([tie, tie + 1, tie == 0 ? 0 : tie - 1]);
        }
        return [.. bits];
    }
}
