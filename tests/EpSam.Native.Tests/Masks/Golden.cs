// The recorded numbers of the reference code (../shared/goldens, described there), read without the library under
// test: a few lines for safetensors, and the formula that stands in for stored inputs.
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using EpSam.Imaging;
using EpSam.Native.Tests.Imaging;

namespace EpSam.Native.Tests.Masks;

/// <summary>One safetensors file of the goldens.</summary>
internal sealed class Golden
{
    readonly byte[] file;
    readonly int data;
    readonly JsonElement header;

    Golden(string path)
    {
        file = File.ReadAllBytes(path);
        data = 8 + (int)BinaryPrimitives.ReadInt64LittleEndian(file);
        header = JsonDocument.Parse(file.AsMemory(8, data - 8)).RootElement;
    }

    /// <summary>The full path of a file of the goldens; ends the test as skipped where they are absent.</summary>
    public static string Find(string relative)
    {
        string shared = Environment.GetEnvironmentVariable("EPSAM_SHARED") ?? RepositoryRoot.File("../shared");
        string path = Path.Combine(shared, "goldens", relative);
        if (!File.Exists(path)) Assert.Ignore($"the goldens are not there: {path}");
        return path;
    }

    /// <summary>One of the pictures; ends the test as skipped where they or libvips are absent.</summary>
    public static Raster Picture(string name)
    {
        VipsLibrary.RequireOrSkip();
        return ImageReader.ReadRgb(Find("images/" + name));
    }

    public static Golden Open(string relative) => new(Find(relative));

    public static JsonElement Json(string relative) =>
        JsonDocument.Parse(File.ReadAllBytes(Find(relative))).RootElement;

    public int[] Shape(string name) =>
        [.. header.GetProperty(name).GetProperty("shape").EnumerateArray().Select(e => e.GetInt32())];

    public IEnumerable<string> Names => header.EnumerateObject().Select(p => p.Name).Where(n => n != "__metadata__");

    public T[] Read<T>(string name) where T : unmanaged
    {
        JsonElement offsets = header.GetProperty(name).GetProperty("data_offsets");
        int from = offsets[0].GetInt32(), to = offsets[1].GetInt32();
        return MemoryMarshal.Cast<byte, T>(file.AsSpan(data + from, to - from)).ToArray();
    }

    /// <summary>Formula input of kind u8: the upper byte of the hash of key and index.</summary>
    public static byte[] FormulaBytes(string key, int count) => [.. Hashes(key, count).Select(h => (byte)(h >> 56))];

    /// <summary>Formula input c*v: v in [-1, 1), the product in double, rounded once.</summary>
    public static float[] FormulaFloats(string key, int count, double c = 1) =>
        [.. Hashes(key, count).Select(h => (float)(c * (2 * ((h >> 40) / 16777216.0) - 1)))];

    static IEnumerable<ulong> Hashes(string key, int count)
    {
        ulong f = 0xCBF29CE484222325;
        foreach (byte b in Encoding.UTF8.GetBytes(key)) f = (f ^ b) * 0x100000001B3;
        for (int i = 0; i < count; i++)
        {
            ulong z = f + (ulong)i * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            yield return z ^ (z >> 31);
        }
    }

    public static int[] Ints(JsonElement list) => [.. list.EnumerateArray().Select(e => (int)e.GetDouble())];
}
