// report.html: one page without anything from outside, that can be opened from a disk, mailed and printed. It is valid
// XML too. It tells what there is; each part says when it has nothing yet. ReportSections has the parts.
using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;

namespace EpSam.Native.Pipeline;

/// <summary>Makes the report of a run, at any time of the run.</summary>
public static class ReportPage
{
    /// <summary>Writes report.html: about a second's work for patches of 512 x 512.</summary>
    /// <param name="folder">The run.</param>
    /// <param name="config">Its configuration.</param>
    /// <param name="set">The data set; null: without pictures and counts.</param>
    /// <param name="files">Reads images and encodes small ones.</param>
    /// <returns>What could not be read, which the page says as well.</returns>
    public static IReadOnlyList<string> Write(RunFolder folder, RunConfig config, PatchSet? set, IImageFiles files)
    {
        ReportData data = ReportData.Read(folder, config);
        ReportSections sections = new(data, set, files);
        MarkupPage page = new();
        sections.Headline(page);
        sections.Rounds(page);
        sections.Samples(page);
        sections.Curves(page);
        sections.PseudoMasks(page);
        sections.Stages(page);
        sections.Data(page);
        sections.Configuration(page);
        sections.Versions(page);
        RunFolder.Write(folder.Report, Encoding.UTF8.GetBytes(Whole(data, page)));
        return data.Problems;
    }

