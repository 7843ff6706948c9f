using EpSam.Native.Nn;
using EpSam.Native.Pipeline;
using EpSam.Native.Tensors;

namespace EpSam.Native.Tests.Pipeline;

public sealed class EmbeddingCacheTests
{
    const int Bytes = 100, File = Bytes + 44;

    string _folder = "";
    readonly List<string> _warnings = [];

    [SetUp]
    public void MakeFolder()
    {
        _folder = Path.Combine(Directory.CreateTempSubdirectory("epsam-test-").FullName, "cache");
        _warnings.Clear();
    }

    [TearDown]
    public void RemoveFolder() => Directory.Delete(Path.GetDirectoryName(_folder)!, recursive: true);

    EmbeddingCache Open(long capacity = 1 << 20, string weights = "w") =>
        new(_folder, capacity, weights, Bytes, _warnings.Add);

    // What an encoder makes of a picture: bytes that its name and orientation tell.
    static byte[] Made(string image, int orientation) =>
        [.. Enumerable.Range(0, Bytes).Select(i => (byte)(image[0] + orientation + i))];

    // The embedding, and whether it had to be made.
    static bool IsMade(EmbeddingCache cache, string image, Orientation orientation = default)
    {
        bool made = false;
        byte[] got = cache.Get(image, orientation, () =>
        {
            made = true;
            return Made(image, orientation.Index);
        });
        Assert.That(got, Is.EqualTo(Made(image, orientation.Index)));
        return made;
    }

    [Test]
    public void Get_OfWhatWasMade_IsTheSameInAnyLaterRun()
    {
        EmbeddingCache cache = Open();
        Assert.That(IsMade(cache, "a"), Is.True);
        Assert.That(IsMade(cache, "a"), Is.False);
        Assert.That(IsMade(Open(), "a"), Is.False);
        Assert.That(IsMade(Open(), "b"), Is.True);
        Assert.That(IsMade(Open(), "a", Orientation.HorizontalFlip), Is.True);
        Assert.That(IsMade(Open(weights: "other"), "a"), Is.True);
        Assert.That(IsMade(Open(), "a"), Is.False);
        Assert.That((cache.Hits, cache.Misses), Is.EqualTo((1, 1)));
    }

    [Test]
    public void Get_OfADamagedOrMisplacedFile_MakesItAnew()
    {
        IsMade(Open(), "a");
        string path = Directory.GetFiles(_folder).Single();
        byte[] good = System.IO.File.ReadAllBytes(path);
        Assert.That(good, Has.Length.EqualTo(File));
        for (int at = 0; at < good.Length; at++)
        {
            byte[] bad = [.. good];
            bad[at] ^= 1;
            System.IO.File.WriteAllBytes(path, bad);
            Assert.That(IsMade(Open(), "a"), Is.True, $"byte {at}");
            Assert.That(System.IO.File.ReadAllBytes(path), Is.EqualTo(good));
        }
        System.IO.File.WriteAllBytes(path, good[..^1]);
        Assert.That(IsMade(Open(), "a"), Is.True);
        IsMade(Open(), "b");
        string other = Directory.GetFiles(_folder).Single(f => f != path);
        System.IO.File.Copy(path, other, overwrite: true);
        Assert.That(IsMade(Open(), "b"), Is.True);
        System.IO.File.WriteAllBytes(Path.Combine(_folder, ".x.tmp"), good);
        Assert.That(IsMade(Open(), "a"), Is.False);
        Assert.That(Directory.GetFiles(_folder), Has.Length.EqualTo(2));
    }

    [Test]
    public void Get_WithoutRoom_RemovesWhatWasUsedTheLongestTimeAgo()
    {
        EmbeddingCache cache = Open(3 * File);
        foreach (string image in new[] { "a", "b", "c", "a", "d" }) IsMade(cache, image); // d takes the place of b
        Assert.That(Directory.GetFiles(_folder), Has.Length.EqualTo(3));
        Assert.That(IsMade(cache, "a"), Is.False);
        Assert.That(IsMade(cache, "c"), Is.False);
        Assert.That(IsMade(cache, "d"), Is.False);
        Assert.That(IsMade(cache, "b"), Is.True);
        Open(2 * File - 1);
        Assert.That(Directory.GetFiles(_folder), Has.Length.EqualTo(1));
        EmbeddingCache none = Open(File - 1);
        Assert.That(Directory.GetFiles(_folder), Is.Empty);
        Assert.That(IsMade(none, "a"), Is.True);
        Assert.That(Directory.GetFiles(_folder), Is.Empty);
    }

    [Test]
    public void Get_WhereNothingCanBeWritten_GoesOnAndSaysSoOnce()
    {
        System.IO.File.WriteAllText(_folder, "a file where the folder should be");
        EmbeddingCache cache = Open();
        Assert.That(IsMade(cache, "a") && IsMade(cache, "b") && IsMade(cache, "a"), Is.True);
        Assert.That(_warnings, Has.Count.EqualTo(1));
    }

    [Test]
    public void Digests_TellWeightsAndPicturesApart()
    {
        static ParameterDictionary Weights(float value, string name = "image_encoder.a")
        {
            ParameterDictionary source = new();
            source.Add(name, new Shape(2), [1, value]);
            source.Add("mask_decoder.a", new Shape(1), [value]);
            return source;
        }
        string one = EmbeddingCache.WeightsDigest(Weights(1), "f32");
        Assert.That(EmbeddingCache.WeightsDigest(Weights(1), "f32"), Is.EqualTo(one));
        Assert.That(EmbeddingCache.WeightsDigest(Weights(2), "f32"), Is.Not.EqualTo(one));
        Assert.That(EmbeddingCache.WeightsDigest(Weights(1), "bf16"), Is.Not.EqualTo(one));
        Assert.That(EmbeddingCache.WeightsDigest(Weights(1, "image_encoder.b"), "f32"), Is.Not.EqualTo(one));
        Assert.That(EmbeddingCache.ImageDigest(new Picture([1, 2], 1, 2, 1)),
            Is.Not.EqualTo(EmbeddingCache.ImageDigest(new Picture([1, 2], 2, 1, 1))));
    }
}
