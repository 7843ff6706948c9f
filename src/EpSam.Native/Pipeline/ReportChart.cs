// The report's charts, as SVG that takes its colours from the page: text and lines follow light and dark, series have
// the colours of Okabe and Ito ("Color universal design", 2008), which people with any colour vision can tell apart,
// and a dash of their own besides.
using System.Globalization;

namespace EpSam.Native.Pipeline;

/// <summary>A line of a chart.</summary>
internal sealed record ChartSeries(string Name, IReadOnlyList<(double X, double Y)> Points);

/// <summary>A level across a chart, to compare with.</summary>
internal sealed record ChartLevel(string Name, double Y);

/// <summary>A bar.</summary>
internal sealed record ChartBar(string Name, double Value, int Colour, string Note = "");

internal static class ReportChart
{
    const int Width = 480, Height = 250, Left = 52, Right = 14, Bottom = 40, MostPoints = 400;
    const int Grey = -1;

    static readonly string[] Dashes = ["", "7 3", "2 3", "9 3 2 3", "4 2", "1 2"];

    /// <summary>Colour of bars that are not ours.</summary>
    public const int Baseline = Grey;

    /// <summary>Lines over a number: epochs or steps.</summary>
    /// <param name="title">What is drawn.</param>
    /// <param name="xName">What runs to the right.</param>
    /// <param name="series">Lines; NaN leaves a gap.</param>
    /// <param name="levels">To compare with.</param>
    /// <param name="isShare">Values lie between 0 and 1.</param>
    /// <param name="xLabels">Names instead of numbers, for X = 0, 1, …</param>
    public static Markup Lines(string title, string xName, IReadOnlyList<ChartSeries> series,
        IReadOnlyList<ChartLevel>? levels = null, bool isShare = false, IReadOnlyList<string>? xLabels = null)
    {
        levels ??= [];
        int legendRows = Legend(series, levels, out Markup legend);
        int top = 34 + 17 * legendRows, end = top + Height;
        ChartSeries[] drawn = [.. series.Select(Thinned)];
        double[] ys = [.. drawn.SelectMany(s => s.Points.Select(p => p.Y)).Concat(levels.Select(l => l.Y))
            .Where(double.IsFinite)];
        double[] xs = [.. drawn.SelectMany(s => s.Points.Select(p => p.X))];
        if (ys.Length == 0) return Markup.Of($"<p class=\"missing\">{title}: no figures</p>");
        (double low, double high, double step) = Range(ys.Min(), ys.Max(), isShare);
        (double first, double last) = (xs.Min(), Math.Max(xs.Max(), xs.Min() + 1));
        if (xs.Min() == xs.Max()) (first, last) = (first - 0.5, first + 0.5);
        double margin = xLabels is null ? 0 : 0.3;
        (first, last) = (first - margin, last + margin);
        MarkupPage svg = new();
        svg.Add($"<svg class=\"chart\" viewBox=\"0 0 {Width} {end + Bottom}\" role=\"img\" aria-label=\"{title}\">");
        svg.Add($"<text class=\"title\" x=\"{Left}\" y=\"18\">{title}</text>{legend}");
        for (double y = low; y <= high + step / 1000; y += step)
            svg.Add($"<line class=\"grid\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{Y(y):F1}\" y2=\"{Y(y):F1}\"/>"
                + $"<text class=\"tick\" x=\"{Left - 7}\" y=\"{Y(y) + 4:F1}\" text-anchor=\"end\">"
                + $"{Tick(y, step)}</text>");
        XAxis(svg, first, last, end, xName, xLabels, X);
        for (int i = 0; i < levels.Count; i++)
        {
            if (!double.IsFinite(levels[i].Y)) continue;
            svg.Add($"<line class=\"level\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{Y(levels[i].Y):F1}\" "
                + $"y2=\"{Y(levels[i].Y):F1}\" stroke-dasharray=\"{Dashes[(i + 1) % Dashes.Length]}\">"
                + $"<title>{levels[i].Name}: {levels[i].Y:0.####}</title></line>");
        }
        for (int i = 0; i < drawn.Length; i++) Line(svg, drawn[i], i, X, Y, xName, xLabels);
        svg.Add($"</svg>");
        return new Markup(svg.Text.ToString());

        double X(double x) => Left + (x - first) / (last - first) * (Width - Left - Right);
        double Y(double y) => end - (y - low) / (high - low) * Height;
    }

    static void XAxis(MarkupPage svg, double first, double last, int end, string xName, IReadOnlyList<string>? names,
        Func<double, double> place)
    {
        double step = names is null ? Math.Max(1, Nice((last - first) / 6)) : 1;
        for (double x = Math.Ceiling(first / step) * step; x <= last; x += step)
        {
            string label = names is null ? Tick(x, step)
                : x >= 0 && x < names.Count ? names[(int)x] : "";
            svg.Add($"<line class=\"axis\" x1=\"{place(x):F1}\" x2=\"{place(x):F1}\" y1=\"{end}\" y2=\"{end + 4}\"/>"
                + $"<text class=\"tick\" x=\"{place(x):F1}\" y=\"{end + 17}\" text-anchor=\"middle\">{label}</text>");
        }
        svg.Add($"<line class=\"axis\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{end}\" y2=\"{end}\"/>"
            + $"<text class=\"tick\" x=\"{(Left + Width - Right) / 2}\" y=\"{end + 34}\" text-anchor=\"middle\">"
            + $"{xName}</text>");
    }

