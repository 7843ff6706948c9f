// What all rivals get: weights by formula as safetensors, one preprocessed photograph, and what must come out. All lies
// in build/peers, which git ignores. The photograph and the expected values are the goldens' where they are there;
// without them the input is made by formula and PyTorch's result is what the others are compared with.
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using EpSam.Cases;
using EpSam.Imaging;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Preprocess;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Bench.Peers;

/// <summary>Some values of the embedding that must come out, and how far off plain fp32 arithmetic may be.</summary>
internal sealed record Reference(string Source, int[] Indices, float[] Expected, double Tolerance);

internal sealed class PeerFiles
{
    const int Side = 1024;

    static readonly float[] Mean = [123.675f, 116.28f, 103.53f], Deviation = [58.395f, 57.12f, 57.375f];

    readonly string _root;

    /// <summary>Heads: how many heads' logits the exported network has in memory together.</summary>
    public PeerFiles(string root, int heads)
    {
        (_root, Heads) = (root, heads);
        Scripts = Path.Combine(root, "bench", "peers");
        Folder = Path.Combine(root, "build", "peers");
        Directory.CreateDirectory(Folder);
        (Weights, Input, Model) = (In("vit_b.safetensors"), In("image.f32"), In($"vit_b_{heads}_heads.onnx"));
    }

    public int Heads { get; }
    public string Scripts { get; }
    public string Folder { get; }
    public string Weights { get; }
    public string Input { get; }
    public string Model { get; }
    public string Modules => In("node_modules");

    public string In(string name) => Path.Combine(Folder, name);

    /// <summary>Whether the exported network is older than what it is made from.</summary>
    public bool ModelIsStale()
    {
        string[] sources = [Weights, Path.Combine(Scripts, "vit.py"), Path.Combine(Scripts, "encoder_torch.py")];
        DateTime made = File.GetLastWriteTimeUtc(Model);
        return !File.Exists(Model) || sources.Any(s => File.GetLastWriteTimeUtc(s) > made);
    }

    /// <summary>Writes the weights unless they are there.</summary>
    public void MakeWeights()
    {
        if (File.Exists(Weights)) return;
        List<KeyValuePair<string, Shape>> shapes = [];
        Plan.Of(arena =>
        {
            Parameters parameters = new(arena, DType.F32);
            _ = new ImageEncoder(SamConfig.VitB, parameters);
            shapes = [.. parameters.All.Select(p => KeyValuePair.Create(p.Key, p.Value.Shape))];
        });
        FormulaParameters formula = new(shapes);
        using StateDict tensors = new(shapes.Select(p =>
        {
            float[] values = new float[p.Value.Count];
            formula.Read(p.Key, values);
            return new TensorEntry(p.Key, [.. Enumerable.Range(0, p.Value.Rank).Select(i => p.Value[i])], values);
        }));
        tensors.Save(Weights);
    }

    /// <summary>Writes the input; returns what must come out of it, or null where there are no goldens.</summary>
    public Reference? MakeInput()
    {
        string shared = Environment.GetEnvironmentVariable("EPSAM_SHARED") ?? Path.Combine(_root, "..", "shared");
        string photograph = Path.Combine(shared, "goldens", "images", "truck_h427_w640.png");
        string golden = Path.Combine(shared, "goldens", "s02_sam_full", "vit_b");
        string why = $"the goldens are not in {Path.GetFullPath(shared)}";
        if (File.Exists(photograph) && File.Exists(Path.Combine(golden, "values.safetensors")))
        {
            try
            {
                WriteFloats(Input, ChannelsFirst(Photograph(photograph), 3));
                return Golden(golden);
            }
            catch (ImagingException e)
            {
                why = e.Message;
            }
        }
        Console.WriteLine($"input by formula, since {why}");
        float[] pixels = new float[3 * Side * Side];
        FormulaParameters.Fill("input:peers/image", 0, 2, pixels);
        WriteFloats(Input, pixels);
        return null;
    }

    public static float[] ReadFloats(string path) => MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(path)).ToArray();

    public static void WriteFloats(string path, float[] values) =>
        File.WriteAllBytes(path, MemoryMarshal.AsBytes<float>(values));

    /// <summary>(C, H, W) to (H, W, C).</summary>
    public static float[] ChannelsLast(float[] x, int channels)
    {
        int pixels = x.Length / channels;
        float[] y = new float[x.Length];
        for (int i = 0; i < y.Length; i++) y[i] = x[i % channels * pixels + i / channels];
        return y;
    }

    /// <summary>(H, W, C) to (C, H, W).</summary>
    public static float[] ChannelsFirst(float[] x, int channels)
    {
        int pixels = x.Length / channels;
        float[] y = new float[x.Length];
        for (int i = 0; i < y.Length; i++) y[i] = x[i % pixels * channels + i / pixels];
        return y;
    }

    // As SAM prepares an image: longest side to 1024 as Pillow does, normalised, padded with zeros right and below.
    static float[] Photograph(string path)
    {
        Raster image = ImageReader.ReadRgb(path);
        (int height, int width) = new ResizeLongestSide(Side).Size(image.Height, image.Width);
        byte[] resized = new byte[height * width * 3];
        Resample.PillowBilinear(image.Pixels, image.Height, image.Width, 3, height, width, resized);
        float[] pixels = new float[Side * Side * 3];
        for (int i = 0; i < resized.Length; i++)
        {
            int to = i / (3 * width) * 3 * Side + i % (3 * width);
            pixels[to] = (resized[i] - Mean[i % 3]) / Deviation[i % 3];
        }
        return pixels;
    }

    static Reference Golden(string folder)
    {
        byte[] file = File.ReadAllBytes(Path.Combine(folder, "values.safetensors"));
        int start = 8 + (int)BinaryPrimitives.ReadInt64LittleEndian(file);
        using JsonDocument header = JsonDocument.Parse(file.AsMemory(8, start - 8));
        T[] Read<T>(string name) where T : unmanaged
        {
            JsonElement offsets = header.RootElement.GetProperty(name).GetProperty("data_offsets");
            Range range = offsets[0].GetInt32()..offsets[1].GetInt32();
            return MemoryMarshal.Cast<byte, T>(file.AsSpan(start)[range]).ToArray();
        }
        using JsonDocument meta = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "meta.json")));
        double tolerance = meta.RootElement.GetProperty("tolerances").GetProperty("embedding/val")
            .GetProperty("recommended_atol").GetDouble();
        return new Reference("the official code's numbers (golden s02 vit_b)", Read<int>("embedding/idx"),
            Read<float>("embedding/val"), tolerance);
    }
}
