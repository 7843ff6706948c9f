using EpSam.Native.Tests.Imaging;

namespace EpSam.Native.Tests.Cli;

/// <summary>Tests of a command that reads or writes images: each has a folder, which is gone after it.</summary>
public abstract class CommandTests
{
    protected string _folder = "";

    [SetUp]
    public void MakeFolder()
    {
        VipsLibrary.RequireOrSkip();
        _folder = Directory.CreateTempSubdirectory("epsam-test-").FullName;
    }

    [TearDown]
    public void RemoveFolder()
    {
        if (_folder.Length > 0) Directory.Delete(_folder, recursive: true);
        _folder = "";
    }
}