    static void Line(MarkupPage svg, ChartSeries series, int index, Func<double, double> x, Func<double, double> y,
        string xName, IReadOnlyList<string>? xLabels)
    {
        System.Text.StringBuilder path = new();
        bool isOpen = false;
        foreach ((double px, double py) in series.Points)
        {
            if (double.IsFinite(py))
                path.Append(CultureInfo.InvariantCulture, $"{(isOpen ? 'L' : 'M')}{x(px):F1} {y(py):F1}");
            isOpen = double.IsFinite(py);
        }
        string dash = Dashes[index % Dashes.Length];
        if (path.Length > 0)
            svg.Add($"<path class=\"line s{index % 6}\" d=\"{path.ToString()}\" stroke-dasharray=\"{dash}\"/>");
        if (series.Points.Count > 40) return;   // so many points would be a worm
        foreach ((double px, double py) in series.Points)
        {
            if (!double.IsFinite(py)) continue;
            string at = xLabels is not null && px >= 0 && px < xLabels.Count ? xLabels[(int)px] : $"{xName} {px:0.##}";
            svg.Add($"<circle class=\"dot f{index % 6}\" cx=\"{x(px):F1}\" cy=\"{y(py):F1}\" r=\"2.6\">"
                + $"<title>{series.Name}, {at}: {py:0.#####}</title></circle>");
        }
    }

    // Rows of names beside their strokes.
    static int Legend(IReadOnlyList<ChartSeries> series, IReadOnlyList<ChartLevel> levels, out Markup legend)
    {
        List<Markup> parts = [];
        double x = Left;
        int row = 0;
        for (int i = 0; i < series.Count + levels.Count; i++)
        {
            bool isLevel = i >= series.Count;
            string name = isLevel ? levels[i - series.Count].Name : series[i].Name;
            string stroke = isLevel ? "level" : $"line s{i % 6}";
            string dash = Dashes[(isLevel ? i - series.Count + 1 : i) % Dashes.Length];
            double width = 36 + 6.6 * name.Length;
            if (x + width > Width && x > Left) (x, row) = (Left, row + 1);
            int y = 35 + 17 * row;
            parts.Add(Markup.Of($"<line class=\"{stroke}\" x1=\"{x:F0}\" x2=\"{x + 22:F0}\" y1=\"{y}\" y2=\"{y}\" "
                + $"stroke-dasharray=\"{dash}\"/><text class=\"tick\" x=\"{x + 27:F0}\" y=\"{y + 4}\">{name}</text>"));
            x += width;
        }
        legend = Markup.Join(parts);
        return row + 1;
    }

    /// <summary>Bars to the right, from 0 to 1, each with its value.</summary>
    public static Markup Bars(string title, IReadOnlyList<ChartBar> bars)
    {
        const int Names = 190, Row = 26, Top = 30, Value = 48;
        double most = Width - Names - Value;
        int height = Top + Row * bars.Count + 22;
        MarkupPage svg = new();
        svg.Add($"<svg class=\"chart\" viewBox=\"0 0 {Width} {height}\" role=\"img\" aria-label=\"{title}\">");
        svg.Add($"<text class=\"title\" x=\"0\" y=\"16\">{title}</text>");
        for (int tick = 0; tick <= 5; tick++)
        {
            double x = Names + most * tick / 5;
            svg.Add($"<line class=\"grid\" x1=\"{x:F1}\" x2=\"{x:F1}\" y1=\"{Top}\" y2=\"{height - 20}\"/>"
                + $"<text class=\"tick\" x=\"{x:F1}\" y=\"{height - 5}\" text-anchor=\"middle\">"
                + $"{tick / 5.0:0.0}</text>");
        }
        for (int i = 0; i < bars.Count; i++)
        {
            ChartBar bar = bars[i];
            int y = Top + Row * i;
            double value = double.IsFinite(bar.Value) ? Math.Clamp(bar.Value, 0, 1) : 0;
            string fill = bar.Colour == Grey ? "baseline" : $"f{bar.Colour}";
            string text = double.IsFinite(bar.Value) ? bar.Value.ToString("F3", CultureInfo.InvariantCulture) : "–";
            svg.Add($"<text class=\"tick\" x=\"{Names - 8}\" y=\"{y + 17}\" text-anchor=\"end\">{bar.Name}</text>"
                + $"<rect class=\"{fill}\" x=\"{Names}\" y=\"{y + 4}\" width=\"{most * value:F1}\" "
                + $"height=\"{Row - 8}\">"
                + $"<title>{bar.Name}: {text} {bar.Note}</title></rect>"
                + $"<text class=\"value\" x=\"{Names + most * value + 6:F1}\" y=\"{y + 17}\">{text}</text>");
        }
        svg.Add($"<line class=\"axis\" x1=\"{Names}\" x2=\"{Names}\" y1=\"{Top}\" y2=\"{height - 20}\"/>");
        svg.Add($"</svg>");
        return new Markup(svg.Text.ToString());
    }

