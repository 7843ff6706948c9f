// epsam synth: synthetic slides with exact annotations. Each slide is NAME.tif with NAME.xml; slides.csv has a row for
// each that is complete and is written again after each, so that a run that was stopped goes on after the last one.
using System.CommandLine;
using System.Globalization;
using System.Text;
using EpSam.Imaging;
using EpSam.Imaging.Annotations;
using EpSam.Native.Pipeline;
using EpSam.Slides.Synth;

namespace EpSam.Cli.Commands;

internal static class SynthCommand
{
    const string Table = "slides.csv";
    const string Header =
        "slide,annotation,width,height,mpp,seed,tumour_wanted,nests,tumour_mm2,tissue_mm2,tumour_share";

    static readonly Option<string> Out = new("--out")
    {
        HelpName = "DIR", Description = "where NAME.tif, NAME.xml and slides.csv go", Required = true,
    };
    static readonly Option<int> Slides = new("--slides")
    {
        DefaultValueFactory = _ => 4, Description = "how many; those that are complete are kept",
    };
    static readonly Option<string> Size = new("--size")
    {
        HelpName = "WxH", DefaultValueFactory = _ => "4096x4096", Description = "pixels of each slide",
    };
    static readonly Option<double> Mpp = new("--mpp")
    {
        DefaultValueFactory = _ => 0.5, Description = "micrometres a pixel: 0.5 is 20x, 0.25 is 40x",
    };
    static readonly Option<uint> Seed = new("--seed")
    {
        DefaultValueFactory = _ => 1, Description = "the same seed gives the same pixels on every machine",
    };
    static readonly Option<string> Tumour = new("--tumour")
    {
        HelpName = "LOW-HIGH", DefaultValueFactory = _ => "0.1-0.4",
        Description = "share of the tissue that is tumour, by slide within this range; 0.6 at most",
    };
    static readonly Option<double> Normal = new("--normal")
    {
        DefaultValueFactory = _ => 0.25, Description = "share of slides without tumour",
    };

    /// <summary>A row of the table: what says whether a slide is of this set, and the row itself.</summary>
    sealed record Row(string Slide, string Key, string Text);

    public static Command Create()
    {
        Command command = new("synth", "Make H&E-like slides with exact tumour annotations, for tests and trials.")
        {
            Out, Slides, Size, Mpp, Seed, Tumour, Normal, SamFlags.Json, SamFlags.Quiet,
        };
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        SynthSet set = ReadSet(parsed);
        int count = parsed.GetValue(Slides);
        if (count is < 1 or > 9999) throw UserError.Usage($"--slides {count}: give 1 to 9999");
        _ = ImageReader.LibraryVersion;
        Reporter reporter = new(parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error,
            parsed.GetValue(SamFlags.Json), parsed.GetValue(SamFlags.Quiet));
        CancellationToken cancel = Invocation.CancelOf(parsed);
        string folder = Path.GetFullPath(parsed.GetRequiredValue(Out));
        try
        {
            if (File.Exists(folder)) throw new UserError($"--out {folder} is a file; expected a folder");
            Directory.CreateDirectory(folder);
            using FileStream alone = Lock(folder);
            List<Row> rows = ReadTable(Path.Combine(folder, Table));
            reporter.Work(() => Make(set, count, folder, rows, reporter, cancel));
            reporter.Json(() => MaskFiles.Json(new { Slides = count, Table = Path.Combine(folder, Table) }));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserError($"cannot write to {folder}: {e.Message}");
        }
        return ExitCode.Ok;
    }

