namespace EpSam.Native.Tests;

/// <summary>Where the sources lie: the first folder upwards of the test assembly that holds the solution.</summary>
internal static class RepositoryRoot
{
    public static readonly string Path = Find();

    public static string File(string relative) => System.IO.Path.Combine(Path, relative);

    static string Find()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
            if (System.IO.File.Exists(System.IO.Path.Combine(at.FullName, "EpSam.Native.sln"))) return at.FullName;
        throw new InvalidOperationException($"no EpSam.Native.sln above {AppContext.BaseDirectory}");
    }
}
