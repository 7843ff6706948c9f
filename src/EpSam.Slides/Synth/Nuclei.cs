// The nuclei of a part of a slide, kind by kind and always in the same order, so that where they overlap the same one
// lies on top whichever part is made.
namespace EpSam.Slides.Synth;

internal sealed class Nuclei(SynthScene scene, Zones zones, Ground ground)
{
    const float FibroblastPitch = 14.5f, LymphocytePitch = 8.1f; // micrometres

    /// <summary>Hands out all nuclei that may reach into the part.</summary>
    public void Each(Action<Nucleus> paint)
    {
        Fibroblasts(paint);
        foreach (Duct duct in zones.Ducts) Lining(duct, paint);
        if (ground.TumourCells is CellGrid cells) Tumour(cells, paint);
        Lymphocytes(paint);
    }

    // Spindles along the fibres.
    void Fibroblasts(Action<Nucleus> paint)
    {
        CellGrid grid = new(scene.Seed(10), FibroblastPitch, 0.48f, zones.Area, around: 1);
        for (int i = 0; i < grid.Count; i++)
        {
            (float x, float y) = grid[i];
            if (zones.At(x, y) is not (int column, int row, Zone zone)) continue;
            uint state = grid.State(i);
            float chance = zone switch
            {
                Zone.Stroma => 0.54f - 0.32f * zones.Lymphoid!.At(column, row), Zone.FatWall => 0.1f, _ => 0,
            };
            if (Noise.Unit(ref state) >= chance) continue;
            (float gx, float gy) = ground.Across.Slope(column, row);
            float length = MathF.Sqrt(gx * gx + gy * gy) + 1e-6f;
            (gx, gy) = (gx / length, gy / length);
            float tilt = Noise.Between(ref state, -0.28f, 0.28f), size = Noise.Unit(ref state);
            (float cos, float sin) = Unit(-gy + tilt * gx, gx + tilt * gy);
            paint(new Nucleus
            {
                X = x, Y = y, Cos = cos, Sin = sin, A = 4.2f + 5 * size,
                B = 1.7f - 0.6f * size + 0.6f * Noise.Unit(ref state),
                Bend = Noise.Between(ref state, -0.028f, 0.028f), Two = Noise.Between(ref state, -0.08f, 0.08f),
                Three = Noise.Between(ref state, -0.1f, 0.1f),
                Haematoxylin = Noise.Between(ref state, 0.75f, 1.35f), Eosin = 0.4f, Rim = 0.2f, Clumps = 0.25f,
                Grain = 1.3f, Seed = state,
            });
        }
    }

    // Small, round, dark.
    void Lymphocytes(Action<Nucleus> paint)
    {
        CellGrid grid = new(scene.Seed(11), LymphocytePitch, 0.34f, zones.Area, around: 1);
        for (int i = 0; i < grid.Count; i++)
        {
            (float x, float y) = grid[i];
            if (zones.At(x, y) is not (int column, int row, Zone zone)) continue;
            uint state = grid.State(i);
            float chance = zone switch
            {
                Zone.Stroma => 0.02f + 0.86f * zones.Lymphoid!.At(column, row), Zone.FatWall => 0.03f,
                Zone.GlandWall => 0.012f, Zone.VesselLumen => 0.015f, >= Zone.Tumour => 0.02f, _ => 0,
            };
            if (Noise.Unit(ref state) >= chance) continue;
            (double cos, double sin) = Noise.Turn(Noise.Unit(ref state));
            float radius = Noise.Between(ref state, 2.9f, 3.75f);
            paint(new Nucleus
            {
                X = x, Y = y, Cos = (float)cos, Sin = (float)sin, A = radius,
                B = radius * Noise.Between(ref state, 0.82f, 1), Two = Noise.Between(ref state, -0.05f, 0.05f),
                Three = Noise.Between(ref state, -0.07f, 0.07f),
                Haematoxylin = Noise.Between(ref state, 1.15f, 1.6f), Eosin = 0.42f, Rim = 0.25f, Clumps = 0.6f,
                Grain = 1.5f, Seed = state,
            });
        }
    }

