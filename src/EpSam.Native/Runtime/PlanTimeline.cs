// A plan as a picture: time runs to the right, one column for each piece that is taken; addresses go up, so that a
// piece is a rectangle over its life. What is kept grows from the bottom, temporaries hang from the top, and the gap
// between the two closes at the peak. What is placed before the run begins, weights for the most part, has a narrow
// strip at the left. The pointer over a rectangle shows its name and size.
using System.Globalization;
using System.Net;
using System.Text;

namespace EpSam.Native.Runtime;

/// <summary>Draws a plan.</summary>
public static class PlanTimeline
{
    const int Width = 1200, Height = 480, Left = 80, Top = 56, Bottom = 66, Strip = 40, End = Top + Height;

    // Pieces that nobody could see are left out: a step of training has thousands.
    const double LeastArea = 0.05;

    /// <summary>The plan as an SVG document.</summary>
    public static string Svg(Plan plan, string title)
    {
        StringBuilder svg = new();
        Line(svg, $"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {Left + Width + 20} {Top + Height + Bottom}' "
            + "font-family='system-ui, sans-serif' font-size='12'>");
        Line(svg, "<style>.weight{fill:#4c6a92}.activation{fill:#e0a33e}.workspace{fill:#6fb07f}"
            + "rect.piece{stroke:#fff;stroke-width:.3}rect.piece:hover{stroke:#000;stroke-width:1}"
            + "text{fill:#333}</style>");
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
        if (height * (right - left) < LeastArea) return;
        double top = temporary ? Top + start : Top + Height - start - height;
        Line(svg, string.Create(CultureInfo.InvariantCulture,
            $"<rect class='piece {Class(piece.Use)}' x='{left:F1}' y='{top:F2}' "
            + $"width='{right - left:F1}' height='{height:F2}'>"
            + $"<title>{WebUtility.HtmlEncode(piece.Name)}: {Sizes.Text(piece.Bytes)}</title></rect>"));
    }

    static void Axes(StringBuilder svg, Plan plan)
    {
        Line(svg, $"<rect x='{Left}' y='{Top}' width='{Width}' height='{Height}' fill='none' stroke='#999'/>");
        long unit = Unit(plan.Peak);
        for (long bytes = 0; bytes <= plan.Peak; bytes += unit)
        {
            double y = Top + Height - (double)bytes / plan.Peak * Height;
            Line(svg, string.Create(CultureInfo.InvariantCulture,
                $"<line x1='{Left - 4}' x2='{Left}' y1='{y:F1}' y2='{y:F1}' stroke='#999'/>"
                + $"<text x='{Left - 8}' y='{y + 4:F1}' text-anchor='end'>{Round(bytes)}</text>"));
        }
        double peak = X(plan, plan.PeakStep) + 0.5 * (X(plan, plan.PeakStep + 1) - X(plan, plan.PeakStep));
        Line(svg, string.Create(CultureInfo.InvariantCulture,
            $"<line x1='{peak:F1}' x2='{peak:F1}' y1='{Top}' y2='{End}' stroke='#c0392b' stroke-dasharray='4 3'/>"));
        Names(svg, plan);
        Line(svg, $"<text x='{Left}' y='{End + 58}' fill='#777'>{plan.Steps} pieces in the order in which they are "
            + $"taken; peak {Sizes.Text(plan.Peak)} (dashed)</text>");
    }

    // Two rows: the parts of the run, and what they are made of. Where there is no room for all, the widest are named.
    static void Names(StringBuilder svg, Plan plan)
    {
        List<(double Left, double Right)> taken = [];
        foreach (PlanPhase stage in plan.Outline().SelectMany(o => o.Stages)
            .OrderByDescending(s => Math.Round(X(plan, s.LastStep) - X(plan, s.FirstStep))))
        {
            double left = X(plan, stage.FirstStep);
            string name = stage.Name[(stage.Name.LastIndexOf('/') + 1)..];
            bool fits = Claim(taken, left, name) && stage.LastStep > stage.FirstStep;
            Line(svg, string.Create(CultureInfo.InvariantCulture,
                $"<line x1='{left:F1}' x2='{left:F1}' y1='{End}' y2='{End + (fits ? 8 : 4)}' stroke='#999'/>"));
            if (fits) Line(svg, Label(left, 20, name, ""));
        }
        List<(double Left, double Right)> takenBelow = [];
        foreach ((PlanPhase part, _) in plan.Outline())
        {
            double start = X(plan, part.FirstStep), end = X(plan, part.LastStep);
            if (end - start < 2) continue;
            Line(svg, string.Create(CultureInfo.InvariantCulture,
                $"<line x1='{start:F1}' x2='{end - 1:F1}' y1='{End + 27}' y2='{End + 27}' stroke='#555' "
                + $"stroke-width='2'/>"));
            if (Claim(takenBelow, start, part.Name)) Line(svg, Label(start, 41, part.Name, " font-weight='bold'"));
        }
    }

    // Room for a name from here on, if there is any.
    static bool Claim(List<(double Left, double Right)> taken, double left, string name)
    {
        double right = left + 7.0 * name.Length + 8;
        if (right > Left + Width + 24 || taken.Any(t => t.Left < right && left < t.Right)) return false;
        taken.Add((left, right));
        return true;
    }

    static string Label(double x, int below, string name, string style) => string.Create(CultureInfo.InvariantCulture,
        $"<text x='{x:F1}' y='{Top + Height + below}'{style}>{WebUtility.HtmlEncode(name)}</text>");

    // A round size of which three to eight make the peak: 1, 2 or 5 times a power of ten of its unit.
    static long Unit(long peak)
    {
        long scale = 1;
        while (scale * 1024 <= peak) scale *= 1024;
        for (double step = 0.01; ; step *= 10)
            foreach (int times in new[] { 1, 2, 5 })
                if (peak / (step * times * scale) <= 8) return Math.Max(1, (long)Math.Round(step * times * scale));
    }

    static string Round(long bytes)
    {
        if (bytes == 0) return "0";
        string[] words = Sizes.Text(bytes).Split(' ');
        double number = double.Parse(words[0], CultureInfo.InvariantCulture);
        return string.Create(CultureInfo.InvariantCulture, $"{number:0.##} {words[1]}");
    }

    static double X(Plan plan, long step)
    {
        long first = plan.Phases.Count == 0 ? 0 : plan.Phases[0].FirstStep;
        double strip = first == 0 ? 0 : Strip;
        return step <= first ? Left + strip * step / Math.Max(1, first)
            : Left + strip + (Width - strip) * (step - first) / (plan.Steps - first);
    }

    static string Class(ArenaUse use) => use switch
    {
        ArenaUse.Weight => "weight", ArenaUse.Activation => "activation", _ => "workspace",
    };

    static void Line(StringBuilder svg, string line) => svg.Append(line).Append('\n');
}
