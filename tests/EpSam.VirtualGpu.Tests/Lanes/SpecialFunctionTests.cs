// The approximations against double: the largest error over a dense sample of f32 bit patterns must stay within the
// bound of the PTX ISA ("Floating-Point Instructions", at each instruction); and the ISA's tables of special values.
namespace EpSam.VirtualGpu.Tests.Lanes;

[Parallelizable(ParallelScope.All)]
internal sealed class SpecialFunctionTests
{
    const uint Infinity = 0x7f800000, MinusInfinity = 0xff800000, NaN = 0x7fffffff, One = 0x3f800000;

    // ISA bounds: ex2 2^-22.5 relative; lg2 2^-22.6 absolute in (0.5, 2), relative outside; rsqrt 2^-22.9, sqrt 2^-23
    // and tanh 2^-11 relative; rcp 1 ulp, div 2 ulp (a unit in the last place is at least 2^-24 of the value); sin,
    // cos 2^-20.9 absolute in [-pi, pi].
    [TestCase("ex2.approx.f32", -126f, 127.9999f, -22.5, false)]
    [TestCase("lg2.approx.f32", 0.5f, 2f, -22.6, true)]
    [TestCase("lg2.approx.f32", 1e-45f, 0.5f, -22.6, false)]
    [TestCase("lg2.approx.f32", 2f, float.MaxValue, -22.6, false)]
    [TestCase("rsqrt.approx.f32", 1e-45f, float.MaxValue, -22.9, false)]
    [TestCase("sqrt.approx.f32", 1e-45f, float.MaxValue, -23.0, false)]
    [TestCase("tanh.approx.f32", -100f, 100f, -11.0, false)]
    [TestCase("rcp.approx.f32", 1e-37f, 8e37f, -24.0, false)]
    [TestCase("rcp.approx.f32", -8e37f, -1e-37f, -24.0, false)]
    [TestCase("sin.approx.f32", -3.1415927f, 3.1415927f, -20.9, true)]
    [TestCase("cos.approx.f32", -3.1415927f, 3.1415927f, -20.9, true)]
    [TestCase("sin.approx.f32", -1e6f, 1e6f, -20.9, true)]
    [TestCase("cos.approx.f32", -1e6f, 1e6f, -20.9, true)]
    public void Approximation_LargestError_WithinIsaBound(
        string key, float from, float to, double log2Bound, bool absolute)
    {
        float[] inputs = Between(from, to);
        ulong[] actual = FloatLane.Run(key, Columns(inputs));
        (double worst, float at) = (0, 0);
        for (int i = 0; i < inputs.Length; i++)
        {
            double expected = Reference(key, inputs[i]);
            double error = Math.Abs(ToFloat(actual[i]) - expected);
            if (!absolute && expected != 0) error /= Math.Abs(expected);
            if (!(error <= worst)) (worst, at) = (error, inputs[i]);
        }
        Assert.That(Math.Log2(worst), Is.LessThanOrEqualTo(log2Bound), $"{key}, worst at {at:R}");
    }

    static double Reference(string key, double a) => key.Split('.')[0] switch
    {
        "ex2" => Math.Pow(2, a),
        "lg2" => Math.Log2(a),
        "rsqrt" => 1 / Math.Sqrt(a),
        "sqrt" => Math.Sqrt(a),
        "tanh" => Math.Tanh(a),
        "rcp" => 1 / a,
        "sin" => Math.Sin(a),
        _ => Math.Cos(a),
    };

    [Test]
    public void Ex2_SubnormalResults_WithinOneLastPlace()
    {
        float[] inputs = Between(-152, -126);
        ulong[] actual = FloatLane.Run("ex2.approx.f32", Columns(inputs));
        double worst = inputs.Select((a, i) => Math.Abs(ToFloat(actual[i]) - Math.Pow(2, a))).Max();
        Assert.That(worst, Is.LessThanOrEqualTo(Math.Pow(2, -149)));
    }

