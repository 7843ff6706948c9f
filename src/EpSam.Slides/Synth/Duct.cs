// A gland or a vessel cut across: a round outline, a wall, a lumen. At most one in a cell of a coarse grid.
namespace EpSam.Slides.Synth;

/// <summary>A gland (a wall of columnar cells) or a vessel (a wall of muscle).</summary>
internal sealed class Duct
{
    const float Pitch = 170, Jitter = 0.11f, Largest = Pitch * (0.5f - Jitter); // micrometres; they cannot touch

    readonly float _cos, _sin, _a, _b;
    readonly uint _shape;

    Duct(SynthScene scene, float x, float y, uint state)
    {
        (X, Y) = (x, y);
        float size = Noise.Unit(ref state);
        IsVessel = Noise.Unit(ref state) < 0.4f;
        float radius = IsVessel ? 9 + 26 * size * size : 25 + 22 * size;
        float aspect = Noise.Between(ref state, 0.55f, 1);
        (_a, _b) = (Math.Min(radius / aspect, Largest * 0.8f), radius * aspect);
        (double cos, double sin) = Noise.Turn(Noise.Unit(ref state));
        (_cos, _sin) = ((float)cos, (float)sin);
        _shape = Noise.Next(ref state);
        Wall = IsVessel ? 2.5f + 0.16f * radius : Math.Min(_b * 0.72f, Noise.Between(ref state, 15, 20));
        Tone = Noise.Between(ref state, 0.12f, 0.30f);
        IsFilled = Noise.Unit(ref state) < (IsVessel ? 0.6f : 0.4f);
        Reach = 1.25f * _a;
        State = state;
        IsThere = Fits(scene);
    }

    /// <summary>Middle, micrometres.</summary>
    public float X { get; }
    /// <summary>Middle, micrometres.</summary>
    public float Y { get; }
    /// <summary>It lies within this distance of its middle.</summary>
    public float Reach { get; }
    /// <summary>A vessel, not a gland.</summary>
    public bool IsVessel { get; }
    /// <summary>Blood or secretion in the lumen.</summary>
    public bool IsFilled { get; }
    /// <summary>Thickness of the wall, micrometres.</summary>
    public float Wall { get; }
    /// <summary>Haematoxylin of the wall.</summary>
    public float Tone { get; }
    /// <summary>For what else is drawn.</summary>
    public uint State { get; }

    bool IsThere { get; }

    /// <summary>All that meet a rectangle of micrometres.</summary>
    public static List<Duct> In(SynthScene scene, (float Left, float Top, float Right, float Bottom) area)
    {
        CellGrid grid = new(scene.Seed(1), Pitch, Jitter, area, around: 1);
        List<Duct> found = [];
        for (int i = 0; i < grid.Count; i++)
        {
            uint state = grid.State(i);
            if (Noise.Unit(ref state) > scene.Glands) continue;
            (float x, float y) = grid[i];
            if (x < area.Left - Largest || x > area.Right + Largest || y < area.Top - Largest
                || y > area.Bottom + Largest) continue;
            Duct duct = new(scene, x, y, state);
            if (duct.IsThere) found.Add(duct);
        }
        return found;
    }

    /// <summary>How deep a place lies in it, micrometres; negative outside.</summary>
    public float Depth(float x, float y)
    {
        float dx = x - X, dy = y - Y, p = dx * _cos + dy * _sin, q = dy * _cos - dx * _sin;
        float length = MathF.Sqrt(p * p + q * q);
        if (length < 1e-3f) return _b;
        float rim = Rim(p / length, q / length);
        // along the radius; the factor makes it about the distance from the rim of an ellipse
        return (rim - length) * Math.Min(1, (_b + 4) / rim + 0.15f);
    }

    /// <summary>A place at a share of a turn and a depth, and the direction outwards.</summary>
    public (float X, float Y, float Cos, float Sin) Place(double share, float depth)
    {
        (double c, double s) = Noise.Turn(share);
        (float cos, float sin) = ((float)c, (float)s);
        float rim = Rim(cos, sin), along = rim - depth / Math.Min(1, (_b + 4) / rim + 0.15f);
        float nx = cos / (_a * _a), ny = sin / (_b * _b), n = MathF.Sqrt(nx * nx + ny * ny);
        (nx, ny) = (nx / n, ny / n);
        return (X + along * (cos * _cos - sin * _sin), Y + along * (cos * _sin + sin * _cos),
            nx * _cos - ny * _sin, nx * _sin + ny * _cos);
    }

    /// <summary>About its circumference, micrometres.</summary>
    public float Circumference => 2 * MathF.PI * MathF.Sqrt((_a * _a + _b * _b) / 2);

    /// <summary>
    /// The share of a turn at which a share of the circumference lies, so that what is spread evenly stays even.
    /// </summary>
    public double Even(double share)
    {
        const int Parts = 64;
        Span<float> length = stackalloc float[Parts + 1];
        (double c, double s) = Noise.Turn(0);
        float rim = Rim((float)c, (float)s), lastX = rim, lastY = 0;
        for (int i = 1; i <= Parts; i++)
        {
            (c, s) = Noise.Turn((double)i / Parts);
            rim = Rim((float)c, (float)s);
            (float x, float y) = (rim * (float)c, rim * (float)s);
            length[i] = length[i - 1] + MathF.Sqrt((x - lastX) * (x - lastX) + (y - lastY) * (y - lastY));
            (lastX, lastY) = (x, y);
        }
        float wanted = (float)(share - Math.Floor(share)) * length[Parts];
        int at = 1;
        while (at < Parts && length[at] < wanted) at++;
        return (at - 1 + (wanted - length[at - 1]) / (length[at] - length[at - 1])) / Parts;
    }

    // Distance of the rim in a direction: an ellipse's, made uneven.
    float Rim(float cos, float sin)
    {
        float p = cos / _a, q = sin / _b;
        return (1 + 0.16f * Noise.At(_shape, cos * 1.4f, sin * 1.4f)) / MathF.Sqrt(p * p + q * q);
    }

    bool Fits(SynthScene scene)
    {
        if (scene.Tissue(X, Y) < Reach || scene.Glandular(X, Y) < (IsVessel ? -0.3f : 0) || scene.Fat(X, Y) > 0
            || scene.NestAt(X, Y) is not null) return false;
        for (int i = 0; i < 12; i++)
        {
            (double cos, double sin) = Noise.Turn(i / 12.0);
            if (scene.NestAt(X + 1.15f * Reach * (float)cos, Y + 1.15f * Reach * (float)sin) is not null) return false;
        }
        return true;
    }
}
