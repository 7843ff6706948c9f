using System.Globalization;

namespace EpSam.Native.Pipeline;

/// <summary>Kinds of masks that are judged, as they are called in files.</summary>
public static class EvaluationKind
{
    const string Round = "round";

    /// <summary>Initial masks, from activations.</summary>
    public const string Cam = "cam";
    /// <summary>Trivial: every pixel.</summary>
    public const string AllTumour = "all_tumour";
    /// <summary>Trivial: the colour threshold with the highest mean Dice.</summary>
    public const string Colour = "colour";
    /// <summary>Trivial: the colour threshold with the highest Dice of all pixels together.</summary>
    public const string ColourPooled = "colour_pooled";

    /// <summary>Masks of a round's decoder.</summary>
    public static string OfRound(int round) => string.Create(CultureInfo.InvariantCulture, $"{Round}{round}");

    /// <summary>The round, or null for masks that are no decoder's.</summary>
    public static int? RoundOf(string kind) => kind.StartsWith(Round, StringComparison.Ordinal)
        && int.TryParse(kind.AsSpan(Round.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int round)
        ? round : null;

    /// <summary>For people.</summary>
    public static string Title(string kind) => kind switch
    {
        Cam => "activation maps",
        AllTumour => "all tumour",
        Colour => "colour threshold",
        ColourPooled => "colour threshold, all pixels",
        _ => RoundOf(kind) is int round ? $"round {round}" : kind,
    };
}
