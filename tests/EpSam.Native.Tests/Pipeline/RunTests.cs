// A run with stages that only count: what is done in which order, what is left after an interruption at any moment,
// what is refused. The stages save after every step, as real ones do now and then.
using System.Globalization;
using EpSam.Cuda;
using EpSam.Native.Pipeline;
using EpSam.Native.Runtime;

namespace EpSam.Native.Tests.Pipeline;

public sealed class RunTests
{
    DataFolder _data = null!;
    Observer _observer = null!;
    Counting[] _stages = [];

    [SetUp]
    public void MakeFolders()
    {
        (_data, _observer) = (new DataFolder(), new Observer());
        _data.Images("d/train/image/a_1.png", "d/train/image/b_0.png", "d/val/image/c_1.png", "d/val/image/e_0.png");
        _data.Image("sam.bin", "weights");
        Restart();
    }

    [TearDown]
    public void RemoveFolders() => _data.Dispose();

    // What a new process has: stages that know nothing.
    void Restart() => _stages = [new("classifier"), new("masks"), new("round0")];

    string Out => _data.In("run");

    Run Open(Func<RunRequest, RunRequest>? change = null)
    {
        RunRequest request = new(Out) { Data = _data.In("d"), Sam = _data.In("sam.bin") };
        return Run.Open(change is null ? request : change(request), new DataFolder.Sizes(), _observer, _ => _stages);
    }

    void Execute(string? only = null, CancellationToken cancel = default, Func<RunRequest, RunRequest>? change = null)
    {
        CuNull device = CuNull.Create();
        using Gpu gpu = new(device.Driver, device.Blas);
        using Run run = Open(change);
        run.Execute(gpu, "null", only, cancel);
    }

    string Refusal(Func<RunRequest, RunRequest>? change = null, string? only = null) =>
        Assert.Throws<RunException>(() => Execute(only, default, change))!.Message;

    StageState[] States => [.. RunProgress.Read(new RunFolder(Out))!.Stages.Select(s => s.State)];

    string Metrics => File.ReadAllText(Path.Combine(Out, "metrics.csv"));

    [Test]
    public void Execute_All_InOrderWithFigures()
    {
        Execute();
        Assert.That(States, Is.All.EqualTo(StageState.Done));
        StageProgress last = RunProgress.Read(new RunFolder(Out))!.Stages[^1];
        Assert.That((last.Name, last.Figures["steps"], last.PlannedBytes, last.PeakBytes, last.Device),
            Is.EqualTo(("round0", 4.0, 100L, 90L, "null")));
        Assert.That(Metrics, Does.StartWith("stage,epoch,step,name,value\nclassifier,0,1,loss,1\n").And.EndWith(
            "round0,0,4,loss,0.25\n"));
        Assert.That(RunConfig.FromJson(File.ReadAllText(Path.Combine(Out, "run.json"))), Is.EqualTo(new RunConfig()));
        Assert.That(File.ReadAllLines(Path.Combine(Out, "data.csv")), Is.EqualTo(new[]
        {
            "image,label,mask,split,x,y,w,h,bytes", "train/image/a_1.png,1,,train,,,,,3",
            "train/image/b_0.png,0,,train,,,,,3", "val/image/c_1.png,1,,val,,,,,3", "val/image/e_0.png,0,,val,,,,,3",
        }));
        Restart();
        Execute();
        Assert.That(_stages.Select(s => s.Taken), Is.All.Zero, "what is done is left alone");
    }

    [Test]
    public void Execute_CancelledAtAnyStep_GoesOnToTheSameFiles([Range(0, 12)] int step)
    {
        Execute();
        string whole = Metrics;
        Directory.Delete(Out, true);
        Restart();
        using CancellationTokenSource cancel = new();
        int taken = 0;
        foreach (Counting stage in _stages) stage.Before = () => { if (taken++ == step) cancel.Cancel(); };
        if (step < 12) Assert.Throws<OperationCanceledException>(() => Execute(cancel: cancel.Token));
        else Execute(cancel: cancel.Token);
        Restart();
        Execute();
        Assert.That(Metrics, Is.EqualTo(whole));
        Assert.That(_stages.Sum(s => s.Taken), Is.EqualTo(12 - step));
    }

