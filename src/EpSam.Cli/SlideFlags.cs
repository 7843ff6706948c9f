// The flags of epsam slide that results depend on: models, and how slides are segmented with them. A run's folder
// brings its models and the scale of its patches; single values may be others.
using System.CommandLine;
using System.Globalization;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Pipeline;
using EpSam.Native.Tensors;
using EpSam.Slides.Segment;

namespace EpSam.Cli;

/// <summary>Models, and what is done with them.</summary>
internal sealed record SlideFlags(SlideModelFiles Models, SlideOptions Options)
{
    static readonly Option<string?> RunFolderOption = new("--run")
    {
        HelpName = "RUN", Description = "the folder of a run: its classifier, SAM, last decoder, rule and scale",
    };
    static readonly Option<string?> Classifier = new("--classifier")
    {
        HelpName = "CKPT", Description = "instead of a run: a patch classifier",
    };
    static readonly Option<string?> Sam = new("--sam")
    {
        HelpName = "CKPT", Description = "a SAM checkpoint; a run knows its own, but not where it was moved to",
    };
    static readonly Option<string?> Decoder = new("--decoder")
    {
        HelpName = "CKPT", Description = "a mask decoder instead of the run's last; or the folder of another run",
    };
    static readonly Option<double?> Mpp = new("--mpp")
    {
        Description = "micrometres a pixel of what models see and of the masks; default: as the run's patches",
    };
    static readonly Option<int?> Tile = new("--tile")
    {
        HelpName = "PIXELS", Description = "sides of a tile; default: as the run's patches",
    };
    static readonly Option<int?> Overlap = new("--overlap")
    {
        HelpName = "PIXELS", Description = "what neighbouring tiles have in common; default: a quarter of a tile",
    };
    static readonly Option<double?> SlideMpp = new("--slide-mpp")
    {
        HelpName = "MPP", Description = "micrometres a pixel of the slides themselves, where files do not say",
    };
    static readonly Option<double> MinTissue = new("--min-tissue")
    {
        HelpName = "SHARE", DefaultValueFactory = _ => 0.05,
        Description = "a tile with less tissue is not looked at",
    };
    static readonly Option<double> MinProbability = new("--min-probability")
    {
        HelpName = "P", DefaultValueFactory = _ => 0.5,
        Description = "a tile that is less likely to have tumour gets no mask",
    };
    static readonly Option<int?> Points = new("--points")
    {
        HelpName = "N",
        Description = "points of the activation map that SAM is asked with; default: as many as the run had, else 50",
    };
    static readonly Option<ulong> PointSeed = new("--point-seed")
    {
        HelpName = "N", DefaultValueFactory = _ => 0, Description = "draws other points",
    };
    static readonly Option<double> Threshold = new("--threshold")
    {
        HelpName = "P", DefaultValueFactory = _ => 0.5, Description = "a pixel is tumour from this probability on",
    };
    static readonly Option<double> MinArea = new("--min-area")
    {
        HelpName = "AREA", DefaultValueFactory = _ => 1000,
        Description = "square micrometres: smaller holes in tumour are filled, smaller regions left out; 0 keeps all",
    };
    static readonly Option<bool> MapsOnly = new("--maps-only")
    {
        Description = "masks are the activation maps'; SAM is not asked, and need not be there",
    };
    static readonly Option<bool> NoViewer = new("--no-viewer")
    {
        Description = "no page to look at each slide in a browser",
    };

    /// <summary>Adds all of these to a command.</summary>
    public static void AddTo(Command command)
    {
        foreach (Option option in new Option[]
        {
            RunFolderOption, Classifier, Sam, Decoder, Mpp, Tile, Overlap, SlideMpp, MinTissue, MinProbability, Points,
            PointSeed, Threshold, MinArea, MapsOnly, NoViewer,
        })
        {
            command.Add(option);
        }
        CamFlags.AddTo(command);
    }

    /// <summary>From the command line; throws usage errors, and errors of the run's folder.</summary>
    public static SlideFlags Read(ParseResult parsed)
    {
        (string? run, string? classifier) = (parsed.GetValue(RunFolderOption), parsed.GetValue(Classifier));
        if (run is null && classifier is null)
            throw UserError.Usage("give --run RUN, the folder of a trained run, or --classifier with --sam");
        if (run is not null && classifier is not null) throw UserError.Usage("give --run or --classifier, not both");
        if (classifier is not null && Directory.Exists(classifier))
            throw UserError.Usage($"--classifier {classifier} is a folder; a run's folder is given with --run");
        try
        {
            SlideOptions options = ReadOptions(parsed, run);
            SlideModelFiles models = run is not null ? OfRun(parsed, run, options)
                : OfFiles(parsed, classifier!, options);
            return new SlideFlags(WithShared(parsed, models, run ?? classifier!), options);
        }
        catch (RunException e)
        {
            throw new UserError(e.Message);
        }
    }

