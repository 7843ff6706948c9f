using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace EpSam.Slides;

/// <summary>JSON as the files of slides and batches have it.</summary>
internal static class ResultJson
{
    public static JsonSerializerOptions Layout { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true, NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    public static JsonSerializerOptions Line { get; } = new(Layout) { WriteIndented = false };

    public static byte[] Bytes<T>(T value) => Encoding.UTF8.GetBytes(JsonSerializer.Serialize(value, Layout) + "\n");

    /// <summary>Reads a file; null: it is not there, or not ours.</summary>
    public static T? Read<T>(string path) where T : class
    {
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize<T>(File.ReadAllText(path), Layout) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
