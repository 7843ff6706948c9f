using EpSam.VirtualGpu.Lanes;

namespace EpSam.VirtualGpu.Tests.Lanes;

public sealed class LaneTableTests
{
    static class Two
    {
        [Ptx("foo.{a,b}")] public static uint First(uint x) => x;
        [Ptx("foo.b")] public static uint Second(uint x) => x;
    }

    static class Miscounted
    {
        [Ptx("foo.<a,b>")] public static uint NoIndex(uint x) => x;
    }

    static class Variants
    {
        [PtxWarp("w")] public static void Plain() { }
        [PtxWarp("w", Checked = true)] public static void Checked() { }
        [Ptx("foo.<a,b>{,.x}")] public static uint Indexed(uint x, int i) => x + (uint)i;
    }

    [Test]
    public void BracesExpandAndAnglesGiveIndices()
    {
        var keys = LaneTable.Expand("op{,.rn}.<x,y>.<p,q>").Select(e => $"{e.Key} {string.Join(',', e.Choices)}");
        Assert.That(keys, Is.EqualTo(new[]
        {
            "op.x.p 0,0", "op.x.q 0,1", "op.y.p 1,0", "op.y.q 1,1",
            "op.rn.x.p 0,0", "op.rn.x.q 0,1", "op.rn.y.p 1,0", "op.rn.y.q 1,1",
        }));
    }

    [Test]
    public void GroupsNest() =>
        Assert.That(LaneTable.Expand("a{,.{b,c}}").Select(e => e.Key), Is.EqualTo(new[] { "a", "a.b", "a.c" }));

    [Test]
    public void AnUnclosedGroupIsNamed() =>
        Assert.That(() => LaneTable.Expand("a{b").ToList(),
            Throws.InvalidOperationException.With.Message.Contains("a{b"));

    [Test]
    public void TwoMethodsForOneKeyAreBothNamed() =>
        Assert.That(() => new LaneTable.Table([typeof(Two)]), Throws.InvalidOperationException
            .With.Message.Contains("Two.First").And.Message.Contains("Two.Second").And.Message.Contains("foo.b"));

    [Test]
    public void IndexArgumentsMustMatchThePattern() =>
        Assert.That(() => new LaneTable.Table([typeof(Miscounted)]),
            Throws.InvalidOperationException.With.Message.Contains("Miscounted.NoIndex"));

    [Test]
    public void VariantsAreKeptApart()
    {
        var table = new LaneTable.Table([typeof(Variants)]);
        Assert.Multiple(() =>
        {
            Assert.That(table.Warp["w"].Method.Name, Is.EqualTo("Plain"));
            Assert.That(table.CheckedWarp["w"].Method.Name, Is.EqualTo("Checked"));
            Assert.That(table.Lane["foo.b.x"].Choices, Is.EqualTo(new[] { 1 }));
        });
    }

    [Test]
    public void TheRealTableIsConsistent() => Assert.That(() => LaneTable.LaneKeys.Count, Throws.Nothing);

    [TestCase("add.u33", "add.u32")]
    [TestCase("mul.low.s32", "mul.lo.s32")]
    [TestCase("shfl.sync.butterfly.b32", "shfl.sync.bfly.b32")]
    [TestCase("popcount.b64", "popc.b64")]
    public void TheNearestKeyIsNamed(string key, string nearest) =>
        Assert.That(LaneTable.Nearest(key), Is.EqualTo(nearest));

    [Test]
    public void AWarpMethodServesBothKindsWhereThereIsOnlyOne()
    {
        bool plain = LaneTable.TryWarp("vote.sync.all.pred", checks: false, out LaneMethod? without);
        bool isChecked = LaneTable.TryWarp("vote.sync.all.pred", checks: true, out LaneMethod? with);
        Assert.Multiple(() =>
        {
            Assert.That(plain && isChecked);
            Assert.That(with, Is.SameAs(without));
        });
    }
}
