// The page of many slides: a table with a picture of each, sorted by a click on a column's head, each row leading to
// the slide's viewer. One file without anything from outside; the pictures lie with the slides. It is valid XML too.
using System.Globalization;
using System.Text;
using EpSam.Native.Pipeline;
using EpSam.Slides.Segment;

namespace EpSam.Slides.Viewer;

/// <summary>Writes the page that leads to the viewers of many slides.</summary>
public static class ViewerIndex
{
    static readonly (string Title, string? Unit)[] Columns =
        [("Slide", null), ("Tumour", "mm²"), ("Tissue", "mm²"), ("Tumour of tissue", "%"), ("Regions", null)];

    /// <summary>Writes the page; the file is the old one or the whole new one.</summary>
    /// <param name="path">OUT/index.html.</param>
    /// <param name="slides">
    /// The slides, in the order in which they are shown at first: figures, and relative to the index the folder of the
    /// viewer and the picture; null where a slide has none.
    /// </param>
    /// <param name="failed">Slides that could not be segmented, and why.</param>
    public static void Write(string path, IEnumerable<(SlideSummary Summary, string? Viewer, string? Overlay)> slides,
        IEnumerable<(string Name, string Reason)>? failed = null)
    {
        (SlideSummary Summary, string? Viewer, string? Overlay)[] all = [.. slides];
        MarkupPage page = new();
        page.Add($"<!DOCTYPE html>");
        page.Add($"<html lang=\"en\"><head><meta charset=\"utf-8\"/>");
        page.Add($"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>");
        page.Add($"<title>Segmented slides</title><link rel=\"icon\" href=\"data:,\"/>");
        page.Add($"<style>{new Markup(Style)}</style></head><body><main>");
        page.Add($"<h1>Segmented slides</h1>");
        page.Add($"<p>{Count(all.Length, "slide")} · {Mm2(all.Sum(s => s.Summary.TumourMm2))} mm² of tumour in ");
        page.Add($"{Mm2(all.Sum(s => s.Summary.TissueMm2))} mm² of tissue</p>");
        Failures(page, [.. failed ?? []]);
        page.Add($"<div class=\"wide\"><table><thead><tr><th class=\"picture\"></th>");
        foreach ((string title, string? unit) in Columns)
        {
            Markup shown = unit is null ? new Markup("") : Markup.Of($" <span>{unit}</span>");
            string kind = title == Columns[0].Title ? "" : "n";
            page.Add($"<th class=\"{kind}\" scope=\"col\"><button type=\"button\">{title}{shown}</button></th>");
        }
        page.Add($"</tr></thead><tbody>");
        foreach ((SlideSummary summary, string? viewer, string? overlay) in all) Row(page, summary, viewer, overlay);
        page.Add($"</tbody></table></div>");
        page.Add($"<p class=\"soft\">Results of a model, for research. Not for diagnosis.</p></main>");
        page.Add($"<script>{new Markup(Script)}</script></body></html>");
        RunFolder.Write(path, Encoding.UTF8.GetBytes(page.Text.Append('\n').ToString()));
    }

    static void Failures(MarkupPage page, (string Name, string Reason)[] failed)
    {
        if (failed.Length == 0) return;
        page.Add($"<details class=\"failed\"><summary>{Count(failed.Length, "slide")} failed</summary><ul>");
        foreach ((string name, string reason) in failed) page.Add($"<li><b>{name}</b>: {reason}</li>");
        page.Add($"</ul></details>");
    }

    static void Row(MarkupPage page, SlideSummary summary, string? viewer, string? overlay)
    {
        string? target = viewer is not null ? Link(viewer) + "/index.html" : overlay is not null ? Link(overlay) : null;
        Markup Linked(Markup inside) => target is null ? inside : Markup.Of($"<a href=\"{target}\">{inside}</a>");
        Markup picture = overlay is null ? new Markup("")
            : Markup.Of($"<img src=\"{Link(overlay)}\" alt=\"\" loading=\"lazy\"/>");
        double mm = summary.Mpp / 1000;
        string size = FormattableString.Invariant($"{summary.Width:N0} × {summary.Height:N0} px · ")
            + FormattableString.Invariant($"{summary.Width * mm:0.0} × {summary.Height * mm:0.0} mm");
        page.Add($"<tr><td class=\"picture\">{Linked(picture)}</td>");
        page.Add($"<td data-value=\"{summary.Name}\">{Linked(Markup.Of($"{summary.Name}"))}");
        page.Add($"<span class=\"soft\">{summary.File}<br/>{size}</span></td>");
        Number(page, summary.TumourMm2, Mm2(summary.TumourMm2));
        Number(page, summary.TissueMm2, Mm2(summary.TissueMm2));
        Number(page, summary.TumourFraction, (100 * summary.TumourFraction).ToString("0.0", Invariant));
        Number(page, summary.Regions, summary.Regions.ToString("N0", Invariant));
        page.Add($"</tr>");
    }

