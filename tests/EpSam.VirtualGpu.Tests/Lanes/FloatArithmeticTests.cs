// Every rounding mode of f32 and f64 arithmetic against exact rounding, over edge values crossed with edge values and
// over random numbers.
namespace EpSam.VirtualGpu.Tests.Lanes;

[Parallelizable(ParallelScope.All)]
internal sealed class FloatArithmeticTests
{
    static readonly string[] formats = ["f32", "f64"];

    [Test, Combinatorial]
    public void Binary_AllRoundings_MatchExactRounding(
        [Values("add", "sub", "mul", "div")] string op, [Values] Mode mode, [ValueSource(nameof(formats))] string type)
    {
        Format f = Format.Named(type);
        // .rn is the default of add, sub and mul and not part of their keys.
        string rounding = mode == Mode.Rn && op != "div" ? "" : "." + mode.ToString().ToLowerInvariant();
        (ulong[] a, ulong[] b) = Operands(f, 1500);
        FloatLane.Check($"{op}{rounding}.{type}", f, i => op switch
        {
            "add" => FloatReference.Add(f, a[i], b[i], mode),
            "sub" => FloatReference.Sub(f, a[i], b[i], mode),
            "mul" => FloatReference.Mul(f, a[i], b[i], mode),
            _ => FloatReference.Div(f, a[i], b[i], mode),
        }, exactNaN: mode != Mode.Rn, a, b);
    }

    [Test, Combinatorial]
    public void Unary_AllRoundings_MatchExactRounding(
        [Values("rcp", "sqrt")] string op, [Values] Mode mode, [ValueSource(nameof(formats))] string type)
    {
        Format f = Format.Named(type);
        ulong[] a = [.. f.Edges(), .. f.Random(new Random(7), 3000)];
        FloatLane.Check($"{op}.{mode.ToString().ToLowerInvariant()}.{type}", f,
            i => op == "rcp" ? FloatReference.Div(f, f.One, a[i], mode) : FloatReference.Sqrt(f, a[i], mode),
            exactNaN: mode != Mode.Rn, a);
    }

    [Test, Combinatorial]
    public void Fma_AllRoundings_RoundOnce(
        [Values("fma", "mad")] string op, [Values] Mode mode, [ValueSource(nameof(formats))] string type)
    {
        Format f = Format.Named(type);
        (ulong[] a, ulong[] b, ulong[] c) = FloatOperands.Triples(f, op == "fma" ? 4000 : 200);
        FloatLane.Check($"{op}.{mode.ToString().ToLowerInvariant()}.{type}", f,
            i => FloatReference.Fma(f, a[i], b[i], c[i], mode), exactNaN: mode != Mode.Rn, a, b, c);
    }

    // One plus and minus a quarter of its last place, 1/3, the largest number plus one half of its last place.
    [TestCase("add.f32", 0x3f800000u, 0x33000000u, 0x3f800000u)]
    [TestCase("add.rp.f32", 0x3f800000u, 0x33000000u, 0x3f800001u)]
    [TestCase("add.rz.f32", 0x3f800000u, 0xb3000000u, 0x3f7fffffu)]
    [TestCase("add.rm.f32", 0x3f800000u, 0xbf800000u, 0x80000000u)]
    [TestCase("add.rz.f32", 0x7f7fffffu, 0x7f7fffffu, 0x7f7fffffu)]
    [TestCase("add.rm.f32", 0x7f7fffffu, 0x7f7fffffu, 0x7f7fffffu)]
    [TestCase("add.rp.f32", 0x7f7fffffu, 0x73000000u, 0x7f800000u)]
    [TestCase("add.rm.f32", 0xff7fffffu, 0xff7fffffu, 0xff800000u)]
    [TestCase("mul.rp.f32", 0x00000001u, 0x00000001u, 0x00000001u)]
    [TestCase("mul.rm.f32", 0x80000001u, 0x00000001u, 0x80000001u)]
    [TestCase("mul.rz.f32", 0x80000001u, 0x00000001u, 0x80000000u)]
    [TestCase("div.rn.f32", 0x3f800000u, 0x40400000u, 0x3eaaaaabu)]
    [TestCase("div.rz.f32", 0x3f800000u, 0x40400000u, 0x3eaaaaaau)]
    [TestCase("div.full.f32", 0x3f800000u, 0x40400000u, 0x3eaaaaabu)]
    [TestCase("div.approx.f32", 0x40c00000u, 0x40000000u, 0x40400000u)]
    [TestCase("div.approx.f32", 0x40c00000u, 0x7f000000u, 0x00000000u)]   // |b| > 2^126: zero
    [TestCase("div.approx.f32", 0x7f800000u, 0x7f000000u, 0x7fc00000u)]   // and NaN for an infinite a
    public void Binary_KnownValues(string key, uint a, uint b, uint expected) =>
        FloatLane.Check(key, Format.F32, _ => expected, exactNaN: false, [a], [b]);

    static (ulong[] A, ulong[] B) Operands(Format f, int random)
    {
        (ulong[] a, ulong[] b) = FloatLane.Cross(f.Edges(), f.Edges());
        return ([.. a, .. f.Random(new Random(1), random)], [.. b, .. f.Random(new Random(2), random)]);
    }
}

internal static class FloatOperands
{
    /// <summary>Edge triples; random ones; and sums that nearly cancel, where a second rounding would show.</summary>
    public static (ulong[] A, ulong[] B, ulong[] C) Triples(Format f, int random)
    {
        ulong[] edges = [.. f.Edges().Where((_, i) => i % 3 == 0)];
        (ulong[] pairA, ulong[] pairB) = FloatLane.Cross(edges, edges);
        ulong[] a = [.. edges.SelectMany(_ => pairA)], b = [.. edges.SelectMany(_ => pairB)];
        ulong[] c = [.. edges.SelectMany(x => Enumerable.Repeat(x, pairA.Length))];
        ulong[] ra = f.Random(new Random(3), random), rb = f.Random(new Random(4), random);
        ulong[] rc = f.Random(new Random(5), random);
        for (int i = 0; i < random; i += 2)
        {
            if (f.IsNaN(ra[i]) || f.IsNaN(rb[i]) || f.IsInfinite(ra[i]) || f.IsInfinite(rb[i])) continue;
            ulong product = FloatReference.Mul(f, ra[i], rb[i], Mode.Rn);
            rc[i] = (product ^ f.Sign) + (ulong)(i % 5) * (ulong)(i % 7);
            if (i % 8 == 2) rc[i] = product ^ (ulong)(i % 3) << f.Mantissa;
        }
        return ([.. a, .. ra], [.. b, .. rb], [.. c, .. rc.Select(x => x & (f.Sign | f.Sign - 1))]);
    }
}
