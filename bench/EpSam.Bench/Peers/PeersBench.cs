// bench peers [NAME…] [--rounds N] [--threads N] [--by-head]: SAM's image encoder (ViT-B, 1024 x 1024, one image, the
// same weights) in ours, PyTorch and ONNX Runtime. Each is a process of its own and they are asked in turn: what the
// machine does meanwhile meets all. Results are checked before anything is timed. bench/peers/setup installs the
// rivals; --by-head has them compute global attention one head at a time, which takes less memory.
using System.Diagnostics;
using System.Globalization;
using EpSam.Native.Models.Sam;

namespace EpSam.Bench.Peers;

internal sealed class PeersBench(int threads, int rounds, bool byHead)
{
    // ONNX Runtime as its users get it, and as it suits this network best
    const string TorchName = "PyTorch fp32", RuntimeName = "ONNX Runtime fp32", TunedName = "ONNX Runtime tuned";

    // The embedding in bf16: its error's root mean square as a share of the values'. Each block rounds about six times
    // (norms, q k v, probabilities, heads, hidden, weights) by 2^-9 / sqrt(3) on average: sqrt(12 * 6 + 4) of these are
    // 1 %; twice that is allowed.
    const double Bf16Tolerance = 0.02;

    // For fp32 where only PyTorch's output is there to compare with: the goldens' bound for the same network.
    const double F32Tolerance = 3.2e-5;

    // Whoever takes longer hangs.
    static readonly TimeSpan StartLimit = TimeSpan.FromMinutes(5), RunLimit = TimeSpan.FromMinutes(5);
    static readonly TimeSpan RoundsLimit = TimeSpan.FromMinutes(4); // no new round after that
    static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(60), Tick = TimeSpan.FromMilliseconds(10);

    sealed record Rival(string Name, bool IsBf16, PeerProcess Process)
    {
        public List<double> Seconds { get; } = [];
        public string ErrorText { get; set; } = "";
    }

    readonly PeerFiles _files = new(Report.Root(), byHead ? 1 : SamConfig.VitB.Heads);
    readonly List<string> _failures = [];

    public int Run(IReadOnlyCollection<string> only)
    {
        Dictionary<string, Func<Rival>> all = new()
        {
            ["ours-bf16"] = () => Ours("ours bf16", "bf16"),
            ["ours-fp32"] = () => Ours("ours fp32", "f32"),
            ["pytorch"] = () => Torch(TorchName, "fp32"),
            ["pytorch-bf16"] = () => Torch("PyTorch bf16", "bf16"),
            ["onnxruntime"] = () => Runtime(RuntimeName, "defaults"),
            ["onnxruntime-tuned"] = () => Runtime(TunedName, "tuned"),
        };
        if (only.Except(all.Keys).FirstOrDefault() is string unknown)
        {
            string known = string.Join(", ", all.Keys);
            Console.Error.WriteLine($"bench peers: no rival is called {unknown}; there are {known}");
            return 2;
        }
        // PyTorch's own setting does not reach the BLAS below it
        Environment.SetEnvironmentVariable("OPENBLAS_NUM_THREADS", Text(threads));
        _files.MakeWeights();
        Reference? reference = _files.MakeInput();
        List<Rival> rivals = [];
        try
        {
            foreach ((string name, Func<Rival> start) in all)
                if (only.Count == 0 || only.Contains(name)) Attempt(name, () => rivals.Add(start()));
            Verify(rivals, reference);
            if (rivals.Count == 0) return 1;
            double others = Time(rivals);
            if (rivals.Count > 0) Tell(rivals, reference, others, save: only.Count == 0 && _failures.Count == 0);
        }
        finally
        {
            foreach (Rival rival in rivals) rival.Process.Dispose();
        }
        foreach (string failure in _failures) Console.Error.WriteLine($"not measured: {failure}");
        if (_failures.Count == 0) return 0;
        Console.Error.WriteLine("bench/peers/setup installs the rivals; the table was not written");
        return 1;
    }

    internal static string Python => Environment.GetEnvironmentVariable("EPSAM_PYTHON") ?? "/usr/bin/python3";

    string Script(string name) => Path.Combine(_files.Scripts, name);

