// A synthetic slide: any rectangle of it can be rendered alone, by several threads at once, in memory that depends on
// the rectangle only.
using System.Buffers;
using EpSam.Imaging.Annotations;

namespace EpSam.Slides.Synth;

/// <summary>A slide that is made, not read. Thread-safe.</summary>
public sealed class SynthSlide
{
    // Of the optics: a third of a pixel's light at 40x falls on its neighbours, at 20x a fifth.
    const float BlurRadius = 0.17f; // micrometres

    readonly SynthScene _scene;
    readonly Stain _stain;
    readonly float _side; // share of a neighbour in the blur, by axis

    /// <summary>Lays the slide out: tissue and nests.</summary>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public SynthSlide(SynthOptions options)
    {
        (_scene, _stain) = (new SynthScene(options), new Stain(options.Seed));
        float pixels = BlurRadius / (float)options.Mpp;
        _side = Math.Min(0.25f, pixels * pixels / 2 + 0.06f);
    }

    /// <summary>What it is.</summary>
    public SynthOptions Options => _scene.Options;

    /// <summary>The tumour nests, disjoint, in pixels of level 0.</summary>
    public IReadOnlyList<SlidePolygon> Tumour => [.. _scene.Nests.Select(n => n.Polygon)];

    /// <summary>Square pixels of tumour.</summary>
    public double TumourArea => _scene.Nests.Sum(n => n.Polygon.Area);

    /// <summary>Square pixels of tissue, about.</summary>
    public double TissueArea => _scene.TissueShare * Options.Width * Options.Height;

    /// <summary>Pixels (height, width, 3) of a rectangle, which may reach over the slide's rim.</summary>
    public byte[] Render(int x, int y, int width, int height)
    {
        byte[] rgb = new byte[3 * width * height];
        Render(x, y, width, height, rgb, 3 * width);
        return rgb;
    }

    /// <summary>The same into rows of an image, <paramref name="stride"/> bytes apart.</summary>
    public void Render(int x, int y, int width, int height, Span<byte> rgb, int stride)
    {
        int side = PartSide;
        for (int top = 0; top < height; top += side)
            for (int left = 0; left < width; left += side)
            {
                Part(x + left, y + top, Math.Min(side, width - left), Math.Min(side, height - top),
                    rgb[(top * stride + 3 * left)..], stride);
            }
    }

    // Bounds memory, and the nests of a part: they are numbered in a byte.
    int PartSide => Options.Mpp > 1 ? 256 : 512;

    void Part(int x, int y, int width, int height, Span<byte> rgb, int stride)
    {
        Zones zones = new(_scene, x - 1, y - 1, width + 2, height + 2);
        int count = (width + 2) * (height + 2);
        (float[] h, float[] e) = (ArrayPool<float>.Shared.Rent(count), ArrayPool<float>.Shared.Rent(count));
        if (zones.IsEmpty)
        {
            h.AsSpan(0, count).Clear();
            e.AsSpan(0, count).Fill(Ground.Glass);
        }
        else Paint(zones, x - 1, y - 1, width + 2, height + 2, h, e);
        float[] rowH = new float[width], rowE = new float[width];
        for (int row = 0; row < height; row++)
        {
            Blur(h, width + 2, row, rowH);
            Blur(e, width + 2, row, rowE);
            Grain(x, y + row, rowE);
            _stain.Colour(rowH, rowE, rgb.Slice(row * stride, 3 * width));
        }
        ArrayPool<float>.Shared.Return(h);
        ArrayPool<float>.Shared.Return(e);
    }

