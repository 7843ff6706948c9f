// What is written is read again, to the byte; files appear complete or not at all.
using System.Text;
using System.Text.Json;
using EpSam.Native.Checkpoints;
using FsCheck;
using FsCheck.Fluent;
using Microsoft.FSharp.Core;

namespace EpSam.Native.Tests.Checkpoints;

public sealed class RoundTripTests
{
    // Fixed, so that one commit gives one result; 6,000 draws from other seeds have passed too.
    static readonly Replay sameEveryTime = new(new Rnd(1), FSharpOption<int>.None);

    string directory = "";

    [SetUp]
    public void MakeDirectory() => directory = Directory.CreateTempSubdirectory("epsam-test-").FullName;

    [TearDown]
    public void RemoveDirectory() => Directory.Delete(directory, recursive: true);

    string In(string name) => Path.Combine(directory, name);

    static TensorEntry Random(string name, ElementType type, long[] sizes, Random random)
    {
        byte[] bytes = new byte[sizes.Aggregate(1L, (a, b) => a * b) * type.Size()];
        random.NextBytes(bytes);
        return new TensorEntry(name, type, sizes, bytes);
    }

    // Any names (also empty ones, quotes, control characters, other scripts), all types, 0 to 5 axes with sizes from 0.
    [Test]
    public void SaveThenOpen_AnyTensors_AreTheSame()
    {
        Prop.ForAll<string[], Dictionary<string, string>, int>((texts, values, seed) =>
        {
            Random random = new(seed);
            string[] names = [.. texts.Select(t => Clean(t)).Distinct()];
            TensorEntry[] entries = [.. names.Select(n => Random(n, (ElementType)random.Next(17),
                [.. Enumerable.Range(0, random.Next(6)).Select(_ => (long)random.Next(4))], random))];
            Dictionary<string, object?> metadata = [];
            foreach ((string key, string value) in values) metadata[Clean(key)] = Clean(value);
            string path = In("any.safetensors");
            new StateDict(entries, metadata).Save(path);
            byte[] first = File.ReadAllBytes(path);
            RequireWellFormed(first);
            using (StateDict found = Checkpoint.Open(path))
            {
                Assert.That(found.Names, Is.EquivalentTo(names));
                foreach (TensorEntry entry in entries)
                {
                    Assert.That(found[entry.Name].Type, Is.EqualTo(entry.Type));
                    Assert.That(found[entry.Name].Sizes.ToArray(), Is.EqualTo(entry.Sizes.ToArray()));
                    Assert.That(found[entry.Name].ToBytes(), Is.EqualTo(entry.ToBytes()));
                }
                Assert.That(found.Metadata, Is.EquivalentTo(metadata));
                found.Save(path);   // over the file it reads from
            }
            Assert.That(File.ReadAllBytes(path), Is.EqualTo(first));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(60).WithReplay(sameEveryTime));
    }

    static string Clean(string? text) => string.Concat((text ?? "").Where(c => !char.IsSurrogate(c)));

    // Independent of the reader: JSON by .NET, offsets in order, every tensor aligned to its elements.
    static void RequireWellFormed(byte[] file)
    {
        int header = (int)BitConverter.ToInt64(file);
        Assert.That(header % 8, Is.Zero);
        using JsonDocument json = JsonDocument.Parse(file.AsMemory(8, header));
        long at = 0;
        foreach (JsonProperty tensor in json.RootElement.EnumerateObject().Where(t => t.Name != "__metadata__"))
        {
            long[] offsets = [.. tensor.Value.GetProperty("data_offsets").EnumerateArray().Select(e => e.GetInt64())];
            long count = tensor.Value.GetProperty("shape").EnumerateArray().Aggregate(1L, (a, e) => a * e.GetInt64());
            Assert.That(offsets[0], Is.EqualTo(at));
            if (count > 0) Assert.That(offsets[0] % ((offsets[1] - offsets[0]) / count), Is.Zero);
            at = offsets[1];
        }
        Assert.That(8 + header + at, Is.EqualTo(file.Length));
    }

    // Files that the official library wrote come out of it as they were.
    [Test]
    public void OfficialFiles_SavedAgain_AreTheSameBytes()
    {
        string[] files = Shared.Files("data/weights", ".safetensors");
        if (files.Length == 0) Assert.Ignore("the shared weights are not here");
        foreach (string file in files)
        {
            using StateDict found = Checkpoint.Open(file);
            found.Save(In("again"));
            Assert.That(File.ReadAllBytes(In("again")).AsSpan().SequenceEqual(File.ReadAllBytes(file)), file);
        }
    }

    [Test]
    public void Save_KeepsOrderWithinASize_AndWritesCompactJson()
    {
        new StateDict(
        [
            new TensorEntry("b", ElementType.U8, [3], new byte[] { 1, 2, 3 }), new TensorEntry("z", [1], [1f]),
            new TensorEntry("a\"\\\u0001é", [], [2f]),
                new TensorEntry("h", ElementType.BF16, [1, 1], new byte[] { 0, 1 }),
        ], [new("epoch", 3L), new("loss", 0.625), new("list", new object?[] { 1L, null, "x", true }),
            new("text", "a\nb")]).Save(In("a"));
        string expected =
            "{\"__metadata__\":{\"epoch\":\"3\",\"loss\":\"0.625\","
            + "\"list\":\"[1,null,\\\"x\\\",true]\",\"text\":\"a\\nb\"},"
            + "\"z\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
            + "\"a\\\"\\\\\\u0001é\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[4,8]},"
            + "\"h\":{\"dtype\":\"BF16\",\"shape\":[1,1],\"data_offsets\":[8,10]},"
            + "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[10,13]}}";
        byte[] json = Encoding.UTF8.GetBytes(expected);
        int padded = (json.Length + 7) / 8 * 8;
        byte[] file = File.ReadAllBytes(In("a"));
        Assert.That(BitConverter.ToInt64(file), Is.EqualTo(padded));
        Assert.That(Encoding.UTF8.GetString(file, 8, padded),
            Is.EqualTo(expected.PadRight(expected.Length + padded - json.Length)));
        Assert.That(file[(8 + padded)..], Is.EqualTo(new byte[] { 0, 0, 128, 63, 0, 0, 0, 64, 0, 1, 1, 2, 3 }));
    }

    [Test]
    public void Save_ThatFails_LeavesTheOldFileAndNothingElse()
    {
        File.WriteAllText(In("a"), "old");
        StateDict closed = Checkpoint.Parse(Safe("x"));
        string path = In("b");
        File.WriteAllBytes(path, Safe("x"));
        closed = Checkpoint.Open(path);
        closed.Dispose();
        Assert.Throws<ObjectDisposedException>(() => closed.Save(In("a")));
        Assert.That(File.ReadAllText(In("a")), Is.EqualTo("old"));
        Assert.That(Directory.GetFiles(directory), Has.Length.EqualTo(2));
        Assert.That(() => new StateDict([]).Save(In("no/such/folder/x")), Throws.InstanceOf<IOException>());
        Assert.Throws<CheckpointException>(() =>
            new StateDict([new TensorEntry("__metadata__", [1], [1f])]).Save(In("c")));
    }

    static byte[] Safe(string name)
    {
        byte[] header =
            SafetensorsWriter.Header([new TensorEntry(name, [2], [1f, 2f])], new Dictionary<string, object?>());
        return [.. header, 0, 0, 128, 63, 0, 0, 0, 64];
    }

    [Test]
    public void Open_ClosesTheFile_WhenItIsRefused()
    {
        File.WriteAllText(In("a"), "{}");
        CheckpointException e = Assert.Throws<CheckpointException>(() => Checkpoint.Open(In("a")))!;
        Assert.That(e.Message, Does.Contain(In("a")));
        File.Delete(In("a"));
        Assert.Throws<FileNotFoundException>(() => Checkpoint.Open(In("a")));
        File.WriteAllBytes(In("a"), []);
        Assert.That(Assert.Throws<CheckpointException>(() => Checkpoint.Open(In("a")))!.Error,
            Is.EqualTo(CheckpointError.Empty));
    }

    [TestCase("89504E470D0A1A0A0000000D49484452", "a picture")]
    [TestCase("377ABCAF271C0004AABBCCDDEEFF0011", "7z")]
    [TestCase("1F8B0800000000000003AABBCCDDEEFF", "gzip")]
    [TestCase("894844460D0A1A0A0000000000080800", "HDF5")]
    [TestCase("3C21444F43545950452068746D6C3E0A", "a web page")]
    public void OtherFormats_AreRefused(string hex, string name) =>
        Assert.That(Assert.Throws<CheckpointException>(() => Checkpoint.Parse(Convert.FromHexString(hex)))!.Error,
            Is.EqualTo(CheckpointError.UnknownFormat), name);

    [Test]
    public void StateDict_OfTensors_KeepsOrderAndFindsParts()
    {
        TensorEntry a = new("m.a", [1], [1f]), b = new("m.b", [2], [2f, 3f]), c = new("n", [], [4f]);
        StateDict all = new([a, b, c], [new("m.epoch", 3L), new("x", null)]);
        StateDict part = all.Under("m.");
        Assert.That(part.Names, Is.EqualTo(new[] { "a", "b" }));
        Assert.That(part.Metadata.Keys, Is.EqualTo(new[] { "epoch" }));
        Assert.That(part["b"].ToFloats(), Is.EqualTo(new[] { 2f, 3f }));
        Assert.That(all["m.b"].Shape.ToString(), Is.EqualTo("(2)"));
        Assert.That(Assert.Throws<CheckpointException>(() => _ = all["absent"])!.Message, Does.Contain("absent"));
        Assert.That(Assert.Throws<CheckpointException>(() => _ = new StateDict([a, a]))!.Error,
            Is.EqualTo(CheckpointError.DuplicateName));
        Assert.Throws<ArgumentException>(() => _ = new TensorEntry("x", [3], [1f]));
        Assert.Throws<ArgumentException>(() => _ = new TensorEntry("x", ElementType.U8, [-1, -1], new byte[1]));
    }

    [Test]
    public void TarOfVeryOldVersions_IsNamed()
    {
        byte[] tar = new byte[1024];
        "storages"u8.CopyTo(tar);
        "ustar"u8.CopyTo(tar.AsSpan(257));
        Assert.That(Assert.Throws<CheckpointException>(() => Checkpoint.Parse(tar))!.Message, Does.Contain("tar"));
    }

    // Every finite half, bfloat16 and 8-bit integer, and edges of the others, against .NET's own conversions.
    [Test]
    public void ReadFloats_EveryType_IsTheNearestFloat()
    {
        ushort[] all = [.. Enumerable.Range(0, 65536).Select(i => (ushort)i)];
        byte[] bytes = [.. all.SelectMany(BitConverter.GetBytes)];
        Check(ElementType.F16, bytes, [.. all.Select(v => (float)BitConverter.UInt16BitsToHalf(v))]);
        Check(ElementType.BF16, bytes, [.. all.Select(v => BitConverter.UInt32BitsToSingle((uint)v << 16))]);
        Check(ElementType.I16, bytes, [.. all.Select(v => (float)(short)v)]);
        Check(ElementType.U16, bytes, [.. all.Select(v => (float)v)]);
        Check(ElementType.I8, bytes, [.. bytes.Select(v => (float)(sbyte)v)]);
        Check(ElementType.U8, bytes, [.. bytes.Select(v => (float)v)]);
        Check(ElementType.Bool, [0, 1, 2], [0, 1, 1]);
        long[] longs = [0, 1, -1, long.MaxValue, long.MinValue, 16777217, 1L << 40];
        Check(ElementType.I64, [.. longs.SelectMany(BitConverter.GetBytes)], [.. longs.Select(v => (float)v)]);
        Check(ElementType.U64, [.. longs.SelectMany(BitConverter.GetBytes)], [.. longs.Select(v => (float)(ulong)v)]);
        Check(ElementType.I32, [.. longs.SelectMany(v => BitConverter.GetBytes((int)v))],
            [.. longs.Select(v => (float)(int)v)]);
        Check(ElementType.U32, [.. longs.SelectMany(v => BitConverter.GetBytes((uint)v))],
            [.. longs.Select(v => (float)(uint)v)]);
        double[] doubles =
            [0, -0.0, 0.1, double.NaN, double.MaxValue, 1e-45, 1.0000000596046448, double.NegativeInfinity];
        Check(ElementType.F64, [.. doubles.SelectMany(BitConverter.GetBytes)], [.. doubles.Select(v => (float)v)]);
        foreach (
            ElementType type in (ElementType[])[ElementType.C64, ElementType.F8E4M3, ElementType.F8E5M2,
            ElementType.F8E8M0])
        {
            TensorEntry entry = new("x", type, [1], new byte[type.Size()]);
            Assert.That(Assert.Throws<CheckpointException>(() => entry.ToFloats())!.Error,
                Is.EqualTo(CheckpointError.NotConvertible));
        }
    }

    static void Check(ElementType type, byte[] bytes, float[] expected)
    {
        float[] found = new TensorEntry("x", type, [expected.Length], bytes).ToFloats();
        Assert.That(found.Select(BitConverter.SingleToUInt32Bits),
            Is.EqualTo(expected.Select(BitConverter.SingleToUInt32Bits)), type.Name());
    }
}
