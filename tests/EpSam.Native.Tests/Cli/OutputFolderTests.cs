using EpSam.Cli;

namespace EpSam.Native.Tests.Cli;

public sealed class OutputFolderTests
{
    string directory = "";

    [SetUp]
    public void MakeDirectory() => directory = Directory.CreateTempSubdirectory("epsam-test-").FullName;

    [TearDown]
    public void RemoveDirectory() => Directory.Delete(directory, recursive: true);

    [Test]
    public void Commit_GivesTheNameToAllFilesAtOnce()
    {
        string target = Path.Combine(directory, "new", "out");
        using (OutputFolder folder = new(target))
        {
            folder.Add("a", [1]);
            folder.Add("b", [2, 3]);
            Assert.That(target, Does.Not.Exist);
            folder.Commit();
        }
        Assert.That(File.ReadAllBytes(Path.Combine(target, "b")), Is.EqualTo(new byte[] { 2, 3 }));
        Assert.That(Directory.GetFileSystemEntries(target), Has.Length.EqualTo(2));
        Assert.That(Directory.GetFileSystemEntries(Path.Combine(directory, "new")), Has.Length.EqualTo(1));
    }

    [Test]
    public void Dispose_WithoutCommit_LeavesNothing()
    {
        using (OutputFolder folder = new(Path.Combine(directory, "new", "deeper", "out"))) folder.Add("a", [1]);
        Assert.That(Directory.GetFileSystemEntries(directory), Is.Empty);
    }

    [Test]
    public void Dispose_WithoutCommit_LeavesWhatWasThere()
    {
        string target = Directory.CreateDirectory(Path.Combine(directory, "out")).FullName;
        File.WriteAllText(Path.Combine(target, "old"), "old");
        using (OutputFolder folder = new(target)) folder.Add("a", [1]);
        Assert.That(Directory.GetFiles(directory, "*", SearchOption.AllDirectories),
            Is.EqualTo(new[] { Path.Combine(target, "old") }));
    }

    [Test]
    public void Commit_OverAFolder_ReplacesIt()
    {
        string target = Directory.CreateDirectory(Path.Combine(directory, "out")).FullName;
        File.WriteAllText(Path.Combine(target, "old"), "old");
        using OutputFolder folder = new(target);
        folder.Add("a", [1]);
        folder.Commit();
        Assert.That(Directory.GetFiles(directory, "*", SearchOption.AllDirectories),
            Is.EqualTo(new[] { Path.Combine(target, "a") }));
    }

    [Test]
    public void RemoveUnfinished_TakesAwayWhatIsBeingFilled()
    {
        using OutputFolder folder = new(Path.Combine(directory, "out"));
        folder.Add("a", [1]);
        OutputFolder.RemoveUnfinished();
        Assert.That(Directory.GetFileSystemEntries(directory), Is.Empty);
    }

    [Test]
    public void New_WhereAFileIsInTheWay_IsAUserError()
    {
        File.WriteAllText(Path.Combine(directory, "file"), "");
        UserError? error = Assert.Throws<UserError>(() =>
        {
            using OutputFolder folder = new(Path.Combine(directory, "file", "out"));
        });
        Assert.That(error!.Message, Does.StartWith("cannot write "));
        Assert.That(Directory.GetFileSystemEntries(directory), Has.Length.EqualTo(1));
    }
}
