// A plan as a picture: time runs to the right, one column for each piece that is taken; addresses go up, so that a piece
// is a rectangle over its life. What is kept grows from the bottom, temporaries hang from the top, and the gap between
// the two closes at the peak. The pointer over a rectangle shows its name and size.
using System.Globalization;
using System.Net;
using System.Text;

namespace EpSam.Native.Runtime;

/// <summary>Draws a plan.</summary>
public static class PlanTimeline
{
    const int Width = 1200, Height = 480, Left = 80, Top = 56, Bottom = 46;

    /// <summary>The plan as an SVG document.</summary>
    public static string Svg(Plan plan, string title)
    {
        StringBuilder svg = new();
        Line(svg, $"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {Left + Width + 20} {Top + Height + Bottom}' "
            + "font-family='system-ui, sans-serif' font-size='12'>");
        Line(svg, "<style>.weight{fill:#4c6a92}.activation{fill:#e0a33e}.workspace{fill:#6fb07f}"
            + "rect.piece{stroke:#fff;stroke-width:.3}rect.piece:hover{stroke:#000;stroke-width:1}text{fill:#333}</style>");
        Line(svg, "<rect width='100%' height='100%' fill='#fff'/>");
        Line(svg, $"<text x='{Left}' y='22' font-size='16'>{WebUtility.HtmlEncode(title)}</text>");
        string legend = "";
        int x = Left;
        foreach (ArenaUse use in Enum.GetValues<ArenaUse>())
        {
            legend += $"<rect class='{Class(use)}' x='{x}' y='33' width='12' height='12'/>"
                + $"<text x='{x + 17}' y='43'>{Class(use)}: {Sizes.Text(plan.AtPeak(use))} at the peak</text>";
            x += 260;
        }
        Line(svg, legend);
        foreach (ArenaPiece piece in plan.Pieces) Piece(svg, plan, piece);
        Axes(svg, plan);
        Line(svg, "</svg>");
        return svg.ToString();
    }

    /// <summary>The picture inside a page of its own.</summary>
    public static string Html(Plan plan, string title) =>
        $"<!doctype html>\n<html lang='en'><meta charset='utf-8'><title>{WebUtility.HtmlEncode(title)}</title>\n"
        + $"<body style='margin:1em'>\n{Svg(plan, title)}</body></html>\n";

    static void Piece(StringBuilder svg, Plan plan, in ArenaPiece piece)
    {
        if (piece.Bytes == 0) return;
        bool temporary = piece.Use == ArenaUse.Workspace && piece.Name.Contains('/'); // all but cuBLAS's, which is kept
        double left = X(plan, piece.Born), right = X(plan, Math.Min(piece.Died, plan.Steps));
        double height = (double)piece.Bytes / plan.Peak * Height, start = (double)piece.Offset / plan.Peak * Height;
        double top = temporary ? Top + start : Top + Height - start - height;
        Line(svg, string.Create(CultureInfo.InvariantCulture,
            $"<rect class='piece {Class(piece.Use)}' x='{left:F1}' y='{top:F2}' width='{right - left:F1}' height='{height:F2}'>"
            + $"<title>{WebUtility.HtmlEncode(piece.Name)}: {Sizes.Text(piece.Bytes)}</title></rect>"));
    }

    static void Axes(StringBuilder svg, Plan plan)
    {
        Line(svg, $"<rect x='{Left}' y='{Top}' width='{Width}' height='{Height}' fill='none' stroke='#999'/>");
        for (int i = 0; i <= 4; i++)
        {
            int y = Top + Height - Height * i / 4;
            Line(svg, $"<text x='{Left - 6}' y='{y + 4}' text-anchor='end'>{Sizes.Text(plan.Peak * i / 4)}</text>");
        }
        double peak = X(plan, plan.PeakStep) + 0.5 * Width / plan.Steps;
        Line(svg, string.Create(CultureInfo.InvariantCulture,
            $"<line x1='{peak:F1}' x2='{peak:F1}' y1='{Top}' y2='{Top + Height}' stroke='#c0392b' stroke-dasharray='4 3'/>"));
        double free = Left;
        foreach (PlanPhase phase in plan.Phases.Where(p => p.Depth == 1 || (p.Depth == 0 && plan.Phases.All(q => q.Depth == 0))))
        {
            double left = X(plan, phase.FirstStep);
            string name = phase.Name[(phase.Name.IndexOf('/') + 1)..];
            if (left < free || phase.LastStep == phase.FirstStep) continue; // a name where there is room for one
            free = left + 7.0 * name.Length + 8;
            Line(svg, string.Create(CultureInfo.InvariantCulture,
                $"<line x1='{left:F1}' x2='{left:F1}' y1='{Top + Height}' y2='{Top + Height + 6}' stroke='#999'/>"
                + $"<text x='{left:F1}' y='{Top + Height + 20}'>{WebUtility.HtmlEncode(name)}</text>"));
        }
        Line(svg, $"<text x='{Left}' y='{Top + Height + 38}'>{plan.Steps} pieces in the order in which they are taken; "
            + $"peak {Sizes.Text(plan.Peak)} (dashed)</text>");
    }

    static double X(Plan plan, long step) => Left + (double)step / Math.Max(1, plan.Steps) * Width;

    static string Class(ArenaUse use) => use switch
    {
        ArenaUse.Weight => "weight", ArenaUse.Activation => "activation", _ => "workspace",
    };

    static void Line(StringBuilder svg, string line) => svg.Append(line).Append('\n');
}