    // A gland's stand upright in a row at its rim, a vessel's lie flat at the lumen.
    void Lining(Duct duct, Action<Nucleus> paint)
    {
        float spacing = duct.IsVessel ? 13 : 6.4f;
        int count = Math.Max(3, (int)(duct.Circumference / spacing));
        uint state = duct.State;
        for (int i = 0; i < count; i++)
        {
            double share = duct.Even((i + Noise.Between(ref state, -0.22f, 0.22f)) / count);
            float depth = duct.IsVessel ? duct.Wall - 1 : Math.Min(5.6f + Noise.Between(ref state, -1.2f, 2.4f),
                duct.Wall - 4);
            (float x, float y, float cos, float sin) = duct.Place(share, depth);
            uint own = Noise.Next(ref state);
            if (zones.At(x, y) is not (_, _, Zone.GlandWall or Zone.VesselWall)) continue;
            (cos, sin) = duct.IsVessel ? (-sin, cos) : Unit(cos + Noise.Between(ref own, -0.2f, 0.2f),
                sin + Noise.Between(ref own, -0.2f, 0.2f));
            paint(new Nucleus
            {
                X = x, Y = y, Cos = cos, Sin = sin,
                A = duct.IsVessel ? Noise.Between(ref own, 3.2f, 5) : Noise.Between(ref own, 4, 5.2f),
                B = duct.IsVessel ? 1.2f : Noise.Between(ref own, 2.3f, 2.9f),
                Two = Noise.Between(ref own, -0.05f, 0.05f), Three = Noise.Between(ref own, -0.05f, 0.05f),
                Haematoxylin = Noise.Between(ref own, 0.8f, 1.15f), Eosin = 0.38f, Rim = 0.3f, Clumps = 0.25f,
                Grain = 1.3f, Seed = own,
            });
        }
    }

    // Large, of all sizes and shapes; pale within a dark rim, coarse chromatin, nucleoli; some in division.
    void Tumour(CellGrid cells, Action<Nucleus> paint)
    {
        for (int i = 0; i < cells.Count; i++)
        {
            (float x, float y) = cells[i];
            if (zones.At(x, y) is not (_, _, >= Zone.Tumour and Zone zone)) continue;
            Nest nest = zones.Nests[zone - Zone.Tumour];
            uint state = cells.State(i);
            (double cos, double sin) = Noise.Turn(Noise.Unit(ref state));
            float spread = Noise.Unit(ref state), radius = nest.Size * (3.9f + 1.9f * spread * spread);
            float aspect = Noise.Between(ref state, 0.66f, 1);
            float kind = Noise.Unit(ref state);
            Nucleus nucleus = new()
            {
                X = x, Y = y, Cos = (float)cos, Sin = (float)sin, A = radius / MathF.Sqrt(aspect),
                B = radius * MathF.Sqrt(aspect), Two = Noise.Between(ref state, -0.08f, 0.08f),
                Three = Noise.Between(ref state, -0.12f, 0.12f), Bend = Noise.Between(ref state, -0.012f, 0.012f),
                Haematoxylin = nest.Chromatin * Noise.Between(ref state, 0.52f, 0.86f), Eosin = 0.34f, Rim = 0.6f,
                Clumps = 0.55f, Grain = 1.9f, Nucleoli = 1 + (int)(2 * Noise.Unit(ref state)), Nucleolus = 0.6f,
                Seed = state,
            };
            if (kind < 0.015f) Divide(ref nucleus, ref state);
            paint(nucleus);
        }
    }

    static void Divide(ref Nucleus nucleus, ref uint state)
    {
        (nucleus.A, nucleus.B) = (Noise.Between(ref state, 4, 5.2f), Noise.Between(ref state, 1.4f, 2.2f));
        (nucleus.Haematoxylin, nucleus.Clumps, nucleus.Rim, nucleus.Nucleoli) = (1.5f, 0.7f, -0.3f, 0);
        (nucleus.Two, nucleus.Three) = (Noise.Between(ref state, -0.2f, 0.2f), Noise.Between(ref state, -0.3f, 0.3f));
    }

    static (float Cos, float Sin) Unit(float x, float y)
    {
        float length = MathF.Sqrt(x * x + y * y);
        return length > 0 ? (x / length, y / length) : (1, 0);
    }
}
