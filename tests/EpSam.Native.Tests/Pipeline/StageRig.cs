// What a stage is run with in tests: pictures in memory, a folder of its own with a journal, a virtual GPU; and ways to
// end a run at a chosen moment.
using EpSam.Native.Pipeline;
using EpSam.Native.Runtime;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Native.Tests.Pipeline;

/// <summary>The run is ended as by kill -9: nothing may be saved.</summary>
internal sealed class KilledException : Exception;

/// <summary>A run's surroundings. Reports and readings are counted, so that the run can be ended at one.</summary>
internal sealed class StageRig : IRunObserver, IImageFiles, IDisposable
{
    CancellationTokenSource _cancel = new();
    int _reports, _readings;

    public required RunConfig Config { get; set; }
    public required PatchSet Data { get; set; }
    public required Dictionary<string, Picture> Pictures { get; init; }
    public CheckFlags Checks { get; init; }
    public RunFolder Folder { get; } = new(Path.Combine(Path.GetTempPath(), $"run-{Guid.NewGuid():N}"));
    public List<string> Lines { get; } = [];

    // counted from the last call of Run; null: never
    public int? CancelAtReport { get; set; }
    public int? KillAtReport { get; set; }
    public int? CancelAtReading { get; set; }
    public int? FailAtReading { get; set; }

    /// <summary>All that the run has left, by file; times are left out of the journal.</summary>
    public Dictionary<string, byte[]> Files => Directory.GetFiles(Folder.Root, "*", SearchOption.AllDirectories)
        .ToDictionary(f => Path.GetRelativePath(Folder.Root, f), File.ReadAllBytes);

    /// <summary>The journal's figures of one name, by epoch and step.</summary>
    public IEnumerable<double> Figures(string name) => File.ReadLines(Folder.Metrics).Select(line => line.Split(','))
        .Where(f => f[3] == name)
        .Select(f => double.Parse(f[4], System.Globalization.CultureInfo.InvariantCulture));

    public StageResult Run(IRunStage stage)
    {
        (_reports, _readings) = (0, 0);
        _cancel.Dispose();
        _cancel = new();
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions { Checks = Checks });
        using Gpu gpu = new(card.Driver, card.Blas);
        Journal journal = new(Folder, () => 0);
        return stage.Run(new(gpu, Config, Folder, Data, this, journal, this, "", _cancel.Token));
    }

    public void Dispose()
    {
        _cancel.Dispose();
        if (Directory.Exists(Folder.Root)) Directory.Delete(Folder.Root, true);
    }

    IWorkProgress IRunObserver.Begin(string what, long total, string unit) => new Progress(this, total);

    void IRunObserver.Note(string line) => Lines.Add(line);

    void IRunObserver.Warn(string line) => Lines.Add(line);

    (int Height, int Width) IImageFiles.ReadSize(string path) => (Find(path).Height, Find(path).Width);

    Picture IImageFiles.ReadRgb(string path)
    {
        int reading = Interlocked.Increment(ref _readings);
        if (reading == CancelAtReading) _cancel.Cancel();
        if (reading == FailAtReading) throw new ImageFileException($"{path} cannot be read: it is cut off");
        return Find(path);
    }

    Picture IImageFiles.ReadGrey(string path) => File.Exists(path) ? Decoded(path) : Find(path);

    // Not a PNG: the sizes, then the pixels.
    byte[] IImageFiles.EncodePng(Picture picture) =>
    [
        .. BitConverter.GetBytes(picture.Height), .. BitConverter.GetBytes(picture.Width), (byte)picture.Channels,
        .. picture.Pixels,
    ];

    /// <summary>A picture that the run has written.</summary>
    public static Picture Decoded(string path)
    {
        byte[] file = File.ReadAllBytes(path);
        if (file.Length < 9) throw new ImageFileException($"{path} is cut off");
        return new(file[9..], BitConverter.ToInt32(file, 0), BitConverter.ToInt32(file, 4), file[8]);
    }

    byte[] IImageFiles.EncodeJpeg(Picture picture, int quality) => picture.Pixels;

    Picture Find(string path) => Pictures.TryGetValue(path, out Picture? picture)
        ? picture
        : throw new ImageFileException($"{path} does not exist");

    sealed class Progress(StageRig rig, long total) : IWorkProgress
    {
        public void Report(long done, string figures = "")
        {
            Assert.That(done, Is.InRange(0, total));
            rig._reports++;
            if (rig._reports == rig.CancelAtReport) rig._cancel.Cancel();
            if (rig._reports == rig.KillAtReport) throw new KilledException();
        }

        public void Dispose()
        {
        }
    }
}
