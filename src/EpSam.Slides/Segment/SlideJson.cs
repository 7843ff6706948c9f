// slide.json: a segmented slide in figures, with the options and models that it was made with. Nothing in it depends on
// when or where it was made.
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using EpSam.Native.Pipeline;

namespace EpSam.Slides.Segment;

/// <summary>What slide.json has.</summary>
/// <param name="Summary">The slide in figures.</param>
/// <param name="Options">How it was segmented.</param>
/// <param name="Models">By which models.</param>
public sealed record SlideJson(SlideSummary Summary, SlideOptions Options, SlideModelReport Models)
{
    static readonly JsonSerializerOptions Layout = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true, NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    /// <summary>Writes the file, whole or not at all.</summary>
    public void Write(string path) =>
        RunFolder.Write(path, [.. JsonSerializer.SerializeToUtf8Bytes(this, Layout), (byte)'\n']);

    /// <summary>Reads the file.</summary>
    /// <exception cref="SlideException">It is damaged, or none.</exception>
    public static SlideJson Read(string path)
    {
        try
        {
            return JsonSerializer.Deserialize<SlideJson>(File.ReadAllText(path), Layout)
                ?? throw new SlideException($"{path} is empty; delete its folder, and the slide is segmented again");
        }
        catch (JsonException e)
        {
            throw new SlideException($"{path} is damaged ({e.Message}); delete its folder, and the slide is segmented "
                + "again", e);
        }
    }
}
