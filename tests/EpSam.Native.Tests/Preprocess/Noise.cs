namespace EpSam.Native.Tests.Preprocess;

/// <summary>Pictures that are the same in any language: byte i is (i + seed) * 2654435761 (mod 2^32) >> 13.</summary>
internal static class Noise
{
    public static byte[] Bytes(int count, uint seed = 0) =>
        [.. Enumerable.Range(0, count).Select(i => (byte)(((uint)i + seed) * 2654435761u >> 13))];
}
