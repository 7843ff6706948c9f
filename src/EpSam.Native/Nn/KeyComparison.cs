// Which tensors a model wants and which a checkpoint has. The message lists a few of each kind and counts the rest; the
// number of differences tells which of several model types would fit best.
using System.Text;
using EpSam.Native.Checkpoints;
using EpSam.Native.Tensors;

namespace EpSam.Native.Nn;

/// <summary>The difference between the tensors wanted and the tensors found.</summary>
public sealed class KeyComparison
{
    const int Listed = 8;

    readonly List<string> _missing = [], _unexpected = [], _wrong = [];

    KeyComparison() { }

    /// <summary>Wanted and not there, in the order wanted.</summary>
    public IReadOnlyList<string> Missing => _missing;

    /// <summary>There and not wanted, in the checkpoint's order.</summary>
    public IReadOnlyList<string> Unexpected => _unexpected;

    /// <summary>There with another shape: "name: expected (2, 3), found (3, 2)".</summary>
    public IReadOnlyList<string> WrongShape => _wrong;

    /// <summary>Number of differences of all three kinds.</summary>
    public int Differences => _missing.Count + _unexpected.Count + _wrong.Count;

    /// <summary>Whether the checkpoint has exactly what is wanted.</summary>
    public bool IsMatch => Differences == 0;

    /// <summary>Compares names and shapes; types may differ, as they are converted on reading.</summary>
    /// <param name="wanted">Names and shapes.</param>
    /// <param name="found">What is there.</param>
    /// <param name="isOptional">Names that may be missing, and names that may be there unasked.</param>
    /// <param name="fits">Whether a tensor (name, found, wanted) fits though it has another shape.</param>
    public static KeyComparison Of(IEnumerable<KeyValuePair<string, Shape>> wanted, IParameterSource found,
        Func<string, bool>? isOptional = null, Func<string, Shape, Shape, bool>? fits = null)
    {
        KeyComparison result = new();
        HashSet<string> names = new(StringComparer.Ordinal);
        foreach ((string name, Shape shape) in wanted)
        {
            names.Add(name);
            if (!found.TryGetShape(name, out Shape stored))
            {
                if (isOptional?.Invoke(name) != true) result._missing.Add(name);
            }
            else if (stored != shape && fits?.Invoke(name, stored, shape) != true)
                result._wrong.Add($"{name}: expected {shape}, found {stored}");
        }
        foreach (string name in found.Names)
            if (!names.Contains(name) && isOptional?.Invoke(name) != true) result._unexpected.Add(name);
        return result;
    }

    /// <summary>Throws unless all match.</summary>
    /// <param name="what">What was to be loaded: "SAM vit_b from a.pth".</param>
    /// <param name="advice">A last sentence, such as the type that would fit.</param>
    public void Require(string what, string? advice = null)
    {
        if (IsMatch) return;
        throw new CheckpointException(CheckpointError.KeysDiffer,
            $"{what}: {this}{(advice is null ? "" : "; " + advice)}");
    }

    /// <summary>"2 missing: a, b; 12 unexpected: c, d, … (10 more)".</summary>
    public override string ToString()
    {
        if (IsMatch) return "all tensors match";
        StringBuilder text = new();
        Append(text, _missing, "missing");
        Append(text, _unexpected, "unexpected");
        Append(text, _wrong, "of another shape");
        return text.ToString();
    }

    static void Append(StringBuilder text, List<string> names, string what)
    {
        if (names.Count == 0) return;
        if (text.Length > 0) text.Append("; ");
        text.Append($"{names.Count} {what}: ").AppendJoin(", ", names.Take(Listed).Select(CheckpointException.Show));
        if (names.Count > Listed) text.Append($", … ({names.Count - Listed} more)");
    }
}
