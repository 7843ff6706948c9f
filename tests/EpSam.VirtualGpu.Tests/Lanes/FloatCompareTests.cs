// Comparisons, min/max, selection, sign and class operations of f32 and f64, and the clamps behind .ftz and .sat.
namespace EpSam.VirtualGpu.Tests.Lanes;

[Parallelizable(ParallelScope.All)]
internal sealed class FloatCompareTests
{
    static readonly string[] formats = ["f32", "f64"];
    internal static readonly string[] Comparisons =
        ["eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"];

    /// <summary>From the ISA's tables: ordered comparisons are false for NaN, those with u are true.</summary>
    internal static bool Compare(Format f, ulong a, ulong b, string comparison)
    {
        bool isUnordered = f.IsNaN(a) || f.IsNaN(b);
        if (comparison == "num") return !isUnordered;
        if (comparison == "nan") return isUnordered;
        if (isUnordered) return comparison.EndsWith('u');
        int order = Exact.Compare(f.Value(a), f.Value(b));
        return comparison[..2] switch
        {
            "eq" => order == 0, "ne" => order != 0, "lt" => order < 0, "le" => order <= 0, "gt" => order > 0,
            _ => order >= 0,
        };
    }

    [Test, Combinatorial]
    public void Setp_AllComparisons(
        [ValueSource(nameof(Comparisons))] string comparison, [ValueSource(nameof(formats))] string type)
    {
        Format f = Format.Named(type);
        (ulong[] a, ulong[] b) = FloatLane.Cross(f.Edges(), f.Edges());
        FloatLane.Check($"setp.{comparison}.{type}", f, i => Compare(f, a[i], b[i], comparison) ? 1u : 0u, true, a, b);
    }

    [Test, Combinatorial]
    public void MinMax_SignedZerosAndNaN(
        [Values("min", "max")] string op, [Values("", ".NaN")] string nan, [Values("", ".xorsign.abs")] string xorSign,
        [ValueSource(nameof(formats))] string type)
    {
        if (type == "f64" && nan + xorSign != "") return;   // no such f64 instructions
        Format f = Format.Named(type);
        (ulong[] a, ulong[] b) = FloatLane.Cross(f.Edges(), f.Edges());
        FloatLane.Check($"{op}{nan}{xorSign}.{type}", f,
            i => FloatReference.MinMax(f, a[i], b[i], op == "max", nan != "", xorSign != ""), nan != "", a, b);
    }

    [TestCaseSource(nameof(formats))]
    public void Sign_Operations_TouchOnlyTheSign(string type)
    {
        Format f = Format.Named(type);
        (ulong[] a, ulong[] b) = FloatLane.Cross(f.Edges(), f.Edges());
        FloatLane.Check($"abs.{type}", f, i => a[i] & ~f.Sign, true, a);
        FloatLane.Check($"neg.{type}", f, i => a[i] ^ f.Sign, true, a);
        FloatLane.Check($"copysign.{type}", f, i => b[i] & ~f.Sign | a[i] & f.Sign, true, a, b);
    }

    [TestCaseSource(nameof(formats))]
    public void Testp_AllProperties(string type)
    {
        Format f = Format.Named(type);
        ulong[] a = [.. f.Edges(), .. f.Random(new Random(1), 300)];
        bool IsSubnormal(ulong x) => !f.IsZero(x) && (x & ~f.Sign) < f.LeastNormal;
        FloatLane.Check($"testp.finite.{type}", f, i => f.IsNaN(a[i]) || f.IsInfinite(a[i]) ? 0u : 1u, true, a);
        FloatLane.Check($"testp.infinite.{type}", f, i => f.IsInfinite(a[i]) ? 1u : 0u, true, a);
        FloatLane.Check($"testp.number.{type}", f, i => f.IsNaN(a[i]) ? 0u : 1u, true, a);
        FloatLane.Check($"testp.notanumber.{type}", f, i => f.IsNaN(a[i]) ? 1u : 0u, true, a);
        FloatLane.Check($"testp.subnormal.{type}", f, i => IsSubnormal(a[i]) ? 1u : 0u, true, a);
        FloatLane.Check($"testp.normal.{type}", f, i =>
            f.IsNaN(a[i]) || f.IsInfinite(a[i]) || f.IsZero(a[i]) || IsSubnormal(a[i]) ? 0u : 1u, true, a);
    }

    [Test]
    public void Slct_ChoosesByTheSignOfC(
        [Values("b16", "u16", "s16", "b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64")] string type)
    {
        ulong[] c = Format.F32.Edges(), b = [.. c.Select((_, i) => (ulong)i)], a = [.. b.Select(x => x + 1000)];
        FloatLane.Check($"slct.{type}.f32", Format.F64,
            i => Compare(Format.F32, c[i], 0, "ge") ? a[i] : b[i], true, a, b, c);
    }

    [Test]
    public void Flush_SubnormalsBecomeSignedZero()
    {
        ulong[] a = [.. Format.F32.Edges(), .. Format.F32.Random(new Random(2), 500)];
        FloatLane.Check("flush.f32", Format.F32,
            i => (a[i] & 0x7fffffff) < 0x00800000 ? a[i] & 0x80000000 : a[i], true, a);
    }

    [Test]
    public void Sat_ClampsAndNaNBecomesZero()
    {
        ulong[] a = [.. Format.F32.Edges(), .. Format.F32.Random(new Random(2), 500)];
        FloatLane.Check("sat.f32", Format.F32, i => Saturate(Format.F32, a[i]), true, a);
    }

    internal static ulong Saturate(Format f, ulong a) =>
        f.IsNaN(a) || f.IsNegative(a) ? 0 : a > f.One ? f.One : a;
}
