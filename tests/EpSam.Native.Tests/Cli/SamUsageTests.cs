// Command lines of init, encode, segment and amg that cannot be meant: exit code 2, one message with what was expected,
// nothing on the output, and nothing written.
namespace EpSam.Native.Tests.Cli;

public sealed class SamUsageTests
{
    [TestCase("segment a.png --sam s --out o", "nothing is asked for: give --points, --box or --mask")]
    [TestCase("segment a.png --sam s --points 1,2,3", "'--out' is required")]
    [TestCase("segment a.png --out o --points 1,2,1", "'--sam' is required")]
    [TestCase("segment --sam s --out o --points 1,2,1", "Required argument 'IMAGE' missing")]
    [TestCase("segment a.png --sam s --out o --points 1,2,3", "--points \"1,2,3\": expected x,y,label;x,y,label")]
    [TestCase("segment a.png --sam s --out o --box 1,2,3",
        "--box 1,2,3: expected x0,y0,x1,y1 in pixels, found 3 of them")]
    [TestCase("segment a.png --sam s --out o --points 1,2,1 --points 3,4,1 --box 1,2,3,4",
        "--points is given 2 times and --box 1 times")]
    [TestCase("segment a.png --sam s --out o --mask m.png --box 1,2,3,4 --box 1,2,3,4",
        "--mask shows one object; 2 are asked for")]
    [TestCase("segment a.png b.png --sam s --out o --points 1,2,1 --embedding e",
        "--embedding e is of one image; 2 are given")]
    [TestCase("segment a.png --sam s --out o --points 1,2,1 --gpu quantum",
        "--gpu quantum: expected auto, native, virtual, virtual:CARD or null")]
    [TestCase("segment a.png --sam s --out o --points 1,2,1 --gpu virtual:toaster",
        "unknown card toaster; known are rtx-3060")]
    [TestCase("segment a.png --sam s --out o --points 1,2,1 --gpu native --check all",
        "--check all is the virtual GPU's")]
    [TestCase("segment a.png --sam s --out o --points 1,2,1 --check most", "--check most: expected all or none")]
    [TestCase("segment a.png --sam s --out o --points 1,2,1 --precision fp8", "--precision fp8: expected fp32 or bf16")]
    [TestCase("segment a.png --sam s --out o --points 1,2,1 --memory-budget lots",
        "--memory-budget: 'lots' is not a size of memory")]
    [TestCase("segment a.png --sam s --out o --points 1,2,1 --seed -1", "--seed -1: expected 0 to 1000000")]
    [TestCase("segment a.png --sam s --out o --points 1,2,1 --seed one", "'one'")]
    [TestCase("segment a.png --sam s --out o --classifier c --points 1,2,1",
        "--classifier finds the prompts; leave out --points")]
    [TestCase("segment a.png --sam s --out o --points 1,2,1 --percentile 5", "--percentile is about --classifier")]
    [TestCase("segment a.png --sam s --out o --classifier c --point-count 0", "--point-count 0: expected 1 to 1024")]
    [TestCase("cam a.png --classifier c --out o --rule camelyon18", "--rule camelyon18: expected camelyon16 or")]
    [TestCase("cam a.png --classifier c --out o --logit 0 --percentile 5", "--logit replaces --percentile and --level")]
    [TestCase("cam a.png --classifier c --out o --percentile 101", "--percentile 101: expected 0 to 100")]
    [TestCase("cam a.png --classifier c --out o --scale 0", "--scale 0: expected above 0, at most 16")]
    [TestCase("cam a.png --classifier c --out o --opening 0", "--opening 0: expected 1 to 255")]
    [TestCase("cam a.png --classifier c", "'--out' is required")]
    [TestCase("classify a.png", "'--classifier' is required")]
    [TestCase("classify a.png --classifier c --size 0", "--size 0: expected 1 to 4096")]
    [TestCase("amg a.png --sam s --out o --points-per-side 0", "--points-per-side 0: expected 1 to 1024")]
    [TestCase("amg a.png --sam s --out o --points-per-batch 0", "--points-per-batch 0: expected 1 to 4096")]
    [TestCase("amg a.png --sam s --out o --pred-iou-thresh 1.5", "--pred-iou-thresh 1.5: expected 0 to 1")]
    [TestCase("amg a.png --sam s --out o --stability-score-thresh nan",
        "--stability-score-thresh NaN: expected 0 to 1")]
    [TestCase("amg a.png --sam s --out o --crop-n-layers 7", "--crop-n-layers 7: expected 0 to 6")]
    [TestCase("amg a.png --sam s --out o --crop-n-points-downscale-factor 0",
        "--crop-n-points-downscale-factor 0: expected 1 to 1024")]
    [TestCase("amg a.png --sam s --out o --frob", "unknown option --frob")]
    [TestCase("encode a.png b.png --sam s --out e.safetensors",
        "--out e.safetensors: 2 images need a folder, not one file")]
    [TestCase("init --model vit_x --out o.safetensors",
        "--model vit_x: expected vit_b, vit_l, vit_h, tiny or a .json file of sizes")]
    [TestCase("init --out o.pth", "--out o.pth: expected a name that ends with .safetensors")]
    [TestCase("init", "'--out' is required")]
    public void WrongCommandLine_Exits2_WithAMessage(string line, string message)
    {
        CommandLine result = CommandLine.Run(line.Split(' '));
        Assert.That(result.Code, Is.EqualTo(2), result.Error);
        Assert.That(result.Error, Does.StartWith("epsam: ").And.Contain(message));
        Assert.That(result.Output, Is.Empty);
        Assert.That(Directory.Exists("o") || File.Exists("o.safetensors"), Is.False);
    }

    [TestCase("segment")]
    [TestCase("amg")]
    [TestCase("encode")]
    [TestCase("init")]
    [TestCase("classify")]
    [TestCase("cam")]
    public void Help_NamesEveryOptionWithADescription(string verb)
    {
        CommandLine result = CommandLine.Run(verb, "--help");
        Assert.That(result.Code, Is.Zero);
        string[] options = [.. result.Output.Split('\n').Where(l => l.TrimStart()
            .StartsWith("--", StringComparison.Ordinal))];
        Assert.That(options, Has.Length.GreaterThan(2));
        foreach (string line in options) Assert.That(line.Trim().Split("  ", 2), Has.Length.EqualTo(2), line);
    }
}
