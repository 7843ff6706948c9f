// One cell nucleus: an ellipse, bent and uneven, with chromatin, a rim and nucleoli.
namespace EpSam.Slides.Synth;

/// <summary>What a nucleus looks like. Lengths are micrometres.</summary>
internal struct Nucleus
{
    /// <summary>Middle.</summary>
    public float X, Y;
    /// <summary>Half axes.</summary>
    public float A, B;
    /// <summary>Direction of the first.</summary>
    public float Cos, Sin;
    /// <summary>How far its ends are bent aside, by the square of the way.</summary>
    public float Bend;
    /// <summary>Unevenness of the rim by 2 and 3 waves around.</summary>
    public float Two, Three;
    /// <summary>Amounts of stain.</summary>
    public float Haematoxylin, Eosin;
    /// <summary>Share by which the rim is darker than the middle.</summary>
    public float Rim;
    /// <summary>Share by which chromatin's clumps differ.</summary>
    public float Clumps;
    /// <summary>Size of the clumps.</summary>
    public float Grain;
    /// <summary>Nucleoli: how many of the two, how dark.</summary>
    public int Nucleoli;
    /// <summary>Haematoxylin of a nucleolus on top.</summary>
    public float Nucleolus;
    /// <summary>Of texture and nucleoli.</summary>
    public uint Seed;

    /// <summary>It lies within this distance.</summary>
    public readonly float Reach =>
        Math.Max(A, B) * (1.12f + MathF.Abs(Two) + MathF.Abs(Three)) + MathF.Abs(Bend) * A * A + 0.6f;

    /// <summary>Shape coordinates of a place: the distance from the middle is 1 at the rim.</summary>
    public readonly float Distance(float dx, float dy)
    {
        float p = dx * Cos + dy * Sin, q = dy * Cos - dx * Sin + Bend * p * p;
        (p, q) = (p / A, q / B);
        float square = p * p + q * q;
        if (square is < 1e-4f or > 3) return MathF.Sqrt(square);
        float d = MathF.Sqrt(square), c = p / d, s = q / d;
        return d / (1 + Two * (c * c - s * s) + Three * c * (4 * c * c - 3));
    }

    /// <summary>Haematoxylin at a place at a distance.</summary>
    public readonly float Stain(float dx, float dy, float distance)
    {
        float x0 = dx / Grain, y0 = dy / Grain;
        float chromatin = 0.75f * Noise.At(Seed, x0, y0) + 0.65f * Noise.At(Seed + 1, 2.1f * x0, 2.1f * y0);
        float value = Haematoxylin * (1 + Clumps * chromatin + Rim * (Noise.Step(0.62f, 0.92f, distance) - 0.4f));
        uint state = Seed;
        for (int i = 0; i < Nucleoli; i++)
        {
            float size = Noise.Between(ref state, 0.75f, 1.25f);
            float x = dx - A * Noise.Between(ref state, -0.4f, 0.4f);
            float y = dy - B * Noise.Between(ref state, -0.4f, 0.4f);
            float near = 1 - (x * x + y * y) / (size * size);
            if (near > 0) value += Nucleolus * Math.Min(1, 2 * near);
        }
        return Math.Max(0.05f, value);
    }
}
