// epsam plan train: what training takes by default, what recomputation trades, what is refused.
using System.Text.Json;

namespace EpSam.Native.Tests.Cli;

public sealed class PlanTrainTests
{
    const long GiB = 1L << 30;

    [Test]
    public void Defaults_FitTheSmallCardsTheyAreMeantFor()
    {
        CommandLine result = CommandLine.Run("plan", "train", "--json");
        Assert.That(result.Code, Is.Zero, result.Error);
        JsonElement all = JsonDocument.Parse(result.Output).RootElement;
        Assert.That(Peak(all.GetProperty("classifier")), Is.LessThanOrEqualTo(6 * GiB), "batch 16 of 512 x 512");
        Assert.That(Peak(all.GetProperty("decoder")), Is.LessThanOrEqualTo(2 * GiB), "ViT-B, batch 4");
        JsonElement[] ways = [.. all.GetProperty("classifier").GetProperty("ways").EnumerateArray()];
        Dictionary<string, JsonElement> byName = ways.ToDictionary(w => w.GetProperty("name").GetString()!);
        Assert.That(Peak(byName["recompute nothing"]), Is.GreaterThan(Peak(byName["recompute norms"])));
        Assert.That(Peak(byName["recompute norms"]), Is.GreaterThan(Peak(byName["recompute large"])));
        Assert.That(Peak(byName["recompute large"]), Is.GreaterThan(Peak(byName["recompute blocks"])));
        Assert.That(byName["recompute norms"].GetProperty("relative_work").GetDouble(), Is.EqualTo(1));
        Assert.That(byName["recompute blocks"].GetProperty("relative_work").GetDouble(), Is.InRange(1.2, 1.34),
            "at most one of three passes more: forward, and two products each in backward");
        Assert.That(ways.Single(w => w.GetProperty("chosen").GetBoolean()).GetProperty("name").GetString(),
            Is.EqualTo("recompute large"));
        string readme = File.ReadAllText(RepositoryRoot.File("README.md"));
        foreach (long peak in new[] { Peak(all.GetProperty("classifier")), Peak(byName["recompute blocks"]),
            Peak(all.GetProperty("decoder")) })
        {
            Assert.That(readme, Does.Contain(EpSam.Native.Runtime.Sizes.Text(peak)));
        }
    }

    [Test]
    public void Table_OfOneStage_WithItsTimeline()
    {
        string folder = Directory.CreateTempSubdirectory("epsam-plan-").FullName;
        try
        {
            (string config, string svg) = (Path.Combine(folder, "c.json"), Path.Combine(folder, "p.svg"));
            File.WriteAllText(config, "{ \"classifier\": { \"blocks\": [1,1,1,1], \"width\": 8, \"size\": 64 } }");
            CommandLine result = CommandLine.Run("plan", "train", "classifier", "--config", config, "--out", svg);
            Assert.That(result.Code, Is.Zero, result.Error);
            Assert.That(result.Output, Does.StartWith("classifier, blocks 1-1-1-1, width 8, batch 16, 64 x 64\npeak ")
                .And.Contain("recompute large (chosen)").And.Contain($"timeline: {svg}"));
            Assert.That(File.ReadAllText(svg), Does.StartWith("<svg"));
            File.WriteAllText(config, "{ \"classifer\": 1 }");
            result = CommandLine.Run("plan", "train", "--config", config);
            Assert.That((result.Code, result.Error), Is.EqualTo((1,
                $"epsam: {config}: the configuration knows no classifer (it has data, classifier, cam, decoder, "
                + "compat, precision, memory_budget, save_seconds)\n")));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Test]
    public void Budget_TooSmall_NamesWhatFits()
    {
        CommandLine result = CommandLine.Run("plan", "train", "classifier", "--memory-budget", "4GiB");
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Error,
            Does.StartWith("epsam: classifier: the plan needs 5.64 GiB").And.Contain(" fits with "));
    }

    [TestCase("plan train encoder", "expected classifier, masks or decoder")]
    [TestCase("plan train --out x.svg", "name the stage to draw")]
    [TestCase("plan train decoder --out x.png", "ends with .svg or .html")]
    [TestCase("plan train decoder --image-size 0", "--image-size 0")]
    [TestCase("plan train decoder --model vit_x", "--model vit_x")]
    public void WrongCommandLine_IsUsage(string line, string expected)
    {
        CommandLine result = CommandLine.Run(line.Split(' '));
        Assert.That((result.Code, result.Output), Is.EqualTo((2, "")), result.Error);
        Assert.That(result.Error, Does.Contain(expected));
    }

    static long Peak(JsonElement stage) => stage.GetProperty("peak_bytes").GetInt64();
}
