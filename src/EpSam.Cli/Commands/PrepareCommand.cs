// epsam prepare: slides with annotations to the patches that epsam train takes. The same command goes on where another
// was stopped, and tries slides that failed again.
using System.CommandLine;
using System.Globalization;
using EpSam.Imaging;
using EpSam.Native.Pipeline;
using EpSam.Slides;
using EpSam.Slides.Prepare;

namespace EpSam.Cli.Commands;

internal static class PrepareCommand
{
    static readonly Argument<string[]> Slides = new("SLIDE")
    {
        Arity = ArgumentArity.OneOrMore, Description = "slides, or folders of them",
    };
    static readonly Option<string> Out = new("--out")
    {
        HelpName = "DIR", Required = true, Description =
            "train|val|test / image, mask; patches.csv, slides.csv, scale.json, sheets/index.html to look at",
    };
    static readonly Option<string?> Annotations = new("--annotations")
    {
        HelpName = "DIR", Description =
            "where NAME.xml (ASAP) or NAME.geojson (QuPath) of slide NAME is (default: beside the slide)",
    };
    static readonly Option<string[]> Normal = new("--normal")
    {
        HelpName = "FILE|DIR|LIST.txt", DefaultValueFactory = _ => [], Description =
            "slides without tumour, which need no annotation; a list has a path a line",
    };
    static readonly Option<string> Unannotated = new("--unannotated")
    {
        HelpName = "skip|normal", DefaultValueFactory = _ => "skip", Description =
            "what slides without annotation are: left out, or without tumour",
    };
    static readonly Option<string?> Groups = new("--tumour-groups")
    {
        HelpName = "A,B", Description = "groups (classes) of annotations that are tumour (default: CAMELYON's names)",
    };
    static readonly Option<int> Size = new("--size")
    {
        DefaultValueFactory = _ => 512, Description = "pixels of a patch's sides",
    };
    static readonly Option<int?> Level = new("--level")
    {
        Description = "cut at this level of the slides (default: 0)",
    };
    static readonly Option<double?> Mpp = new("--mpp")
    {
        Description = "cut at so many micrometres a pixel, whatever levels a slide has: 0.5 is 20x, 0.25 is 40x",
    };
    static readonly Option<double?> SlideMpp = new("--slide-mpp")
    {
        Description = "micrometres a pixel of level 0, for slides that do not tell",
    };
    static readonly Option<string> Split = new("--split")
    {
        HelpName = "SHARES|LIST|CSV", DefaultValueFactory = _ => SlideSplit.Default, Description =
            "slides for train, val, test: shares; camelyon16 or camelyon17 (EP-SAM's lists); a table slide,split",
    };
    static readonly Option<string> Preset = new("--sampling")
    {
        HelpName = "general|camelyon16|camelyon17", DefaultValueFactory = _ => "general", Description =
            "which patches are kept: evenly over percentages of tumour, or EP-SAM's numbers; the next five change it",
    };
    static readonly Option<string?> PerBin = new("--positives-per-bin")
    {
        HelpName = "N[,N,N]", Description =
            "most patches of each 5 % of tumour percentage; one number, or train,val,test (default: 500)",
    };
    static readonly Option<string?> Most = new("--positives")
    {
        HelpName = "N[,N,N]", Description = "most patches with tumour",
    };
    static readonly Option<string?> Keep = new("--keep")
    {
        HelpName = "LOW-HIGH", Description = "percentages of tumour that a patch with tumour has (default: 20-100)",
    };
    static readonly Option<string?> Negatives = new("--negatives")
    {
        HelpName = "N[,N,N]", Description = "patches without any tumour (default: by --balance)",
    };
    static readonly Option<double?> Balance = new("--balance")
    {
        Description = "patches without tumour for each one with (default: 1)",
    };
    static readonly Option<double> MinTissue = new("--min-tissue")
    {
        Description = "least share of a patch that is tissue (default: 0; near its middle there is always some)",
    };
    static readonly Option<ulong> Seed = new("--seed")
    {
        DefaultValueFactory = _ => 42, Description = "draws other patches, and another split by shares",
    };
    static readonly Option<bool> Swap = new("--swap-red-blue")
    {
        Description = "write red and blue exchanged, as EP-SAM's own code does (train: compat.swapped_red_blue)",
    };

