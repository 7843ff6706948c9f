// What says that a slide is done and of what it was made: in each slide's folder. No times and no paths are in it, so
// that two machines write the same.
using System.Text.Json;
using System.Text.Json.Nodes;
using EpSam.Native.Pipeline;
using EpSam.Slides.Segment;

namespace EpSam.Slides.Batch;

/// <summary>A slide that is done.</summary>
/// <param name="Summary">Its figures.</param>
/// <param name="Source">Its file.</param>
/// <param name="Key">Of the settings: see <see cref="BatchSettings.Key"/>.</param>
public sealed record SlideRecord(SlideSummary Summary, SlideSource Source, string Key)
{
    /// <summary>What was given as the slide's micrometres a pixel, used where it does not tell them itself.</summary>
    public double? SlideMpp { get; init; }

    /// <summary>Whether another <see cref="SlideMpp"/> would give other results.</summary>
    public bool DependsOn(double? slideMpp) => slideMpp is not null && SlideMpp == Summary.Mpp && slideMpp != SlideMpp;

    /// <summary>Reads that of a finished slide.</summary>
    /// <exception cref="BatchException">The folder is there but not the record.</exception>
    public static SlideRecord Read(SlideFolder folder)
    {
        SlideRecord? record = ResultJson.Read<SlideRecord>(folder.Summary);
        return record is { Summary: not null, Source: not null, Key: not null } ? record
            : throw new BatchException($"{folder.Root} is no complete result of epsam slide (slide.json is missing or "
                + "damaged); delete that folder, and the slide is done again");
    }

    /// <summary>Adds what this record has to the slide.json that is there.</summary>
    public void Write(SlideFolder folder)
    {
        JsonObject? whole = File.Exists(folder.Summary)
            ? JsonNode.Parse(File.ReadAllText(folder.Summary)) as JsonObject : null;
        whole ??= new JsonObject { ["summary"] = JsonSerializer.SerializeToNode(Summary, ResultJson.Layout) };
        whole["source"] = JsonSerializer.SerializeToNode(Source, ResultJson.Layout);
        whole["key"] = Key;
        if (SlideMpp is not null) whole["slide_mpp"] = SlideMpp;
        RunFolder.Write(folder.Summary, ResultJson.Bytes(whole));
    }
}

/// <summary>A slide that failed.</summary>
/// <param name="Name">What its results would be called.</param>
/// <param name="File">Its file name.</param>
/// <param name="Error">Why.</param>
public sealed record SlideFailure(string Name, string File, string Error);
