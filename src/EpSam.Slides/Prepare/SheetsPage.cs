// sheets/index.html: all slides with what was found on them and which patches were kept, to see at a glance whether
// tissue and annotations lie where they should. Pictures are files beside it; nothing else is needed.
using System.Text;
using EpSam.Native.Pipeline;

namespace EpSam.Slides.Prepare;

internal static class SheetsPage
{
    /// <summary>What the page says of a slide.</summary>
    public sealed record Entry(string Name, Split? Split, SlideScan? Scan, int Positives, int Negatives,
        string? Failure);

    /// <summary>Paints a slide's patches over its picture.</summary>
    public static byte[] Sheet(string scanFolder, SlideScan scan, IEnumerable<ChosenPatch> patches, int size)
    {
        SlidePicture picture = SlidePicture.FromPng(SlideScan.Picture(scanFolder), scan.PictureDownsample);
        foreach (ChosenPatch patch in patches.OrderBy(p => p.Label))
        {
            picture.Square(patch.X, patch.Y, size * scan.Downsample,
                patch.Label == 1 ? SlidePicture.PositiveColour : SlidePicture.NegativeColour);
        }
        return picture.ToPng();
    }

    public static string Html(string name, IReadOnlyList<Entry> entries)
    {
        MarkupPage page = new();
        page.Add($"<!DOCTYPE html>");
        page.Add($"<html lang=\"en\"><head><meta charset=\"utf-8\"/>");
        page.Add($"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>");
        page.Add($"<title>{name}: slides and patches</title><style>{new Markup(Style)}</style></head><body><main>");
        page.Add($"<h1>{name}: slides and patches</h1>");
        page.Add($"<p class=\"legend\">{Key(SlidePicture.TissueColour, "edge")} edge of tissue");
        page.Add($"{Key(SlidePicture.TumourColour, "edge")} tumour as annotated");
        page.Add($"{Key(SlidePicture.ExcludedColour, "edge")} excluded from it");
        page.Add($"{Key(SlidePicture.PositiveColour, "patch")} patch with tumour");
        page.Add($"{Key(SlidePicture.NegativeColour, "patch")} patch without</p>");
        Totals(page, entries);
        foreach (Entry entry in entries.OrderBy(e => e.Split ?? (Split)9).ThenBy(e => e.Name, StringComparer.Ordinal))
            Figure(page, entry);
        page.Add($"</main></body></html>");
        return page.Text.Append('\n').ToString();
    }

    static Markup Key((byte R, byte G, byte B) colour, string kind) =>
        Markup.Of($"<span class=\"key {kind}\" style=\"--c:rgb({colour.R},{colour.G},{colour.B})\"></span>");

    static void Totals(MarkupPage page, IReadOnlyList<Entry> entries)
    {
        page.Add($"<table><tr><th>part</th><th class=\"n\">slides</th><th class=\"n\">patches with tumour</th>");
        page.Add($"<th class=\"n\">without</th></tr>");
        foreach (Split split in Enum.GetValues<Split>())
        {
            Entry[] of = [.. entries.Where(e => e.Split == split && e.Failure is null)];
            page.Add($"<tr><td>{PrepareFolder.Name(split)}</td><td class=\"n\">{of.Length}</td>");
            page.Add($"<td class=\"n\">{of.Sum(e => e.Positives)}</td>");
            page.Add($"<td class=\"n\">{of.Sum(e => e.Negatives)}</td></tr>");
        }
        page.Add($"</table>");
    }

    static void Figure(MarkupPage page, Entry entry)
    {
        string part = entry.Split is Split split ? PrepareFolder.Name(split) : "in no part";
        page.Add($"<figure><figcaption><h2>{entry.Name} <span>{part}</span></h2>");
        if (entry.Failure is string failure) page.Add($"<p class=\"problem\">{failure}</p>");
        if (entry.Scan is not SlideScan scan)
        {
            page.Add($"</figcaption></figure>");
            return;
        }
        string tumour = scan.Tissue > 0 ? $"{scan.Tumour / scan.Tissue:P1}" : "0 %";
        page.Add($"<p>{scan.Width} × {scan.Height} pixels{Micrometres(scan)}; tissue {Area(scan, scan.Tissue)}, ");
        page.Add($"annotated tumour {Area(scan, scan.Tumour)} ({tumour} of it) in {scan.Areas} areas; ");
        page.Add($"{scan.Candidates} places for patches, {scan.WithTumour} with tumour; kept: ");
        page.Add($"<b>{entry.Positives}</b> with tumour, <b>{entry.Negatives}</b> without.</p>");
        foreach (string warning in scan.Warnings) page.Add($"<p class=\"problem\">{warning}</p>");
        page.Add($"</figcaption>");
        if (entry.Failure is null)
        {
            string address = Uri.EscapeDataString(entry.Name + ".png");
            page.Add($"<a href=\"{address}\"><img src=\"{address}\" loading=\"lazy\" alt=\"{entry.Name}\"/></a>");
        }
        page.Add($"</figure>");
    }

    static string Micrometres(SlideScan scan) =>
        scan.Mpp is double mpp ? FormattableString.Invariant($" of {mpp:0.####} µm") : " of unknown size";

    static string Area(SlideScan scan, double pixels) => scan.Mpp is double mpp
        ? FormattableString.Invariant($"{pixels * mpp * mpp / 1e6:0.##} mm²")
        : FormattableString.Invariant($"{pixels / 1e6:0.##} megapixels");

    const string Style = """

        :root{color-scheme:light dark;--ground:#fff;--text:#1c2430;--soft:#5b6675;--rule:#d9dee5}
        @media (prefers-color-scheme:dark){:root{--ground:#14181e;--text:#e6eaf0;--soft:#9aa6b5;--rule:#343d49}}
        body{margin:0;background:var(--ground);color:var(--text);font:15px/1.5 system-ui,"Segoe UI",sans-serif}
        main{max-width:1180px;margin:0 auto;padding:24px 20px 60px}
        h1{font-size:25px;margin:0 0 8px;overflow-wrap:anywhere} h2{font-size:17px;margin:0}
        h2 span{font-weight:400;color:var(--soft)} p{margin:3px 0 8px}
        .legend{position:sticky;top:0;background:var(--ground);padding:8px 0;border-bottom:1px solid var(--rule)}
        .key{display:inline-block;width:16px;height:16px;vertical-align:-3px;margin:0 4px 0 14px}
        .key:first-child{margin-left:0}
        .key.edge{height:4px;vertical-align:3px;background:var(--c);outline:1px solid var(--rule)}
        .key.patch{border:2px solid var(--c);background:color-mix(in srgb,var(--c) 22%,transparent)}
        table{border-collapse:collapse;margin:12px 0} th,td{padding:3px 20px 3px 0;text-align:left}
        th{color:var(--soft)} .n{text-align:right;font-variant-numeric:tabular-nums}
        figure{margin:26px 0 0;padding-top:12px;border-top:1px solid var(--rule);break-inside:avoid}
        figure img{display:block;max-width:100%;height:auto;border:1px solid var(--rule)}
        .problem{border-left:4px solid #d55e00;padding-left:10px}

        """;
}