    /// <summary>Which pixels of a rectangle are rendered as tumour: (height, width), 0 and 1.</summary>
    public byte[] RenderedTumour(int x, int y, int width, int height)
    {
        byte[] mask = new byte[width * height];
        int side = PartSide;
        for (int top = 0; top < height; top += side)
            for (int left = 0; left < width; left += side)
            {
                (int columns, int rows) = (Math.Min(side, width - left), Math.Min(side, height - top));
                Zones zones = new(_scene, x + left, y + top, columns, rows);
                for (int row = 0; row < rows && !zones.IsEmpty; row++)
                {
                    ReadOnlySpan<byte> kinds = zones.Row(x + left, y + top + row, columns);
                    Span<byte> to = mask.AsSpan((top + row) * width + left, columns);
                    for (int i = 0; i < columns; i++) to[i] = kinds[i] >= (byte)Zone.Tumour ? (byte)1 : (byte)0;
                }
            }
        return mask;
    }

    void Paint(Zones zones, int x, int y, int width, int height, float[] h, float[] e)
    {
        const float CellJitter = 0.37f;
        CellGrid? cells = zones.Nests.Count == 0 ? null
            : new CellGrid(_scene.Seed(12), _scene.CellPitch, CellJitter, zones.Area, around: 2);
        Ground ground = new(_scene, zones, cells);
        for (int row = 0; row < height; row++)
            ground.Row(x, y + row, h.AsSpan(row * width, width), e.AsSpan(row * width, width));
        new Nuclei(_scene, zones, ground).Each(n => Stamp(n, ground, x, y, width, height, h, e));
    }

    void Stamp(in Nucleus nucleus, Ground ground, int x, int y, int width, int height, float[] h, float[] e)
    {
        double mpp = Options.Mpp;
        float reach = nucleus.Reach, size = Math.Min(nucleus.A, nucleus.B), soft = Math.Max(0.45f, (float)mpp);
        int left = Math.Max(0, (int)Math.Floor((nucleus.X - reach) / mpp) - x);
        int right = Math.Min(width, (int)Math.Floor((nucleus.X + reach) / mpp) + 2 - x);
        int top = Math.Max(0, (int)Math.Floor((nucleus.Y - reach) / mpp) - y);
        int bottom = Math.Min(height, (int)Math.Floor((nucleus.Y + reach) / mpp) + 2 - y);
        if (left >= right || top >= bottom) return;
        float thick = ground.Thickness((int)Math.Floor(nucleus.X / mpp), (int)Math.Floor(nucleus.Y / mpp));
        float inner = 1 - 0.5f * soft / size, outer = 1 + 0.5f * soft / size;
        for (int row = top; row < bottom; row++)
        {
            float dy = (float)((y + row + 0.5) * mpp - nucleus.Y);
            for (int column = left; column < right; column++)
            {
                float dx = (float)((x + column + 0.5) * mpp - nucleus.X), d = nucleus.Distance(dx, dy);
                if (d >= outer) continue;
                float share = 0.95f * (1 - Noise.Step(inner, outer, d));
                int at = row * width + column;
                h[at] += share * (nucleus.Stain(dx, dy, d) * thick - h[at]);
                e[at] += share * (nucleus.Eosin * thick - e[at]);
            }
        }
    }

    // A row of the inner pixels from three rows, each with one more pixel at both ends.
    void Blur(float[] from, int width, int row, float[] to)
    {
        ReadOnlySpan<float> above = from.AsSpan(row * width, width), here = from.AsSpan((row + 1) * width, width);
        ReadOnlySpan<float> below = from.AsSpan((row + 2) * width, width);
        float side = _side, middle = 1 - 2 * side;
        float a = side * (above[0] + below[0]) + middle * here[0], b = side * (above[1] + below[1]) + middle * here[1];
        for (int i = 0; i < to.Length; i++)
        {
            float c = side * (above[i + 2] + below[i + 2]) + middle * here[i + 2];
            to[i] = side * (a + c) + middle * b;
            (a, b) = (b, c);
        }
    }

    // The camera's.
    void Grain(int x, int y, float[] row)
    {
        const float Strength = 0.02f / 65536;
        uint seed = _scene.Seed(13);
        for (int i = 0; i < row.Length; i++)
            row[i] += ((int)(Noise.Hash(seed, x + i, y) & 0xFFFF) - 32768) * Strength;
    }
}