    static SlideOptions ReadOptions(ParseResult parsed, string? run)
    {
        PatchScale? scale = run is null ? null : PatchScale.Read(run);
        (double? mpp, int? tile) = (parsed.GetValue(Mpp) ?? scale?.Mpp, parsed.GetValue(Tile) ?? scale?.Size);
        if (mpp is null || tile is null)
        {
            if (run is not null) RunModels.Of(new RunFolder(run));   // no run at all: that is said first
            string missing = mpp is null && tile is null ? "--mpp and --tile" : mpp is null ? "--mpp" : "--tile";
            throw UserError.Usage(run is null
                ? $"give {missing}: micrometres a pixel and pixels a side of the patches that models were trained on"
                : $"run {run} does not say how its patches were cut (it has no {PatchScale.FileName}); give {missing}: "
                    + "micrometres a pixel and pixels a side of these patches");
        }
        SlideOptions options = new()
        {
            Mpp = mpp.Value, Tile = tile.Value, Overlap = parsed.GetValue(Overlap) ?? tile.Value / 4,
            SlideMpp = parsed.GetValue(SlideMpp), MinTissue = parsed.GetValue(MinTissue),
            MinProbability = parsed.GetValue(MinProbability),
            Points = parsed.GetValue(Points)
                ?? (run is null ? new DecoderConfig() : RunModels.Of(new RunFolder(run)).Config.Decoder).Points,
            Seed = parsed.GetValue(PointSeed), Threshold = parsed.GetValue(Threshold),
            MinArea = parsed.GetValue(MinArea), MapsOnly = parsed.GetValue(MapsOnly),
            Viewer = !parsed.GetValue(NoViewer),
        };
        try
        {
            options.Check();
        }
        catch (ArgumentException e)
        {
            int name = e.Message.IndexOf(' ', StringComparison.Ordinal);
            string flag = System.Text.Json.JsonNamingPolicy.KebabCaseLower.ConvertName(e.Message[..name]);
            throw UserError.Usage($"--{flag}{e.Message[name..]}");
        }
        return options;
    }

    static SlideModelFiles OfRun(ParseResult parsed, string run, SlideOptions options)
    {
        string? sam = parsed.GetValue(Sam), decoder = DecoderOf(parsed);
        if (options.MapsOnly && (sam ?? decoder) is not null) throw NoSam();
        if (decoder is null) return SlideModelFiles.OfRun(run, options, sam);
        return SlideModelFiles.OfRun(run, options with { MapsOnly = true }) with
        {
            Sam = sam ?? RunModels.Of(new RunFolder(run)).Sam, Decoder = decoder,
        };
    }

    static SlideModelFiles OfFiles(ParseResult parsed, string classifier, SlideOptions options)
    {
        string? sam = parsed.GetValue(Sam), decoder = DecoderOf(parsed);
        if (options.MapsOnly && (sam ?? decoder) is not null) throw NoSam();
        if (!options.MapsOnly && sam is null)
            throw UserError.Usage("give --sam, or --maps-only for masks of the activation maps alone");
        CamFlags cam = CamFlags.Read(parsed, classifier);
        return new SlideModelFiles
        {
            Classifier = classifier, Sam = sam, Decoder = decoder, Rule = cam.Rule, Scale = cam.Scale,
            ClassifierSide = PatchClassifier.Scaled(options.Tile, options.Tile, cam.Scale).Height,
        };
    }

    // What may be given beside a run as well: a run's own values hold where nothing is.
    static SlideModelFiles WithShared(ParseResult parsed, SlideModelFiles models, string from)
    {
        CamFlags cam = CamFlags.Read(parsed, from);
        DType precision = SamFlags.ReadPrecision(parsed);
        bool isGiven = parsed.GetResult(SamFlags.PrecisionName) is { Implicit: false };
        return models with
        {
            Rule = cam.Rule, WholeStage = cam.WholeStage, Scale = cam.Scale,
            Precision = isGiven ? precision : models.Precision,
            MemoryBudget = SamFlags.ReadBudget(parsed) ?? models.MemoryBudget,
        };
    }

    static string? DecoderOf(ParseResult parsed)
    {
        string? path = parsed.GetValue(Decoder);
        if (path is null || !Directory.Exists(path)) return path;
        return RunModels.LastDecoder(new RunFolder(path))
            ?? throw new UserError($"--decoder {path} has no round0/decoder.safetensors: it is no run, or one that has "
                + "not come to the decoder yet");
    }

    static UserError NoSam() => UserError.Usage("--maps-only asks no SAM; leave out --sam and --decoder");

    /// <summary>For people: "0.5 micrometres a pixel, tiles of 256 with 64 in common".</summary>
    public string Describe() => string.Create(CultureInfo.InvariantCulture,
        $"{Options.Mpp} micrometres a pixel, tiles of {Options.Tile} with {Options.Overlap} in common");
}
