// Rounds of decoder training in the order of a run: what they learn from, what they leave behind, and that it does not
// matter where they were stopped or how large the cache is.
using EpSam.Native.Pipeline;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Native.Tests.Pipeline;

[Category("Slow")]
public sealed class DecoderStageTests
{
    [Test]
    public void Rounds_LearnFromMasks_AndLeaveDecodersMasksAndFigures()
    {
        using DecoderRig rig = new(train: 8);
        RunConfig config = DecoderRig.Config with
        {
            Decoder = DecoderRig.Config.Decoder with
            {
                Batch = 4, Points = 10, Epochs = 8, Rate = 1e-3, KeepFrom = 0.8,
            },
        };
        StageResult first = rig.Run(new DecoderStage(0), config), second = rig.Run(new DecoderStage(1), config);
        double[] learned = [.. rig.Metrics()["train_dice"].Take(8).Select(Number)];
        double[] judged = [.. rig.Metrics()["val_dice"].Take(8).Select(Number)];
        TestContext.Out.WriteLine($"train {string.Join(' ', learned)}\nval {string.Join(' ', judged)}");
        // at first all pixels are set, which is what a decoder that has learnt nothing about the picture stays with
        Assert.That(learned[^1], Is.GreaterThan(learned[0] + 0.2));
        Assert.That(judged.Max(), Is.GreaterThan(judged[0] + 0.2));
        Assert.That(first.PeakBytes, Is.EqualTo(first.PlannedBytes));
        Assert.That(first.Figures["images"], Is.EqualTo(8));
        Assert.That(first.Figures["predicted"], Is.EqualTo(8));
        Assert.That(first.Figures["val_loss"],
            Is.EqualTo(rig.Metrics()["val_loss"].Take(8).Select(Number).Min()));
        PseudoMaskRows rows = PseudoMaskRows.Load(rig.Folder.PseudoMasks(0));
        Assert.That(rows.Rows.Select(r => r.Image), Is.EqualTo(Enumerable.Range(0, 8).Select(i => $"image{i}")));
        foreach ((string image, double score, bool kept) in rows.Rows)
        {
            Assert.That(kept, Is.EqualTo(score >= 0.8));
            Assert.That(File.Exists(rig.Folder.PseudoMask(0, image)), Is.EqualTo(kept));
        }
        Assert.That(second.Figures["images"], Is.EqualTo(first.Figures["kept"]));
        Assert.That(File.Exists(rig.Folder.Decoder(1)));
        Assert.That(File.Exists(rig.Folder.Timeline("round1")));
    }

    // At moments all over a round, the next round at another, and every other time twice.
    [Test]
    public void Run_StoppedAtAnyMoment_GoesOnToTheSameFiles()
    {
        RunConfig config = DecoderRig.Config with
        {
            Decoder = DecoderRig.Config.Decoder with { Augmentation = 0.8, MaxNorm = 1 },
        };
        using DecoderRig whole = new();
        whole.Run(new DecoderStage(0), config);
        int moments = whole.Moments;
        whole.Run(new DecoderStage(1), config);
        Dictionary<string, byte[]> expected = whole.Files();
        int stops = 0;
        for (int moment = 1; moment <= moments; moment += 11)
        {
            using DecoderRig rig = new() { CancelAt = moment };
            foreach (int round in new[] { 0, 1 })
            {
                for (bool isDone = false; !isDone;)
                {
                    try
                    {
                        rig.Run(new DecoderStage(round), config);
                        isDone = true;
                    }
                    catch (OperationCanceledException)
                    {
                        stops++;
                        if (stops % 2 == 0) rig.CancelAt = null; // else at the same number of moments again
                    }
                }
                rig.CancelAt ??= moment + 1;
            }
            Same(rig.Files(), expected, $"stopped at moment {moment}");
        }
        TestContext.Out.WriteLine($"{stops} stops, {moments} moments");
        Assert.That(stops, Is.GreaterThan(moments / 11));
    }

    static double Number(string text) => double.Parse(text, System.Globalization.CultureInfo.InvariantCulture);

    static void Same(Dictionary<string, byte[]> actual, Dictionary<string, byte[]> expected, string what)
    {
        Assert.That(actual.Keys, Is.EquivalentTo(expected.Keys), what);
        foreach ((string name, byte[] bytes) in expected)
            Assert.That(actual[name].AsSpan().SequenceEqual(bytes), $"{what}: {name}");
    }

    [Test]
    public void Round_WithAllChecks_StoppedOnce_GoesOnToTheSameFiles()
    {
        using DecoderRig whole = new(train: 2, CheckFlags.All), stopped = new(train: 2, CheckFlags.All);
        RunConfig config = DecoderRig.Config with { Decoder = DecoderRig.Config.Decoder with { Epochs = 1 } };
        StageResult result = whole.Run(new DecoderStage(0), config);
        Assert.That(result.PeakBytes, Is.EqualTo(result.PlannedBytes));
        stopped.CancelAt = whole.Moments / 2;
        Assert.Throws<OperationCanceledException>(() => stopped.Run(new DecoderStage(0), config));
        stopped.CancelAt = null;
        stopped.Run(new DecoderStage(0), config);
        Same(stopped.Files(), whole.Files(), "stopped");
    }

