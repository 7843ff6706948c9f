// The recorded numbers of the reference code (../shared/goldens, described there), read without the library under test:
// a few lines for safetensors, and the tolerances that stand in meta.json beside each file. Where the goldens are not
// there a test is skipped and says so.
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using EpSam.Imaging;
using EpSam.Native.Nn;
using EpSam.Native.Tensors;
using EpSam.Native.Tests.Imaging;

namespace EpSam.Native.Tests;

/// <summary>One safetensors file of the goldens.</summary>
internal sealed class Golden : IParameterSource
{
    readonly byte[] _file;
    readonly int _data;
    readonly JsonElement _header, _tolerances;

    Golden(string path)
    {
        _file = File.ReadAllBytes(path);
        _data = 8 + (int)BinaryPrimitives.ReadInt64LittleEndian(_file);
        _header = JsonDocument.Parse(_file.AsMemory(8, _data - 8)).RootElement;
        string meta = Path.Combine(Path.GetDirectoryName(path)!, "meta.json");
        if (File.Exists(meta))
            JsonDocument.Parse(File.ReadAllBytes(meta)).RootElement.TryGetProperty("tolerances", out _tolerances);
    }

    /// <summary>Goldens and real data; may be absent.</summary>
    public static string Shared =>
        Environment.GetEnvironmentVariable("EPSAM_SHARED") ?? RepositoryRoot.File("../shared");

    /// <summary>The full path of a file of the goldens; ends the test as skipped where they are absent.</summary>
    public static string Find(string relative)
    {
        string path = Path.Combine(Shared, "goldens", relative);
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

    public static int[] Ints(JsonElement list) => [.. list.EnumerateArray().Select(e => (int)e.GetDouble())];

    public IEnumerable<string> Names => _header.EnumerateObject().Select(p => p.Name).Where(n => n != "__metadata__");

    public int[] Sizes(string name) => Ints(_header.GetProperty(name).GetProperty("shape"));

    public bool TryGetShape(string name, out Shape shape)
    {
        bool found = _header.TryGetProperty(name, out JsonElement entry);
        shape = found ? new Shape([.. entry.GetProperty("shape").EnumerateArray().Select(e => e.GetInt64())]) : default;
        return found;
    }

    public bool Has(string name) => _header.TryGetProperty(name, out _);

    public T[] Read<T>(string name) where T : unmanaged
    {
        JsonElement offsets = _header.GetProperty(name).GetProperty("data_offsets");
        int from = offsets[0].GetInt32(), to = offsets[1].GetInt32();
        return MemoryMarshal.Cast<byte, T>(_file.AsSpan(_data + from, to - from)).ToArray();
    }

    public void Read(string name, Span<float> values) => Read<float>(name).CopyTo(values);

    public double Tolerance(string name) => _tolerances.GetProperty(name).GetProperty("recommended_atol").GetDouble();

    /// <summary>
    /// The largest difference from a tensor as a share of its tolerance; written to the test's output. With X/idx
    /// beside a tensor X/val, the values at these flat indices are compared.
    /// </summary>
    public double Compare(string name, ReadOnlySpan<float> actual)
    {
        if (!Has(name) && Has($"{name}/idx"))
        {
            int[] picked = Read<int>($"{name}/idx");
            float[] values = new float[picked.Length];
            for (int i = 0; i < values.Length; i++) values[i] = actual[picked[i]];
            return Compare($"{name}/val", Read<float>($"{name}/val"), values);
        }
        return Compare(name, Read<float>(name), actual);
    }

    /// <summary>The same for values in another order than the file's.</summary>
    public double Compare(string name, ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        Assert.That(actual.Length, Is.EqualTo(expected.Length), name);
        double worst = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            double error = Math.Abs((double)actual[i] - expected[i]);
            worst = error <= worst ? worst : error; // NaN is worst
        }
        double share = worst / Tolerance(name);
        TestContext.Out.WriteLine($"{name,-24} off by {worst:G3}, {100 * share:F1} % of the tolerance");
        return share;
    }
}
