// Archives that lie. The right ones are those PyTorch writes (with descriptors), Python's zipfile writes (without),
// zip64.
using EpSam.Native.Checkpoints;

namespace EpSam.Native.Tests.Checkpoints;

public sealed class ZipTests
{
    static readonly byte[] Data = [0, 0, 128, 63, 0, 0, 0, 64];   // 1f, 2f

    static byte[] Pickle =>
        new PickleWriter().Proto().Op("}").Text("x").Tensor("FloatStorage", "0", 2, 0, [2], [1]).Op("s").Done();

    static ZipWriter Right()
    {
        ZipWriter zip = new();
        zip.Add("a/data.pkl", Pickle);
        zip.Add("a/data/0", Data);
        zip.Add("a/version", "3\n"u8.ToArray());
        return zip;
    }

    static CheckpointError ErrorOf(byte[] file) =>
        Assert.Throws<CheckpointException>(() => Checkpoint.Parse(file))!.Error;

    [TestCase(false, false)]
    [TestCase(true, false)]
    [TestCase(false, true)]
    [TestCase(true, true)]
    public void Right_WithDescriptorsOrZip64_IsRead(bool descriptors, bool is64)
    {
        ZipWriter zip = Right();
        (zip.HasDescriptors, zip.Is64) = (descriptors, is64);
        using StateDict found = Checkpoint.Parse(zip.Done());
        found.Verify();
        Assert.That(found["x"].ToFloats(), Is.EqualTo(new[] { 1f, 2f }));
    }

    [Test]
    public void Zip64Field_GivesSizesAndPlace()
    {
        ZipWriter zip = Right();
        ZipWriter.Entry entry = zip.Entries[1];
        (entry.Packed, entry.Length) = (uint.MaxValue, uint.MaxValue);
        // Another field first, then 1: unpacked, packed.
        entry.Extra = [0x77, 0, 2, 0, 1, 2, 1, 0, 16, 0, .. BitConverter.GetBytes(8L), .. BitConverter.GetBytes(8L)];
        using StateDict found = Checkpoint.Parse(zip.Done());
        Assert.That(found["x"].ToFloats(), Is.EqualTo(new[] { 1f, 2f }));
        entry.Extra = [1, 0, 8, 0, .. BitConverter.GetBytes(8L)];
        Assert.That(ErrorOf(zip.Done()), Is.EqualTo(CheckpointError.ZipEntry));
        entry.Extra = [1, 0, 16, 0, .. BitConverter.GetBytes(-8L), .. BitConverter.GetBytes(-8L)];
        Assert.That(ErrorOf(zip.Done()), Is.EqualTo(CheckpointError.ZipEntry));
        entry.Extra = [];
        Assert.That(ErrorOf(zip.Done()), Is.EqualTo(CheckpointError.ZipEntry));
    }