    [Test]
    public void Execute_OneStage_RunsAnewAndLaterOnesAreStale()
    {
        Execute();
        string whole = Metrics;
        Restart();
        Execute("masks");
        Assert.That(_stages.Select(s => s.Taken), Is.EqualTo(new[] { 0, 4, 0 }));
        Assert.That(States, Is.EqualTo(new[] { StageState.Done, StageState.Done, StageState.Stale }));
        Assert.That(Refusal(only: "nothing"), Does.Contain("it has classifier, masks, round0"));
        Restart();
        Execute();
        Assert.That(_stages.Select(s => s.Taken), Is.EqualTo(new[] { 0, 0, 4 }), "what was stale began anew");
        Assert.That(Metrics, Is.EqualTo(whole));
    }

    [Test]
    public void Execute_OneStageBeforeOthersAreDone_IsRefused() =>
        Assert.That(Refusal(only: "round0"), Does.Contain("not done: classifier, masks"));

    [Test]
    public void Execute_DiskFull_SaysSoAndGoesOn()
    {
        int taken = 0;
        _stages[1].Before = () => { if (taken++ == 2) throw new IOException("No space left on device"); };
        Assert.That(Refusal(), Does.StartWith("masks: No space left on device. What was saved stays"));
        Assert.That(States, Is.EqualTo(new[] { StageState.Done, StageState.Running, StageState.Waiting }));
        _data.Image("run/round0/.state.safetensors.0123.tmp", "half of a file");
        Restart();
        Execute();
        Assert.That(_stages.Select(s => s.Taken), Is.EqualTo(new[] { 0, 2, 4 }));
        Assert.That(Directory.GetFiles(Path.Combine(Out, "round0")), Is.Empty);
    }

    [Test]
    public void Execute_UnreadableImageMeanwhile_SaysWhichAndGoesOn()
    {
        _stages[0].Before = () => throw new ImageFileException("a_1.png: damaged");
        Assert.That(Refusal(), Does.StartWith("classifier: a_1.png: damaged. What was saved stays"));
        Restart();
        Execute();
        Assert.That(States, Is.All.EqualTo(StageState.Done));
    }

    [Test]
    public void Open_WhileAnotherHasTheFolder_IsRefused()
    {
        using Run run = Open();
        Assert.That(RunLock.IsTaken(run.Folder), Is.True);
        Assert.That(Assert.Throws<RunException>(() => Open())!.Message, Does.Contain("in use by another process"));
        run.Dispose();
        Assert.That(RunLock.IsTaken(run.Folder), Is.False);
        Open().Dispose();
    }

    [Test]
    public void Open_AgainWithoutInputs_TakesThoseOfBefore()
    {
        Execute();
        using Run run = Run.Open(new RunRequest(Out), new DataFolder.Sizes(), _observer, _ => _stages);
        Assert.That(run.Data.Images, Has.Count.EqualTo(4));
    }

    [Test]
    public void Open_AnotherConfiguration_IsRefusedByKey()
    {
        Execute();
        string file = _data.In("c.json");
        File.WriteAllText(file, "{ \"classifier\": { \"batch\": 8 }, \"decoder\": { \"rounds\": 1 } }");
        Assert.That(Refusal(r => r with { ConfigFile = file }), Does.Contain(
            "another configuration: classifier.batch is 8, was 16, decoder.rounds is 1, was 3."));
        Assert.That(Refusal(r => r with { Overrides = c => c with { Compat = CompatConfig.Reference } }),
            Does.Contain("compat.unscaled_points is true, was false").And.Contain("swapped_red_blue"));
        File.WriteAllText(file, "{ \"save_seconds\": 5 }");
        Execute(change: r => r with { ConfigFile = file });
        using Run run = Open();
        Assert.That(run.Config.SaveSeconds, Is.EqualTo(5), "what results do not depend on may change");
    }

