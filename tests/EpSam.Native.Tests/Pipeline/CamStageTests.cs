// Initial masks as a stage of a run: which images get one, that they are what the classifier's map gives, that a run
// that was interrupted anywhere ends with the same files.
using EpSam.Cases;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Pipeline;
using EpSam.Native.Preprocess;
using EpSam.Native.Prompts;
using EpSam.Native.Runtime;
using EpSam.Native.Tests.Models;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Native.Tests.Pipeline;

[Category("Slow")]
public sealed class CamStageTests
{
    static readonly ResNetAdlConfig Model = new() { Blocks = [1, 1, 1, 1], Width = 4 };

    static readonly RunConfig Config = new()
    {
        Classifier = new() { Size = 48 },
        Cam = new() { Rule = "general", General = new() { Percentile = 50, Opening = 3 } },
    };

    // a, b: training with tumour; c: without; d: validation without; e: test
    static StageRig Rig(RunConfig config, CheckFlags checks = CheckFlags.None, int height = 48, int width = 48)
    {
        (string Name, int Label, Split Split)[] all =
            [("a", 1, Split.Train), ("b", 1, Split.Train), ("c", 0, Split.Train), ("d", 0, Split.Val),
             ("e", 1, Split.Test)];
        StageRig rig = new()
        {
            Config = config, Checks = checks,
            Data = new([.. all.Select(i => new SourceImage(i.Name, i.Name + ".png", i.Label, null, i.Split))],
                [.. all.Select((i, n) => new Patch(n, null, i.Label))]),
            Pictures = all.ToDictionary(i => i.Name + ".png",
                i => new Picture(FormulaParameters.Bytes(i.Name, 3 * height * width), height, width, 3)),
        };
        Directory.CreateDirectory(Path.GetDirectoryName(rig.Folder.Classifier)!);
        PatchClassifierTests.Save(Model, rig.Folder.Classifier);
        return rig;
    }

