using EpSam.Imaging;
using EpSam.Native.Training;

namespace EpSam.Native.Tests.Pipeline;

/// <summary>A data set of small pictures in EP-SAM's layout, and models small enough for whole runs in tests.</summary>
internal static class TinyData
{
    const int Side = 64;

    /// <summary>Purple discs on pink are tumour; every second picture has one.</summary>
    public static void Write(string folder, int train = 10, int val = 4, int test = 4)
    {
        foreach ((string part, int count) in new[] { ("train", train), ("val", val), ("test", test) })
            for (int i = 0; i < count; i++) Picture(folder, part, i);
    }

    /// <summary>What epsam init takes.</summary>
    public const string SamSizes = """
        { "image_size": 128, "embed_dim": 64, "depth": 2, "heads": 2, "mlp_dim": 128, "window_size": 3,
          "global_blocks": [1], "decoder_mlp_dim": 256 }
        """;

    /// <summary>A run of a few seconds that saves its state after every step.</summary>
    public const string Config = """
        {
          "classifier": { "blocks": [1, 1, 1, 1], "width": 8, "size": 64, "batch": 4, "epochs": 3, "rate": 1e-3 },
          "cam": { "rule": "general", "general": { "percentile": 30, "opening": 1, "at_map_resolution": true } },
          "decoder": { "rounds": 1, "epochs": 2, "points": 5, "batch": 2, "rate": 1e-3, "keep_from": 0.1 },
          "save_seconds": 0
        }
        """;

    static void Picture(string folder, string part, int i)
    {
        CounterRandom random = new CounterRandom(7).Child(part, (ulong)i);
        int label = i % 2, x0 = 16 + random.Next(32), y0 = 16 + random.Next(32), radius = 12 + random.Next(10);
        byte[] rgb = new byte[3 * Side * Side], mask = new byte[Side * Side];
        for (int p = 0; p < mask.Length; p++)
        {
            int dx = p % Side - x0, dy = p / Side - y0;
            bool isTumour = label == 1 && dx * dx + dy * dy < radius * radius;
            mask[p] = (byte)(isTumour ? 255 : 0);
            int[] colour = isTumour ? [120, 60, 140] : [220, 170, 200];
            for (int c = 0; c < 3; c++) rgb[3 * p + c] = (byte)(colour[c] - 25 + random.Next(50));
        }
        string name = $"{part}{i:D2}_{label}.png";
        Save(Path.Combine(folder, part, "image", name), rgb, 3);
        if (label == 1) Save(Path.Combine(folder, part, "mask", name), mask, 1);
    }

    static void Save(string path, byte[] pixels, int channels)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        ImageWriter.WritePng(path, pixels, Side, Side, channels);
    }
}
