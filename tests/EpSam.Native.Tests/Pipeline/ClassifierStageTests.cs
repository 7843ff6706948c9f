// Training of the patch classifier as a stage of a run: it learns an easy problem, goes on to the same bits wherever it
// was interrupted, and says what is wrong with data, memory and learning rate.
using EpSam.Cases;
using EpSam.Native.Checkpoints;
using EpSam.Native.Nn;
using EpSam.Native.Pipeline;
using EpSam.Native.Runtime;
using EpSam.Native.Training;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Native.Tests.Pipeline;

public sealed class ClassifierStageTests
{
    // 5 patches, 2 of a pass, 2 passes an update: two updates an epoch, the second of one patch
    static readonly RunConfig Tiny = new()
    {
        Classifier = new()
        {
            Blocks = [1, 1, 1, 1], Width = 4, Size = 20, Batch = 2, Accumulate = 2, Epochs = 3, Rate = 1e-3,
            RateEvery = 2, MaxNorm = 5, Augmentation = new() { QuarterTurns = true },
        },
        SaveSeconds = 0,
    };

    [Test]
    [Category("Slow")]
    public void Training_InterruptedAnywhere_EndsWithTheSameBits()
    {
        using StageRig whole = Rig(Tiny, CheckFlags.All);
        StageResult result = whole.Run(new ClassifierStage());
        Assert.That(result.PeakBytes, Is.EqualTo(result.PlannedBytes));
        Assert.That(whole.Figures("loss").Count(), Is.EqualTo(6));
        Assert.That(whole.Figures("rate"), Is.EqualTo(new[] { 1e-3, 1e-3, 0.9e-3 }).Within(1e-18));
        Assert.That(whole.Figures("val_loss"), Has.Exactly(3).Positive);

        // after any update; while images are read for the first time, of training and, from the sixth on, validation
        for (int moment = 1; moment <= 6; moment++)
        {
            Interrupted(Tiny, r => r.CancelAtReport = moment, Throws.InstanceOf<OperationCanceledException>());
            Interrupted(Tiny, r => r.CancelAtReading = moment, Throws.InstanceOf<OperationCanceledException>());
        }
        // without a word, with a state of each update and with none
        Interrupted(Tiny, r => r.KillAtReport = 4, Throws.TypeOf<KilledException>());
        Interrupted(Tiny with { SaveSeconds = 1e9 }, r => r.KillAtReport = 1, Throws.TypeOf<KilledException>());
        Interrupted(Tiny with { SaveSeconds = 1e9 }, r => r.KillAtReport = 4, Throws.TypeOf<KilledException>());
        // an image that cannot be read for a while
        for (int reading = 2; reading <= 7; reading += 2)
        {
            Interrupted(Tiny, r => r.FailAtReading = reading,
                Throws.TypeOf<RunException>().With.Message.Contains("cannot be read: it is cut off. Training has "));
        }

        void Interrupted(RunConfig config, Action<StageRig> how, NUnit.Framework.Constraints.IResolveConstraint end)
        {
            using StageRig rig = Rig(config, CheckFlags.None); // checks do not change results
            how(rig);
            Assert.That(() => rig.Run(new ClassifierStage()), end);
            (rig.CancelAtReport, rig.KillAtReport, rig.CancelAtReading, rig.FailAtReading) = (null, null, null, null);
            StageResult resumed = rig.Run(new ClassifierStage());
            Assert.That(resumed.Figures, Is.EqualTo(result.Figures));
            Assert.That(rig.Files.Keys, Is.EquivalentTo(whole.Files.Keys));
            foreach ((string file, byte[] bytes) in whole.Files) Assert.That(rig.Files[file], Is.EqualTo(bytes), file);
            Assert.That(rig.Run(new ClassifierStage()).Figures, Is.EqualTo(result.Figures), "there is nothing to do");
        }
    }

    [Test]
    [Category("Slow")]
    public void Training_OfAnEasyProblem_LearnsIt([Values] bool balance)
    {
        RunConfig config = new()
        {
            Classifier = new()
            {
                Blocks = [1, 1, 1, 1], Width = 8, Size = 32, Batch = 8, Epochs = 16, Rate = 1e-2, DropRate = 0.3,
                Balance = balance,
            },
        };
        using StageRig rig = Rig(config, CheckFlags.None, 24, 12);
        StageResult result = rig.Run(new ClassifierStage());
        double[] losses = [.. rig.Figures("train_loss")];
        TestContext.Out.WriteLine($"{losses[0]:F3} to {losses[^1]:F3}");
        Assert.That(losses[^3..].Min(), Is.LessThan(0.6 * losses[0]));
        Assert.That(result.Figures["val_auc"], Is.GreaterThan(0.95));
        Assert.That(result.Figures["val_loss"], Is.EqualTo(rig.Figures("val_loss").Min()));
        using StateDict best = Checkpoint.Open(rig.Folder.Classifier);
        Assert.That(new CheckpointParameters(best).TryGetShape("layer4.0.conv1.weight", out _));
    }