    [Test]
    public void Open_OtherInputs_AreRefused()
    {
        Execute();
        _data.Images("d/train/image/f_1.png");
        Assert.That(Refusal(), Does.Contain("another data set: 1 lines are new, the first is train/image/f_1.png,1"));
        File.Delete(_data.In("d/train/image/f_1.png"));
        File.Move(_data.In("d/train/image/a_1.png"), _data.In("d/train/image/g_1.png"));
        Assert.That(Refusal(), Does.Contain("1 lines are new").And.Contain("1 are gone"));
        File.Move(_data.In("d/train/image/g_1.png"), _data.In("d/train/image/a_1.png"));
        _data.Image("d/train/image/a_1.png", "18x16");
        Open().Dispose();
        Assert.That(_observer.Lines, Has.One.Contains("files have changed").And.One.EndsWith(": train/image/a_1.png"));
        _data.Image("sam.bin", "other weights");
        Assert.That(Refusal(), Does.Contain("another SAM checkpoint").And.Contain("(7 bytes)"));
        File.Delete(_data.In("sam.bin"));
        Assert.That(Refusal(), Does.Contain("cannot read").And.Contain("sam.bin"));
    }

    [Test]
    public void Open_FolderOfOtherThings_IsRefused()
    {
        _data.Image("run/thesis.txt", "text");
        Assert.That(Refusal(), Does.Contain("is no run").And.Contain("thesis.txt"));
        Assert.That(Refusal(r => r with { Folder = _data.In("sam.bin") }), Does.Contain("is a file"));
    }

    [Test]
    public void Open_Refused_LeavesNothing()
    {
        Assert.That(Refusal(r => r with { Data = _data.In("nowhere") }), Does.Contain("does not exist"));
        Assert.That(Refusal(r => r with { Sam = null }), Does.Contain("--sam"));
        Assert.That(Out, Does.Not.Exist);
    }

    [Test]
    public void Open_DamagedFiles_AreNamed()
    {
        Execute();
        File.WriteAllText(Path.Combine(Out, "stages.json"), "{ \"sam\": ");
        Assert.That(Refusal(), Does.Contain("stages.json cannot be read"));
        File.Delete(Path.Combine(Out, "stages.json"));
        Restart();
        Execute();   // its stages begin anew
        Assert.That(_stages.Select(s => s.Taken), Is.All.EqualTo(4));
        File.WriteAllText(Path.Combine(Out, "run.json"), "{ \"colour\": 1 }");
        Assert.That(Refusal(), Does.Contain("run.json: the configuration knows no colour"));
    }

    /// <summary>A stage of four steps, that saves after each.</summary>
    sealed class Counting(string name) : IRunStage
    {
        const int Steps = 4;

        public string Name => name;

        /// <summary>Steps taken in this process.</summary>
        public int Taken { get; private set; }

        public Action Before { get; set; } = () => { };

        public StageResult Run(RunContext run)
        {
            string path = State(run.Folder);
            string[] state = File.Exists(path) ? File.ReadAllLines(path) : ["0", ""];
            run.Journal.Rewind(name, state[1].Length > 0 ? state[1] : null);
            for (int step = int.Parse(state[0], CultureInfo.InvariantCulture); step < Steps; step++)
            {
                Before();
                run.Cancel.ThrowIfCancellationRequested();
                run.Journal.Add(name, 0, step + 1, "loss", 1.0 / (step + 1));
                File.WriteAllLines(path, [$"{step + 1}", run.Journal.Commit()]);
                Taken++;
            }
            return new StageResult(new Dictionary<string, double> { ["steps"] = Steps }, 100, 90);
        }

        public void Reset(RunFolder folder) => File.Delete(State(folder));

        string State(RunFolder folder) => Path.Combine(folder.Root, name + ".state");
    }

    sealed class Observer : IRunObserver
    {
        public List<string> Lines { get; } = [];

        public IWorkProgress Begin(string what, long total, string unit) => throw new NotSupportedException();
        public void Note(string line) => Lines.Add(line);
        public void Warn(string line) => Lines.Add(line);
    }
}
