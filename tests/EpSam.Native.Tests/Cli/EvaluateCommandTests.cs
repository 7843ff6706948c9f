// epsam evaluate from the outside: what is paired, what is written, what is refused.
using System.Text.Json.Nodes;
using EpSam.Imaging;
using EpSam.Native.Pipeline;

namespace EpSam.Native.Tests.Cli;

public sealed class EvaluateCommandTests : CommandTests
{
    [SetUp]
    public void MakeFolders()
    {
        Directory.CreateDirectory(In("ours"));
        Directory.CreateDirectory(In("true"));
    }

    string In(params string[] parts) => Path.Combine([_folder, .. parts]);

    void Mask(string path, byte[] levels, int width, int height) =>
        File.WriteAllBytes(In(path), ImageWriter.EncodePng(levels, width, height, 1));

    [Test]
    public void Folders_PairsByName_FiguresInAllThreePlaces()
    {
        Mask("ours/a.png", [255, 255, 0, 0], 2, 2);
        Mask("true/a.png", [1, 0, 2, 0], 2, 2);     // 2 is normal tissue
        Mask("ours/b.png", [0, 0, 0, 0], 2, 2);
        Mask("true/b.png", [0, 0, 0, 0], 2, 2);
        Mask("ours/only.png", [0], 1, 1);
        CommandLine run = CommandLine.Run("evaluate", "--predictions", In("ours"), "--truth", In("true"), "--out",
            In("result.csv"));
        Assert.That(run.Code, Is.Zero, run.Error);
        double a = 2.001 / 3.001, mean = (a + 1) / 2;
        Assert.That(run.Output, Does.Contain($"mean of 2: Dice {mean:F4}").And.Contain("1 with an empty truth"));
        Assert.That(run.Error, Does.Contain("without truth: only"));
        List<string[]> rows = CsvText.Rows(File.ReadAllText(In("result.csv")));
        Assert.That(rows[1][0], Is.EqualTo("a"));
        Assert.That(double.Parse(rows[1][1]), Is.EqualTo(a).Within(1e-15));
        Assert.That(rows, Has.Count.EqualTo(3));
        JsonNode json = JsonNode.Parse(File.ReadAllText(In("result.json")))!;
        Assert.That((double)json["figures"]!["dice"]!, Is.EqualTo(mean).Within(1e-15));
        Assert.That((int)json["figures"]!["empty_truths"]!, Is.EqualTo(1));
        Assert.That((string)json["without_truth"]![0]!, Is.EqualTo("only"));
    }

    [Test]
    public void Folders_NormalIsTumour_CountsValueTwo()
    {
        Mask("ours/a.png", [255, 255, 0, 0], 2, 2);
        Mask("true/a.png", [1, 2, 0, 0], 2, 2);
        CommandLine run = CommandLine.Run("evaluate", "--predictions", In("ours"), "--truth", In("true"),
            "--normal-is-tumour", "--json");
        Assert.That((double)JsonNode.Parse(run.Output)!["figures"]!["dice"]!, Is.EqualTo(1));
    }

    [Test]
    public void Folders_OtherSize_FailsThatImageAndGoesOn()
    {
        Mask("ours/a.png", [1, 0, 0, 0], 2, 2);
        Mask("true/a.png", [1, 0, 0, 0, 0, 0], 3, 2);
        Mask("ours/b.png", [1], 1, 1);
        Mask("true/b.png", [1], 1, 1);
        CommandLine run = CommandLine.Run("evaluate", "--predictions", In("ours"), "--truth", In("true"));
        Assert.That(run.Code, Is.EqualTo(1));
        Assert.That(run.Error, Does.Contain("2 x 2").And.Contain("3 x 2").And.Contain("same size"));
        Assert.That(run.Output, Does.Contain("mean of 1: Dice 1.0000"));
    }

    [Test]
    public void Folders_NoPair_SaysWhatIsThere()
    {
        Mask("ours/a.png", [1], 1, 1);
        Mask("true/z.png", [1], 1, 1);
        CommandLine run = CommandLine.Run("evaluate", "--predictions", In("ours"), "--truth", In("true"));
        Assert.That(run.Code, Is.EqualTo(1));
        Assert.That(run.Error, Does.Contain("there is a and z"));
    }

    [TestCase("--data d --classifier c --truth t", 2, "not both")]
    [TestCase("--data d", 2, "give --classifier")]
    [TestCase("--classifier c", 2, "give --data")]
    [TestCase("--classifier c --data d --decoder e", 2, "--decoder needs --sam")]
    [TestCase("--classifier none.pth --data d", 1, "checkpoint none.pth does not exist")]
    public void Models_MissingOrWrong_AreOneLine(string line, int code, string expected)
    {
        CommandLine run = CommandLine.Run(["evaluate", .. line.Split(' ')]);
        Assert.That(run.Code, Is.EqualTo(code), run.Error);
        Assert.That(run.Error, Does.Contain(expected));
    }

    [Test]
    public void Arguments_MissingOrWrong_AreUsageErrors()
    {
        Assert.That(CommandLine.Run("evaluate", "--predictions", In("ours")).Code, Is.EqualTo(2));
        CommandLine missing = CommandLine.Run("evaluate", "--predictions", In("nowhere"), "--truth", In("true"));
        Assert.That((missing.Code, missing.Error), Is.EqualTo((1, missing.Error)));
        Assert.That(missing.Error, Does.Contain("nowhere is not there"));
    }
}