    /// <summary>A column of spots from 0 to 1 for each name, and their mean as a stroke.</summary>
    public static Markup Spots(string title, IReadOnlyList<string> names,
        IReadOnlyList<IReadOnlyList<(string Name, double Value)>> columns)
    {
        const int Top = 51, End = Top + Height;   // as high as a chart with one row of names
        double column = (double)(Width - Left - Right) / Math.Max(1, names.Count);
        MarkupPage svg = new();
        svg.Add($"<svg class=\"chart\" viewBox=\"0 0 {Width} {End + Bottom}\" role=\"img\" aria-label=\"{title}\">");
        svg.Add($"<text class=\"title\" x=\"{Left}\" y=\"18\">{title}</text>");
        for (int tick = 0; tick <= 5; tick++)
            svg.Add($"<line class=\"grid\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{Y(tick / 5.0):F1}\" "
                + $"y2=\"{Y(tick / 5.0):F1}\"/><text class=\"tick\" x=\"{Left - 7}\" y=\"{Y(tick / 5.0) + 4:F1}\" "
                + $"text-anchor=\"end\">{tick / 5.0:0.0}</text>");
        for (int i = 0; i < names.Count; i++)
        {
            double middle = Left + column * (i + 0.5), most = column * 0.33;
            int count = columns[i].Count;
            for (int k = 0; k < count; k++)
            {
                (string name, double value) = columns[i][k];
                double x = middle + most * (2.0 * ((k * 0.6180339887498949) % 1) - 1);   // apart, and always the same
                svg.Add($"<circle class=\"spot f{(i == 0 ? 4 : 0)}\" cx=\"{x:F1}\" cy=\"{Y(value):F1}\" r=\"3\">"
                    + $"<title>{name}, {names[i]}: {value:F4}</title></circle>");
            }
            if (count > 0)
            {
                double mean = columns[i].Average(c => c.Value);
                svg.Add($"<line class=\"mean\" x1=\"{middle - most:F1}\" x2=\"{middle + most:F1}\" "
                    + $"y1=\"{Y(mean):F1}\" y2=\"{Y(mean):F1}\"/>");
            }
            svg.Add($"<text class=\"tick\" x=\"{middle:F1}\" y=\"{End + 17 + (i % 2) * Stagger():F0}\" "
                + $"text-anchor=\"middle\">{names[i]}</text>");
        }
        svg.Add($"<line class=\"axis\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{End}\" y2=\"{End}\"/>");
        svg.Add($"</svg>");
        return new Markup(svg.Text.ToString());

        double Y(double share) => End - Math.Clamp(share, 0, 1) * Height;

        int Stagger() => names.Any(n => 6.4 * n.Length > column) ? 15 : 0;   // long names on two lines in turn
    }

    // Of many points means of as many at a time.
    static ChartSeries Thinned(ChartSeries series)
    {
        int together = (series.Points.Count + MostPoints - 1) / MostPoints;
        return together <= 1 ? series : series with
        {
            Name = $"{series.Name} (means of {together})",
            Points = [.. series.Points.Chunk(together).Select(c => (c.Average(p => p.X), c.Average(p => p.Y)))],
        };
    }

    // A range of round numbers with three to six steps. Shares end at 1 when they come near it.
    static (double Low, double High, double Step) Range(double least, double most, bool isShare)
    {
        if (most - least < 1e-9 * Math.Max(1, Math.Abs(most))) (least, most) = (least - 0.5, most + 0.5);
        double step = Nice((most - least) / 4);
        double low = Math.Floor(least / step) * step, high = Math.Ceiling(most / step) * step;
        if (isShare) (low, high) = (Math.Max(0, low), Math.Min(1, high));
        return (low, high > low ? high : low + step, step);
    }

    /// <summary>1, 2 or 5 times a power of ten, not below the value.</summary>
    internal static double Nice(double value)
    {
        double power = Math.Pow(10, Math.Floor(Math.Log10(value)));
        foreach (double times in new[] { 1.0, 2, 5 })
            if (times * power >= value * (1 - 1e-9)) return times * power;
        return 10 * power;
    }

    static string Tick(double value, double step)
    {
        if (Math.Abs(value) < step / 1000) return "0";
        if (Math.Abs(value) >= 1e6 || step < 1e-5) return value.ToString("0.#e0", CultureInfo.InvariantCulture);
        int digits = Math.Max(0, (int)Math.Ceiling(-Math.Log10(step) - 1e-9));
        return value.ToString($"F{digits}", CultureInfo.InvariantCulture);
    }
}
