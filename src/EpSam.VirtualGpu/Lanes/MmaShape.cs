// How many registers the operands of mma.sync take, from its spelling: for the check at module load.
namespace EpSam.VirtualGpu.Lanes;

internal static class MmaShape
{
    const int BitsPerRegister = 32 * 32;
    const int N = 8;

    /// <summary>Registers of d, a, b and c of a supported key.</summary>
    public static (int D, int A, int B, int C) Registers(string key)
    {
        string[] parts = key.Split('.');
        string[] sizes = parts[3].Split('m', 'n', 'k');   // "", m, n, k
        int m = int.Parse(sizes[1]), k = int.Parse(sizes[3]);
        return (Count(m * N, parts[^4]), Count(m * k, parts[^3]), Count(k * N, parts[^2]), Count(m * N, parts[^1]));
    }

    static int Count(int elements, string type) => elements * Bits(type) / BitsPerRegister;

    static int Bits(string type) => type switch
    {
        "f32" or "tf32" or "s32" => 32,
        "f16" or "bf16" => 16,
        "s8" or "u8" => 8,
        _ => throw new ArgumentException($"not an element type of mma: {type}", nameof(type)),
    };
}
