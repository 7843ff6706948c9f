// What the first pass leaves of a slide: its figures, the places where a patch can be cut, and a small picture. It is
// all that sampling needs, so that slides are opened once more only for the patches that are kept.
using System.Globalization;
using System.Text;
using System.Text.Json;
using EpSam.Native.Pipeline;

namespace EpSam.Slides.Prepare;

/// <summary>A place where a patch can be cut.</summary>
/// <param name="Column">Left edge in pixels of the resolution that patches are cut at.</param>
/// <param name="Row">Upper edge.</param>
/// <param name="HasTumour">Whether any pixel of level 0 in it is tumour.</param>
/// <param name="Tenths">Tenths of a percent that are tumour, cut off.</param>
/// <param name="Tissue">Share that is tissue.</param>
internal readonly record struct Candidate(int Column, int Row, bool HasTumour, int Tenths, float Tissue)
{
    public double Percentage => Tenths / 10.0;
}

/// <summary>A slide in figures.</summary>
internal sealed record SlideScan
{
    public required string Name { get; init; }
    public required string File { get; init; }
    public required SlideSource Source { get; init; }
    public required string? Annotation { get; init; }
    public required SlideSource? AnnotationSource { get; init; }
    public required long Width { get; init; }
    public required long Height { get; init; }
    public required double? Mpp { get; init; }
    /// <summary>Pixels of level 0 to one of a patch.</summary>
    public required double Downsample { get; init; }
    public required double TissueDownsample { get; init; }
    /// <summary>Square pixels of level 0.</summary>
    public required double Tissue { get; init; }
    public required long Tumour { get; init; }
    public required int Areas { get; init; }
    public required int Candidates { get; init; }
    /// <summary>Of the candidates, those with any tumour.</summary>
    public required int WithTumour { get; init; }
    /// <summary>Pixels of level 0 to one of the picture.</summary>
    public required double PictureDownsample { get; init; }
    public required IReadOnlyList<string> Warnings { get; init; }

    const string FiguresName = "slide.json", CandidatesName = "candidates.csv", PictureName = "picture.png";
    const string Header = "column,row,has_tumour,tumour_percentage,tissue_share";

    static readonly JsonSerializerOptions Layout = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true,
    };

    public static string Picture(string folder) => Path.Combine(folder, PictureName);

    /// <summary>What a folder holds; null when there is none that can be read.</summary>
    public static SlideScan? Read(string folder)
    {
        string path = Path.Combine(folder, FiguresName);
        if (!System.IO.File.Exists(path) || !System.IO.File.Exists(Path.Combine(folder, CandidatesName))) return null;
        try
        {
            return JsonSerializer.Deserialize<SlideScan>(System.IO.File.ReadAllText(path), Layout);
        }
        catch (JsonException)
        {
            return null; // made again
        }
    }

    /// <summary>Leaves a folder that is complete when it has its name.</summary>
    public void Write(string folder, IReadOnlyList<Candidate> candidates, byte[] picture)
    {
        string parent = Path.GetDirectoryName(folder)!;
        string beside = Path.Combine(parent, $".{Path.GetFileName(folder)}.tmp");
        StringBuilder table = new(Header + "\n");
        foreach (Candidate c in candidates)
        {
            table.Append(CultureInfo.InvariantCulture,
                $"{c.Column},{c.Row},{(c.HasTumour ? 1 : 0)},{c.Percentage:0.0},{c.Tissue:0.0000}\n");
        }
        PrepareFolder.Try(folder, () =>
        {
            RunFolder.Delete(beside);
            RunFolder.Delete(folder);
            Directory.CreateDirectory(beside);
            System.IO.File.WriteAllText(Path.Combine(beside, CandidatesName), table.ToString());
            System.IO.File.WriteAllBytes(Path.Combine(beside, PictureName), picture);
            string figures = JsonSerializer.Serialize(this, Layout) + "\n";
            System.IO.File.WriteAllText(Path.Combine(beside, FiguresName), figures);
            Directory.Move(beside, folder);
        });
    }

    /// <summary>The candidates of a folder, one by one.</summary>
    public static IEnumerable<Candidate> ReadCandidates(string folder)
    {
        foreach (string line in System.IO.File.ReadLines(Path.Combine(folder, CandidatesName)).Skip(1))
        {
            string[] f = line.Split(',');
            yield return new Candidate(int.Parse(f[0], CultureInfo.InvariantCulture),
                int.Parse(f[1], CultureInfo.InvariantCulture), f[2] == "1",
                (int)Math.Round(10 * double.Parse(f[3], CultureInfo.InvariantCulture)),
                float.Parse(f[4], CultureInfo.InvariantCulture));
        }
    }

    /// <summary>Micrometres a pixel of patches; null when the slide does not tell its own.</summary>
    public double? PatchMpp => Mpp * Downsample;
}
