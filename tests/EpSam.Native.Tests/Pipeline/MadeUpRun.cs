// A run's folder as the stages leave it, without running them: images with a dark disc as tumour, masks that get better
// from round to round, figures to match. For tests of what is read from such a folder.
using System.Globalization;
using System.Text;
using EpSam.Imaging;
using EpSam.Native.Pipeline;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Tests.Pipeline;

/// <summary>Images through libvips.</summary>
internal sealed class VipsFiles : IImageFiles
{
    public (int Height, int Width) ReadSize(string path) =>
        Try(() => ImageReader.ReadInfo(path) is var info ? (info.Height, info.Width) : default);

    public Picture ReadRgb(string path) => Try(() => Of(ImageReader.ReadRgb(path), 3));

    public Picture ReadGrey(string path) => Try(() => Of(ImageReader.ReadGrey(path), 1));

    static T Try<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is ImagingException or IOException)
        {
            throw new ImageFileException(e.Message, e);
        }
    }

    public byte[] EncodePng(Picture p) => ImageWriter.EncodePng(p.Pixels, p.Width, p.Height, p.Channels);

    public byte[] EncodeJpeg(Picture p, int quality) =>
        ImageWriter.EncodeJpeg(p.Pixels, p.Width, p.Height, p.Channels, quality);

    static Picture Of(Raster raster, int channels) => new(raster.Pixels, raster.Height, raster.Width, channels);
}

/// <summary>Says nothing, but keeps what it is told, and may do something at a report of progress.</summary>
internal sealed class Silent : IRunObserver
{
    sealed class Progress(Silent observer) : IWorkProgress
    {
        public void Report(long done, string figures = "")
        {
            observer.Reports++;
            if (observer.At is (int at, Action act) && observer.Reports == at) act();
        }

        public void Dispose()
        {
        }
    }

    public List<string> Told { get; } = [];

    public int Reports { get; private set; }

    public (int Report, Action Act)? At { get; init; }

    public IWorkProgress Begin(string what, long total, string unit) => new Progress(this);

    public void Note(string line) => Told.Add(line);

    public void Warn(string line) => Told.Add(line);
}

internal sealed class MadeUpRun
{
    public const int Side = 192;

    readonly VipsFiles _files = new();

    public IImageFiles Files => _files;

    public RunFolder Folder { get; }
    public RunConfig Config { get; set; }
    public PatchSet Set { get; }

    public MadeUpRun(string root, int images = 10)
    {
        Folder = new RunFolder(Path.Combine(root, "run <1> & \"two\""));
        Directory.CreateDirectory(Folder.Root);
        Config = new RunConfig
        {
            Classifier = new ClassifierConfig { Blocks = [1, 1, 2, 1], Width = 16, Epochs = 12, Size = 128 },
            Decoder = new DecoderConfig { Rounds = 3, Epochs = 6, Points = 20 },
        };
        List<SourceImage> all = [];
        List<Patch> patches = [];
        string data = Path.Combine(root, "data");
        foreach (Split split in new[] { Split.Train, Split.Val })
            for (int i = 0; i < images; i++)
            {
                string name = $"{split}-{i:00}<b>_1";
                byte[] truth = Disc(60 + 5 * i, 90, 24 + 4 * i);
                string image = Path.Combine(data, name + ".png"), mask = Path.Combine(data, name + "-mask.png");
                Write(image, new Picture(Tissue(truth, i), Side, Side, 3));
                Write(mask, new Picture(truth, Side, Side, 1));
                all.Add(new SourceImage(name, image, 1, mask, split));
                patches.Add(new Patch(all.Count - 1, new Crop(0, 0, 64, 64), i % 2));
                patches.Add(new Patch(all.Count - 1, new Crop(64, 64, 64, 64), 1));
            }
        Set = new PatchSet(all, patches);
    }

    public void Configure() => RunFolder.Write(Folder.Config, Encoding.UTF8.GetBytes(Config.ToJson()));

    void Write(string path, Picture picture) => RunFolder.Write(path, _files.EncodePng(picture));

    static byte[] Disc(double x, double y, double radius)
    {
        byte[] mask = new byte[Side * Side];
        for (int i = 0; i < mask.Length; i++)
        {
            double dx = i % Side - x, dy = i / Side - y;
            if (dx * dx + dy * dy < radius * radius) mask[i] = 255;
        }
        return mask;
    }

