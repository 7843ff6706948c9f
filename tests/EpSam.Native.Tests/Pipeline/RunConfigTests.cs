using EpSam.Native.Pipeline;

namespace EpSam.Native.Tests.Pipeline;

public sealed class RunConfigTests
{
    [Test]
    public void Json_AllValues_ComeBack()
    {
        RunConfig config = new()
        {
            Compat = CompatConfig.Reference, MemoryBudget = "2GiB", Precision = "bf16",
            Classifier = new ClassifierConfig { Blocks = [1, 1, 1, 2], MaxNorm = 0.5 },
        };
        Assert.That(RunConfig.FromJson(config.ToJson()), Is.EqualTo(config));
        Assert.That(RunConfig.FromJson("{}"), Is.EqualTo(new RunConfig()));
        Assert.That(RunConfig.FromJson("{ \"classifier\": { \"batch\": 3, }, /* a note */ }").Classifier,
            Is.EqualTo(new ClassifierConfig { Batch = 3 }));
    }

    [TestCase("{ \"clasifier\": {} }", "knows no clasifier (it has data, classifier, cam, decoder, compat")]
    [TestCase("{ \"classifier\": { \"batches\": 3 } }", "knows no classifier.batches (classifier has blocks, width")]
    [TestCase("{ \"classifier\": { \"batch\": \"three\" } }",
        "at classifier.batch: the value cannot be read (line 1)")]
    [TestCase("{ \"classifier\": { \"batch\": 0 } }", "classifier.batch is 0; expected 1 or more")]
    [TestCase("{ \"classifier\": { \"blocks\": [1, 2] } }", "four stages")]
    [TestCase("{ \"classifier\": { \"recompute\": \"all\" } }", "classifier.recompute")]
    [TestCase("{ \"classifier\": { \"augmentation\": { \"hue\": 0.7 } } }", "hue is 0.7; expected 0 to 0.5")]
    [TestCase("{ \"cam\": { \"rule\": \"best\" } }", "cam.rule must be camelyon16, camelyon17 or general, got best")]
    [TestCase("{ \"cam\": { \"rule\": \"general\", \"general\": { \"percentile\": 101 } } }", "percentile is 101")]
    [TestCase("{ \"decoder\": { \"cache\": \"much\" } }", "decoder.cache: 'much' is not a size")]
    [TestCase("{ \"data\": { \"validation_share\": 1 } }", "data.validation_share is 1; expected 0 to below 1")]
    [TestCase("{ \"precision\": \"fp16\" }", "precision is fp16; expected fp32 or bf16")]
    [TestCase("{ \"memory_budget\": \"\" }", "memory_budget: ")]
    [TestCase("[]", "must be a JSON object, got Array")]
    [TestCase("{", "the configuration is wrong")]
    public void FromJson_WrongValue_IsNamed(string json, string expected) =>
        Assert.That(Assert.Throws<RunException>(() => RunConfig.FromJson(json))!.Message, Does.Contain(expected));

    [Test]
    public void Differences_AreNamed_AndSomeMayDiffer()
    {
        RunConfig before = new(), now = before with
        {
            SaveSeconds = 5, MemoryBudget = "1GiB", Decoder = before.Decoder with { Rounds = 2, Cache = "0" },
            Classifier = before.Classifier with { Blocks = [1, 1, 1, 1] },
        };
        Assert.That(RunConfigKeys.Differences(now, before), Is.EqualTo(new[]
        {
            "classifier.blocks is [1,1,1,1], was [3,4,6,3]", "decoder.rounds is 2, was 3",
        }));
        Assert.That(RunConfigKeys.Differences(before, before), Is.Empty);
    }
}
