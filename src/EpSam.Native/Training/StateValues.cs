// Named numbers and texts of a training state, in the form that safetensors keeps metadata in: texts. A number is read
// back to the bit. What is missing or no number is refused by name.
using System.Globalization;
using EpSam.Native.Checkpoints;

namespace EpSam.Native.Training;

/// <summary>Named values to be saved.</summary>
public sealed class StateValues
{
    readonly SortedDictionary<string, string> _values = new(StringComparer.Ordinal);

    /// <summary>None yet.</summary>
    public StateValues()
    {
    }

    internal StateValues(IEnumerable<KeyValuePair<string, string>> values)
    {
        foreach ((string name, string value) in values) _values.Add(name, value);
    }

    /// <summary>All of them as texts, by name.</summary>
    public IEnumerable<KeyValuePair<string, string>> All => _values;

    /// <summary>Whether there is a value of this name.</summary>
    public bool Contains(string name) => _values.ContainsKey(name);

    /// <summary>Sets a text.</summary>
    public void Set(string name, string value) => _values[name] = value;

    /// <summary>Sets an integer.</summary>
    public void Set(string name, long value) => _values[name] = value.ToString(CultureInfo.InvariantCulture);

    /// <summary>Sets a number.</summary>
    public void Set(string name, double value) => _values[name] = value.ToString("R", CultureInfo.InvariantCulture);

    /// <summary>A text.</summary>
    public string Text(string name) => _values.TryGetValue(name, out string? value)
        ? value
        : throw new CheckpointException(CheckpointError.KeysDiffer, $"the training state has no value {name}");

    /// <summary>An integer.</summary>
    public long Long(string name) =>
        long.TryParse(Text(name), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value)
            ? value
            : throw Wrong(name, "an integer");

    /// <summary>A number, an infinity or NaN.</summary>
    public double Double(string name) =>
        double.TryParse(Text(name), NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
            ? value
            : throw Wrong(name, "a number");

    /// <summary>Throws unless the value is this one: it says whether the state is of the same run.</summary>
    public void Require(string name, string value)
    {
        if (Text(name) != value) throw Wrong(name, value);
    }

    /// <summary>Throws unless the value is this one: it says whether the state is of the same run.</summary>
    public void Require(string name, long value) => Require(name, value.ToString(CultureInfo.InvariantCulture));

    internal CheckpointException Wrong(string name, string expected) => new(CheckpointError.KeysDiffer,
        $"the training state has {name} = {CheckpointException.Show(Text(name))}, expected {expected}");
}
