// Lays out tumour nests: a few foci, in each nests of many sizes, irregular and disjoint. Which places are taken is
// kept on a raster; a nest is refused when it would come nearer than a cell of it to another.
using EpSam.Imaging.Annotations;

namespace EpSam.Slides.Synth;

internal sealed class NestPlanner
{
    const float Cell = 8, Rim = 14, LargestRadius = 230, SmallestRadius = 26; // micrometres
    const double FocusArea = 8e6; // square micrometres of tissue with one focus
    const int Failures = 60;      // in a row before nests get smaller

    readonly SynthScene _scene;
    readonly int _columns, _rows;
    readonly bool[] _taken;
    readonly byte[] _painted = new byte[256 * 256];
    uint _state;

    public NestPlanner(SynthScene scene, uint seed)
    {
        (_scene, _state) = (scene, seed);
        (_columns, _rows) = ((int)(scene.Width / Cell) + 2, (int)(scene.Height / Cell) + 2);
        _taken = new bool[(long)_columns * _rows];
    }

    public List<Nest> Plan()
    {
        double tissue = _scene.TissueShare * _scene.Width * _scene.Height, wanted = tissue * _scene.Options.Tumour;
        (float X, float Y)[] foci = Foci(1 + (int)(tissue / FocusArea * Noise.Between(ref _state, 0.6f, 1.4f)));
        float reach = MathF.Sqrt((float)(wanted / foci.Length / (Math.PI * 0.5)));
        float largest = Math.Min(LargestRadius, 0.3f * MathF.Sqrt((float)wanted));
        List<Nest> nests = [];
        double area = 0, pixel = _scene.Options.Mpp * _scene.Options.Mpp;
        int failures = 0;
        while (area < wanted && largest >= SmallestRadius)
        {
            (float fx, float fy) = foci[(int)(Noise.Unit(ref _state) * foci.Length)];
            (double cos, double sin) = Noise.Turn(Noise.Unit(ref _state));
            float away = reach * MathF.Sqrt(Noise.Unit(ref _state)) * Noise.Between(ref _state, 0.7f, 1.15f);
            float share = Noise.Unit(ref _state), radius = largest * (1 - 0.7f * share * share);
            SlidePolygon? polygon = Outline((float)(fx + away * cos), (float)(fy + away * sin), radius);
            if (polygon is not null && area + polygon.Area * pixel <= wanted * 1.05)
            {
                nests.Add(Nest(polygon));
                area += polygon.Area * pixel;
                failures = 0;
            }
            else if (++failures == Failures)
            {
                (failures, largest, reach) = (0, largest * 0.85f, reach * 1.12f);
            }
        }
        return nests;
    }

    (float X, float Y)[] Foci(int count)
    {
        (float X, float Y)[] foci = new (float, float)[count];
        for (int i = 0; i < count; i++)
        {
            // the best of some places: inside the tissue, and not often at its rim
            float best = float.NegativeInfinity;
            for (int attempt = 0; attempt < 12; attempt++)
            {
                float x = _scene.Width * Noise.Unit(ref _state), y = _scene.Height * Noise.Unit(ref _state);
                float inside = Math.Min(_scene.Tissue(x, y), 350 * Noise.Unit(ref _state));
                if (inside <= best) continue;
                (best, foci[i]) = (inside, (x, y));
            }
        }
        return foci;
    }

    // Tone and chromatin are drawn so that the mean colour of nests has the same spread as that of other tissue.
    Nest Nest(SlidePolygon polygon)
    {
        Mark(polygon);
        return new Nest(polygon, Noise.Between(ref _state, 0.10f, 0.28f), Noise.Between(ref _state, 0.36f, 0.62f),
            Noise.Between(ref _state, 0.88f, 1.12f), Noise.Between(ref _state, 0.75f, 1.2f));
    }

