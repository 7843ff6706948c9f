using System.Security.Cryptography;

namespace EpSam.Slides;

/// <summary>A file by its content, to tell later whether it is still the same.</summary>
/// <param name="Bytes">Size.</param>
/// <param name="Sha256">Of what was read of it.</param>
public sealed record SlideSource(long Bytes, string Sha256)
{
    const int End = 1 << 20;

    /// <summary>A slide: reads its first and last mebibyte.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static SlideSource Of(string path)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1);
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[End];
        long length = file.Length;
        hash.AppendData(buffer.AsSpan(0, file.ReadAtLeast(buffer, End, throwOnEndOfStream: false)));
        file.Position = Math.Max(End, length - End);
        hash.AppendData(buffer.AsSpan(0, file.ReadAtLeast(buffer, End, throwOnEndOfStream: false)));
        return new SlideSource(length, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    /// <summary>Annotations, which are small: reads all of it; null where there are none.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static SlideSource? OfAll(string? path)
    {
        if (path is null) return null;
        using FileStream file = File.OpenRead(path);
        return new SlideSource(file.Length, Convert.ToHexStringLower(SHA256.HashData(file)));
    }
}