    [Test]
    public void Ex2_Integers_AreExact()
    {
        float[] inputs = [.. Enumerable.Range(-149, 149 + 128).Select(i => (float)i)];
        ulong[] actual = FloatLane.Run("ex2.approx.f32", Columns(inputs));
        for (int i = 0; i < inputs.Length; i++)
            Assert.That((double)ToFloat(actual[i]), Is.EqualTo(Math.Pow(2, inputs[i])), $"2^{inputs[i]}");
    }

    [Test]
    public void DivApprox_WithinTwoUlp()
    {
        float[] a = [.. Between(1e-30f, 1e30f).Where((_, i) => i % 4 == 0)];
        float[] b = [.. a.Select((_, i) => a[i * 7919 % a.Length])];
        ulong[] actual = FloatLane.Run("div.approx.f32", Columns(a), Columns(b));
        for (int i = 0; i < a.Length; i++)
        {
            double quotient = (double)a[i] / b[i];
            if (quotient is < 1.2e-38 or > 3.4e38) continue;
            double ulp = MathF.BitIncrement((float)quotient) - (double)(float)quotient;
            Assert.That(Math.Abs(ToFloat(actual[i]) - quotient), Is.LessThanOrEqualTo(2 * ulp), $"{a[i]:R} / {b[i]:R}");
        }
    }

    // NaN as expected value: any NaN.
    [TestCase("ex2.approx.f32", MinusInfinity, 0u)]
    [TestCase("ex2.approx.f32", 0x80000001u, One)]
    [TestCase("ex2.approx.f32", 0x80000000u, One)]
    [TestCase("ex2.approx.f32", 0u, One)]
    [TestCase("ex2.approx.f32", 1u, One)]
    [TestCase("ex2.approx.f32", 0x43000000u, Infinity)]        // 128
    [TestCase("ex2.approx.f32", 0x7f7fffffu, Infinity)]
    [TestCase("ex2.approx.f32", Infinity, Infinity)]
    [TestCase("ex2.approx.f32", 0xff7fffffu, 0u)]
    [TestCase("ex2.approx.f32", 0x7f800001u, NaN)]
    [TestCase("ex2.approx.f32", 0xffffffffu, NaN)]
    [TestCase("lg2.approx.f32", MinusInfinity, NaN)]
    [TestCase("lg2.approx.f32", 0xbf800000u, NaN)]
    [TestCase("lg2.approx.f32", 0x80000001u, NaN)]
    [TestCase("lg2.approx.f32", 0x80000000u, MinusInfinity)]
    [TestCase("lg2.approx.f32", 0u, MinusInfinity)]
    [TestCase("lg2.approx.f32", 1u, 0xc3150000u)]              // -149
    [TestCase("lg2.approx.f32", One, 0u)]
    [TestCase("lg2.approx.f32", 0x3f000000u, 0xbf800000u)]
    [TestCase("lg2.approx.f32", 0x41000000u, 0x40400000u)]     // 8
    [TestCase("lg2.approx.f32", Infinity, Infinity)]
    [TestCase("lg2.approx.f32", NaN, NaN)]
    [TestCase("rcp.approx.f32", MinusInfinity, 0x80000000u)]
    [TestCase("rcp.approx.f32", 0x80000000u, MinusInfinity)]
    [TestCase("rcp.approx.f32", 0u, Infinity)]
    [TestCase("rcp.approx.f32", Infinity, 0u)]
    [TestCase("rcp.approx.f32", 1u, Infinity)]
    [TestCase("rcp.approx.f32", 0x40000000u, 0x3f000000u)]
    [TestCase("rcp.approx.f32", NaN, NaN)]
    [TestCase("rsqrt.approx.f32", MinusInfinity, NaN)]
    [TestCase("rsqrt.approx.f32", 0xbf800000u, NaN)]
    [TestCase("rsqrt.approx.f32", 0x80000000u, MinusInfinity)]
    [TestCase("rsqrt.approx.f32", 0u, Infinity)]
    [TestCase("rsqrt.approx.f32", 0x40800000u, 0x3f000000u)]
    [TestCase("rsqrt.approx.f32", Infinity, 0u)]
    [TestCase("rsqrt.approx.f32", NaN, NaN)]
    [TestCase("sqrt.approx.f32", 0xbf800000u, NaN)]
    [TestCase("sqrt.approx.f32", 0x80000000u, 0x80000000u)]
    [TestCase("sqrt.approx.f32", 0u, 0u)]
    [TestCase("sqrt.approx.f32", Infinity, Infinity)]
    [TestCase("sqrt.approx.f32", NaN, NaN)]
    [TestCase("sin.approx.f32", MinusInfinity, NaN)]
    [TestCase("sin.approx.f32", Infinity, NaN)]
    [TestCase("sin.approx.f32", 0x80000000u, 0x80000000u)]
    [TestCase("sin.approx.f32", 0u, 0u)]
    [TestCase("sin.approx.f32", 0x80000001u, 0x80000001u)]
    [TestCase("sin.approx.f32", NaN, NaN)]
    [TestCase("cos.approx.f32", Infinity, NaN)]
    [TestCase("cos.approx.f32", MinusInfinity, NaN)]
    [TestCase("cos.approx.f32", 0x80000000u, One)]
    [TestCase("cos.approx.f32", 0u, One)]
    [TestCase("cos.approx.f32", 1u, One)]
    [TestCase("cos.approx.f32", NaN, NaN)]
    [TestCase("tanh.approx.f32", MinusInfinity, 0xbf800000u)]
    [TestCase("tanh.approx.f32", Infinity, One)]
    [TestCase("tanh.approx.f32", 0x80000000u, 0x80000000u)]
    [TestCase("tanh.approx.f32", 0u, 0u)]
    [TestCase("tanh.approx.f32", 1u, 1u)]
    [TestCase("tanh.approx.f32", NaN, NaN)]
    public void SpecialValues_AsInIsaTable(string key, uint a, uint expected) =>
        FloatLane.Check(key, Format.F32, _ => expected, exactNaN: false, [a]);