    // A ring whose radius is noise on the circle, bent by noise in the plane whose slope is below one half: such a map
    // is one to one, so the ring cannot cross itself. Null where it does not fit.
    SlidePolygon? Outline(float x, float y, float radius)
    {
        if (_scene.Tissue(x, y) < radius * 0.4f) return null;
        uint shape = Noise.Next(ref _state);
        (double turnCos, double turnSin) = Noise.Turn(Noise.Unit(ref _state));
        float aspect = Noise.Between(ref _state, 0.62f, 1);
        int count = Math.Clamp((int)(radius * 6.3f / (0.5f * Cell)), 32, 512);
        SlidePoint[] ring = new SlidePoint[count];
        for (int i = 0; i < count; i++)
        {
            (double cos, double sin) = Noise.Turn((double)i / count);
            (float c, float s) = ((float)cos, (float)sin);
            float fine = radius / 24; // bumps of about a cell or two
            float r = radius * (1 + 0.40f * Noise.At(shape, c * 1.3f, s * 1.3f)
                + 0.28f * Noise.At(shape + 1, c * 2.6f, s * 2.6f)
                + 0.12f * Noise.At(shape + 5, c * 5.5f, s * 5.5f))
                + 7 * Noise.At(shape + 2, c * fine, s * fine);
            (float p, float q) = (r * c, r * s * aspect);
            float px = p + 0.2f * radius * Noise.At(shape + 3, p / (0.9f * radius), q / (0.9f * radius));
            float py = q + 0.2f * radius * Noise.At(shape + 4, p / (0.9f * radius), q / (0.9f * radius));
            float atX = x + (float)(px * turnCos - py * turnSin), atY = y + (float)(px * turnSin + py * turnCos);
            if (!IsFree(atX, atY)) return null;
            ring[i] = new SlidePoint(Quarter(atX), Quarter(atY));
        }
        SlidePolygon polygon = new(ring);
        return IsFree(polygon) ? polygon : null;
    }

    // Exact in a decimal text.
    double Quarter(float micrometres) => Math.Floor(micrometres / _scene.Options.Mpp * 4 + 0.5) / 4;

    bool IsFree(float x, float y)
    {
        int column = (int)(x / Cell), row = (int)(y / Cell);
        if (column < 1 || row < 1 || x > _scene.Width - Cell || y > _scene.Height - Cell) return false;
        for (int dy = -1; dy <= 1; dy++)
            for (int dx = -1; dx <= 1; dx++)
                if (_taken[(long)(row + dy) * _columns + column + dx]) return false;
        return _scene.Tissue(x, y) > Rim;
    }

    // No other nest lies within it.
    bool IsFree(SlidePolygon polygon)
    {
        bool isFree = true;
        Cells(polygon, at => isFree &= !_taken[at]);
        return isFree;
    }

    void Mark(SlidePolygon polygon)
    {
        Cells(polygon, at => _taken[at] = true);
        foreach (SlidePoint point in polygon.Outer)
        {
            double scale = _scene.Options.Mpp / Cell;
            _taken[(long)(point.Y * scale) * _columns + (long)(point.X * scale)] = true;
        }
    }

    void Cells(SlidePolygon polygon, Action<long> each)
    {
        double scale = _scene.Options.Mpp / Cell;
        int left = (int)(polygon.Outer.Min(p => p.X) * scale), right = (int)(polygon.Outer.Max(p => p.X) * scale) + 1;
        int top = (int)(polygon.Outer.Min(p => p.Y) * scale), bottom = (int)(polygon.Outer.Max(p => p.Y) * scale) + 1;
        (int width, int height) = (right - left, bottom - top);
        Span<byte> mask = _painted.AsSpan(0, width * height);
        mask.Clear();
        PolygonMask.Paint(polygon, left / scale, top / scale, 1 / scale, 1, mask, height, width);
        for (int i = 0; i < mask.Length; i++)
            if (mask[i] != 0) each((long)(top + i / width) * _columns + left + i % width);
    }
}
