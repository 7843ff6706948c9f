// How an activation map becomes a mask: one of the published rules, or one with other values. Where the classifier is a
// run's, the run's own rule and scale are the beginning.
using System.CommandLine;
using System.Globalization;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Pipeline;
using EpSam.Native.Prompts;

namespace EpSam.Cli;

internal sealed record CamFlags(CamMaskRule Rule, bool WholeStage, double Scale)
{
    static readonly Option<string> RuleName = new("--rule")
    {
        HelpName = "camelyon16|camelyon17", DefaultValueFactory = _ => "camelyon17",
        Description = "EP-SAM's rule for one of its data sets; a run's folder brings its own; the flags below change "
            + "single values",
    };
    static readonly Option<double?> Percentile = new("--percentile")
    {
        HelpName = "P", Description = "set is what is above this percentile of the map's values that are not 0",
    };
    static readonly Option<double?> Level = new("--level")
    {
        HelpName = "0-255", Description = "and above this level of the map",
    };
    static readonly Option<double?> Logit = new("--logit")
    {
        HelpName = "X",
        Description = "instead: set is where the classifier's own logit is above this; implies --whole-stage",
    };
    static readonly Option<double?> Smoothing = new("--smoothing")
    {
        HelpName = "PIXELS", Description = "deviation of a Gaussian before the threshold",
    };
    static readonly Option<int?> Opening = new("--opening")
    {
        HelpName = "PIXELS", Description = "side of the square that must fit into the mask; 1: anything may",
    };
    static readonly Option<bool?> AtMapResolution = new("--at-map-resolution")
    {
        HelpName = "true|false", Description = "act on the map as it is, a sixteenth of the image, and resize then",
    };
    static readonly Option<bool> Whole = new("--whole-stage")
    {
        Description = "activations of all of the last stage; EP-SAM takes its first block's",
    };
    static readonly Option<double> ScaleBy = new("--scale")
    {
        HelpName = "X", DefaultValueFactory = _ => 1,
        Description = "resize images by this for the classifier: tissue as large as in its training patches",
    };

    public static void AddTo(Command command)
    {
        foreach (Option option in new Option[]
        {
            RuleName, Percentile, Level, Logit, Smoothing, Opening, AtMapResolution, Whole, ScaleBy,
        })
        {
            command.Add(option);
        }
    }

    /// <summary>Whether any of them was given: they mean nothing without a classifier.</summary>
    public static string? Given(ParseResult parsed) => new Option[]
    {
        RuleName, Percentile, Level, Logit, Smoothing, Opening, AtMapResolution, Whole, ScaleBy,
    }.FirstOrDefault(o => IsGiven(parsed, o))?.Name;

    /// <summary>From the command line; throws usage errors.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="classifier">What --classifier is.</param>
    public static CamFlags Read(ParseResult parsed, string classifier)
    {
        CamFlags begin = new(CamMaskRule.Camelyon17, false, 1);
        if (Directory.Exists(classifier)) begin = OfRun(new RunFolder(classifier));
        CamMaskRule rule = !IsGiven(parsed, RuleName) ? begin.Rule : parsed.GetValue(RuleName) switch
        {
            "camelyon16" => CamMaskRule.Camelyon16,
            "camelyon17" => CamMaskRule.Camelyon17,
            string other => throw UserError.Usage($"--rule {other}: expected camelyon16 or camelyon17"),
            null => CamMaskRule.Camelyon17,
        };
        double? logit = parsed.GetValue(Logit);
        if (logit is double value && !double.IsFinite(value)) throw UserError.Usage("--logit: expected a number");
        if (logit is not null && (parsed.GetValue(Percentile) ?? parsed.GetValue(Level)) is not null)
            throw UserError.Usage("--logit replaces --percentile and --level; leave these out");
        double scale = IsGiven(parsed, ScaleBy) ? parsed.GetValue(ScaleBy) : begin.Scale;
        if (scale is not (> 0 and <= 16))
            throw UserError.Usage(FormattableString.Invariant($"--scale {scale}: expected above 0, at most 16"));
        rule = rule with
        {
            Percentile = Between(parsed, Percentile, 0, 100) ?? rule.Percentile,
            Level = Between(parsed, Level, 0, 255) ?? rule.Level,
            Logit = logit ?? (IsGiven(parsed, Percentile) || IsGiven(parsed, Level) ? null : rule.Logit),
            Smoothing = Between(parsed, Smoothing, 0, 1000) ?? rule.Smoothing,
            Opening = parsed.GetValue(Opening) switch
            {
                null => rule.Opening,
                int side and >= 1 and <= 255 => side,
                int side => throw UserError.Usage($"--opening {side}: expected 1 to 255"),
            },
            AtMapResolution = parsed.GetValue(AtMapResolution) ?? rule.AtMapResolution,
        };
        return new(rule, parsed.GetValue(Whole) || logit is not null || begin.WholeStage, scale);
    }

    /// <summary>As a run made its masks.</summary>
    public static CamFlags OfRun(RunFolder folder)
    {
        try
        {
            RunModels run = RunModels.Of(folder);
            return new(run.Rule, run.Config.Cam.WholeStage, run.Scale);
        }
        catch (RunException e)
        {
            throw new UserError(e.Message);
        }
    }

    /// <summary>An image's map; with a rule about logits its levels are probabilities.</summary>
    public ActivationMap MapOf(PatchClassifier classifier, EpSam.Imaging.Raster pixels)
    {
        ActivationMap map = classifier.Cam(pixels.Pixels, pixels.Height, pixels.Width, WholeStage, Scale);
        return Rule.Logit is null ? map : map.OfProbabilities();
    }

    static bool IsGiven(ParseResult parsed, Option option) => parsed.GetResult(option) is { Implicit: false };

    static double? Between(ParseResult parsed, Option<double?> option, double least, double most)
    {
        double? value = parsed.GetValue(option);
        return value is null || (value >= least && value <= most) ? value
            : throw UserError.Usage(string.Create(CultureInfo.InvariantCulture,
                $"{option.Name} {value}: expected {least} to {most}"));
    }
}
