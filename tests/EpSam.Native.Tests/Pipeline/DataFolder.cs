using EpSam.Native.Pipeline;

namespace EpSam.Native.Tests.Pipeline;

/// <summary>A folder with a data set whose images are texts, "WIDTHxHEIGHT", that say how large they are.</summary>
internal sealed class DataFolder : IDisposable
{
    public string Root { get; } = Directory.CreateTempSubdirectory("epsam-data-").FullName;

    public void Dispose() => Directory.Delete(Root, recursive: true);

    public string In(string name) => Path.Combine(Root, name);

    /// <summary>Makes images of 8 x 6 pixels.</summary>
    public DataFolder Images(params string[] names)
    {
        foreach (string name in names) Image(name, "8x6");
        return this;
    }

    public DataFolder Image(string name, string content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(In(name))!);
        File.WriteAllText(In(name), content);
        return this;
    }

    public string Table(params string[] lines)
    {
        File.WriteAllLines(In("data.csv"), lines);
        return In("data.csv");
    }

    public static PatchSet Open(string path, double validationShare = 0, ulong seed = 22) =>
        PatchSet.Open(path, new Sizes(), new DataConfig { ValidationShare = validationShare, Seed = seed });

    /// <summary>What is said when it cannot be opened.</summary>
    public static string Refusal(string path, double validationShare = 0) =>
        Assert.Throws<RunException>(() => Open(path, validationShare))!.Message;

    internal sealed class Sizes : IImageFiles
    {
        public (int Height, int Width) ReadSize(string path)
        {
            string text = File.Exists(path) ? File.ReadAllText(path) : "nothing";
            string[] sides = text.Split('x');
            return sides.Length == 2 ? (int.Parse(sides[1]), int.Parse(sides[0]))
                : throw new ImageFileException($"{path}: {text}");
        }

        public Picture ReadRgb(string path) => throw new NotSupportedException();
        public Picture ReadGrey(string path) => throw new NotSupportedException();
        public byte[] EncodePng(Picture picture) => throw new NotSupportedException();
        public byte[] EncodeJpeg(Picture picture, int quality) => throw new NotSupportedException();
    }
}
