// bench peers --train [decoder] [classifier] [--rounds N] [--threads N]: one training step of EP-SAM at full size, ours
// beside PyTorch's, each in a process of its own. They run one after the other, since together they would not fit in
// memory; what else the machine did meanwhile is said. Weights differ (neither time nor memory depends on them), so of
// the loss is only asked that it is a number.
using System.Globalization;

namespace EpSam.Bench.Peers;

internal sealed class TrainPeers(int threads, int rounds)
{
    const string Torch = "PyTorch fp32", Published = "as published";
    const long GiB = 1L << 30;

    static readonly TimeSpan Limit = TimeSpan.FromMinutes(15);
    static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(100);

    // Most device memory, and most time as a share of PyTorch's.
    static readonly (string Kind, string What, long Bytes, double Share)[] Steps =
    [
        (TrainSetup.Decoder, "decoder, 4 images of 1024 x 1024", 2 * GiB, 0.5),
        (TrainSetup.Classifier, "classifier, 16 images of 512 x 512", 6 * GiB, 1),
    ];

    sealed record Result(string Name, double Median, double Fastest, long Peak, long Device, float Loss, string Note);

    readonly PeerFiles _files = new(Report.Root(), 1);
    double _own; // processor seconds of the rivals

    public int Run(IReadOnlyCollection<string> only)
    {
        if (only.Except(Steps.Select(s => s.Kind)).FirstOrDefault() is string unknown)
        {
            Console.Error.WriteLine($"bench peers --train: no step is called {unknown}; there are decoder, classifier");
            return 2;
        }
        // PyTorch's own setting does not reach the BLAS below it
        string count = threads.ToString(CultureInfo.InvariantCulture);
        Environment.SetEnvironmentVariable("OPENBLAS_NUM_THREADS", count);
        Report report = new($"Training steps of EP-SAM at full size, {threads} threads each",
            ("step", 36), ("who", 14), ("median", 9), ("fastest", 9), ("of PyTorch", 10), ("bar", 5),
            ("process peak", 12), ("device memory", 13), ("bar", 9), ("loss", 8));
        (double busy, double all) = PeersBench.Machine();
        List<string> notes = [];
        try
        {
            foreach ((string kind, string what, long bytes, double share) in Steps)
            {
                if (only.Count > 0 && !only.Contains(kind)) continue;
                string script = Path.Combine(_files.Scripts, "train_torch.py");
                Result torch = Measure(Torch, PeersBench.Python, script, kind, count);
                // the published decoder step makes every sum of logits anew: 3 GiB each
                Result[] published = kind != TrainSetup.Decoder ? []
                    : [Measure(Published, PeersBench.Python, script, kind, count, "published")];
                string[] self = PeersBench.Self;
                Result[] results = [torch, .. published, .. new[] { "f32", "bf16" }.Select(precision => Measure(
                    $"ours {precision}", self[0], [.. self[1..], "peer-train", kind, precision, count]))];
                foreach (Result r in results)
                {
                    bool isOurs = r.Name is not (Torch or Published);
                    report.Add(what, r.Name, $"{F(r.Median)} s", $"{F(r.Fastest)} s", F(r.Median / torch.Median),
                        isOurs ? F(share) : "", Mebibytes(r.Peak), isOurs ? Mebibytes(r.Device) : "",
                        isOurs ? Mebibytes(bytes) : "", r.Loss.ToString("F4", CultureInfo.InvariantCulture));
                    notes.Add($"{kind}, {r.Name}: {r.Note}");
                }
            }
        }
        catch (PeerException e)
        {
            Console.Error.WriteLine($"bench peers --train: {e.Message}\nbench/peers/setup installs PyTorch");
            return 1;
        }
        (double busyAfter, double allAfter) = PeersBench.Machine();
        double others = (busyAfter - busy - _own) / (allAfter - all);
        foreach (string note in notes) report.Note(note);
        report.Note($"Medians of {rounds} steps after one to warm up, which makes our kernels' code. Peaks are of "
            + "resident memory in the whole life of a process; device memory, as planned and as measured, is a part.");
        report.Note("EP-SAM's published code took 102 s and 11.5 GB, and 50 s and 9.6 GB, on two threads of an EPYC.");
        if (others > 0.05)
            report.Note(FormattableString.Invariant(
                $"OTHER WORK USED {100 * others:F0} % OF THE MACHINE: do not quote these times."));
        if (others > 0.2) Console.WriteLine("the table was not written: the machine was busy with other work");
        else if (only.Count == 0) report.Save("train");
        return 0;
    }

    Result Measure(string name, string file, params string[] arguments)
    {
        using PeerProcess process = PeerProcess.Start(name, Limit, file, arguments);
        Console.Error.WriteLine($"{string.Join(' ', arguments.TakeLast(3))}: {process.Settings}");
        process.Run(Limit);
        List<double> seconds = [];
        for (int i = 0; i < rounds; i++)
        {
            Thread.Sleep(Settle);
            seconds.Add(process.Run(Limit));
        }
        string path = _files.In("loss.f32");
        process.Save(path, Limit);
        _own += process.ProcessorTime.TotalSeconds;
        return new(name, Timing.Of([.. seconds]).Seconds, seconds.Min(), process.Peak, process.DeviceBytes,
            PeerFiles.ReadFloats(path)[0], $"{process.Version}, {process.Settings}");
    }

    static string F(double value) => value.ToString("F2", CultureInfo.InvariantCulture);

    static string Mebibytes(long bytes) => FormattableString.Invariant($"{bytes / 1048576.0:F0} MiB");
}
