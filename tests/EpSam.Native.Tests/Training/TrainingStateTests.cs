// A run that is saved and brought back goes on to the bit; a damaged file and the state of another model are refused,
// by name, and change nothing.
using System.Text;
using EpSam.Native.Checkpoints;
using EpSam.Native.Nn;
using EpSam.Native.Ops;
using EpSam.Native.Tensors;
using EpSam.Native.Training;
using Memory = EpSam.Native.Runtime.Arena;

namespace EpSam.Native.Tests.Training;

public sealed class TrainingStateTests
{
    string _directory = "";

    [SetUp]
    public void MakeDirectory() => _directory = Directory.CreateTempSubdirectory("epsam-test-").FullName;

    [TearDown]
    public void RemoveDirectory() => Directory.Delete(_directory, recursive: true);

    string State => Path.Combine(_directory, "state.safetensors");

    sealed class Run(Memory arena, Parameters parameters)
    {
        public readonly Optimizer Optimizer = new(arena, parameters, new AdamOptions(0.1), maxNorm: 5);
        public readonly CounterRandom Random = new(42);
        public readonly EarlyStopping Stopping = new(3);
        public readonly Sampler Sampler = new(7, 2, 11);

        public TrainingState State => new(arena.Gpu, Optimizer, n => n == "frozen");

        public void Steps(int count)
        {
            for (; count > 0; count--)
            {
                int item = Sampler.Next()[0];
                foreach (TrainedRange range in Optimizer.Layout.Ranges)
                    TinyTraining.Fill(arena.Gpu, Optimizer, range.Name, (float)(Random.NextDouble(-1, 1) * item));
                Optimizer.Step(0.01, n => n == "bias" && item % 2 == 0);
                Stopping.Add(Random.NextDouble());
                Tensor frozen = parameters.All.First(p => p.Key == "frozen").Value; // as running statistics would
                TinyTraining.Upload(arena.Gpu, [item, (float)Random.NextDouble(), 3], frozen);
            }
        }

        public void Save(string path)
        {
            StateValues values = new();
            Random.Save(values, "random");
            Stopping.Save(values, "stopping");
            Sampler.Save(values, "sampler");
            values.Set("epoch", 3);
            State.Save(path, values);
        }

        public void Load(string path)
        {
            StateValues values = State.Load(path);
            Random.Load(values, "random");
            Stopping.Load(values, "stopping");
            Sampler.Load(values, "sampler");
            Assert.That(values.Long("epoch"), Is.EqualTo(3));
        }
    }

    static void OnDevice(DType type, Action<Memory, Parameters> work) =>
        TinyTraining.Run(type, TinyTraining.Declare, n => n != "frozen", work);

    [TestCase(DType.F32)]
    [TestCase(DType.BF16)]
    public void Load_OfASavedRun_GoesOnAsTheUninterruptedOne(DType type)
    {
        string end = Path.Combine(_directory, "end"), resumed = Path.Combine(_directory, "resumed");
        byte[] multiplied = [], multipliedAgain = [];
        OnDevice(type, (arena, parameters) =>
        {
            Run run = new(arena, parameters);
            run.Steps(5);
            run.Save(State);
            multiplied = Weight(arena, parameters);
            run.Steps(6);
            run.Save(end);
        });
        OnDevice(type, (arena, parameters) =>
        {
            Run run = new(arena, parameters);
            run.Load(State);
            multipliedAgain = Weight(arena, parameters);
            run.Steps(6);
            run.Save(resumed);
        });
        Assert.That(multipliedAgain, Is.EqualTo(multiplied));
        Assert.That(File.ReadAllBytes(resumed), Is.EqualTo(File.ReadAllBytes(end)));
        Assert.That(File.ReadAllBytes(resumed), Is.Not.EqualTo(File.ReadAllBytes(State)));
        Assert.That(Directory.GetFiles(_directory), Has.Length.EqualTo(3), "no files in between are left");
    }

    [Test]
    public void Load_WithAnyByteChangedOrTheEndMissing_IsRefusedAndChangesNothing() =>
        OnDevice(DType.F32, (arena, parameters) =>
        {
            Run run = new(arena, parameters);
            run.Steps(2);
            run.Save(State);
            byte[] good = File.ReadAllBytes(State);
            run.Steps(1);
            run.Save(State);
            byte[] now = File.ReadAllBytes(State);
            for (int at = 0; at < good.Length; at += 37)
            {
                byte[] bad = [.. good];
                bad[at] ^= 4;
                Refuses(bad);
            }
            Refuses(good[..^1]);
            Refuses([.. good, 0]);
            Refuses([]);
            run.Save(State);
            Assert.That(File.ReadAllBytes(State), Is.EqualTo(now));

            void Refuses(byte[] bytes)
            {
                File.WriteAllBytes(State, bytes);
                Assert.That(() => run.State.Load(State), Throws.TypeOf<CheckpointException>());
            }
        });

    [Test]
    public void Load_WithOneWeightChanged_SaysThatTheFileIsDamaged() => OnDevice(DType.F32, (arena, parameters) =>
    {
        Run run = new(arena, parameters);
        run.Save(State);
        byte[] bytes = File.ReadAllBytes(State);
        bytes[^1] ^= 1;
        File.WriteAllBytes(State, bytes);
        Assert.That(() => run.State.Load(State), Throws.TypeOf<CheckpointException>().With.Message.EndsWith(
            "state.safetensors is damaged: its content does not agree with its checksum; use an earlier state"));
    });

    [Test]
    public void Load_OfAnotherModelsState_NamesWhatDiffers()
    {
        OnDevice(DType.F32, (arena, parameters) => new Run(arena, parameters).Save(State));
        TinyTraining.Run(DType.F32, p => p.Vector("weight", 41), _ => true, (arena, parameters) =>
            Assert.That(() => new Run(arena, parameters).State.Load(State),
                Throws.TypeOf<CheckpointException>().With.Message.Contains("is the training state of another model: ")
                    .And.Message.Contains("parameter.bias is not in the model")));
    }

    [Test]
    public void Load_OfAnOrdinaryCheckpoint_IsRefused() => OnDevice(DType.F32, (arena, parameters) =>
    {
        using (StateDict other = new([new TensorEntry("weight", [2], [1f, 2f])])) other.Save(State);
        Assert.That(() => new Run(arena, parameters).State.Load(State),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("is not a training state of this version"));
    });

    [Test]
    public void Values_ThatAreMissingOrNoNumbers_AreRefusedByName()
    {
        StateValues values = new();
        values.Set("a", "x");
        values.Set("b", double.NegativeInfinity);
        values.Set("c", 0.1);
        Assert.That((values.Double("b"), values.Double("c")), Is.EqualTo((double.NegativeInfinity, 0.1)));
        Assert.That(() => values.Long("a"),
            Throws.TypeOf<CheckpointException>().With.Message.EndsWith("a = x, expected an integer"));
        Assert.That(() => values.Long("d"),
            Throws.TypeOf<CheckpointException>().With.Message.EndsWith("the training state has no value d"));
    }

    static byte[] Weight(Memory arena, Parameters parameters)
    {
        Tensor weight = parameters.All.First(p => p.Key == "weight").Value;
        byte[] bytes = new byte[weight.Bytes];
        arena.Gpu.Download(weight, bytes);
        return bytes;
    }
}