    // One process a folder. What a killed one has left is removed.
    static FileStream Lock(string folder)
    {
        string path = Path.Combine(folder, ".synth.lock");
        FileStream file;
        try
        {
            file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.None, 1,
                FileOptions.DeleteOnClose);
        }
        catch (IOException e) when (File.Exists(path))
        {
            throw new UserError($"another epsam synth is writing to {folder}: {e.Message}");
        }
        foreach (string left in Directory.GetFiles(folder, ".synth_*.tmp")) File.Delete(left);
        return file;
    }

    static SynthSet ReadSet(ParseResult parsed)
    {
        string size = parsed.GetValue(Size)!, tumour = parsed.GetValue(Tumour)!;
        string[] sides = size.Split('x', 'X');
        if (sides.Length > 2 || !int.TryParse(sides[0], CultureInfo.InvariantCulture, out int width)
            || !int.TryParse(sides[^1], CultureInfo.InvariantCulture, out int height))
            throw UserError.Usage($"--size {size}: give WIDTHxHEIGHT in pixels, as 4096x4096");
        string[] ends = tumour.Split('-');
        if (ends.Length > 2 || !double.TryParse(ends[0], CultureInfo.InvariantCulture, out double low)
            || !double.TryParse(ends[^1], CultureInfo.InvariantCulture, out double high)
            || !(low > 0 && low <= high && high <= 0.6))
            throw UserError.Usage($"--tumour {tumour}: give LOW-HIGH above 0 and up to 0.6, as 0.1-0.4");
        double normal = parsed.GetValue(Normal);
        if (normal is not (>= 0 and <= 1)) throw UserError.Usage($"--normal {normal}: give 0 to 1");
        SynthSet set = new()
        {
            Width = width, Height = height, Mpp = parsed.GetValue(Mpp), Seed = parsed.GetValue(Seed),
            LeastTumour = low, MostTumour = high, Normal = normal,
        };
        try
        {
            set.Slide(0).Check();
            return set;
        }
        catch (ArgumentException e)
        {
            throw UserError.Usage(e.Message);
        }
    }

    static void Make(SynthSet set, int count, string folder, List<Row> rows, Reporter reporter,
        CancellationToken cancel)
    {
        List<int> missing = [.. Enumerable.Range(0, count).Where(i => !IsThere(set, i, folder, rows))];
        if (missing.Count < count)
            reporter.Note($"{count - missing.Count} of {count} slides are there and stay as they are");
        double megapixels = (double)set.Width * set.Height / 1e6;
        using Reporter.Stage stage = reporter.Begin("slides", (long)Math.Ceiling(missing.Count * megapixels), "MP");
        for (int done = 0; done < missing.Count; done++)
        {
            cancel.ThrowIfCancellationRequested();
            string name = SynthSet.Name(missing[done]);
            SynthSlide slide = new(set.Slide(missing[done]));
            int before = done;
            One(slide, Path.Combine(folder, name), cancel,
                new Share(share => stage.Report((before + share) / missing.Count)));
            rows.RemoveAll(r => r.Slide == name + ".tif");
            rows.Add(RowOf(name, slide));
            WriteTable(Path.Combine(folder, Table), rows);
            reporter.Say(Line(name, slide));
        }
    }

    static void One(SynthSlide slide, string path, CancellationToken cancel, IProgress<double> progress)
    {
        using (OutputFiles.Saving(path + ".tif")) SynthWriter.WriteSlide(slide, path + ".tif", progress, cancel);
        OutputFiles.Write([(path + ".xml", stream => AsapXml.Write(stream, SynthWriter.Annotations(slide)))]);
    }

    sealed class Share(Action<double> report) : IProgress<double>
    {
        public void Report(double value) => report(value);
    }

    static bool IsThere(SynthSet set, int index, string folder, List<Row> rows)
    {
        string path = Path.Combine(folder, SynthSet.Name(index));
        Row? row = rows.Find(r => r.Slide == SynthSet.Name(index) + ".tif");
        if (row is null || !File.Exists(path + ".tif") || !File.Exists(path + ".xml")) return false;
        if (row.Key == Key(set.Slide(index))) return true;
        throw new UserError($"{Path.Combine(folder, Table)} is of slides made otherwise: {row.Slide} has "
            + $"{row.Key.Replace(',', ' ')}, now it would be {Key(set.Slide(index)).Replace(',', ' ')} "
            + "(width, height, mpp, seed, tumour); choose another --out, or delete that folder");
    }

    static string Key(SynthOptions o) =>
        string.Create(CultureInfo.InvariantCulture, $"{o.Width},{o.Height},{o.Mpp:R},{o.Seed},{o.Tumour:R}");

    static (double Tumour, double Tissue) SquareMillimetres(SynthSlide slide)
    {
        double pixel = slide.Options.Mpp * slide.Options.Mpp / 1e6;
        return (slide.TumourArea * pixel, slide.TissueArea * pixel);
    }

    static Row RowOf(string name, SynthSlide slide)
    {
        (double tumour, double tissue) = SquareMillimetres(slide);
        string key = Key(slide.Options);
        return new Row(name + ".tif", key, string.Create(CultureInfo.InvariantCulture,
            $"{name}.tif,{name}.xml,{key},{slide.Tumour.Count},{tumour:F6},{tissue:F4},{tumour / tissue:F4}"));
    }

    static string Line(string name, SynthSlide slide)
    {
        (double tumour, double tissue) = SquareMillimetres(slide);
        return string.Create(CultureInfo.InvariantCulture, $"{name}.tif: {slide.Options.Width} x "
            + $"{slide.Options.Height}, {tissue:F2} mm² of tissue, {tumour:F3} mm² of tumour in "
            + $"{slide.Tumour.Count} nests");
    }

    static List<Row> ReadTable(string path)
    {
        const int KeyFrom = 2, KeyTo = 7;
        if (!File.Exists(path)) return [];
        string text = File.ReadAllText(path, Encoding.UTF8);
        string[] lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (lines.Length == 0 || lines[0].TrimEnd() != Header)
            throw new UserError($"{path} was not made by epsam synth; choose another --out");
        List<Row> rows = [];
        foreach (string line in lines.Skip(1).Select(l => l.TrimEnd()))
        {
            string[] fields = line.Split(',');
            if (fields.Length != Header.Split(',').Length)
                throw new UserError($"{path}: '{line}' is no row of it; delete the line, and its slide is made again");
            rows.Add(new Row(fields[0], string.Join(',', fields[KeyFrom..KeyTo]), line));
        }
        return rows;
    }

    static void WriteTable(string path, List<Row> rows)
    {
        rows.Sort((a, b) => string.CompareOrdinal(a.Slide, b.Slide));
        string text = string.Join('\n', rows.Select(r => r.Text).Prepend(Header)) + "\n";
        OutputFiles.Write([(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)))]);
    }
}