    static void Number(MarkupPage page, double value, string text) =>
        page.Add($"<td class=\"n\" data-value=\"{value.ToString("R", Invariant)}\">{text}</td>");

    static CultureInfo Invariant => CultureInfo.InvariantCulture;

    static string Mm2(double value) => value.ToString(value < 10 ? "0.000" : "N1", Invariant);

    static string Count(int count, string what) => $"{count.ToString("N0", Invariant)} {what}{(count == 1 ? "" : "s")}";

    // Names may have characters that mean something in an address.
    static string Link(string relative) =>
        string.Join('/', relative.Split('/', '\\').Where(p => p.Length > 0).Select(Uri.EscapeDataString));

    const string Style = """

        :root{color-scheme:dark;--ground:#131416;--panel:#1c1d20;--rule:#34363b;--text:#e7e8ea;--soft:#a2a5ab;
        --accent:#28beff}
        *{box-sizing:border-box}
        body{margin:0;background:var(--ground);color:var(--text);font:14px/1.45 system-ui,"Segoe UI",Roboto,sans-serif}
        main{max-width:1080px;margin:0 auto;padding:28px 20px 48px}
        h1{margin:0;font-size:24px;font-weight:600} p{margin:4px 0 20px;color:var(--soft)}
        .wide{overflow-x:auto;background:var(--panel);border:1px solid var(--rule);border-radius:10px}
        table{border-collapse:collapse;width:100%}
        th,td{padding:10px 14px;text-align:left;border-top:1px solid var(--rule)} thead th{border-top:0}
        tbody tr:hover{background:#222327}
        td{overflow-wrap:anywhere} td.n{white-space:nowrap;font-variant-numeric:tabular-nums}
        th.n,td.n{text-align:right} .picture{width:132px;padding-right:0}
        .picture img{display:block;width:118px;height:88px;object-fit:contain;background:#26282c;border-radius:5px}
        th button{all:unset;cursor:pointer;color:var(--soft);font-size:12.5px;font-weight:600;white-space:nowrap}
        th button:hover{color:var(--text)} th span{font-weight:400}
        th button::after{content:"";position:absolute;margin-left:4px}
        th[aria-sort=ascending] button::after{content:"↑"} th[aria-sort=descending] button::after{content:"↓"}
        :focus-visible,th button:focus-visible{outline:2px solid var(--accent);outline-offset:3px;border-radius:3px}
        a{color:var(--accent);text-decoration:none;font-weight:600} a:hover{text-decoration:underline}
        .soft{display:block;color:var(--soft);font-size:12.5px} p.soft{margin:16px 2px}
        .failed{margin:0 0 20px;padding:10px 14px;border:1px solid #e0a33a;border-radius:10px;overflow-wrap:anywhere}
        summary{cursor:pointer}

        """;

    // Sorts rows: numbers from the largest, names from the first; again: the other way. Without < and & it is XML.
    const string Script = """

        "use strict";
        const body = document.querySelector("tbody"), heads = [...document.querySelectorAll("th")];
        heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
          const isNumber = head.className === "n", was = head.getAttribute("aria-sort");
          const isUp = was ? was !== "ascending" : !isNumber, order = isUp ? "ascending" : "descending";
          const value = row => row.cells[column].dataset.value;
          const compare = (a, b) => isNumber ? value(a) - value(b)
            : value(a).localeCompare(value(b), undefined, { numeric: true });
          heads.forEach(other => other.removeAttribute("aria-sort"));
          head.setAttribute("aria-sort", order);
          body.append(...[...body.rows].sort((a, b) => isUp ? compare(a, b) : compare(b, a)));
        }));

        """;
}
