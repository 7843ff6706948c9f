// What a synthetic slide holds and where: outlines of tissue, regions as smooth fields, and tumour nests as polygons.
// Fields are functions of a place; only pieces and nests are lists. Lengths are micrometres, so that the same seed at
// another resolution is the same tissue.
using EpSam.Imaging.Annotations;

namespace EpSam.Slides.Synth;

/// <summary>A nest of tumour and how its cells look.</summary>
/// <param name="Polygon">Its outline in pixels of level 0, on quarters of pixels: written as it is rendered.</param>
/// <param name="Tone">Haematoxylin of its cytoplasm.</param>
/// <param name="Eosin">Eosin of its cytoplasm.</param>
/// <param name="Size">Of its nuclei, about 1.</param>
/// <param name="Chromatin">Haematoxylin of its nuclei, about 1.</param>
internal sealed record Nest(SlidePolygon Polygon, float Tone, float Eosin, float Size, float Chromatin)
{
    public double Left { get; } = Polygon.Outer.Min(p => p.X);
    public double Top { get; } = Polygon.Outer.Min(p => p.Y);
    public double Right { get; } = Polygon.Outer.Max(p => p.X);
    public double Bottom { get; } = Polygon.Outer.Max(p => p.Y);

    // The rule of PolygonMask for one place.
    public bool Contains(double x, double y)
    {
        if (x < Left || x > Right || y < Top || y > Bottom) return false;
        IReadOnlyList<SlidePoint> ring = Polygon.Outer;
        bool isInside = false;
        for (int i = 0, j = ring.Count - 1; i < ring.Count; j = i++)
        {
            (SlidePoint a, SlidePoint b) = (ring[i], ring[j]);
            if (a.Y > y != b.Y > y && x > a.X + (y - a.Y) * (b.X - a.X) / (b.Y - a.Y)) isInside = !isInside;
        }
        return isInside;
    }
}

internal sealed class SynthScene
{
    /// <summary>A piece of tissue: an ellipse whose rim noise makes uneven.</summary>
    sealed record Piece(float X, float Y, float A, float B, float Cos, float Sin, uint Seed);

    const float BucketSize = 256; // micrometres

    readonly Piece[] _pieces;
    readonly uint _seed;
    readonly float _cos, _sin;   // the fibres' main direction
    readonly Dictionary<(int, int), List<Nest>> _buckets = [];

    public SynthScene(SynthOptions options)
    {
        options.Check();
        Options = options;
        _seed = Noise.Hash(options.Seed, 3, 0x5CE4E);
        uint state = _seed;
        (double cos, double sin) = Noise.Turn(Noise.Unit(ref state));
        (_cos, _sin) = ((float)cos, (float)sin);
        Lymphocytes = Noise.Between(ref state, -0.12f, 0.12f);
        Adiposity = Noise.Between(ref state, -0.15f, 0.1f);
        Glands = Noise.Between(ref state, 0.35f, 0.75f);
        CellPitch = Noise.Between(ref state, 11.8f, 14.2f);
        _pieces = Pieces(ref state);
        TissueShare = MeasureTissue();
        Nests = options.Tumour > 0 ? new NestPlanner(this, Noise.Hash(_seed, 5, 0x4E57)).Plan() : [];
        foreach (Nest nest in Nests) Insert(nest);
    }

    public SynthOptions Options { get; }

    /// <summary>Seed of what is painted, by kind of object.</summary>
    public uint Seed(int kind) => Noise.Hash(_seed, kind, 0x0B1EC7);

    /// <summary>Width in micrometres.</summary>
    public float Width => (float)(Options.Width * Options.Mpp);

    /// <summary>Height in micrometres.</summary>
    public float Height => (float)(Options.Height * Options.Mpp);

    /// <summary>Share of the slide that is tissue.</summary>
    public double TissueShare { get; }

    /// <summary>All tumour: disjoint.</summary>
    public IReadOnlyList<Nest> Nests { get; }

    /// <summary>Distance between tumour cells.</summary>
    public float CellPitch { get; }

    /// <summary>Share of places for glands and vessels that have one.</summary>
    public float Glands { get; }

    float Lymphocytes { get; }

    float Adiposity { get; }

    /// <summary>About the distance from the tissue's rim, positive inside.</summary>
    public float Tissue(float x, float y)
    {
        float best = float.NegativeInfinity;
        foreach (Piece piece in _pieces)
        {
            float dx = x - piece.X, dy = y - piece.Y, least = Math.Min(piece.A, piece.B);
            float p = (dx * piece.Cos + dy * piece.Sin) / piece.A, q = (dy * piece.Cos - dx * piece.Sin) / piece.B;
            float inside = (1 - MathF.Sqrt(p * p + q * q)) * least;
            if (inside < -0.4f * least) continue;
            float wide = 1 / (0.55f * least);
            best = Math.Max(best, inside + 0.2f * least * Noise.Two(piece.Seed, x * wide, y * wide));
        }
        if (best is < -80 or > 120) return best;
        return best + 26 * Noise.Two(_seed + 11, x / 120, y / 120) + 7 * Noise.Two(_seed + 13, x / 26, y / 26);
    }

