// What says that a slide is done and of what it was made: in each slide's folder. No times and no paths are in it, so
// that two machines write the same.
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using EpSam.Native.Pipeline;
using EpSam.Slides.Segment;

namespace EpSam.Slides.Batch;

/// <summary>A slide's file by its content: its size, and a digest of its first and last mebibyte.</summary>
/// <param name="Bytes">Size.</param>
/// <param name="Sha256">Of both ends together; of all of it when it has two mebibytes or less.</param>
public sealed record SlideSource(long Bytes, string Sha256)
{
    const int End = 1 << 20;

    /// <summary>Reads both ends.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static SlideSource Of(string path)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1);
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[End];
        long length = file.Length;
        hash.AppendData(buffer.AsSpan(0, file.ReadAtLeast(buffer, End, throwOnEndOfStream: false)));
        file.Position = Math.Max(End, length - End);
        hash.AppendData(buffer.AsSpan(0, file.ReadAtLeast(buffer, End, throwOnEndOfStream: false)));
        return new SlideSource(length, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }
}

/// <summary>A slide that is done.</summary>
/// <param name="Summary">Its figures.</param>
/// <param name="Source">Its file.</param>
/// <param name="Key">Of the settings: see <see cref="BatchSettings.Key"/>.</param>
public sealed record SlideRecord(SlideSummary Summary, SlideSource Source, string Key)
{
    /// <summary>Reads that of a finished slide.</summary>
    /// <exception cref="BatchException">The folder is there but not the record.</exception>
    public static SlideRecord Read(SlideFolder folder)
    {
        SlideRecord? record = BatchJson.Read<SlideRecord>(folder.Summary);
        return record is { Summary: not null, Source: not null, Key: not null } ? record
            : throw new BatchException($"{folder.Root} is no complete result of epsam slide (slide.json is missing or "
                + "damaged); delete that folder, and the slide is done again");
    }

    /// <summary>Adds what this record has to the slide.json that is there.</summary>
    public void Write(SlideFolder folder)
    {
        JsonObject? whole = File.Exists(folder.Summary)
            ? JsonNode.Parse(File.ReadAllText(folder.Summary)) as JsonObject : null;
        whole ??= new JsonObject { ["summary"] = JsonSerializer.SerializeToNode(Summary, BatchJson.Layout) };
        whole["source"] = JsonSerializer.SerializeToNode(Source, BatchJson.Layout);
        whole["key"] = Key;
        RunFolder.Write(folder.Summary, BatchJson.Bytes(whole));
    }
}

/// <summary>A slide that failed.</summary>
/// <param name="Name">What its results would be called.</param>
/// <param name="File">Its file name.</param>
/// <param name="Error">Why.</param>
public sealed record SlideFailure(string Name, string File, string Error);
