// Prompts as written on the command line.
//   --points "x,y,label;x,y,label"   label 1 (default): in the object, 0: not in it
//   --box x0,y0,x1,y1                left, top, right, bottom
// in pixels of the image, from its upper left corner; fractions are allowed.
using System.Globalization;

namespace EpSam.Cli;

internal readonly record struct PointPrompt(double X, double Y, int Label);

internal readonly record struct BoxPrompt(double X0, double Y0, double X1, double Y1);

internal static class PromptText
{
    public static PointPrompt[] Points(string text)
    {
        string[] items = text.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (items.Length == 0) throw Wrong("--points", text, "no point");
        return [.. items.Select(item => Point(text, item))];
    }

    public static BoxPrompt Box(string text)
    {
        string[] parts = text.Split(',', StringSplitOptions.TrimEntries);
        if (parts.Length != 4) throw Wrong("--box", text, $"{parts.Length} of them");
        double[] v = [.. parts.Select(part => Number("--box", text, part))];
        if (v[0] >= v[2] || v[1] >= v[3])
            throw Wrong("--box", text, "a box without inside: x0 must be below x1, and y0 below y1");
        return new BoxPrompt(v[0], v[1], v[2], v[3]);
    }

    static PointPrompt Point(string text, string item)
    {
        string[] parts = item.Split(',', StringSplitOptions.TrimEntries);
        if (parts.Length is not (2 or 3)) throw Wrong("--points", text, $"'{item}'");
        int label = parts.Length == 2 ? 1 : parts[2] switch
        {
            "1" => 1, "0" => 0,
            string other => throw Wrong("--points", text, $"label '{other}'"),
        };
        return new PointPrompt(Number("--points", text, parts[0]), Number("--points", text, parts[1]), label);
    }

    static double Number(string option, string text, string part) =>
        double.TryParse(part, NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
            && double.IsFinite(value)
            ? value : throw Wrong(option, text, $"'{part}'");

    static UserError Wrong(string option, string text, string found) => UserError.Usage(option == "--box"
        ? $"--box {text}: expected x0,y0,x1,y1 in pixels, found {found}"
        : $"--points \"{text}\": expected x,y,label;x,y,label in pixels, label 1 in the object or 0 outside, "
            + $"found {found}");
}