    static string Whole(ReportData data, MarkupPage body)
    {
        string name = Path.GetFileName(data.Folder.Root);
        string time = DateTime.Now.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture);
        int done = data.Stages.Count(s => s.State == StageState.Done);
        string state = data.Stages.Count == 0 ? "no stage is done yet"
            : $"{done} of {data.Stages.Count} stages done";
        MarkupPage page = new();
        page.Add($"<!DOCTYPE html>");
        page.Add($"<html lang=\"en\"><head><meta charset=\"utf-8\"/>");
        page.Add($"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>");
        page.Add($"<title>{name}: EP-SAM run</title><style>{new Markup(Style)}</style></head><body><main>");
        page.Add($"<header><h1>{name}</h1><p>EP-SAM run · {state} · written {time}</p></header>");
        if (data.Problems.Count > 0)
        {
            page.Add($"<section class=\"problems\"><h2>Could not be read</h2><ul>");
            foreach (string problem in data.Problems) page.Add($"<li>{problem}</li>");
            page.Add($"</ul></section>");
        }
        page.Text.Append('\n').Append(body.Text);
        page.Add($"</main></body></html>");
        return page.Text.Append('\n').ToString();
    }

    /// <summary>The library, .NET and the system.</summary>
    internal static IEnumerable<(string What, string Version)> Versions()
    {
        Assembly library = typeof(ReportPage).Assembly;
        yield return ("EpSam.Native", library.GetCustomAttribute<AssemblyInformationalVersionAttribute>()
            ?.InformationalVersion ?? library.GetName().Version?.ToString() ?? "?");
        yield return (".NET", RuntimeInformation.FrameworkDescription);
        yield return ("system", $"{RuntimeInformation.OSDescription}, {RuntimeInformation.ProcessArchitecture}, "
            + $"{Environment.ProcessorCount} processors");
    }

    // Okabe and Ito's colours, darkened or lightened a little where the ground asks for it.
    const string Style = """

        :root{color-scheme:light dark;--ground:#fff;--card:#f6f7f9;--text:#1c2430;--soft:#5b6675;--rule:#d9dee5;
        --base:#a3acb9;--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#b8860b;--c4:#a64d79;--c5:#3b9dd8;--mark:#fff3d1}
        @media (prefers-color-scheme:dark){:root{--ground:#14181e;--card:#1d232b;--text:#e6eaf0;--soft:#9aa6b5;
        --rule:#343d49;--base:#6d7888;--c0:#4aa8e0;--c1:#f0883e;--c2:#2fc79a;--c3:#e6b800;--c4:#d98bb3;--c5:#8ccbf2;
        --mark:#4a3d14}}
        *{box-sizing:border-box}
        body{margin:0;background:var(--ground);color:var(--text);font:15px/1.5 system-ui,"Segoe UI",sans-serif}
        main{max-width:1180px;margin:0 auto;padding:24px 20px 60px}
        header{border-bottom:2px solid var(--c0);margin-bottom:18px}
        h1{margin:0;font-size:27px;overflow-wrap:anywhere}
        header p{margin:2px 0 12px;color:var(--soft)}
        h2{font-size:19px;margin:34px 0 8px}
        h3{font-size:15px;margin:20px 0 6px}
        p{margin:6px 0 10px;max-width:78ch}
        .note,.missing{color:var(--soft);font-size:13.5px}
        .cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(200px,1fr));gap:12px;margin:12px 0}
        .card{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:10px 14px}
        .card b{display:block;font-size:25px;line-height:1.25;font-variant-numeric:tabular-nums}
        .card span{display:block;color:var(--soft);font-size:13px}
        .wide{overflow-x:auto}
        table{border-collapse:collapse;margin:8px 0 14px;font-size:14px}
        th,td{padding:4px 12px 4px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule)}
        th{font-weight:600;color:var(--soft);border-bottom-color:var(--soft);vertical-align:bottom}
        td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;padding-left:16px;white-space:nowrap}
        td.n:last-child,th.n:last-child{padding-right:2px}
        td.date{white-space:nowrap} tr.base td{color:var(--soft)} tr.last td{font-weight:600}
        tr.set td{background:var(--mark)}
        code,td.code{font:13px/1.45 ui-monospace,Consolas,monospace;overflow-wrap:anywhere}
        .charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,430px),1fr));gap:18px 26px}
        svg.chart{width:100%;max-width:560px;height:auto;font:12px system-ui,"Segoe UI",sans-serif}
        .chart text{fill:var(--text)} .chart .tick{fill:var(--soft)} .chart .title{font-size:13.5px;font-weight:600}
        .chart .value{font-variant-numeric:tabular-nums;font-weight:600}
        .grid{stroke:var(--rule);stroke-width:1} .axis{stroke:var(--soft);stroke-width:1}
        .spot{stroke:none;fill-opacity:.55} .mean{stroke:var(--text);stroke-width:2}
        .level{stroke:var(--soft);stroke-width:1.4} .line{fill:none;stroke-width:2;stroke-linejoin:round}
        .dot{stroke:none} .baseline{fill:var(--base)}
        .s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}
        .s3{stroke:var(--c3)}.s4{stroke:var(--c4)}.s5{stroke:var(--c5)}
        .f0{fill:var(--c0)}.f1{fill:var(--c1)}.f2{fill:var(--c2)}
        .f3{fill:var(--c3)}.f4{fill:var(--c4)}.f5{fill:var(--c5)}
        .sample{border-top:1px solid var(--rule);padding:10px 0 6px;break-inside:avoid}
        .sample h3{margin:0 0 6px;overflow-wrap:anywhere} .sample h3 span{font-weight:400;color:var(--soft)}
        .chain{display:grid;gap:8px} .chain.long{overflow-x:auto}
        figure{margin:0;min-width:0} figure img{display:block;width:100%;height:auto;border-radius:4px}
        figcaption{font-size:12.5px;line-height:1.35;margin-top:3px} figcaption span{color:var(--soft);display:block}
        .dropped{aspect-ratio:1;border:1px dashed var(--rule);border-radius:4px;display:flex;align-items:center;
        justify-content:center;color:var(--soft);font-size:13px}
        .key{display:inline-block;width:12px;height:12px;border-radius:2px;vertical-align:-1px;margin:0 3px 0 10px}
        .key.mask{background:#28beff} .key.truth{border:2px solid #e69f00}
        details{margin:6px 0} summary{cursor:pointer}
        .timeline svg{width:100%;height:auto;border:1px solid var(--rule);border-radius:4px}
        .problems{border-left:4px solid var(--c1);padding-left:14px}
        @media print{body{font-size:12px} main{max-width:none;padding:0} h2{break-after:avoid}
        svg.chart,.card,table{break-inside:avoid} .charts{grid-template-columns:1fr 1fr}}

        """;
}
