using EpSam.Slides.Batch;

namespace EpSam.Native.Tests.Slides.Batch;

public sealed class ShardTests
{
    static Func<string, string?> Environment(string variables)
    {
        Dictionary<string, string> all = variables.Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(v => v.Split('=')).ToDictionary(v => v[0], v => v[1]);
        return name => all.GetValueOrDefault(name.Replace("SLURM_ARRAY_TASK_", "T_"));
    }

    [TestCase("1/4", "", "1/4")]
    [TestCase("4/4", "T_ID=2 T_COUNT=9 T_MIN=0", "4/4")]
    [TestCase("auto", "T_ID=0 T_COUNT=4 T_MIN=0 T_MAX=3 T_STEP=1", "1/4")]
    [TestCase("auto", "T_ID=4 T_COUNT=4 T_MIN=1 T_MAX=4 T_STEP=1", "4/4")]
    [TestCase("auto", "T_ID=15 T_COUNT=4 T_MIN=5 T_MAX=20 T_STEP=5", "3/4")]
    [TestCase("auto/4", "T_ID=4 T_COUNT=4 T_MIN=1 T_MAX=4", "4/4")]
    [TestCase("auto", "T_ID=3 T_COUNT=1 T_MIN=3 T_MAX=3", "1/1")]
    [TestCase("auto/4", "JOB_COMPLETION_INDEX=0", "1/4")]
    [TestCase("auto/4", "JOB_COMPLETION_INDEX=3", "4/4")]
    public void Text_IsAShard(string text, string variables, string expected)
    {
        Shard shard = Shard.Parse(text, Environment(variables));
        Assert.That(shard.ToString(), Is.EqualTo(expected));
    }

    [TestCase("0/4", "", "1/4 to 4/4")]
    [TestCase("5/4", "", "1/4 to 4/4")]
    [TestCase("1/0", "", "PART/PARTS")]
    [TestCase("-1/4", "", "PART/PARTS")]
    [TestCase("1/4/2", "", "PART/PARTS")]
    [TestCase("3", "", "PART/PARTS")]
    [TestCase("", "", "PART/PARTS")]
    [TestCase("auto/x", "", "PART/PARTS")]
    [TestCase("auto", "", "neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX")]
    [TestCase("auto", "JOB_COMPLETION_INDEX=1", "as auto/4")]
    [TestCase("auto/2", "JOB_COMPLETION_INDEX=2", "more than 2")]
    [TestCase("auto", "T_ID=1", "as 1/4")]
    [TestCase("auto/8", "T_ID=1 T_COUNT=4 T_MIN=1 T_MAX=4", "has 4 tasks")]
    [TestCase("auto", "T_ID=7 T_COUNT=3 T_MIN=1 T_MAX=7 T_STEP=1", "--array=1-3")]
    [TestCase("auto", "T_ID=1 T_COUNT=3 T_MIN=1 T_MAX=7 T_STEP=1", "--array=1-3")]
    public void Text_ThatIsNone_IsRefused(string text, string variables, string expected) =>
        Assert.That(Assert.Throws<FormatException>(() => Shard.Parse(text, Environment(variables)))!.Message,
            Does.Contain(expected));

    [Test]
    public void Shards_TogetherHaveEachSlideOnce([Values(1, 3, 4, 9)] int count)
    {
        int[] owners = [.. Enumerable.Range(0, 7).Select(i =>
            Enumerable.Range(0, count).Count(s => new Shard(s, count).Has(i)))];
        Assert.That(owners, Is.All.EqualTo(1));
    }

    [TestCase("", null)]
    [TestCase("T_ID=1 T_COUNT=1", null)]
    [TestCase("T_ID=1 T_COUNT=2", "SLURM_ARRAY_TASK_ID")]
    [TestCase("JOB_COMPLETION_INDEX=0", "JOB_COMPLETION_INDEX")]
    public void Hint_NamesTheVariable(string variables, string? expected) =>
        Assert.That(Shard.Hint(Environment(variables)), Is.EqualTo(expected));
}
