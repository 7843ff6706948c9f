// The data and golden files beside the repository (or where EPSAM_SHARED says), and a reader of safetensors for
// expected values that shares nothing with the one under test.
using System.Text.Json;

namespace EpSam.Native.Tests.Checkpoints;

internal static class Shared
{
    static readonly string Folder =
        Environment.GetEnvironmentVariable("EPSAM_SHARED")
            ?? Path.GetFullPath(Path.Combine(RepositoryRoot.Path, "../shared"));

    /// <summary>Path of a shared file; the test is skipped where it is absent.</summary>
    public static string File(string relative)
    {
        string path = Path.Combine(Folder, relative);
        if (!System.IO.File.Exists(path)) Assert.Ignore($"{path} is not here");
        return path;
    }

    /// <summary>Paths of all shared files below a folder with one of the endings, or none.</summary>
    public static string[] Files(string relative, params string[] endings)
    {
        string path = Path.Combine(Folder, relative);
        if (!Directory.Exists(path)) return [];
        return [.. Directory.GetFiles(path, "*", SearchOption.AllDirectories)
            .Where(f => endings.Any(e => f.EndsWith(e, StringComparison.Ordinal))).Order(StringComparer.Ordinal)];
    }

    /// <summary>Name, type, sizes and bytes of a well-formed safetensors file.</summary>
    public static List<(string Name, string Type, long[] Sizes, byte[] Bytes)> Expected(string path)
    {
        byte[] file = System.IO.File.ReadAllBytes(path);
        int header = (int)BitConverter.ToInt64(file);
        using JsonDocument json = JsonDocument.Parse(file.AsMemory(8, header));
        List<(string, string, long[], byte[])> tensors = [];
        foreach (JsonProperty tensor in json.RootElement.EnumerateObject())
        {
            if (tensor.Name == "__metadata__") continue;
            int[] offsets = [.. tensor.Value.GetProperty("data_offsets").EnumerateArray().Select(e => e.GetInt32())];
            tensors.Add((tensor.Name, tensor.Value.GetProperty("dtype").GetString()!,
                [.. tensor.Value.GetProperty("shape").EnumerateArray().Select(e => e.GetInt64())],
                file[(8 + header + offsets[0])..(8 + header + offsets[1])]));
        }
        return tensors;
    }
}