    public static Command Create()
    {
        Command command = new("prepare", "Cut slides with annotations into patches for training.")
        {
            Slides, Out, Annotations, Normal, Unannotated, Groups, Size, Level, Mpp, SlideMpp, Split, Preset, PerBin,
            Most, Keep, Negatives, Balance, MinTissue, Seed, Swap, SamFlags.Json, SamFlags.Quiet,
        };
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        PrepareOptions options = Options(parsed);
        _ = ImageReader.LibraryVersion; // missing: said before anything is done
        Reporter reporter = new(parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error,
            parsed.GetValue(SamFlags.Json), parsed.GetValue(SamFlags.Quiet));
        RunObserver observer = new(reporter);
        CancellationToken cancel = Invocation.CancelOf(parsed);
        PrepareFolder folder = new(parsed.GetRequiredValue(Out));
        PrepareResult? result = null;
        try
        {
            if (File.Exists(folder.Root)) throw new UserError($"--out {folder.Root} is a file; expected a folder");
            SlideSplit split = SlideSplit.Parse(parsed.GetValue(Split)!);
            IReadOnlyList<PrepareSlide> slides = PrepareSlides.Find(parsed.GetRequiredValue(Slides),
                parsed.GetValue(Normal)!, parsed.GetValue(Annotations), options.UnannotatedAreNormal, observer);
            if (!File.Exists(folder.Options)) SlideFiles.RequireAny([.. slides.Select(s => s.File)]);
            using RunLock alone = RunLock.Take(new RunFolder(folder.Root));
            reporter.Work(() =>
                result = Preparation.Run(folder, slides, split, options, observer, reporter.Fail, cancel));
        }
        catch (Exception e) when (e is RunException or SlideException)
        {
            throw new UserError(e.Message);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserError($"cannot write to {folder.Root}: {e.Message}");
        }
        Tell(result!, folder, reporter);
        return result!.Slides.Any(s => s.Failure is not null) ? ExitCode.Failure : ExitCode.Ok;
    }