    static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>How this program is started.</summary>
    internal static string[] Self => Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet"
        ? [Environment.ProcessPath!, typeof(PeersBench).Assembly.Location] : [Environment.ProcessPath!];

    Rival Ours(string name, string precision) =>
        new(name, precision == "bf16", PeerProcess.Start(name, StartLimit, Self[0],
            [.. Self[1..], "peer-ours", precision, _files.Weights, _files.Input, Text(threads)]));

    Rival Torch(string name, string precision) =>
        new(name, precision == "bf16", PeerProcess.Start(name, StartLimit, Python, Script("encoder_torch.py"), "run",
            _files.Weights, Text(_files.Heads), _files.Input, Text(threads), precision));

    Rival Runtime(string name, string settings) =>
        new(name, false, PeerProcess.Start(name, StartLimit, "node", Script("encoder_onnx.js"),
            _files.Modules, Exported(), _files.Input, Text(threads), settings));

    string Exported()
    {
        if (!_files.ModelIsStale()) return _files.Model;
        Console.WriteLine("exporting the network to ONNX");
        PeerProcess.Complete("the export", StartLimit, Python,
            Script("encoder_torch.py"), "export", _files.Weights,
            Text(_files.Heads), _files.Model);
        return _files.Model;
    }

    void Attempt(string what, Action work)
    {
        try
        {
            work();
        }
        catch (PeerException e)
        {
            _failures.Add($"{what}: {e.Message}");
        }
    }

    // The first run of each, not timed: it warms up, and its result is compared. Who is wrong is not timed.
    void Verify(List<Rival> rivals, Reference? reference)
    {
        foreach (Rival rival in rivals.OrderBy(r => r.Name == TorchName ? 0 : 1).ToArray())
        {
            bool isRight = false;
            Attempt(rival.Name, () =>
            {
                string path = _files.In("embedding.f32");
                rival.Process.Run(RunLimit);
                rival.Process.Save(path, RunLimit);
                float[] embedding = PeerFiles.ReadFloats(path);
                reference ??= rival.Name == TorchName
                    ? new Reference(TorchName, [.. Enumerable.Range(0, embedding.Length)], embedding, F32Tolerance)
                    : throw new PeerException("there is nothing to compare with: neither goldens nor PyTorch");
                Compare(rival, reference, embedding);
                isRight = true;
            });
            if (!isRight) Drop(rival, rivals);
        }
    }

    static void Drop(Rival rival, List<Rival> rivals)
    {
        rival.Process.Dispose();
        rivals.Remove(rival);
    }

    static void Compare(Rival rival, Reference reference, float[] embedding)
    {
        double most = 0, squares = 0, signal = 0;
        for (int i = 0; i < reference.Indices.Length; i++)
        {
            double expected = reference.Expected[i], error = Math.Abs(embedding[reference.Indices[i]] - expected);
            most = error <= most ? most : error; // NaN is worst
            squares += error * error;
            signal += expected * expected;
        }
        double share = Math.Sqrt(squares / signal);
        rival.ErrorText = rival.IsBf16 ? $"{most:G2} (rms {100 * share:F2} %)" : $"{most:G2}";
        bool isRight = rival.IsBf16 ? share <= Bf16Tolerance : most <= reference.Tolerance;
        Console.WriteLine($"{rival.Name}: largest error {rival.ErrorText} against {reference.Source}");
        if (!isRight)
            throw new PeerException($"wrong: largest error {most:G3}, root mean square {share:G3} of the values'");
    }

    /// <summary>The rounds; returns what share of the machine others used, or NaN where that is not known.</summary>
    double Time(List<Rival> rivals)
    {
        long start = Stopwatch.GetTimestamp();
        (double busy, double all) = Machine();
        double own = Own(rivals);
        for (int round = 0; round < rounds; round++)
        {
            if (round > 0 && Stopwatch.GetElapsedTime(start) > RoundsLimit) break;
            foreach (Rival rival in rivals.ToArray())
            {
                Quiet(rivals);
                Attempt(rival.Name, () => rival.Seconds.Add(rival.Process.Run(RunLimit)));
                if (rival.Seconds.Count <= round) Drop(rival, rivals);
            }
            IEnumerable<string> times = rivals.Select(r => $"{r.Name} {F(r.Seconds[^1])} s");
            Console.WriteLine($"round {round + 1}: {string.Join(", ", times)}");
        }
        (double busyAfter, double allAfter) = Machine();
        return (busyAfter - busy - (Own(rivals) - own)) / (allAfter - all);
    }

