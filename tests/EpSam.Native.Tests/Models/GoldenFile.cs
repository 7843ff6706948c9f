// A file of the goldens, read without the library under test: a few lines for safetensors, and its tolerances. Where the
// goldens are not there a test is skipped and says so.
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using EpSam.Native.Nn;
using EpSam.Native.Tensors;

namespace EpSam.Native.Tests.Models;

internal sealed class GoldenFile : IParameterSource
{
    readonly byte[] _file;
    readonly int _data;
    readonly JsonElement _header, _tolerances;

    /// <summary>From goldens/folder/name; meta.json beside it has the tolerances.</summary>
    public GoldenFile(string folder, string name)
    {
        _file = File.ReadAllBytes(Find(folder, name));
        _data = 8 + (int)BinaryPrimitives.ReadInt64LittleEndian(_file);
        _header = JsonDocument.Parse(_file.AsMemory(8, _data - 8)).RootElement;
        using JsonDocument meta = JsonDocument.Parse(File.ReadAllBytes(Find(folder, "meta.json")));
        if (meta.RootElement.TryGetProperty("tolerances", out JsonElement tolerances)) _tolerances = tolerances.Clone();
    }

    /// <summary>The path of a file of the goldens; ends the test as skipped where it is not there.</summary>
    public static string Find(string folder, string name)
    {
        string shared = Environment.GetEnvironmentVariable("EPSAM_SHARED") ?? RepositoryRoot.File("../shared");
        string path = Path.Combine(shared, "goldens", folder, name);
        if (!File.Exists(path)) Assert.Ignore($"the goldens are not there: {path}");
        return path;
    }

    public IEnumerable<string> Names => _header.EnumerateObject().Select(p => p.Name).Where(n => n != "__metadata__");

    public bool TryGetShape(string name, out Shape shape)
    {
        bool found = _header.TryGetProperty(name, out JsonElement entry);
        shape = found ? new Shape([.. entry.GetProperty("shape").EnumerateArray().Select(e => e.GetInt64())]) : default;
        return found;
    }

    public void Read(string name, Span<float> values) => Read<float>(name).CopyTo(values);

    public ReadOnlySpan<T> Read<T>(string name) where T : unmanaged
    {
        JsonElement offsets = _header.GetProperty(name).GetProperty("data_offsets");
        int from = offsets[0].GetInt32(), to = offsets[1].GetInt32();
        return MemoryMarshal.Cast<byte, T>(_file.AsSpan(_data + from, to - from));
    }

    public double Tolerance(string name) => _tolerances.GetProperty(name).GetProperty("recommended_atol").GetDouble();

    /// <summary>The largest difference as a share of the tolerance; written to the test's output.</summary>
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
