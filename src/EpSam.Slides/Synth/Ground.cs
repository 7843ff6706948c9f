// What lies between the nuclei: amounts of both stains by kind of tissue, row by row.
namespace EpSam.Slides.Synth;

internal sealed class Ground
{
    const float BloodPitch = 6.6f, BloodRadius = 2.9f; // red cells, micrometres

    /// <summary>Eosin of bare glass.</summary>
    public const float Glass = 0.006f;

    readonly Zones _zones;
    readonly double _mpp;
    readonly uint _seed;
    readonly Lattice _along, _loose, _thickness;
    readonly CellGrid? _blood;
    readonly Duct?[] _ducts;
    readonly float[] _t, _l, _u, _v, _o, _d;

    public Ground(SynthScene scene, Zones zones, CellGrid? tumourCells)
    {
        (_zones, _mpp, _seed, TumourCells) = (zones, scene.Options.Mpp, scene.Seed(3), tumourCells);
        Across = zones.Field((x, y) => scene.Fibres(x, y).Across);
        _along = zones.Field((x, y) => scene.Fibres(x, y).Along);
        _loose = zones.Field(scene.Loose);
        _thickness = zones.Field(scene.Thickness);
        _ducts = [.. zones.Ducts];
        if (_ducts.Length > 0) _blood = new CellGrid(scene.Seed(4), BloodPitch, 0.3f, zones.Area, around: 2);
        (_t, _l, _u, _v, _o, _d) = (Buffer(), Buffer(), Buffer(), Buffer(), Buffer(), Buffer());

        float[] Buffer() => new float[zones.Width];
    }

    /// <summary>The middles of tumour cells; null where there is no tumour.</summary>
    public CellGrid? TumourCells { get; }

    /// <summary>The coordinate across the fibres: its slope is their direction.</summary>
    public Lattice Across { get; }

    /// <summary>How thick the section is at a pixel.</summary>
    public float Thickness(int x, int y) => _thickness.At(x, y);

    /// <summary>Fills a row of both stains.</summary>
    public void Row(int x, int y, Span<float> haematoxylin, Span<float> eosin)
    {
        int count = haematoxylin.Length;
        _zones.Tissue.Row(x, y, _t.AsSpan(0, count));
        _zones.Lymphoid!.Row(x, y, _l.AsSpan(0, count));
        Across.Row(x, y, _u.AsSpan(0, count));
        _along.Row(x, y, _v.AsSpan(0, count));
        _loose.Row(x, y, _o.AsSpan(0, count));
        _thickness.Row(x, y, _d.AsSpan(0, count));
        ReadOnlySpan<byte> zones = _zones.Row(x, y, count);
        float cy = (float)((y + 0.5) * _mpp);
        for (int i = 0; i < count; i++)
        {
            float cx = (float)((x + i + 0.5) * _mpp);
            Zone zone = (Zone)zones[i];
            (float h, float e) = zone switch
            {
                Zone.Glass => (0f, Glass),
                Zone.Stroma => Stroma(i, cx, cy),
                Zone.FatCell => (0.004f, 0.016f),
                Zone.FatWall => (0.07f, 0.36f),
                Zone.GlandWall or Zone.GlandLumen => Gland(cx, cy),
                Zone.VesselWall or Zone.VesselLumen => Vessel(cx, cy),
                _ => Tumour(_zones.Nests[zone - Zone.Tumour], cx, cy),
            };
            float thick = zone switch
            {
                Zone.Glass => 1, < Zone.Tumour => _d[i] * Noise.Step(-1, 5, _t[i]), _ => _d[i],
            };
            haematoxylin[i] = h * thick;
            eosin[i] = e * thick;
        }
    }

