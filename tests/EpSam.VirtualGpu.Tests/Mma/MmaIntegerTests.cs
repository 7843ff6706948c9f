using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Lanes;

namespace EpSam.VirtualGpu.Tests.Mma;

public sealed class MmaIntegerTests
{
    public sealed record Shape(int M, int K, bool Saturate, bool ASigned, bool BSigned)
    {
        public string Key => $"mma.sync.aligned.m{M}n8k{K}.row.col{(Saturate ? ".satfinite" : "")}.s32" +
            $".{(ASigned ? 's' : 'u')}8.{(BSigned ? 's' : 'u')}8.s32";
        internal Fragment A => Fragment.A(M, K, 8);
        internal Fragment B => Fragment.B(K, 8);
        internal Fragment C => Fragment.C(M, 32);
        public long Number(uint bits, bool signed) => signed ? (sbyte)bits : (byte)bits;
        public override string ToString() => Key["mma.sync.aligned.".Length..];
    }

    static IEnumerable<Shape> Shapes =>
        from size in new[] { (8, 16), (16, 16), (16, 32) }
        from saturate in new[] { false, true }
        from aSigned in new[] { false, true }
        from bSigned in new[] { false, true }
        select new Shape(size.Item1, size.Item2, saturate, aSigned, bSigned);

    static uint[] Multiply(Shape s, uint[] a, uint[] b, uint[] c)
    {
        using var warp = new WarpHarness();
        int bFirst = s.A.Count, cFirst = bFirst + s.B.Count, dFirst = cFirst + s.C.Count;
        s.A.Store(warp, 0, a);
        s.B.Store(warp, bFirst, b);
        s.C.Store(warp, cFirst, c);
        warp.Run(s.Key, [.. Enumerable.Range(dFirst, s.C.Count), .. Enumerable.Range(0, dFirst)]);
        Assert.That(s.C.Load(warp, cFirst), Is.EqualTo(c), "C was changed");
        return s.C.Load(warp, dFirst);
    }

    static uint[] Expected(Shape s, uint[] a, uint[] b, uint[] c)
    {
        var d = new uint[s.M * 8];
        for (int i = 0; i < d.Length; i++)
        {
            long sum = (int)c[i];
            for (int k = 0; k < s.K; k++)
                sum += s.Number(a[i / 8 * s.K + k], s.ASigned) * s.Number(b[k * 8 + i % 8], s.BSigned);
            d[i] = s.Saturate ? (uint)(int)Math.Clamp(sum, int.MinValue, int.MaxValue) : (uint)sum;
        }
        return d;
    }

    [TestCaseSource(nameof(Shapes))]
    public void OneHotA_PicksARowOfB(Shape s)
    {
        uint[] b = Enumerable.Range(0, s.K * 8).Select(i => (uint)i & 0xff).ToArray();
        for (int hot = 0; hot < s.M * s.K; hot++)
        {
            var a = new uint[s.M * s.K];
            a[hot] = 1;
            var zero = new uint[s.M * 8];
            Assert.That(Multiply(s, a, b, zero), Is.EqualTo(Expected(s, a, b, zero)), $"A({hot / s.K},{hot % s.K})");
        }
    }

    [TestCaseSource(nameof(Shapes))]
    public void OneHotB_PicksAColumnOfA(Shape s)
    {
        uint[] a = Enumerable.Range(0, s.M * s.K).Select(i => (uint)(i * 7) & 0xff).ToArray();
        for (int hot = 0; hot < s.K * 8; hot++)
        {
            var b = new uint[s.K * 8];
            b[hot] = 0x81;
            var zero = new uint[s.M * 8];
            Assert.That(Multiply(s, a, b, zero), Is.EqualTo(Expected(s, a, b, zero)), $"B({hot / 8},{hot % 8})");
        }
    }

    [TestCaseSource(nameof(Shapes))]
    public void RandomAndExtreme_AreExact(Shape s)
    {
        var random = new Random(s.K);
        uint[] extremes = [0, 1, 0x7f, 0x80, 0xff];
        uint[] sums = [0, int.MaxValue, 0x8000_0000, int.MaxValue - 1000, 0x8000_0400, 1];
        for (int run = 0; run < 40; run++)
        {
            uint Element() => run % 2 == 0 ? (uint)random.Next(256) : extremes[random.Next(extremes.Length)];
            uint[] a = new uint[s.M * s.K].Select(_ => Element()).ToArray();
            uint[] b = new uint[s.K * 8].Select(_ => Element()).ToArray();
            uint[] c = new uint[s.M * 8].Select(_ => sums[random.Next(sums.Length)]).ToArray();
            Assert.That(Multiply(s, a, b, c), Is.EqualTo(Expected(s, a, b, c)), $"run {run}");
        }
    }

    [TestCaseSource(nameof(Shapes))]
    public void LargestProducts_ClampOrWrap(Shape s)
    {
        uint most = s.ASigned ? 0x80u : 0xffu, other = s.BSigned ? 0x80u : 0xffu;
        uint[] a = Enumerable.Repeat(most, s.M * s.K).ToArray(), b = Enumerable.Repeat(other, s.K * 8).ToArray();
        long product = s.Number(most, s.ASigned) * s.Number(other, s.BSigned) * s.K;
        int start = product > 0 ? int.MaxValue - 5 : int.MinValue + 5;
        uint[] c = Enumerable.Repeat((uint)start, s.M * 8).ToArray();
        uint expected = s.Saturate ? (uint)(product > 0 ? int.MaxValue : int.MinValue) : (uint)(start + product);
        Assert.That(Multiply(s, a, b, c), Is.All.EqualTo(expected));
    }

    [TestCaseSource(nameof(Shapes))]
    public void RegisterCounts_FollowFromTheSpelling(Shape s) =>
        Assert.That(MmaShape.Registers(s.Key), Is.EqualTo((s.C.Count, s.A.Count, s.B.Count, s.C.Count)));

    [Test]
    public void MissingLanes_AreAFault()
    {
        using var warp = new WarpHarness { Active = 1 };
        Assert.That(() => warp.Run("mma.sync.aligned.m8n8k16.row.col.s32.u8.u8.s32", 0, 1, 2, 3, 4, 5),
            Throws.TypeOf<KernelFault>().With.Property("Kind").EqualTo(FaultKind.DivergentBarrier));
    }
}