    /// <summary>How dense lymphocytes lie: 0 hardly any, 1 a lymph follicle.</summary>
    public float Lymphoid(float x, float y)
    {
        float field = Noise.Two(_seed + 21, x / 420, y / 420) + 0.35f * Noise.At(_seed + 23, x / 90, y / 90);
        return Noise.Step(-0.12f, 0.42f, field + Lymphocytes);
    }

    /// <summary>Above 0 there is fat.</summary>
    public float Fat(float x, float y) =>
        Noise.Two(_seed + 31, x / 620, y / 620) + 0.15f * Noise.At(_seed + 33, x / 110, y / 110) - 0.42f + Adiposity;

    /// <summary>Above 0 glands and vessels may lie.</summary>
    public float Glandular(float x, float y) => Noise.At(_seed + 41, x / 800, y / 800) + 0.2f;

    /// <summary>How thick the section is and how strongly stained, about 1.</summary>
    public float Thickness(float x, float y) =>
        1 + 0.22f * Noise.Two(_seed + 51, x / 700, y / 700) + 0.08f * Noise.At(_seed + 53, x / 130, y / 130);

    /// <summary>How loose the connective tissue is, about 0 to 1.</summary>
    public float Loose(float x, float y) => 0.5f + 0.6f * Noise.Two(_seed + 61, x / 260, y / 260);

    /// <summary>Coordinates across and along the collagen fibres: these turn through the slide.</summary>
    public (float Across, float Along) Fibres(float x, float y)
    {
        float bend = 150 * Noise.At(_seed + 71, x / 330, y / 330) + 34 * Noise.At(_seed + 72, x / 95, y / 95);
        float slide = 150 * Noise.At(_seed + 73, x / 330, y / 330) + 30 * Noise.At(_seed + 74, x / 110, y / 110);
        float wave = 3.2f * Noise.At(_seed + 75, x / 27, y / 27);
        return (x * _cos + y * _sin + bend + wave, y * _cos - x * _sin + slide);
    }

    /// <summary>The nest at a place in micrometres, null in none.</summary>
    public Nest? NestAt(float x, float y)
    {
        (int, int) key = ((int)MathF.Floor(x / BucketSize), (int)MathF.Floor(y / BucketSize));
        if (!_buckets.TryGetValue(key, out List<Nest>? near)) return null;
        foreach (Nest nest in near)
            if (nest.Contains(x / Options.Mpp, y / Options.Mpp)) return nest;
        return null;
    }

    /// <summary>Nests whose bounding boxes meet a rectangle of pixels.</summary>
    public List<Nest> NestsIn(long left, long top, long right, long bottom)
    {
        List<Nest> found = [];
        double mpp = Options.Mpp;
        for (int row = Bucket(top); row <= Bucket(bottom); row++)
            for (int column = Bucket(left); column <= Bucket(right); column++)
                foreach (Nest nest in _buckets.GetValueOrDefault((column, row)) ?? [])
                {
                    bool isNear = nest.Left < right && nest.Right > left && nest.Top < bottom && nest.Bottom > top;
                    if (isNear && !found.Contains(nest)) found.Add(nest);
                }
        return found;

        int Bucket(long pixel) => (int)Math.Floor(pixel * mpp / BucketSize);
    }

    void Insert(Nest nest)
    {
        double scale = Options.Mpp / BucketSize;
        for (int row = (int)(nest.Top * scale); row <= (int)(nest.Bottom * scale); row++)
            for (int column = (int)(nest.Left * scale); column <= (int)(nest.Right * scale); column++)
            {
                if (!_buckets.TryGetValue((column, row), out List<Nest>? bucket))
                    _buckets[(column, row)] = bucket = [];
                bucket.Add(nest);
            }
    }

    // One to three pieces side by side along the longer side.
    Piece[] Pieces(ref uint state)
    {
        float longer = Math.Max(Width, Height), shorter = Math.Min(Width, Height);
        int most = (int)Math.Clamp(longer / shorter * longer / 1500, 1, 3);
        int count = 1 + (int)(Noise.Unit(ref state) * most);
        Piece[] pieces = new Piece[count];
        for (int i = 0; i < count; i++)
        {
            float along = longer / count * (i + 0.5f), across = shorter * Noise.Between(ref state, 0.46f, 0.54f);
            float a = longer / count * Noise.Between(ref state, 0.42f, 0.48f);
            float b = shorter * Noise.Between(ref state, 0.40f, 0.47f);
            (double cos, double sin) = Noise.Turn(Noise.Between(ref state, -0.02f, 0.02f));
            pieces[i] = Width >= Height
                ? new Piece(along, across, a, b, (float)cos, (float)sin, Noise.Next(ref state))
                : new Piece(across, along, b, a, (float)cos, (float)sin, Noise.Next(ref state));
        }
        return pieces;
    }

    double MeasureTissue()
    {
        const int Side = 128;
        int inside = 0;
        for (int row = 0; row < Side; row++)
            for (int column = 0; column < Side; column++)
                if (Tissue(Width * (column + 0.5f) / Side, Height * (row + 0.5f) / Side) > 0) inside++;
        return inside / (double)(Side * Side);
    }
}