    // Pink with violet nuclei, denser where the tumour is.
    static byte[] Tissue(byte[] truth, int seed)
    {
        byte[] rgb = new byte[3 * truth.Length];
        uint state = (uint)(seed * 977 + 13);
        for (int i = 0; i < truth.Length; i++)
            (rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]) = ((byte)(226 - i / Side / 8), (byte)170, (byte)205);
        for (int n = 0; n < 2600; n++)
        {
            state = state * 1664525 + 1013904223;
            int at = (int)(state >> 8) % truth.Length;
            if (truth[at] == 0 && n % 3 != 0) continue;
            for (int dy = -2; dy <= 2; dy++)
                for (int dx = -2; dx <= 2; dx++)
                {
                    int x = at % Side + dx, y = at / Side + dy, p = y * Side + x;
                    if (dx * dx + dy * dy > 5 || x < 0 || y < 0 || x >= Side || y >= Side) continue;
                    (rgb[3 * p], rgb[3 * p + 1], rgb[3 * p + 2]) = ((byte)(96 + n % 30), (byte)60, (byte)142);
                }
        }
        return rgb;
    }

    /// <summary>Initial masks of all images, and of the rounds.</summary>
    public void Masks(bool withRounds = true)
    {
        for (int i = 0; i < Set.Images.Count; i++)
        {
            SourceImage image = Set.Images[i];
            int n = i % (Set.Images.Count / 2);
            (double x, double y, double r) = (60 + 5 * n, 90, 24 + 4 * n);
            byte[] cam = new byte[12 * 12];
            for (int k = 0; k < cam.Length; k++)
            {
                double dx = (k % 12 + 0.5) * 16 - x, dy = (k / 12 + 0.5) * 16 - y;
                cam[k] = (byte)(255 * Math.Exp(-(dx * dx + dy * dy) / (2 * r * r)));
            }
            Write(Folder.Cam(image.Name), new Picture(cam, 12, 12, 1));
            Write(Folder.InitialMask(image.Name), new Picture(Disc(x + 14, y - 9, r * 0.8), Side, Side, 1));
            for (int round = 0; withRounds && round <= Config.Decoder.Rounds; round++)
            {
                double off = 9 - 2 * round + n % 3;
                Picture mask = new(Disc(x + off, y, r * (1 + 0.02 * n)), Side, Side, 1);
                if (image.Split != Split.Train)
                    Write(Folder.Prediction(image.Split, EvaluationKind.OfRound(round), image.Name), mask);
                else if (n % 4 != round) Write(Folder.PseudoMask(round, image.Name), mask);
            }
        }
        for (int round = 0; withRounds && round < Config.Decoder.Rounds; round++)
        {
            StringBuilder csv = new("image,score,kept\n");
            foreach ((SourceImage image, int n) in Set.Of(Split.Train).Select((image, n) => (image, n)))
                csv.Append(CultureInfo.InvariantCulture,
                    $"{image.Name},{(n % 4 == round ? 0.61 : 0.93)},{(n % 4 == round ? 0 : 1)}\n");
            RunFolder.Write(Folder.PseudoMasks(round), Encoding.UTF8.GetBytes(csv.ToString()));
        }
    }

    /// <summary>Losses and scores by epoch.</summary>
    public void Metrics()
    {
        StringBuilder csv = new("stage,epoch,step,name,value\n");
        for (int epoch = 1; epoch <= 12; epoch++)
        {
            Add("classifier", epoch, "train_loss", 0.2 + 0.6 * Math.Exp(-epoch / 5.0));
            Add("classifier", epoch, "val_loss", 0.3 + 0.4 * Math.Exp(-epoch / 4.0) + 0.02 * Math.Sin(epoch));
            Add("classifier", epoch, "val_accuracy", 0.9 - 0.3 * Math.Exp(-epoch / 4.0));
            Add("classifier", epoch, "val_auc", 0.96 - 0.3 * Math.Exp(-epoch / 4.0));
            Add("classifier", epoch, "rate", epoch < 10 ? 1e-5 : 9e-6);
        }
        for (int round = 0; round <= Config.Decoder.Rounds; round++)
            for (int epoch = 1; epoch <= 6; epoch++)
            {
                Add($"round{round}", epoch, "train_loss", 0.5 - 0.05 * round + 0.5 / epoch);
                Add($"round{round}", epoch, "val_dice", 0.8 + 0.02 * round - 0.1 / epoch);
                Add($"round{round}", epoch, "val_iou", 0.7 + 0.02 * round - 0.1 / epoch);
            }
        RunFolder.Write(Folder.Metrics, Encoding.UTF8.GetBytes(csv.ToString()));

        void Add(string stage, int epoch, string name, double value) =>
            csv.Append(CultureInfo.InvariantCulture, $"{stage},{epoch},{epoch * 20},{name},{value:R}\n");
    }

    /// <summary>Scores of patches, and all that is judged.</summary>
    public void Evaluate()
    {
        Patch[] patches = [.. Set.PatchesOf(Split.Val)];
        PatchScores.Write(Folder, Set, Split.Val,
            patches.Select((p, i) => p.Label == 1 ? 2 - 0.1 * i : -1.5 + 0.1 * i));
        new Evaluation(Folder, Config, Set, _files, new Silent(), default).Write();
    }

    /// <summary>The report.</summary>
    public IReadOnlyList<string> Report() => ReportPage.Write(Folder, Config, Set, _files);

    /// <summary>What is done, with plans.</summary>
    public void Stages()
    {
        List<StageProgress> stages = [];
        DateTime end = new(2026, 3, 14, 9, 30, 0, DateTimeKind.Utc);
        string[] names = ["classifier", "masks", "round0", "round1", "round2", "round3", "evaluate", "report"];
        foreach (string name in names)
        {
            stages.Add(new StageProgress(name)
            {
                State = name == "report" ? StageState.Running : StageState.Done, Finished = end = end.AddMinutes(12),
                Seconds = 17.0 * name.Length * name.Length, PlannedBytes = 345_678_901, PeakBytes = 345_678_901,
                Figures = new Dictionary<string, double> { ["val_loss"] = 0.345678 },
                Device = "a card & more (virtual)",
            });
            if (name.StartsWith("round", StringComparison.Ordinal) || stages.Count < 3)
                Folder.KeepTimeline(name, SomePlan(name == "classifier" ? 7 : 4));
        }
        RunInput input = new("/data/sam & co.pth", 375_042_383, new string('a', 64));
        new RunProgress(input, input with { Path = "/data/patches" }, null, stages).Write(Folder);
    }

    static Plan SomePlan(int layers) => Plan.Of(arena =>
    {
        for (int i = 0; i < layers; i++)
            arena.Keep($"layer{i}.weight", DType.F32, new Shape(64, 128 * (i + 1)), ArenaUse.Weight);
        using (arena.Step("step"))
            for (int i = 0; i < layers; i++)
            {
                arena.Keep($"layer{i}.result", DType.F32, new Shape(256, 64));
                using (arena.Scope($"layer{i}")) arena.Take("columns", DType.F32, new Shape(512, 128));
            }
    });
}
