// epsam train in a process of its own, killed at random moments and started again, until it is done: all it leaves must
// be what an uninterrupted run leaves, byte for byte. tests/kill-train N kills N times.
using System.Diagnostics;
using System.Globalization;
using EpSam.Native.Pipeline;
using EpSam.Native.Tests.Cli;
using EpSam.Native.Tests.Imaging;

namespace EpSam.Native.Tests.Pipeline;

[Category("Slow")]
public sealed class KillTests
{
    const int KillsInTheSuite = 3;

    // Times of day are in these, nothing else may differ.
    static readonly string[] NotCompared = ["stages.json", "report.html", "tensorboard", ".lock", "state.safetensors"];

    string _folder = "";
    double _seconds;   // of the uninterrupted run

    [OneTimeSetUp]
    public void RunUninterrupted()
    {
        VipsLibrary.RequireOrSkip();
        _folder = Directory.CreateTempSubdirectory("epsam-kill-").FullName;
        TinyData.Write(In("data"));
        File.WriteAllText(In("sizes.json"), TinyData.SamSizes);
        File.WriteAllText(In("config.json"), TinyData.Config);
        CommandLine made = CommandLine.Run("init", "--model", In("sizes.json"), "--out", In("sam.safetensors"));
        Assert.That(made.Code, Is.Zero, made.Error);
        Stopwatch watch = Stopwatch.StartNew();
        using Process whole = Start("whole");
        (int code, string error) = End(whole);
        Assert.That(code, Is.Zero, error);
        _seconds = watch.Elapsed.TotalSeconds;
    }

    [OneTimeTearDown]
    public void RemoveFolder()
    {
        if (_folder.Length > 0) Directory.Delete(_folder, recursive: true);
    }

    [Test]
    public void Train_KilledAtRandomMoments_EndsWithTheSameFiles()
    {
        int kills = int.Parse(Environment.GetEnvironmentVariable("EPSAM_KILLS") ?? $"{KillsInTheSuite}",
            CultureInfo.InvariantCulture);
        int killed = 0, runs = 0, longest = 0;
        Random random = new(1);
        while (killed < kills)
        {
            int here = 0;
            for (bool isDone = false; !isDone;)
            {
                using Process process = Start("killed");
                Task<(int Code, string Error)> end = Task.Run(() => End(process));
                // moments from the process's start to well into the run
                TimeSpan delay = TimeSpan.FromSeconds(killed < kills ? random.NextDouble() * _seconds / 4 : 1e6);
                if (!end.Wait(delay.TotalDays > 1 ? Timeout.InfiniteTimeSpan : delay))
                {
                    process.Kill();
                    end.Wait();
                    if (IsDone("killed")) continue;   // between its end and the process's: no moment of the run
                    (killed, here) = (killed + 1, here + 1);
                    TestContext.Progress.WriteLine(
                        $"kill {killed} after {delay.TotalSeconds:F2} s: {Stages("killed")}");
                    continue;
                }
                Assert.That(end.Result.Code, Is.Zero, end.Result.Error);
                isDone = true;
            }
            Compare("killed");
            (runs, longest) = (runs + 1, Math.Max(longest, here));
            Directory.Delete(In("killed"), recursive: true);
        }
        TestContext.Progress.WriteLine($"{killed} kills, {runs} runs (of {_seconds:F1} s without kills), at most "
            + $"{longest} kills in one; every run ended with the files of the uninterrupted one");
    }

    [Test]
    public void Train_AskedToStop_SavesAndGoesOnToTheSameFiles()
    {
        if (OperatingSystem.IsWindows()) Assert.Ignore("signals");
        List<int> codes = [];
        for (int stop = 1; codes.Count == 0 || codes[^1] != 0; stop++)
        {
            using Process process = Start("stopped");
            Task<(int Code, string Error)> end = Task.Run(() => End(process));
            if (stop <= 2 && !end.Wait(TimeSpan.FromSeconds(1 + _seconds / 5)))
                Process.Start("kill", $"-TERM {process.Id}").WaitForExit();
            codes.Add(end.Result.Code);
            Assert.That(codes[^1], Is.Zero.Or.EqualTo(130), end.Result.Error);
            if (codes[^1] == 130) Assert.That(end.Result.Error, Does.Contain("goes on"));
        }
        Assert.That(codes, Has.Count.GreaterThan(1), "nothing was interrupted");
        Compare("stopped");
    }

    string In(string name) => Path.Combine(_folder, name);

    string Stages(string run) => RunProgress.Read(new RunFolder(In(run))) is not RunProgress progress ? "not begun"
        : string.Join(", ", progress.Stages.Where(s => s.State != StageState.Waiting)
            .Select(s => $"{s.Name} {s.State.ToString().ToLowerInvariant()}"));

    bool IsDone(string run) =>
        RunProgress.Read(new RunFolder(In(run)))?.Stages.All(s => s.State == StageState.Done) == true;

    void Compare(string run)
    {
        string[] whole = Files("whole");
        Assert.That(Files(run), Is.EqualTo(whole));
        Assert.That(whole, Has.Member("metrics.csv").And.Member(Path.Combine("classifier", "classifier.safetensors")));
        foreach (string file in whole)
        {
            Assert.That(File.ReadAllBytes(Path.Combine(In(run), file)).AsSpan()
                .SequenceEqual(File.ReadAllBytes(Path.Combine(In("whole"), file))), Is.True, file);
        }
    }

    string[] Files(string run) => [.. Directory.GetFiles(In(run), "*", SearchOption.AllDirectories)
        .Select(f => Path.GetRelativePath(In(run), f))
        .Where(f => !f.Split(Path.DirectorySeparatorChar).Intersect(NotCompared).Any())
        .Order(StringComparer.Ordinal)];

    Process Start(string run)
    {
        string tool = typeof(EpSam.Cli.Program).Assembly.Location;
        ProcessStartInfo start = new(Environment.ProcessPath is { } host && Path.GetFileNameWithoutExtension(host)
            == "dotnet" ? host : "dotnet")
        {
            RedirectStandardError = true, RedirectStandardOutput = true, UseShellExecute = false,
        };
        string[] arguments =
        [
            tool, "train", "--data", In("data"), "--sam", In("sam.safetensors"), "--out", In(run), "--gpu", "virtual",
            "--config", In("config.json"),
        ];
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        return Process.Start(start)!;
    }

    static (int Code, string Error) End(Process process)
    {
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        string error = process.StandardError.ReadToEnd();
        output.Wait();
        process.WaitForExit();
        return (process.ExitCode, error);
    }
}
