// The configuration as named values, "classifier.batch": names in a file that are none, and what differs between two
// configurations. A run may be gone on with other values of what its results do not depend on.
using System.Text.Json;

namespace EpSam.Native.Pipeline;

internal static class RunConfigKeys
{
    static readonly string[] Free = ["save_seconds", "memory_budget", "classifier.recompute", "decoder.cache"];

    static readonly JsonDocumentOptions Reading = new()
    {
        AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip,
    };

    /// <summary>Throws when JSON has a name that the configuration has not.</summary>
    public static void CheckNames(string json)
    {
        using JsonDocument given = JsonDocument.Parse(json, Reading);
        using JsonDocument known = JsonDocument.Parse(new RunConfig().ToJson());
        if (given.RootElement.ValueKind != JsonValueKind.Object)
            throw new RunException($"the configuration must be a JSON object, got {given.RootElement.ValueKind}");
        List<string> unknown = [];
        Compare(given.RootElement, known.RootElement, "", unknown);
        if (unknown.Count > 0) throw new RunException("the configuration knows no " + string.Join("; no ", unknown));
    }

    /// <summary>"classifier.batch is 8, was 16" for each value on which results depend and that differs.</summary>
    public static List<string> Differences(RunConfig now, RunConfig before)
    {
        using JsonDocument a = JsonDocument.Parse(now.ToJson()), b = JsonDocument.Parse(before.ToJson());
        Dictionary<string, string> old = Leaves(b.RootElement, "").ToDictionary(l => l.Key, l => l.Value);
        return [.. Leaves(a.RootElement, "").Where(l => old[l.Key] != l.Value && !Free.Contains(l.Key))
            .Select(l => $"{l.Key} is {l.Value}, was {old[l.Key]}")];
    }

    static void Compare(JsonElement given, JsonElement known, string path, List<string> unknown)
    {
        string[] names = [.. known.EnumerateObject().Select(p => p.Name)];
        foreach (JsonProperty property in given.EnumerateObject())
        {
            if (!known.TryGetProperty(property.Name, out JsonElement inner))
                unknown.Add($"{path}{property.Name} ({(path.Length > 0 ? path.TrimEnd('.') : "it")} has "
                    + $"{string.Join(", ", names)})");
            else if (inner.ValueKind == JsonValueKind.Object && property.Value.ValueKind == JsonValueKind.Object)
                Compare(property.Value, inner, $"{path}{property.Name}.", unknown);
        }
    }

    static IEnumerable<(string Key, string Value)> Leaves(JsonElement element, string path)
    {
        foreach (JsonProperty property in element.EnumerateObject())
        {
            if (property.Value.ValueKind == JsonValueKind.Object)
                foreach ((string Key, string Value) leaf in Leaves(property.Value, $"{path}{property.Name}."))
                    yield return leaf;
            else
                yield return (path + property.Name, JsonSerializer.Serialize(property.Value));
        }
    }
}