    static IEnumerable<TestCaseData> Lies()
    {
        (string Name, CheckpointError Error, Action<ZipWriter> Change)[] cases =
        [
            ("comment", CheckpointError.ZipDirectory, z => z.Comment = "PK"),
            ("comment with an end record", CheckpointError.ZipDirectory, z =>
                z.Comment = "PK\u0005\u0006" + new string('\0', 18)),
            ("count too large", CheckpointError.ZipDirectory, z => z.Count = 4),
            ("count too small", CheckpointError.ZipDirectory, z => z.Count = 2),
            ("count says none", CheckpointError.ZipDirectory, z => z.Count = 0),
            ("count of 65,000", CheckpointError.ZipDirectory, z => z.Count = 65_000),
            ("directory elsewhere", CheckpointError.ZipDirectory, z => z.DirectoryOffset = 0),
            ("directory behind the end", CheckpointError.ZipDirectory, z => z.DirectoryOffset = 1 << 30),
            ("directory too small", CheckpointError.ZipDirectory, z => z.DirectorySize = 46),
            ("directory of 4 GiB", CheckpointError.ZipDirectory, z => z.DirectorySize = uint.MaxValue - 1),
            ("zip64 directory elsewhere", CheckpointError.ZipDirectory, z =>
                (z.Is64, z.DirectoryOffset) = (true, long.MaxValue)),
            ("zip64 negative size", CheckpointError.ZipDirectory, z => (z.Is64, z.DirectorySize) = (true, -1)),
            ("zip64 count", CheckpointError.ZipDirectory, z => (z.Is64, z.Count) = (true, int.MaxValue)),
            ("saturated without zip64", CheckpointError.ZipDirectory, z => z.DirectoryOffset = uint.MaxValue),
            ("encrypted", CheckpointError.ZipEncrypted, z => z.Entries[0].Flags = 1),
            ("flag 0x20 in the directory", CheckpointError.ZipEntry, z =>
                (z.Entries[0].Flags, z.Entries[0].LocalFlags) = (0x20, 0)),
            ("flag 1 in the local header", CheckpointError.ZipEntry, z => z.Entries[0].LocalFlags = 1),
            ("flag 0x40 in both", CheckpointError.ZipEntry, z => z.Entries[0].Flags = 0x40),
            ("compressed", CheckpointError.ZipCompressed, z => z.Entries[1].Method = 8),
            ("compressed bomb", CheckpointError.ZipCompressed, z =>
                (z.Entries[1].Method, z.Entries[1].Length) = (8, 4_000_000_000)),
            ("stored bomb", CheckpointError.ZipEntry, z => z.Entries[1].Length = 4_000_000_000),
            ("both sizes too large", CheckpointError.ZipEntry, z =>
                (z.Entries[1].Length, z.Entries[1].Packed) = (4_000_000_000, 4_000_000_000)),
            ("runs into the directory", CheckpointError.ZipEntry, z =>
                (z.Entries[2].Length, z.Entries[2].Packed) = (3, 3)),
            ("local name differs", CheckpointError.ZipEntry, z => z.Entries[0].LocalName = "b/data.pkl"),
            ("local size differs", CheckpointError.ZipEntry, z => z.Entries[1].LocalLength = 4),
            ("local checksum differs", CheckpointError.ZipEntry, z => z.Entries[1].LocalChecksum = 1),
            ("overlap", CheckpointError.ZipOverlap, z =>
                (z.Entries[0].Length, z.Entries[0].Packed, z.Entries[0].LocalLength) =
                (Pickle.Length + 1, Pickle.Length + 1, Pickle.Length + 1)),
            ("pickle's checksum", CheckpointError.ZipChecksum, z => z.Entries[0].Checksum++),
            ("name twice", CheckpointError.DuplicateName, z => z.Add("a/data/0", Data)),
            ("two pickles", CheckpointError.ZipRecords, z => z.Add("b/data.pkl", Pickle)),
            ("foreign entry", CheckpointError.ZipRecords, z => z.Add("../evil", Data)),
            ("TorchScript", CheckpointError.ZipRecords, z => z.Add("a/code/__torch__.py", Data)),
            ("TorchScript constants", CheckpointError.ZipRecords, z => z.Add("a/constants.pkl", Data)),
            ("no pickle", CheckpointError.ZipRecords, z => z.Entries.RemoveAt(0)),
            ("pickle without folder", CheckpointError.ZipRecords, z => z.Entries[0].Name = "data.pkl"),
            ("big-endian", CheckpointError.ZipRecords, z => z.Add("a/byteorder", "big"u8.ToArray())),
            ("no storage", CheckpointError.InvalidStorage, z => z.Entries.RemoveAt(1)),
            ("storage too short", CheckpointError.InvalidStorage, z =>
                (z.Entries[1].Bytes, z.Entries[1].Checksum) = (Data[..7], ZipWriter.Checksum(Data.AsSpan(0, 7)))),
            ("storage too long", CheckpointError.InvalidStorage, z =>
                (z.Entries[1].Bytes, z.Entries[1].Checksum) = (new byte[12], ZipWriter.Checksum(new byte[12]))),
        ];
        foreach ((string name, CheckpointError error, Action<ZipWriter> change) in cases)
            yield return new TestCaseData(error, change).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Lies))]
    public void Lie_IsRefusedByName(CheckpointError error, object change) =>
        Assert.That(ErrorAfter(change), Is.EqualTo(error));

    static CheckpointError ErrorAfter(object change)
    {
        ZipWriter zip = Right();
        ((Action<ZipWriter>)change)(zip);
        return ErrorOf(zip.Done());
    }

    [Test]
    public void BytesBefore_OrBehind_AreRefused()
    {
        ZipWriter zip = Right();
        byte[] right = zip.Done();
        Assert.That(ErrorOf([.. right, 0]), Is.EqualTo(CheckpointError.ZipDirectory));
        Assert.That(ErrorOf(right[..^1]), Is.EqualTo(CheckpointError.ZipDirectory));
        zip.Before = "#!/bin/sh\n"u8.ToArray();
        Assert.That(ErrorOf(zip.Done()), Is.EqualTo(CheckpointError.UnknownFormat));
    }

    [Test]
    public void Verify_FindsADamagedStorage()
    {
        ZipWriter zip = Right();
        zip.HasDescriptors = true;
        byte[] file = zip.Done();
        int at = file.AsSpan().IndexOf(Data);
        file[at]++;
        using StateDict found = Checkpoint.Parse(file);
        Assert.That(Assert.Throws<CheckpointException>(found.Verify)!.Error, Is.EqualTo(CheckpointError.ZipChecksum));
    }
}
