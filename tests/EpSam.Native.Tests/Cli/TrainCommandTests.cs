// epsam train from the outside, as far as nothing is trained: command lines, what is refused before anything runs,
// status of a run.
using System.Text.Json;
using EpSam.Native.Tests.Imaging;
using Images = EpSam.Native.Tests.Imaging.ImageFiles;

namespace EpSam.Native.Tests.Cli;

public sealed class TrainCommandTests
{
    string _folder = "";

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("epsam-train-").FullName;

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    string In(string name) => Path.Combine(_folder, name);

    [TestCase("train", "give --out RUN")]
    [TestCase("train --out r --compat old", "--compat old: expected reference")]
    [TestCase("train --out r --precision fp16", "--precision fp16: expected fp32 or bf16")]
    [TestCase("train --out r --memory-budget much", "--memory-budget")]
    [TestCase("train --out r --gpu null", "epsam plan train")]
    [TestCase("train status", "epsam")]
    public void Train_WrongCommandLine_IsUsage(string line, string expected)
    {
        CommandLine result = CommandLine.Run(line.Split(' '));
        Assert.That((result.Code, result.Output), Is.EqualTo((2, "")), result.Error);
        Assert.That(result.Error, Does.Contain(expected));
    }

    [Test]
    public void Train_BadInput_IsOneLineAndLeavesNothing()
    {
        VipsLibrary.RequireOrSkip();
        string run = In("run");
        (string[] Arguments, string Expected)[] cases =
        [
            (["--resume"], $"epsam: --resume: there is no run in {run}"),
            (["--sam", In("none.pth")], "epsam: no data set is given (--data)"),
            (["--data", In("none"), "--sam", In("none.pth")], $"epsam: --data {In("none")} does not exist"),
            (["--data", _folder, "--sam", In("none.pth")], "nothing found. Expected images train/image/NAME_0.png"),
            (["--config", In("none.json")], $"{In("none.json")}: Could not find file"),
        ];
        foreach ((string[] arguments, string expected) in cases)
        {
            CommandLine result = CommandLine.Run(["train", "--out", run, "--gpu", "virtual", .. arguments]);
            Assert.That(result.Code, Is.EqualTo(1), result.Error);
            Assert.That(result.Error, Does.Contain(expected));
            Assert.That(result.Error.Trim().Split('\n'), Has.Length.EqualTo(1));
        }
        Assert.That(run, Does.Not.Exist);
    }

    [Test]
    public void Train_UnreadableImage_IsNamed()
    {
        VipsLibrary.RequireOrSkip();
        foreach (string name in new[] { "train/image/a_1.png", "train/image/b_0.png", "val/image/c_1.png" })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(In(name))!);
            File.WriteAllBytes(In(name), Images.Png(4, 3, 8, 2, new byte[36]));
        }
        File.WriteAllText(In("val/image/d_0.png"), "no image");
        CommandLine result = CommandLine.Run("train", "--data", _folder, "--sam", In("s.pth"), "--out", In("run"));
        Assert.That(result.Error, Does.Contain("1 image of 4 cannot be read").And.Contain("d_0.png: not an image"));
        File.WriteAllBytes(In("val/image/d_0.png"), Images.Png(4, 3, 8, 2, new byte[36]));
        result = CommandLine.Run("train", "--data", _folder, "--sam", In("s.pth"), "--out", In("run"));
        Assert.That(result.Error, Does.Contain("cannot read").And.Contain("s.pth"));
    }

    [Test]
    public void Status_OfARun_IsATableAndJson()
    {
        Assert.That(CommandLine.Run("train", "status", _folder).Error, Does.Contain("there is no run in"));
        File.WriteAllText(In("stages.json"), """
            { "sam": { "path": "/s.pth", "bytes": 1, "sha256": "00" },
              "data": { "path": "/d", "bytes": 1, "sha256": "00" }, "init": null, "stages": [
              { "name": "classifier", "state": "done", "figures": { "val_loss": 0.25, "auc": "NaN" },
                "planned_bytes": 2097152, "peak_bytes": 1048576, "seconds": 61.25 },
              { "name": "masks", "state": "running", "seconds": 4 }, { "name": "round0", "state": "waiting" } ] }
            """);
        File.WriteAllText(In("metrics.csv"), "stage,epoch,step,name,value\nmasks,0,1,val_loss,0.5\n"
            + "masks,1,2,val_loss,0.4\nmasks,2,3,val_loss,0.45\nmasks,2,3,va");
        CommandLine table = CommandLine.Run("train", "status", _folder);
        Assert.That(table.Code, Is.Zero, table.Error);
        Assert.That(table.Output, Does.Contain("not running now").And.Match(
            @"classifier .* done .* 61\.[23] s .* 1\.00 MiB .* val loss 0\.25, auc NaN").And.Match(
            @"masks .* interrupted .* 2 .* 4\.0 s .* val loss 0\.45, best val loss 0\.4").And.Match(
            @"round0 .* waiting"));
        JsonElement json = JsonDocument.Parse(CommandLine.Run("train", "status", _folder, "--json").Output).RootElement;
        Assert.That(json.GetProperty("stages")[1].GetProperty("figures").GetProperty("val_loss").GetDouble(),
            Is.EqualTo(0.45));
    }
}