    // Bundles of collagen with clefts between; where lymphocytes lie, a pale net.
    (float H, float E) Stroma(int i, float x, float y)
    {
        float u = _u[i], v = _v[i], lymphoid = _l[i];
        float bundle = Noise.At(_seed, u / 6.2f, v / 70), thin = Noise.At(_seed + 1, u / 2.2f, v / 30);
        float fibre = 0.6f * bundle + 0.5f * thin + 0.28f * Noise.At(_seed + 3, x / 1.3f, y / 1.3f);
        float open = bundle + 0.7f * Noise.At(_seed + 2, u / 15, v / 95) + 1.3f * (_o[i] - 0.72f) - 0.3f * lymphoid;
        float gap = 0.9f * Noise.Step(0.22f, 0.62f, open);
        float loose = Math.Clamp(_o[i], 0, 1);
        float e = 0.56f - 0.22f * loose + 0.28f * fibre, h = 0.08f + 0.08f * loose + 0.05f * fibre;
        (h, e) = (h + lymphoid * (0.16f - 0.02f * fibre), e - lymphoid * (0.22f + 0.15f * fibre));
        return (h - gap * (h - 0.01f), e - gap * (e - 0.05f));
    }

    // Sheets of polygonal cells of different tone, granular, with faint borders.
    (float H, float E) Tumour(Nest nest, float x, float y)
    {
        float bend = 1.3f * Noise.At(_seed + 9, x / 4.5f, y / 4.5f);
        int cell = TumourCells!.Nearest(x + bend, y - bend, out float first, out float second, out _);
        float tone = (TumourCells.State(cell) >> 20 & 0xFF) / 255f - 0.5f;
        float grain = 0.15f * Noise.At(_seed + 5, x / 1.4f, y / 1.4f) + 0.13f * Noise.At(_seed + 6, x / 5, y / 5);
        float border = 1 - Noise.Step(0, 1.4f, second - first + 3 * grain);
        float wide = 0.12f * Noise.Step(4, 8, first); // paler far from the nucleus
        return ((nest.Tone * (1 + 0.35f * tone) + grain * 0.5f) * (1 - 0.2f * border),
            (nest.Eosin * (1 + 0.2f * tone) + grain) * (1 - 0.2f * border) - wide);
    }

    // Columnar cells: their tops are pale.
    (float H, float E) Gland(float x, float y)
    {
        Duct duct = Near(x, y, out float depth);
        float grain = Noise.At(_seed + 5, x / 1.7f, y / 1.7f);
        if (depth >= duct.Wall)
        {
            float wisp = Noise.Two(_seed + 7, x / 14, y / 14);
            return duct.IsFilled ? (0.03f, 0.12f + 0.12f * wisp) : (0.004f, 0.02f + 0.03f * Math.Max(0, wisp));
        }
        float top = Noise.Step(0.5f, 0.95f, depth / duct.Wall), rim = 1 - Noise.Step(0.4f, 1.6f, depth);
        float edge = Noise.Step(0.93f, 1, depth / duct.Wall);
        return (duct.Tone * (1 - 0.5f * top) + 0.04f * grain,
            0.40f - 0.16f * top + 0.07f * grain + 0.16f * rim + 0.12f * edge);
    }

    (float H, float E) Vessel(float x, float y)
    {
        Duct duct = Near(x, y, out float depth);
        if (depth < duct.Wall)
        {
            float ring = Noise.At(_seed + 8, depth / 1.5f, (x - y) / 30);
            return (0.10f, 0.58f + 0.16f * ring);
        }
        if (!duct.IsFilled) return (0.004f, 0.02f);
        _blood!.Nearest(x, y, out float first, out _, out _);
        float cell = 1 - Noise.Step(BloodRadius - 0.5f, BloodRadius + 0.3f, first);
        return (0.01f, 0.06f + cell * (0.62f + 0.26f * Noise.Step(0.2f, 2, first)));
    }

    Duct Near(float x, float y, out float depth)
    {
        foreach (Duct? duct in _ducts)
        {
            if (Math.Abs(x - duct!.X) > duct.Reach || Math.Abs(y - duct.Y) > duct.Reach) continue;
            depth = duct.Depth(x, y);
            if (depth > 0) return duct;
        }
        throw new InvalidOperationException("a pixel of a duct without a duct");
    }
}
