// Hashes, gradient noise and the little mathematics that slides are made of. Everything is a function of a seed and a
// place, so that any part can be made alone; only operations that IEEE 754 fixes to the bit are used (no library sine
// or exponential), so that every machine makes the same picture.
// Gradient noise: Perlin, "Improving noise" (SIGGRAPH 2002); the hash's constants: Wellons' "lowbias32".
using System.Runtime.CompilerServices;

namespace EpSam.Slides.Synth;

internal static class Noise
{
    /// <summary>32 even bits of a seed and a lattice place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Hash(uint seed, int x, int y)
    {
        uint h = seed + (uint)x * 0x9E3779B1u;
        h = (h ^ (h >> 15)) * 0x2C1B3C6Du + (uint)y * 0x85EBCA6Bu;
        h = (h ^ (h >> 13)) * 0x297A2D39u;
        h = (h ^ (h >> 15)) * 0x7FEB352Du;
        return h ^ (h >> 16);
    }

    /// <summary>The next of a chain of hashes.</summary>
    public static uint Next(ref uint state) => state = Hash(state, 0x51ED27, 7);

    /// <summary>Evenly in [0, 1) from the next hash.</summary>
    public static float Unit(ref uint state) => (Next(ref state) >> 8) * (1f / (1 << 24));

    /// <summary>Evenly in [low, high).</summary>
    public static float Between(ref uint state, float low, float high) => low + (high - low) * Unit(ref state);

    /// <summary>Gradient noise, about -1 to 1, features one unit wide.</summary>
    public static float At(uint seed, float x, float y)
    {
        float fx = MathF.Floor(x), fy = MathF.Floor(y);
        int ix = (int)fx, iy = (int)fy;
        float u = x - fx, v = y - fy;
        float n00 = Slope(Hash(seed, ix, iy), u, v), n10 = Slope(Hash(seed, ix + 1, iy), u - 1, v);
        float n01 = Slope(Hash(seed, ix, iy + 1), u, v - 1), n11 = Slope(Hash(seed, ix + 1, iy + 1), u - 1, v - 1);
        float su = u * u * u * (u * (u * 6 - 15) + 10), sv = v * v * v * (v * (v * 6 - 15) + 10);
        float top = n00 + su * (n10 - n00), bottom = n01 + su * (n11 - n01);
        return (top + sv * (bottom - top)) * (1.3f / 32768);
    }

    /// <summary>Two sizes of features, the second half as wide and strong.</summary>
    public static float Two(uint seed, float x, float y) =>
        (At(seed, x, y) + 0.5f * At(seed + 1, 2 * x + 0.37f, 2 * y + 0.61f)) * 0.8f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static float Slope(uint hash, float x, float y) => (short)hash * x + (short)(hash >> 16) * y;

    /// <summary>0 below the first value, 1 above the second, smooth between.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Step(float from, float to, float value)
    {
        float t = Math.Clamp((value - from) / (to - from), 0f, 1f);
        return t * t * (3 - 2 * t);
    }

    /// <summary>Cosine and sine of a share of a full turn: Taylor's series on an eighth, else by symmetry.</summary>
    public static (double Cos, double Sin) Turn(double share)
    {
        double eighths = (share - Math.Floor(share)) * 8;
        int octant = Math.Min((int)eighths, 7);
        double within = eighths - octant;
        bool isMirrored = (octant & 1) != 0;
        double a = (isMirrored ? 1 - within : within) * (Math.PI / 4), square = a * a;
        double sin = a, cos = 1, term = 1;
        for (int k = 1; k <= 9; k++)
        {
            term *= -square / ((2 * k - 1) * (2 * k));
            cos += term;
            sin += a * term / (2 * k + 1);
        }
        if (isMirrored) (cos, sin) = (sin, cos);
        return (octant / 2) switch
        {
            0 => (cos, sin), 1 => (-sin, cos), 2 => (-cos, -sin), _ => (sin, -cos),
        };
    }
}
