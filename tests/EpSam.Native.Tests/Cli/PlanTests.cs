using System.Text.Json;

namespace EpSam.Native.Tests.Cli;

public sealed class PlanTests
{
    static (int Code, string Output, string Error) Run(params string[] arguments)
    {
        StringWriter output = new(), error = new();
        return (EpSam.Cli.Program.Run(["plan", .. arguments], output, error), output.ToString(), error.ToString());
    }

    // Parameters as published (../shared/systems.md §1.1) and the 256 numbers of the buffer; each tensor is rounded up
    // to 256 bytes.
    [TestCase("vit_b", 93_735_728, 314)]
    [TestCase("vit_l", 312_343_088, 482)]
    [TestCase("vit_h", 641_090_864, 594)]
    public void Plan_OfAPublishedModel_CountsItsParameters(string model, long parameters, int tensors)
    {
        (int code, string output, _) = Run("--model", model, "--json");
        Assert.That(code, Is.Zero);
        long weights = JsonDocument.Parse(output).RootElement.GetProperty("weight_bytes").GetInt64();
        Assert.That(weights, Is.InRange(4 * parameters, 4 * parameters + 255L * tensors));
    }

    [Test]
    public void Plan_ForInferenceWithVitB_StaysBelowItsBar() // design: at most 0.8 GiB
    {
        (_, string output, _) = Run("--json");
        JsonElement plan = JsonDocument.Parse(output).RootElement;
        long Of(string name) => plan.GetProperty(name).GetInt64();
        Assert.That(Of("peak_bytes"), Is.LessThan(0.8 * (1 << 30)));
        Assert.That(Of("peak_bytes"), Is.EqualTo(Of("weight_bytes") + Of("activation_bytes") + Of("workspace_bytes")));
    }

    [Test]
    public void Plan_OverItsBudget_FailsWithWhatFits()
    {
        (int code, _, string error) = Run("--batch", "8", "--memory-budget", "800MiB");
        Assert.That(code, Is.EqualTo(1));
        Assert.That(error, Does.Match(
            @"the plan needs 1\.\d+ GiB of device memory, the budget is 800\.0 MiB .*; --batch 2 fits with \d"));
    }

    [Test]
    public void Plan_WithAFileOfSizesAndAPicture_WritesIt()
    {
        string folder = Directory.CreateTempSubdirectory("epsam-plan").FullName;
        try
        {
            string config = Path.Combine(folder, "small.json"), picture = Path.Combine(folder, "plan.html");
            File.WriteAllText(config, """
                {
                    "image_size": 256, "embed_dim": 96, "depth": 2, "heads": 3, "mlp_dim": 384, "global_blocks": [1]
                }
                """);
            (int code, string output, string error) = Run("--model", config, "--out", picture);
            Assert.That(code, Is.Zero, error);
            Assert.That(output, Does.Contain("timeline: ").And.Contains("blocks.1"));
            Assert.That(File.ReadAllText(picture),
                Does.Contain("image_encoder/blocks.1/mlp/hidden").And.Contains("</svg>"));
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }

    [TestCase(2, "--batch 0: expected 1 to 4096", "--batch", "0")]
    [TestCase(2, "--prompts 5000: expected 1 to 4096", "--prompts", "5000")]
    [TestCase(2, "--precision fp8: expected fp32 or bf16", "--precision", "fp8")]
    [TestCase(2, "--memory-budget: '12 apples' is not a size of memory", "--memory-budget", "12 apples")]
    [TestCase(2, "--out plan.png: expected a name that ends with .svg or .html", "--out", "plan.png")]
    [TestCase(2, "--model vit_x: expected vit_b, vit_l, vit_h, tiny or a .json file of sizes", "--model", "vit_x")]
    [TestCase(1, "model nothing.json does not exist", "--model", "nothing.json")]
    [TestCase(1, "image_size must be a multiple of patch_size 16, got 1000", "--resolution", "1000")]
    public void Plan_OfWhatIsImpossible_SaysSo(int code, string message, params string[] arguments)
    {
        (int actual, _, string error) = Run(arguments);
        Assert.That((actual, error), Is.EqualTo((code, error)));
        Assert.That(error, Does.Contain(message));
    }
}
