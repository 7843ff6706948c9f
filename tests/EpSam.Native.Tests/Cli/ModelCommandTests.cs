using EpSam.Native.Tests.Imaging;

namespace EpSam.Native.Tests.Cli;

/// <summary>Tests of commands with a small SAM that has learnt nothing, and a picture; both are made once.</summary>
public abstract class ModelCommandTests : CommandTests
{
    protected const int Width = 90, Height = 60;
    protected const string Sizes = """
        { "image_size": 128, "embed_dim": 64, "depth": 2, "heads": 2, "mlp_dim": 128, "window_size": 3,
          "global_blocks": [1], "decoder_mlp_dim": 256 }
        """;

    protected string _shared = "", _sam = "", _photo = "";

    [OneTimeSetUp]
    public void MakeSamAndPhoto()
    {
        VipsLibrary.RequireOrSkip();
        _shared = Directory.CreateTempSubdirectory("epsam-models-").FullName;
        (_sam, _photo) = (Path.Combine(_shared, "small.safetensors"), Path.Combine(_shared, "photo.png"));
        string sizes = Path.Combine(_shared, "sizes.json");
        File.WriteAllText(sizes, Sizes);
        CommandLine made = CommandLine.Run("init", "--model", sizes, "--out", _sam, "--seed", "7");
        Assert.That(made.Code, Is.Zero, made.Error);
        File.WriteAllBytes(_photo, ImageFiles.Png(Width, Height, 8, 2, Pixels(Width, Height)));
    }

    [OneTimeTearDown]
    public void RemoveThem()
    {
        if (_shared.Length > 0) Directory.Delete(_shared, recursive: true);
    }

    protected static byte[] Pixels(int width, int height) // a bright disc on a ramp
    {
        byte[] rgb = new byte[3 * width * height];
        for (int y = 0, i = 0; y < height; y++)
            for (int x = 0; x < width; x++)
            {
                bool inside = Math.Pow(x - width / 2.0, 2) + Math.Pow(y - height / 2.0, 2) < height * height / 9.0;
                (rgb[i++], rgb[i++], rgb[i++]) = inside ? ((byte)230, (byte)180, (byte)60)
                    : ((byte)(x % 256), (byte)(y % 256), (byte)80);
            }
        return rgb;
    }

    protected string In(string name) => Path.Combine(_folder, name);

    protected string Write(string name, byte[] content)
    {
        File.WriteAllBytes(In(name), content);
        return In(name);
    }

    protected string[] Files(string name) =>
        [.. Directory.GetFiles(In(name), "*", SearchOption.AllDirectories)
            .Select(f => Path.GetRelativePath(In(name), f)).Order(StringComparer.Ordinal)];
}