    // The bits of 200,000 results, hashed: the same on every vector unit. Recorded with AVX-512; a difference elsewhere
    // means that results depend on the machine. (A better approximation changes them too, on purpose.)
    [TestCase("ex2.approx.f32", -150f, 129f, 0x6f14bf9047456e0au)]
    [TestCase("lg2.approx.f32", 0f, float.MaxValue, 0x90936f48446cd245u)]
    [TestCase("tanh.approx.f32", -8f, 8f, 0x067353c5b83c1cdbu)]
    [TestCase("sin.approx.f32", -1e5f, 1e5f, 0xddbe47c84b669fa0u)]
    [TestCase("cos.approx.f32", -1e5f, 1e5f, 0x4b9b36ba01c20fadu)]
    [TestCase("rsqrt.approx.f32", 0f, float.MaxValue, 0xa686ba24806bbeb9u)]
    public void Approximation_BitsDoNotDependOnTheMachine(string key, float from, float to, ulong expected)
    {
        ulong hash = 0xcbf29ce484222325;   // FNV-1a
        foreach (ulong bits in FloatLane.Run(key, Columns(Between(from, to)))) hash = (hash ^ bits) * 0x100000001b3;
        Assert.That(hash, Is.EqualTo(expected), $"0x{hash:x}");
    }

    [TestCase("sin.approx.f32")]
    [TestCase("cos.approx.f32")]
    public void SinCos_HugeArguments_StayInRange(string key)
    {
        foreach (ulong result in FloatLane.Run(key, Columns(Between(1e6f, float.MaxValue))))
            Assert.That(Math.Abs(ToFloat(result)), Is.LessThanOrEqualTo(1f));
    }