    static PrepareOptions Options(ParseResult parsed)
    {
        string? groups = parsed.GetValue(Groups);
        if (parsed.GetValue(Level) is not null && parsed.GetValue(Mpp) is not null)
            throw UserError.Usage("--level and --mpp both say at which scale patches are cut; give one");
        PrepareOptions options = new()
        {
            Size = parsed.GetValue(Size), Level = parsed.GetValue(Level), Mpp = parsed.GetValue(Mpp),
            SlideMpp = parsed.GetValue(SlideMpp), Seed = parsed.GetValue(Seed), SwapRedBlue = parsed.GetValue(Swap),
            TumourGroups = groups?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries),
            UnannotatedAreNormal = parsed.GetValue(Unannotated) switch
            {
                "skip" => false,
                "normal" => true,
                string other => throw UserError.Usage($"--unannotated {other}: expected skip or normal"),
                null => false,
            },
            MinTissue = parsed.GetValue(MinTissue), Sampling = SamplingOf(parsed),
        };
        try
        {
            options.Check();
            return options;
        }
        catch (ArgumentException e)
        {
            throw UserError.Usage(e.Message);
        }
    }

    static Sampling SamplingOf(ParseResult parsed)
    {
        Sampling preset = parsed.GetValue(Preset) switch
        {
            "general" => Sampling.General,
            "camelyon16" => Sampling.Camelyon16,
            "camelyon17" => Sampling.Camelyon17,
            string other => throw UserError.Usage($"--sampling {other}: expected general, camelyon16 or camelyon17"),
            null => Sampling.General,
        };
        PartSampling[] parts = [preset.Train, preset.Val, preset.Test];
        int[]? perBin = Numbers(parsed, PerBin), most = Numbers(parsed, Most), negatives = Numbers(parsed, Negatives);
        (double Low, double High)? keep = parsed.GetValue(Keep) is string text ? Range(text) : null;
        double? balance = parsed.GetValue(Balance);
        if (balance is not null && negatives is not null)
            throw UserError.Usage("--balance and --negatives both say how many patches without tumour; give one");
        for (int i = 0; i < parts.Length; i++)
        {
            parts[i] = parts[i] with
            {
                PerBin = perBin?[i] ?? parts[i].PerBin, Most = most?[i] ?? parts[i].Most,
                Low = keep?.Low ?? parts[i].Low, High = keep?.High ?? parts[i].High,
                Negatives = balance is null ? negatives?[i] ?? parts[i].Negatives : null,
                Balance = balance ?? parts[i].Balance,
            };
        }
        return new Sampling(parts[0], parts[1], parts[2]);
    }

    static int[]? Numbers(ParseResult parsed, Option<string?> option)
    {
        if (parsed.GetValue(option) is not string text) return null;
        string[] parts = text.Split(',');
        int[] numbers = new int[3];
        for (int i = 0; i < numbers.Length; i++)
        {
            bool isNumber = int.TryParse(parts[Math.Min(i, parts.Length - 1)], NumberStyles.None,
                CultureInfo.InvariantCulture, out numbers[i]);
            if (!isNumber || parts.Length is not (1 or 3))
                throw UserError.Usage($"{option.Name} {text}: give one number, or three for train,val,test");
        }
        return numbers;
    }

    static (double, double) Range(string text)
    {
        string[] ends = text.Split('-');
        return ends.Length == 2
            && double.TryParse(ends[0], NumberStyles.Float, CultureInfo.InvariantCulture, out double low)
            && double.TryParse(ends[1], NumberStyles.Float, CultureInfo.InvariantCulture, out double high)
            && low >= 0 && low <= high && high <= 100 ? (low, high)
            : throw UserError.Usage($"--keep {text}: give LOW-HIGH in percent, as 20-90");
    }

    static void Tell(PrepareResult result, PrepareFolder folder, Reporter reporter)
    {
        foreach (PreparedSlide s in result.Slides.Where(s => s.Failure is null && s.Split is not null))
            reporter.Say($"{s.Slide}: {Name(s.Split)}, {s.Positives} patches with tumour, {s.Negatives} without");
        foreach (IGrouping<Split?, PreparedSlide> part in result.Slides
            .Where(s => s.Failure is null && s.Split is not null).GroupBy(s => s.Split).OrderBy(g => g.Key))
        {
            int positives = part.Sum(s => s.Positives), negatives = part.Sum(s => s.Negatives);
            string slides = part.Count() == 1 ? "1 slide" : $"{part.Count()} slides";
            reporter.Say($"{Name(part.Key)}: {slides}, {positives} patches with tumour, {negatives} without");
            if (part.Key != EpSam.Native.Pipeline.Split.Test && (positives == 0 || negatives == 0))
            {
                string what = positives == 0 ? "with tumour; --keep widens what is taken"
                    : "without tumour; --negatives asks for some";
                reporter.Note($"warning: {Name(part.Key)} has no patches {what}");
            }
        }
        int failed = result.Slides.Count(s => s.Failure is not null);
        if (result.Made == 0 && failed == 0) reporter.Note($"all {result.Patches} patches are there already");
        if (failed > 0)
            reporter.Fail($"{failed} of {result.Slides.Count} slides failed; the same command tries them again");
        reporter.Say($"to look at: {folder.Page}");
        reporter.Json(() => MaskFiles.Json(new
        {
            folder.Root, result.Patches, result.Made, folder.Page,
            Slides = result.Slides.Select(s => new
            {
                s.Slide, Split = s.Split is null ? null : Name(s.Split), s.Positives, s.Negatives, s.Failure,
            }),
        }));
    }

    static string Name(Split? split) => $"{split}".ToLowerInvariant();
}
