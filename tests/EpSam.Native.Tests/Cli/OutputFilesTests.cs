using EpSam.Cli;

namespace EpSam.Native.Tests.Cli;

public sealed class OutputFilesTests
{
    string directory = "";

    [SetUp]
    public void MakeDirectory() => directory = Directory.CreateTempSubdirectory("epsam-test-").FullName;

    [TearDown]
    public void RemoveDirectory() => Directory.Delete(directory, recursive: true);

    [Test]
    public void Write_TwoFiles_BothAreThereAndNothingElse()
    {
        string a = Path.Combine(directory, "a"), b = Path.Combine(directory, "b");
        File.WriteAllBytes(a, [9, 9, 9]);
        OutputFiles.Write([(a, s => s.Write([1])), (b, s => s.Write([2, 3]))]);
        Assert.That(File.ReadAllBytes(a), Is.EqualTo(new byte[] { 1 }));
        Assert.That(File.ReadAllBytes(b), Is.EqualTo(new byte[] { 2, 3 }));
        Assert.That(Directory.GetFiles(directory), Has.Length.EqualTo(2));
    }

    [Test]
    public void Write_SecondFileFails_FirstKeepsItsOldContent()
    {
        string a = Path.Combine(directory, "a"), b = Path.Combine(directory, "missing", "b");
        File.WriteAllBytes(a, [9]);
        UserError? error = Assert.Throws<UserError>(() =>
            OutputFiles.Write([(a, s => s.Write([1])), (b, s => s.Write([2]))]));
        Assert.That(error!.Message, Does.StartWith($"cannot write {b}: "));
        Assert.That(File.ReadAllBytes(a), Is.EqualTo(new byte[] { 9 }));
        Assert.That(Directory.GetFiles(directory), Has.Length.EqualTo(1));
    }

    [Test]
    public void Write_ContentFails_NothingIsLeft()
    {
        string a = Path.Combine(directory, "a");
        Assert.Throws<InvalidOperationException>(() =>
            OutputFiles.Write([(a, _ => throw new InvalidOperationException())]));
        Assert.That(Directory.GetFiles(directory), Is.Empty);
    }

    [Test]
    public void RemoveUnfinished_TakesAwayWhatTheLibraryWasSaving()
    {
        string path = Path.Combine(directory, "a.safetensors");
        foreach (string name in new[] { ".a.safetensors.0123.tmp", "a.safetensors", ".b.safetensors.0123.tmp" })
            File.WriteAllText(Path.Combine(directory, name), "");
        using (OutputFiles.Saving(path)) OutputFiles.RemoveUnfinished();
        Assert.That(Directory.GetFiles(directory).Select(Path.GetFileName).Order(),
            Is.EqualTo(new[] { ".b.safetensors.0123.tmp", "a.safetensors" }));
    }

    [Test]
    public void RequireWritable_DirectoryOrMissingDirectory_IsNamed()
    {
        Assert.That(Assert.Throws<UserError>(() => OutputFiles.RequireWritable(directory))!.Message,
            Does.Contain("is a directory"));
        string missing = Path.Combine(directory, "missing", "b");
        Assert.That(Assert.Throws<UserError>(() => OutputFiles.RequireWritable(missing))!.Message,
            Does.Contain("does not exist"));
        OutputFiles.RequireWritable(Path.Combine(directory, "new"));
        Assert.That(Directory.GetFiles(directory), Is.Empty);
    }
}