    [Test]
    public void Cache_OfAnySize_DoesNotChangeABit()
    {
        using DecoderRig large = new(), none = new(), small = new();
        RunConfig Of(string cache) =>
            DecoderRig.Config with { Decoder = DecoderRig.Config.Decoder with { Cache = cache } };
        large.Run(new DecoderStage(0), Of("1GiB"));
        none.Run(new DecoderStage(0), Of("0"));
        small.Run(new DecoderStage(0), Of("70KiB"));
        Same(none.Files(), large.Files(), "without a cache");
        Same(small.Files(), large.Files(), "with a small cache");
        Assert.That(Directory.Exists(none.Folder.Cache), Is.False);
        Assert.That(Directory.GetFiles(small.Folder.Cache), Has.Length.EqualTo(2));
        Assert.That(Directory.GetFiles(large.Folder.Cache), Has.Length.GreaterThan(4));
    }

    [Test]
    public void Round_ThatKeepsNoMask_SaysSoAndTheNextLearnsFromTheSame()
    {
        using DecoderRig rig = new();
        RunConfig config = DecoderRig.Config with { Decoder = DecoderRig.Config.Decoder with { KeepFrom = 1 } };
        Assert.That(rig.Run(new DecoderStage(0), config).Figures["kept"], Is.Zero);
        Assert.That(rig.Lines, Has.Some.Contains("none of 3 masks lies within"));
        Assert.That(rig.Run(new DecoderStage(1), config).Figures["images"], Is.EqualTo(3));
    }

    [Test]
    public void Validation_WithoutTruth_TakesMasksOfActivationMaps()
    {
        using DecoderRig rig = new(truth: false);
        rig.Run(new DecoderStage(0));
        Assert.That(rig.Lines, Has.Some.Contains("no true masks"));
        Assert.That(rig.Metrics()["val_loss"], Has.Length.EqualTo(2));
    }

    // With all of the published code's faults: pseudo masks of changed images, among others.
    [Test]
    public void Compat_Reference_MakesOtherMasks()
    {
        using DecoderRig meant = new(), published = new();
        RunConfig config = DecoderRig.Config with
        {
            Decoder = DecoderRig.Config.Decoder with { Augmentation = 1, KeepFrom = 0, Epochs = 1, Rate = 1e-6 },
        };
        meant.Run(new DecoderStage(0), config);
        published.Run(new DecoderStage(0), config with { Compat = new CompatConfig { AugmentedPseudoMasks = true } });
        Assert.That(File.ReadAllBytes(published.Folder.Decoder(0)).AsSpan()
            .SequenceEqual(File.ReadAllBytes(meant.Folder.Decoder(0))), "training is the same");
        Assert.That(Enumerable.Range(0, 3).Any(i => !File.ReadAllBytes(published.Folder.PseudoMask(0, $"image{i}"))
            .AsSpan().SequenceEqual(File.ReadAllBytes(meant.Folder.PseudoMask(0, $"image{i}")))));
        Assert.That(published.ReadSize(published.Folder.PseudoMask(0, "image0")),
            Is.EqualTo((DecoderRig.Height, DecoderRig.Width)));
        published.Run(new DecoderStage(1), config with { Compat = CompatConfig.Reference });
    }

    [Test]
    public void Reset_DeletesTheRoundOnly()
    {
        using DecoderRig rig = new();
        rig.Run(new DecoderStage(0));
        rig.Run(new DecoderStage(1));
        new DecoderStage(1).Reset(rig.Folder);
        Assert.That(File.Exists(rig.Folder.Decoder(0)));
        Assert.That(rig.Files().Keys.Any(f => f.StartsWith("round1")), Is.False);
    }

    [Test]
    public void WhatIsMissing_IsSaid()
    {
        using DecoderRig rig = new();
        string mask = rig.Folder.InitialMask("image1");
        byte[] good = File.ReadAllBytes(mask);
        File.Delete(mask);
        Assert.That(Assert.Throws<RunException>(() => rig.Run(new DecoderStage(0)))!.Message,
            Does.Contain("image1 has no initial mask"));
        File.WriteAllBytes(mask, rig.EncodePng(new Picture([1, 2, 3, 4], 2, 2, 1)));
        Assert.That(Assert.Throws<RunException>(() => rig.Run(new DecoderStage(0)))!.Message,
            Does.Contain("has 2 x 2 pixels"));
        File.WriteAllBytes(mask, good);
        rig.Run(new DecoderStage(0)); // goes on from what was saved
        foreach (int i in new[] { 0, 1, 2 })
        {
            File.WriteAllBytes(rig.Folder.InitialMask($"image{i}"), rig.EncodePng(new Picture(
                new byte[DecoderRig.Height * DecoderRig.Width], DecoderRig.Height, DecoderRig.Width, 1)));
        }
        Assert.That(Assert.Throws<RunException>(() => rig.Run(new DecoderStage(0)))!.Message,
            Does.Contain("no training image has an initial mask that is not empty"));
    }
}