    [Test]
    public void Data_ThatNothingCanBeLearntFrom_IsRefused()
    {
        using StageRig rig = Rig(Tiny, CheckFlags.All);
        PatchSet data = rig.Data;
        rig.Data = new(data.Images, [.. data.Patches.Where(p => p.Label == 1)]);
        Refused("all 2 training patches are with tumour (label 1); the classifier needs some of both labels");
        rig.Data = new(data.Images, [.. data.Patches.Where(p => data.Images[p.Image].Split == Split.Val)]);
        Refused("there are no labelled patches to train the classifier with");
        rig.Data = new(data.Images, [.. data.Patches.Where(p => data.Images[p.Image].Split == Split.Train)]);
        Refused("there are no patches for validation");
        rig.Data = new(data.Images, [.. data.Patches.Select(p => p with { Crop = new(10, 10, 24, 5) })]);
        Refused(".png has 26 x 24 pixels; the patch at 10, 10 of 24 x 5 is not inside");
        Assert.That(File.Exists(rig.Folder.Classifier), Is.False);

        void Refused(string message) => Assert.That(() => rig.Run(new ClassifierStage()),
            Throws.TypeOf<RunException>().With.Message.Contains(message));
    }

    [Test]
    [Category("Slow")]
    public void Training_OverBudgetOrDiverging_SaysWhatToDo()
    {
        using StageRig rig = Rig(Tiny with { MemoryBudget = "2MiB" }, CheckFlags.All);
        Assert.That(() => rig.Run(new ClassifierStage()),
            Throws.TypeOf<BudgetException>().With.Message.Contains("the budget is 2.00 MiB"));
        rig.Config = Tiny with { Classifier = Tiny.Classifier with { Rate = 1e30 } };
        Assert.That(() => rig.Run(new ClassifierStage()), Throws.TypeOf<RunException>().With.Message
            .Match("^training of the classifier: step 2: .* values of the .* are NaN or infinite"));
        rig.Config = Tiny with { Classifier = Tiny.Classifier with { Init = "/no/such/file.pth" } };
        new ClassifierStage().Reset(rig.Folder);
        Assert.That(() => rig.Run(new ClassifierStage()), Throws.Exception.With.Message.Contains("no/such/file.pth"));
    }

    [Test]
    public void ValidationLoss_OfProbabilities_IsThePublishedCodes()
    {
        double Loss(double logit, int label, bool published) =>
            ClassifierTraining.Loss([logit], [label], published);
        Assert.That(Loss(2, 1, false), Is.EqualTo(Math.Log(1 + Math.Exp(-2))).Within(1e-15));
        Assert.That(Loss(2, 0, false), Is.EqualTo(2 + Math.Log(1 + Math.Exp(-2))).Within(1e-15));
        Assert.That(Loss(800, 0, false), Is.EqualTo(800));
        // the bounds that the published loss cannot fall below
        Assert.That(Loss(800, 1, true), Is.EqualTo(0.313261687518).Within(1e-12));
        Assert.That(Loss(-800, 0, true), Is.EqualTo(Math.Log(2)).Within(1e-12));
    }

    [Test]
    [Category("Slow")]
    public void Reset_OfTheStage_BeginsAnew()
    {
        RunConfig config = Tiny with { Classifier = Tiny.Classifier with { Epochs = 1 } };
        using StageRig rig = Rig(config, CheckFlags.None);
        rig.Run(new ClassifierStage());
        Dictionary<string, byte[]> files = rig.Files;
        new ClassifierStage().Reset(rig.Folder);
        Assert.That(File.Exists(rig.Folder.Classifier) || File.Exists(rig.Folder.ClassifierState), Is.False);
        rig.Run(new ClassifierStage());
        foreach ((string file, byte[] bytes) in files) Assert.That(rig.Files[file], Is.EqualTo(bytes), file);
    }

    static StageRig Rig(RunConfig config, CheckFlags checks, int train = 5, int val = 2)
    {
        Dictionary<string, Picture> pictures = [];
        List<SourceImage> images = [];
        List<Patch> patches = [];
        for (int i = 0; i < train + val; i++)
        {
            int label = i % 2;
            pictures.Add($"{i}.png", Drawn(i, label, 24, 26));
            images.Add(new($"{i}", $"{i}.png", label, null, i < train ? Split.Train : Split.Val));
            patches.Add(new(i, i % 3 == 0 ? new(1, 2, 22, 21) : null, label));
        }
        return new() { Config = config, Data = new(images, patches), Pictures = pictures, Checks = checks };
    }

    // Noise; with a coarse pattern for label 1: what differs is contrast, which no flip or turn takes away.
    static Picture Drawn(int number, int label, int height, int width)
    {
        byte[] noise = FormulaParameters.Bytes($"picture {number}", 3 * height * width);
        for (int i = 0; i < noise.Length; i++)
        {
            int y = i / 3 / width, x = i / 3 % width, level = label == 1 && (y / 4 + x / 4) % 2 == 1 ? 60 : 150;
            noise[i] = (byte)(level + noise[i] / 8);
        }
        return new(noise, height, width, 3);
    }
}
