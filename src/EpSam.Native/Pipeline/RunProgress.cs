// stages.json: what a run was made from, and how far its stages are. Written after each change, whole or not at all.
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace EpSam.Native.Pipeline;

/// <summary>How far a stage is.</summary>
public enum StageState
{
    /// <summary>Not begun.</summary>
    Waiting,
    /// <summary>Begun: it is running, or was interrupted and goes on with the next call.</summary>
    Running,
    /// <summary>Done.</summary>
    Done,
    /// <summary>Done, but an earlier stage has begun anew since; its files are still there.</summary>
    Stale,
}

/// <summary>A file that a run was made from.</summary>
/// <param name="Path">Where it was.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Sha256">Of its content.</param>
public sealed record RunInput(string Path, long Bytes, string Sha256)
{
    /// <summary>Reads all of the file.</summary>
    public static RunInput Of(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            return new RunInput(System.IO.Path.GetFullPath(path), stream.Length,
                Convert.ToHexStringLower(SHA256.HashData(stream)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RunException($"cannot read {path}: {e.Message}", e);
        }
    }

    /// <summary>Of a text.</summary>
    public static RunInput Of(string path, string text) => new(System.IO.Path.GetFullPath(path),
        Encoding.UTF8.GetByteCount(text), Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text))));
}

/// <summary>A stage in stages.json.</summary>
public sealed record StageProgress(string Name)
{
    /// <summary>How far it is.</summary>
    public StageState State { get; init; }
    /// <summary>Figures worth telling, by name, when it is done.</summary>
    public IReadOnlyDictionary<string, double> Figures { get; init; } = new Dictionary<string, double>();
    /// <summary>Device memory planned.</summary>
    public long PlannedBytes { get; init; }
    /// <summary>Device memory used at most.</summary>
    public long PeakBytes { get; init; }
    /// <summary>Time it took, without what was lost when it was killed.</summary>
    public double Seconds { get; init; }
    /// <summary>When it was done, in UTC.</summary>
    public DateTime? Finished { get; init; }
    /// <summary>The GPU it ended on.</summary>
    public string? Device { get; init; }

    /// <summary>"loss 0.412, accuracy 0.93".</summary>
    [JsonIgnore]
    public string Text => string.Join(", ", Figures.Select(f => Figure(f.Key, f.Value)));

    /// <summary>"accuracy 0.93".</summary>
    public static string Figure(string name, double value) => string.Create(CultureInfo.InvariantCulture,
        $"{name.Replace('_', ' ')} {value:0.####}");
}

/// <summary>A run's progress.</summary>
/// <param name="Sam">The SAM checkpoint.</param>
/// <param name="Data">The data set as it was given; the checksum is of data.csv without its last column.</param>
/// <param name="Init">The checkpoint that the classifier began with, if any.</param>
/// <param name="Stages">All stages in order.</param>
public sealed record RunProgress(RunInput Sam, RunInput Data, RunInput? Init, IReadOnlyList<StageProgress> Stages)
{
    static readonly JsonSerializerOptions Layout = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,   // a figure may be NaN
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    /// <summary>A run's progress; null when it has none yet.</summary>
    /// <exception cref="RunException">The file is damaged.</exception>
    public static RunProgress? Read(RunFolder folder)
    {
        if (!File.Exists(folder.Stages)) return null;
        try
        {
            return JsonSerializer.Deserialize<RunProgress>(File.ReadAllText(folder.Stages), Layout)
                ?? throw new RunException($"{folder.Stages} is empty");
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new RunException($"{folder.Stages} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Writes it, whole or not at all.</summary>
    public void Write(RunFolder folder) =>
        RunFolder.Write(folder.Stages, JsonSerializer.SerializeToUtf8Bytes(this, Layout));

    /// <summary>The same with one stage changed.</summary>
    public RunProgress With(StageProgress stage) =>
        this with { Stages = [.. Stages.Select(s => s.Name == stage.Name ? stage : s)] };
}
