// How patches were cut from slides: what has to be known to show a model other slides at the same scale. `epsam
// prepare` leaves it with the patches, a run keeps it with the models that it trains on them.
using System.Text.Json;

namespace EpSam.Native.Pipeline;

/// <summary>The scale of a data set's patches.</summary>
/// <param name="Mpp">Micrometres a pixel.</param>
/// <param name="Size">Pixels of a patch's sides.</param>
public sealed record PatchScale(double Mpp, int Size)
{
    /// <summary>The file's name, in a data set's folder and in a run's.</summary>
    public const string FileName = "scale.json";

    static readonly JsonSerializerOptions Layout = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true,
    };

    /// <summary>What a folder says; null when it says nothing.</summary>
    /// <exception cref="RunException">The file is there but cannot be meant.</exception>
    public static PatchScale? Read(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) return null;
        try
        {
            PatchScale? scale = JsonSerializer.Deserialize<PatchScale>(File.ReadAllText(path), Layout);
            if (scale is { Mpp: > 0 and <= 1000, Size: >= 1 and <= 65535 }) return scale;
        }
        catch (JsonException)
        {
            // said below
        }
        throw new RunException($"{path} does not say how patches were cut: expected "
            + "{ \"mpp\": MICROMETRES A PIXEL, \"size\": PIXELS A SIDE }");
    }

    /// <summary>Writes it into a folder.</summary>
    public void Write(string folder) => RunFolder.Write(Path.Combine(folder, FileName),
        System.Text.Encoding.UTF8.GetBytes(JsonSerializer.Serialize(this, Layout) + "\n"));
}
