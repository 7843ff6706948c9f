// A run's folder as the stages before the decoder's leave it, with a small SAM and pictures that can be learned: a
// bright blot on a dark ground, its activation map, and a mask of that. Image files are headers and pixels. Every
// report and every reading of an image is a moment at which a run can be stopped.
using System.Runtime.InteropServices;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Pipeline;
using EpSam.Native.Preprocess;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.Native.Tests.Models;
using EpSam.Native.Training;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Native.Tests.Pipeline;

internal sealed class DecoderRig : IRunObserver, IImageFiles, IDisposable
{
    public const int Height = 48, Width = 64;

    /// <summary>As small as its shapes can still tell all of it.</summary>
    public static SamConfig Model { get; } =
        SamRig.Small with { ImageSize = 128, EmbedDim = 48, MlpDim = 96, Depth = 2, GlobalBlocks = [1] };

    readonly string _root = Directory.CreateTempSubdirectory("epsam-run-").FullName;
    readonly CheckFlags _checks;
    readonly List<SourceImage> _images = [];
    CancellationTokenSource _cancel = new();
    int _moments;

    /// <summary>Two validation images and so many for training.</summary>
    public DecoderRig(int train = 3, CheckFlags checks = CheckFlags.None, bool truth = true)
    {
        _checks = checks;
        Folder = new RunFolder(Path.Combine(_root, "run"));
        using StateDict sam = new(Entries(new UntrainedSam(Model)));
        sam.Save(Sam);
        for (int i = 0; i < train + 2; i++) Add(i, i < train ? Split.Train : Split.Val, truth);
        _images.Add(new SourceImage("normal", "no such file", 0, null, Split.Train));
    }

    public RunFolder Folder { get; }
    public string Sam => Path.Combine(_root, "sam.safetensors");
    public List<string> Lines { get; } = [];
    public PatchSet Data => new(_images, []);

    /// <summary>The run is cancelled at this moment.</summary>
    public int? CancelAt { get; set; }

    /// <summary>How many moments there were.</summary>
    public int Moments => _moments;

    public static RunConfig Config { get; } = new()
    {
        Decoder = new DecoderConfig { Batch = 2, Points = 4, Epochs = 2, Rate = 2e-4, KeepFrom = 0.3 },
    };

    public StageResult Run(IRunStage stage, RunConfig? config = null)
    {
        Directory.CreateDirectory(Folder.Root);
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions { Checks = _checks });
        using Gpu gpu = new(card.Driver, card.Blas);
        (_cancel, _moments) = (new CancellationTokenSource(), 0);
        Journal journal = new(Folder, () => 0);
        try
        {
            return stage.Run(new RunContext(
                gpu, config ?? Config, Folder, Data, this, journal, this, Sam, _cancel.Token));
        }
        finally
        {
            Assert.That(card.LiveAllocations, Is.Zero);
        }
    }

    /// <summary>All files of the run but the cache and the pictures of plans, by their names in it.</summary>
    public Dictionary<string, byte[]> Files() => Directory.EnumerateFiles(Folder.Root, "*", SearchOption.AllDirectories)
        .Select(f => Path.GetRelativePath(Folder.Root, f)).Where(f => !f.StartsWith("cache"))
        .ToDictionary(f => f, f => File.ReadAllBytes(Path.Combine(Folder.Root, f)));

    public Dictionary<string, string[]> Metrics() => CsvText.Rows(File.ReadAllText(Folder.Metrics)).Skip(1)
        .GroupBy(r => r[3]).ToDictionary(g => g.Key, g => g.Select(r => r[4]).ToArray());

    public void Dispose() => Directory.Delete(_root, recursive: true);

    IWorkProgress IRunObserver.Begin(string what, long total, string unit) => new Progress(this, total);
    void IRunObserver.Note(string line) => Lines.Add(line);
    void IRunObserver.Warn(string line) => Lines.Add(line);

    public (int Height, int Width) ReadSize(string path)
    {
        Picture picture = Read(path);
        return (picture.Height, picture.Width);
    }

    public Picture ReadRgb(string path)
    {
        Moment();
        return Read(path);
    }

    public Picture ReadGrey(string path)
    {
        Moment();
        return Read(path);
    }

    public byte[] EncodePng(Picture picture) =>
        [.. MemoryMarshal.AsBytes<int>([picture.Height, picture.Width, picture.Channels]), .. picture.Pixels];

    public byte[] EncodeJpeg(Picture picture, int quality) => throw new NotSupportedException();

    static Picture Read(string path)
    {
        if (!File.Exists(path)) throw new ImageFileException($"{path} is not there");
        byte[] file = File.ReadAllBytes(path);
        ReadOnlySpan<int> sizes = MemoryMarshal.Cast<byte, int>(file.AsSpan(0, 12));
        return new Picture(file[12..], sizes[0], sizes[1], sizes[2]);
    }

    void Moment()
    {
        if (++_moments == CancelAt) _cancel.Cancel();
    }

    void Add(int number, Split split, bool truth)
    {
        CounterRandom random = new((ulong)number);
        string name = $"image{number}";
        (int x0, int y0) = (16 + random.Next(24), 12 + random.Next(20));
        (byte[] rgb, byte[] mask) = (new byte[3 * Height * Width], new byte[Height * Width]);
        byte[] small = new byte[3 * 4];
        for (int i = 0; i < mask.Length; i++)
        {
            (int dy, int dx) = (i / Width - y0, i % Width - x0);
            bool inside = dy * dy + dx * dx < 150;
            mask[i] = (byte)(inside ? 255 : 0);
            for (int c = 0; c < 3; c++) rgb[3 * i + c] = (byte)(random.Next(60) + (inside ? 180 : 20));
            if (inside) small[i / Width / 16 * 4 + i % Width / 16] += 1;
        }
        SourceImage image = new(name, Path.Combine(_root, name), 1, truth ? Path.Combine(_root, name + "m") : null,
            split);
        byte[] initial = new byte[mask.Length];
        CvResize.Linear([.. small.Select(v => (byte)(v > 20 ? 255 : 0))], 3, 4, 1, Height, Width, initial);
        for (int i = 0; i < initial.Length; i++) initial[i] = (byte)(initial[i] > 127 ? 255 : 0);
        RunFolder.Write(image.Path, EncodePng(new Picture(rgb, Height, Width, 3)));
        if (truth) RunFolder.Write(image.MaskPath!, EncodePng(new Picture(mask, Height, Width, 1)));
        RunFolder.Write(Folder.InitialMask(name), EncodePng(new Picture(initial, Height, Width, 1)));
        RunFolder.Write(Folder.Cam(name), EncodePng(new Picture(small, 3, 4, 1)));
        _images.Add(image);
    }

    static IEnumerable<TensorEntry> Entries(IParameterSource source)
    {
        foreach (string name in source.Names)
        {
            source.TryGetShape(name, out Shape shape);
            float[] values = new float[shape.Count];
            source.Read(name, values);
            yield return new TensorEntry(name, [.. Enumerable.Range(0, shape.Rank).Select(a => shape[a])], values);
        }
    }

    sealed class Progress(DecoderRig rig, long total) : IWorkProgress
    {
        public void Report(long done, string figures = "")
        {
            Assert.That(done, Is.LessThanOrEqualTo(total));
            rig.Moment();
        }

        public void Dispose()
        {
        }
    }
}
