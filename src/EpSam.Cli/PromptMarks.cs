// Prompts drawn into a picture: a point is a disc, green in the object and red outside, with a white rim; a box is a
// frame.
namespace EpSam.Cli;

internal static class PromptMarks
{
    static readonly (byte R, byte G, byte B) Inside = (46, 204, 64), Outside = (235, 60, 50), Rim = (255, 255, 255);

    /// <summary>Draws into (height, width, 3). What lies outside of the picture is cut off.</summary>
    public static void Draw(Span<byte> rgb, int height, int width, IEnumerable<PointPrompt> points, BoxPrompt? box)
    {
        int size = Math.Max(1, Math.Max(height, width) / 160);   // grows with the picture
        if (box is BoxPrompt b)
        {
            Frame(rgb, height, width, b, size, Rim);
            Frame(rgb, height, width, b, Math.Max(1, size / 2), Inside);
        }
        foreach (PointPrompt point in points)
        {
            Disc(rgb, height, width, point, 1.5 * size + 1, Rim);
            Disc(rgb, height, width, point, 1.5 * size, point.Label == 1 ? Inside : Outside);
        }
    }

    static void Disc(Span<byte> rgb, int height, int width, PointPrompt at, double radius, (byte, byte, byte) colour)
    {
        for (int y = Clip(at.Y - radius, height); y <= Clip(at.Y + radius, height); y++)
            for (int x = Clip(at.X - radius, width); x <= Clip(at.X + radius, width); x++)
            {
                double dx = x - at.X, dy = y - at.Y;
                if (dx * dx + dy * dy <= radius * radius) Set(rgb, width, x, y, colour);
            }
    }

    static void Frame(Span<byte> rgb, int height, int width, BoxPrompt b, int thickness, (byte, byte, byte) colour)
    {
        double half = thickness / 2.0;
        Bar(rgb, height, width, b.X0 - half, b.Y0 - half, b.X1 + half, b.Y0 + half, colour);
        Bar(rgb, height, width, b.X0 - half, b.Y1 - half, b.X1 + half, b.Y1 + half, colour);
        Bar(rgb, height, width, b.X0 - half, b.Y0 - half, b.X0 + half, b.Y1 + half, colour);
        Bar(rgb, height, width, b.X1 - half, b.Y0 - half, b.X1 + half, b.Y1 + half, colour);
    }

    static void Bar(Span<byte> rgb, int height, int width, double x0, double y0, double x1, double y1,
        (byte, byte, byte) colour)
    {
        if (x1 < 0 || y1 < 0 || x0 > width - 1 || y0 > height - 1) return;
        for (int y = Clip(y0, height); y <= Clip(y1, height); y++)
            for (int x = Clip(x0, width); x <= Clip(x1, width); x++) Set(rgb, width, x, y, colour);
    }

    static int Clip(double value, int size) => (int)Math.Round(Math.Clamp(value, 0, size - 1));

    static void Set(Span<byte> rgb, int width, int x, int y, (byte R, byte G, byte B) colour)
    {
        int i = 3 * (y * width + x);
        (rgb[i], rgb[i + 1], rgb[i + 2]) = colour;
    }
}