    static ActivationMap Map(StageRig rig, byte[] pixels, int height, int width, double scale = 1)
    {
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new() { Checks = CheckFlags.None });
        using Gpu gpu = new(card.Driver, card.Blas);
        using PatchClassifier classifier = PatchClassifier.Load(gpu, rig.Folder.Classifier);
        return classifier.Cam(pixels, height, width, rig.Config.Cam.WholeStage, scale);
    }

    [Test]
    public void Masks_InterruptedAnywhere_AreTheSameFiles()
    {
        using StageRig whole = Rig(Config, CheckFlags.All);
        StageResult result = whole.Run(new CamStage());
        Assert.That(result.PeakBytes, Is.EqualTo(result.PlannedBytes));
        Assert.That(result.Figures["images"], Is.EqualTo(4));
        Assert.That(whole.Figures("mask_share").Count(), Is.EqualTo(5), "of each image, and the mean");
        foreach (string name in new[] { "a", "b", "d", "e" })
        {
            ActivationMap map = Map(whole, whole.Pictures[name + ".png"].Pixels, 48, 48);
            Picture cam = StageRig.Decoded(whole.Folder.Cam(name));
            Assert.That((cam.Pixels, cam.Height, cam.Width), Is.EqualTo((map.Map, 3, 3)), name);
            Picture mask = StageRig.Decoded(whole.Folder.InitialMask(name));
            Assert.That(mask.Pixels, Is.EqualTo(map.Mask(Config.Cam.Effective).Select(v => (byte)(255 * v))), name);
        }
        Assert.That(File.Exists(whole.Folder.InitialMask("c")), Is.False, "training, without tumour");

        for (int moment = 1; moment <= 4; moment++)
        {
            // at the last report there is nothing more to do, nor when the last image has been read
            Interrupted(r => r.CancelAtReport = moment,
                moment < 4 ? Throws.InstanceOf<OperationCanceledException>() : Throws.Nothing);
            if (moment < 4)
                Interrupted(r => r.CancelAtReading = moment, Throws.InstanceOf<OperationCanceledException>());
            Interrupted(r => r.KillAtReport = moment, Throws.TypeOf<KilledException>());
            Interrupted(r => r.FailAtReading = moment,
                Throws.TypeOf<RunException>().With.Message.Contains("it is cut off. The masks made so far stay"));
        }

        void Interrupted(Action<StageRig> how, NUnit.Framework.Constraints.IResolveConstraint end)
        {
            using StageRig rig = Rig(Config);
            how(rig);
            Assert.That(() => rig.Run(new CamStage()), end);
            (rig.CancelAtReport, rig.KillAtReport, rig.CancelAtReading, rig.FailAtReading) = (null, null, null, null);
            Dictionary<string, DateTime> made = rig.Files.Keys.Where(f => f.StartsWith("initial"))
                .ToDictionary(f => f, f => File.GetLastWriteTimeUtc(Path.Combine(rig.Folder.Root, f)));
            Assert.That(rig.Run(new CamStage()).Figures, Is.EqualTo(result.Figures));
            Assert.That(rig.Files.Keys, Is.EquivalentTo(whole.Files.Keys));
            foreach ((string file, byte[] bytes) in whole.Files) Assert.That(rig.Files[file], Is.EqualTo(bytes), file);
            foreach ((string file, DateTime time) in made)
            {
                bool isPair = made.ContainsKey(file.Replace(".cam", "")); // a map alone is made again
                DateTime now = File.GetLastWriteTimeUtc(Path.Combine(rig.Folder.Root, file));
                if (isPair) Assert.That(now, Is.EqualTo(time));
            }
        }
    }

    [Test]
    public void Mask_ThatIsDamaged_IsMadeAgain_AndResetTakesAll()
    {
        using StageRig rig = Rig(Config);
        rig.Run(new CamStage());
        byte[] mask = File.ReadAllBytes(rig.Folder.InitialMask("b"));
        File.WriteAllBytes(rig.Folder.InitialMask("b"), [1, 2]);
        rig.Run(new CamStage());
        Assert.That(File.ReadAllBytes(rig.Folder.InitialMask("b")), Is.EqualTo(mask));
        new CamStage().Reset(rig.Folder);
        Assert.That(rig.Files.Keys.Where(f => f.StartsWith("initial")), Is.Empty);
        Assert.That(File.Exists(rig.Folder.Classifier));
        new CamStage().Reset(rig.Folder);
    }

    [Test]
    public void RuleOfLogits_AtTheScaleOfTraining_DrawsPointsByProbability()
    {
        CamConfig cam = new()
        {
            Rule = "general", WholeStage = true, General = new() { Logit = 0.05, Smoothing = 2, Opening = 1 },
        };
        // patches of 60 x 40 were resized to 98: twice as large, by their areas
        using StageRig rig = Rig(Config with { Cam = cam, Classifier = new() { Size = 98 } }, height: 60, width: 40);
        StageResult result = rig.Run(new CamStage());
        double scale = 98 / Math.Sqrt(2400);
        Assert.That(CamStage.ScaleOf(rig.Config, rig.Data, rig), Is.EqualTo(scale));
        Assert.That(rig.Lines, Has.Some.Contains("scaled by 2.0004"));
        byte[] resized = new byte[3 * 120 * 80];
        Resample.PillowBilinear(rig.Pictures["a.png"].Pixels, 60, 40, 3, 120, 80, resized);
        ActivationMap map = Map(rig, resized, 120, 80);
        Picture shown = StageRig.Decoded(rig.Folder.Cam("a")), mask = StageRig.Decoded(rig.Folder.InitialMask("a"));
        Assert.That((shown.Height, shown.Width), Is.EqualTo((8, 5)));
        Assert.That(shown.Pixels, Is.EqualTo(map.Logits!.Select(l => (byte)(255 / (1 + Math.Exp(-l))))));
        byte[] expected = new byte[2400];
        cam.General.ApplyToLogits(map.Logits, 8, 5, 60, 40, expected);
        Assert.That(mask.Pixels.Select(v => v / 255), Is.EqualTo(expected.Select(v => (int)v)));
        Assert.That((mask.Height, mask.Width), Is.EqualTo((60, 40)));
        Assert.That(result.PeakBytes, Is.LessThanOrEqualTo(result.PlannedBytes));
    }

    [Test]
    public void RedAndBlueExchanged_AreExchangedBack()
    {
        using StageRig plain = Rig(Config), swapped = Rig(Config with { Compat = new() { SwappedRedBlue = true } });
        foreach (Picture picture in swapped.Pictures.Values)
            for (int i = 0; i < picture.Pixels.Length; i += 3)
                (picture.Pixels[i], picture.Pixels[i + 2]) = (picture.Pixels[i + 2], picture.Pixels[i]);
        plain.Run(new CamStage());
        swapped.Run(new CamStage());
        foreach ((string file, byte[] bytes) in plain.Files) Assert.That(swapped.Files[file], Is.EqualTo(bytes), file);
    }

    [Test]
    public void EmptyMasks_AreCountedAndNamed()
    {
        CamConfig nothing = new() { Rule = "general", General = new() { Logit = 1e6, Opening = 1 } };
        using StageRig rig = Rig(Config with { Cam = nothing });
        StageResult result = rig.Run(new CamStage());
        Assert.That((result.Figures["empty"], result.Figures["empty_others"]), Is.EqualTo((2.0, 2.0)));
        Assert.That(rig.Lines,
            Has.Some.EqualTo("2 of 2 training images have an empty mask although they have label 1: a, b"));
    }
}
