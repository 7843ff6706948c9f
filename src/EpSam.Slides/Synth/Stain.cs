// From amounts of the two stains to colour: Beer and Lambert. Haematoxylin's direction is Ruifrok and Johnston's
// (2001), eosin's that of slides as scanners show them; both, their strengths and the lamp differ by slide.
namespace EpSam.Slides.Synth;

/// <summary>Optical densities of a slide's stains and the brightness of its glass.</summary>
internal sealed class Stain
{
    const int Steps = 512, Entries = 4 * Steps; // of optical density, natural logarithm
    static readonly float[] Haematoxylin = [0.65f, 0.70f, 0.29f], Eosin = [0.10f, 0.88f, 0.42f];
    static readonly byte[][] Tables = [.. Enumerable.Range(0, 256).Select(Table)];

    readonly float[] _h = new float[3], _e = new float[3];
    readonly byte[][] _channels = new byte[3][];

    public Stain(uint seed)
    {
        uint state = Noise.Hash(seed, 1, 0x57A1);
        float h = Noise.Between(ref state, 0.82f, 1.18f), e = Noise.Between(ref state, 0.78f, 1.25f);
        for (int c = 0; c < 3; c++)
        {
            _h[c] = Steps * h * (Haematoxylin[c] + Noise.Between(ref state, -0.06f, 0.06f));
            _e[c] = Steps * e * (Eosin[c] + Noise.Between(ref state, -0.05f, 0.05f));
        }
        float lamp = Noise.Between(ref state, 236, 247);
        for (int c = 0; c < 3; c++)
            _channels[c] = Tables[(int)(lamp + Noise.Between(ref state, -3, 3) - (c == 1 ? 1 : 0))];
    }

    /// <summary>Writes a row of pixels; amounts are about 0 to 2.</summary>
    public void Colour(ReadOnlySpan<float> haematoxylin, ReadOnlySpan<float> eosin, Span<byte> rgb)
    {
        for (int c = 0; c < 3; c++)
        {
            byte[] table = _channels[c];
            float perH = _h[c], perE = _e[c];
            for (int i = 0; i < haematoxylin.Length; i++)
            {
                int at = (int)(haematoxylin[i] * perH + eosin[i] * perE + 0.5f);
                rgb[3 * i + c] = table[Math.Clamp(at, 0, Entries - 1)];
            }
        }
    }

    // lamp · e^(-i / Steps), by multiplication: the same on every machine.
    static byte[] Table(int lamp)
    {
        const double x = -1.0 / Steps;
        double ratio = 1 + x * (1 + x / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5)))), level = lamp;
        byte[] table = new byte[Entries];
        for (int i = 0; i < table.Length; i++, level *= ratio) table[i] = (byte)(level + 0.5);
        return table;
    }
}
