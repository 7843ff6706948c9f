using EpSam.Cuda;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu;
using Memory = EpSam.Native.Runtime.Arena;

namespace EpSam.Native.Tests.Arena;

/// <summary>Two ends, scopes, alignment, and that a plan is kept to the byte.</summary>
public sealed class ArenaTests
{
    const long BlasBytes = 8 << 20; // kept for cuBLAS at the start of every arena

    static void Work(Memory arena) // sizes in bytes: 1000 → 1024, 300 → 512, 256 stays
    {
        arena.Keep("weight", DType.F32, new Shape(250), ArenaUse.Weight);
        using (arena.Scope("a"))
        {
            arena.Take("x", DType.U8, new Shape(300));
            using (arena.Scope("inner")) arena.Take("y", DType.BF16, new Shape(128));
            arena.Keep("result", DType.U8, new Shape(1));
        }
        using (arena.Scope("b")) arena.Take("z", DType.I32, new Shape(64));
    }

    [Test]
    public void Plan_OfNestedScopes_HasThePeakWorkedOutByHand()
    {
        Plan plan = Plan.Of(Work);
        Assert.That(plan.Peak, Is.EqualTo(BlasBytes + 1024 + 512 + 256)); // result takes y's place: a tie
        Assert.That(plan.AtPeak(ArenaUse.Weight), Is.EqualTo(1024));
        Assert.That(plan.AtPeak(ArenaUse.Workspace), Is.EqualTo(BlasBytes + 512 + 256));
        Assert.That(plan.Pieces.Select(p => p.Name), Is.EqualTo(
            new[] { "cuBLAS workspace", "weight", "a/x", "a/inner/y", "a/result", "b/z" }));
        Assert.That(plan.Phases.Select(p => (p.Name, p.Peak)), Is.EqualTo(new[]
        {
            ("a", BlasBytes + 1792), ("a/inner", BlasBytes + 1792), ("b", BlasBytes + 1024 + 256 + 256),
        }));
    }

    [Test]
    public void Arena_OfAPlan_ReachesItsPeakToTheByteWithOneAllocation([Values("null", "virtual")] string provider)
    {
        Plan plan = Plan.Of(Work);
        CuNull none = CuNull.Create();
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions());
        using Gpu gpu = provider == "null" ? new Gpu(none.Driver, none.Blas) : new Gpu(card.Driver, card.Blas);
        using (Memory arena = new(gpu, plan))
        {
            for (int i = 0; i < 3; i++)
            {
                using (arena.Step("again")) Work(arena);
                Assert.That(arena.Used, Is.EqualTo(BlasBytes), "all given back");
            }
            Assert.That(arena.Peak, Is.EqualTo(plan.Peak));
            Assert.That(arena.Capacity, Is.EqualTo(plan.Peak));
            if (provider == "null") Assert.That((none.Allocations, none.PeakBytes), Is.EqualTo((1, plan.Peak)));
            else Assert.That(card.LiveAllocations, Is.EqualTo(1));
        }
        Assert.That(provider == "null" ? none.LiveBytes : card.LiveAllocations, Is.Zero);
    }

    [Test]
    public void Pieces_OfBothEnds_AreAlignedAndApart()
    {
        CuNull none = CuNull.Create();
        using Gpu gpu = new(none.Driver, none.Blas);
        using Memory arena = new(gpu, BlasBytes + 2048, false);
        using (arena.Scope("s"))
        {
            Tensor[] all =
            [
                arena.Keep("k", DType.U8, new Shape(257)), arena.Take("t", DType.U8, new Shape(1)),
                arena.Take("u", DType.F32, new Shape(65)), arena.Keep("l", DType.U8, new Shape(700)),
            ];
            ulong[] starts = [.. all.Select(t => t.Address.Value)],
                ends = [.. all.Select(t => t.Address.Value + (ulong)t.Bytes)];
            Assert.That(starts, Has.All.Matches<ulong>(a => a % 256 == 0));
            for (int i = 0; i < all.Length; i++)
                for (int j = 0; j < i; j++)
                    Assert.That(ends[i] <= starts[j] || ends[j] <= starts[i], $"{i} and {j} overlap");
            Assert.That(arena.Used, Is.EqualTo(BlasBytes + 512 + 256 + 512 + 768));
            Assert.That(() => arena.Take("v", DType.U8, new Shape(1)), Throws.TypeOf<ArenaFullException>()
                .With.Message.StartsWith("v (1) u8 needs 256 bytes, of the arena's 8.00 MiB are 0 bytes left"));
        }
    }

    [Test]
    public void Scopes_EndedInTheWrongOrder_AreRefused()
    {
        CuNull none = CuNull.Create();
        using Gpu gpu = new(none.Driver, none.Blas);
        using Memory arena = new(gpu, BlasBytes + 2048, false);
        ArenaScope outer = arena.Scope("outer"), inner = arena.Scope("inner");
        Assert.That(outer.Dispose, Throws.InvalidOperationException);
        inner.Dispose();
        outer.Dispose();
        Assert.That(() => arena.Take("t", DType.U8, new Shape(1)), Throws.InvalidOperationException);
    }

    [Test]
    public void Budget_ThatIsTooSmall_IsRefusedWithWhatFits()
    {
        static Plan Batch(long batch) => Plan.Of(arena =>
        {
            arena.Keep("weight", DType.U8, new Shape(4 << 20), ArenaUse.Weight);
            using (arena.Scope("s")) arena.Take("x", DType.U8, new Shape(batch << 20));
        });
        Plan plan = Batch(8);
        Assert.That(() => plan.Require(20 << 20), Throws.Nothing);
        (string, Func<Plan>)[] smaller = [("batch 6", () => Batch(6)), ("batch 5", () => Batch(5))];
        Assert.That(() => plan.Require(17 << 20, smaller),
            Throws.TypeOf<BudgetException>().With.Message.EqualTo(
                "the plan needs 20.00 MiB of device memory, the budget is 17.00 MiB (weights 4.00 MiB, "
                + "activations 0 bytes, workspace 16.00 MiB); batch 5 fits with 17.00 MiB"));
        Assert.That(() => plan.Require(9 << 20, new (string, Func<Plan>)[] { ("batch 1", () => Batch(1)) }),
            Throws.TypeOf<BudgetException>().With.Message.EndsWith("nothing smaller that was tried fits either"));
    }

    [TestCase("4096", 4096)]
    [TestCase("12GiB", 12L << 30)]
    [TestCase(" 1.5 MiB ", 3L << 19)]
    [TestCase("2GB", 2_000_000_000)]
    public void Sizes_Parse_ReadsUnits(string text, long bytes) => Assert.That(Sizes.Parse(text), Is.EqualTo(bytes));

    [TestCase("")]
    [TestCase("GiB")]
    [TestCase("-1GiB")]
    [TestCase("1 apple")]
    [TestCase("1e999GiB")]
    [TestCase("0")]
    public void Sizes_Parse_RefusesWhatIsNoSize(string text) =>
        Assert.That(() => Sizes.Parse(text), Throws.TypeOf<FormatException>());

    [Test]
    public void Timeline_OfAPlan_IsWellFormedAndNamesEveryPiece()
    {
        Plan plan = Plan.Of(Work);
        System.Xml.Linq.XDocument svg = System.Xml.Linq.XDocument.Parse(PlanTimeline.Svg(plan, "a <plan> & more"));
        string[] titles =
            [.. svg.Descendants().Where(e => e.Name.LocalName == "title").Select(e => e.Value.Split(':')[0])];
        Assert.That(titles, Is.EqualTo(plan.Pieces.Select(p => p.Name)));
    }
}