    // rcp.approx.ftz.f64 looks at the upper half of its operand only and gives 20 bits of fraction.
    [TestCase("rcp.approx.f64", -21.0)]
    [TestCase("rsqrt.approx.f64", -51.0)]
    public void Double_Approximation_WithinBound(string key, double log2Bound)
    {
        bool isCoarse = key.StartsWith("rcp");
        ulong[] bits = [.. Enumerable.Range(0, 20000).Select(i => Math.Pow(2, i / 10.0 - 1000) * (1 + i % 977 / 977.0))
            .Select(x => BitConverter.DoubleToUInt64Bits(x) & (isCoarse ? 0xffff_ffff_0000_0000 : ulong.MaxValue))];
        double[] inputs = [.. bits.Select(BitConverter.UInt64BitsToDouble)];
        ulong[] actual = FloatLane.Run(key, bits);
        for (int i = 0; i < inputs.Length; i++)
        {
            double expected = isCoarse ? 1 / inputs[i] : 1 / Math.Sqrt(inputs[i]);
            if (expected < 2.3e-308) continue;
            double error = Math.Abs(BitConverter.UInt64BitsToDouble(actual[i]) / expected - 1);
            Assert.That(error, Is.LessThanOrEqualTo(Math.Pow(2, log2Bound)), $"{inputs[i]:R}");
            if (isCoarse) Assert.That(actual[i] & 0xffff_ffff, Is.Zero, "only the upper half is set");
        }
    }

    [TestCase("rcp.approx.f64", 0x0000000000000000u, 0x7ff0000000000000u)]
    [TestCase("rcp.approx.f64", 0x800fffffffffffffu, 0xfff0000000000000u)]   // a subnormal counts as zero
    [TestCase("rcp.approx.f64", 0x7ff0000000000000u, 0x0000000000000000u)]
    [TestCase("rcp.approx.f64", 0xffe0000000000000u, 0x8000000000000000u)]   // so does a subnormal result
    [TestCase("rcp.approx.f64", 0x7ff8000000000000u, 0x7ff8000000000000u)]
    [TestCase("rcp.approx.f64", 0x4000000000000000u, 0x3fe0000000000000u)]
    [TestCase("rcp.approx.f64", 0x40000000ffffffffu, 0x3fe0000000000000u)]   // the lower half is not looked at
    [TestCase("rsqrt.approx.f64", 0x8000000000000000u, 0xfff0000000000000u)]
    [TestCase("rsqrt.approx.f64", 0x0000000000000000u, 0x7ff0000000000000u)]
    [TestCase("rsqrt.approx.f64", 0xbff0000000000000u, 0x7ff8000000000000u)]
    [TestCase("rsqrt.approx.f64", 0x7ff0000000000000u, 0x0000000000000000u)]
    public void Double_SpecialValues(string key, ulong a, ulong expected) =>
        FloatLane.Check(key, Format.F64, _ => expected, exactNaN: false, [a]);

    /// <summary>About 200,000 numbers, evenly over the bit patterns from one bound to the other.</summary>
    static float[] Between(float from, float to)
    {
        var numbers = new List<float>();
        // Bit patterns as a number line: the sign as minus.
        long first = Line(from), last = Line(to), step = Math.Max(1, (last - first) / 200_000);
        for (long i = first; i <= last; i += step)
        {
            uint bits = i < 0 ? (uint)-i | 0x80000000 : (uint)i;
            numbers.Add(BitConverter.UInt32BitsToSingle(bits));
        }
        return [.. numbers];
    }

    static long Line(float a) =>
        a < 0 ? -(long)BitConverter.SingleToUInt32Bits(-a) : BitConverter.SingleToUInt32Bits(a);
    static float ToFloat(ulong bits) => BitConverter.UInt32BitsToSingle((uint)bits);
    static ulong[] Columns(float[] numbers) => [.. numbers.Select(x => (ulong)BitConverter.SingleToUInt32Bits(x))];
}
