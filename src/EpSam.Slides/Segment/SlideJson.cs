// slide.json: a segmented slide in figures, with the options and models that it was made with. Nothing in it depends on
// when or where it was made.
using System.Text.Json;
using EpSam.Native.Pipeline;

namespace EpSam.Slides.Segment;

/// <summary>What slide.json has.</summary>
/// <param name="Summary">The slide in figures.</param>
/// <param name="Options">How it was segmented.</param>
/// <param name="Models">By which models.</param>
public sealed record SlideJson(SlideSummary Summary, SlideOptions Options, SlideModelReport Models)
{
    /// <summary>Writes the file, whole or not at all.</summary>
    public void Write(string path) => RunFolder.Write(path, ResultJson.Bytes(this));

    /// <summary>Reads the file.</summary>
    /// <exception cref="SlideException">It is damaged, or none.</exception>
    public static SlideJson Read(string path)
    {
        try
        {
            return JsonSerializer.Deserialize<SlideJson>(File.ReadAllText(path), ResultJson.Layout)
                ?? throw new SlideException($"{path} is empty; delete its folder, and the slide is segmented again");
        }
        catch (JsonException e)
        {
            throw new SlideException($"{path} is damaged ({e.Message}); delete its folder, and the slide is segmented "
                + "again", e);
        }
    }
}