    // Threads of the one that ran last may spin on, waiting for more work, and would take a core from the next.
    static void Quiet(List<Rival> rivals)
    {
        for (int i = 0; i < 50; i++)
        {
            double before = Own(rivals);
            Thread.Sleep(Settle);
            if (Own(rivals) - before <= Tick.TotalSeconds) return;
        }
    }

    static double Own(List<Rival> rivals) => Environment.CpuUsage.TotalTime.TotalSeconds
        + rivals.Sum(r => r.Process.ProcessorTime.TotalSeconds);

    // Seconds in which processors were busy, and all their seconds, since the machine's start.
    internal static (double Busy, double All) Machine()
    {
        const double TicksPerSecond = 100;
        if (!File.Exists("/proc/stat")) return (double.NaN, double.NaN);
        string[] fields = File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries);
        double[] ticks = [.. fields[1..9].Select(t => double.Parse(t, CultureInfo.InvariantCulture))];
        double all = ticks.Sum(), idle = ticks[3] + ticks[4];
        return ((all - idle) / TicksPerSecond, all / TicksPerSecond);
    }

    void Tell(List<Rival> rivals, Reference? reference, double others, bool save)
    {
        const double Loaded = 0.05, Spoilt = 0.2;
        Report report = new($"SAM's image encoder, ViT-B, one image of 1024 x 1024, {threads} threads each",
            ("encoder", 18), ("median", 8), ("fastest", 8), ("of PyTorch", 10), ("of ONNX Runtime", 15),
            ("of it tuned", 11),
            ("process peak", 12), ("peak in runs", 12), ("device memory", 13), ("largest error", 20));
        double? torch = Median(rivals, TorchName);
        double? runtime = Median(rivals, RuntimeName), tuned = Median(rivals, TunedName);
        foreach (Rival r in rivals)
        {
            double median = Timing.Of([.. r.Seconds]).Seconds;
            report.Add(r.Name, $"{F(median)} s", $"{F(r.Seconds.Min())} s", F(median / torch), F(median / runtime),
                F(median / tuned),
                Mebibytes(r.Process.Peak), Mebibytes(r.Process.RunPeak),
                r.Process.DeviceBytes > 0 ? Mebibytes(r.Process.DeviceBytes) : "", r.ErrorText);
        }
        foreach (Rival r in rivals) report.Note($"{r.Name}: {r.Process.Version}, {r.Process.Settings}");
        report.Note($"{rivals.Max(r => r.Seconds.Count)} alternating rounds after one to warm up; ratios of medians."
            + " Peaks of resident memory: in the whole life of the process, and since its weights were loaded.");
        double tolerance = reference?.Tolerance ?? F32Tolerance;
        report.Note($"Errors against {reference?.Source ?? TorchName}; allowed in fp32: "
            + Invariant($"{tolerance:G2}, in bf16: {100 * Bf16Tolerance:F0} % (root mean square)."));
        if (others > Loaded)
            report.Note(Invariant($"OTHER WORK USED {100 * others:F0} % OF THE MACHINE: do not quote these times."));
        if (byHead) report.Note("Rivals compute global attention one head at a time; the official code does not.");
        if (others > Spoilt) Console.WriteLine("the table was not written: the machine was busy with other work");
        else if (save) report.Save(byHead ? "peers-by-head" : "peers");
    }

    static double? Median(List<Rival> rivals, string name) =>
        rivals.FirstOrDefault(r => r.Name == name) is Rival rival ? Timing.Of([.. rival.Seconds]).Seconds : null;

    static string F(double? value) => value is double v ? v.ToString("F2", CultureInfo.InvariantCulture) : "";

    static string Mebibytes(long bytes) => Invariant($"{bytes / 1048576.0:F0} MiB");

    static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
