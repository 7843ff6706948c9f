// The look of every source file: what .editorconfig says, kept by a test, as compilers do not.
namespace EpSam.Native.Tests.House;

public sealed class SourceTextTests
{
    const int Columns = 120;

    static readonly string[] Endings = [".cs", ".cu", ".cuh", ".h", ".sh", ".js", ".css", ".html"];

    static IEnumerable<string> Files() =>
        new[] { "src", "tests", "bench", "kernels" }.Select(RepositoryRoot.File)
            .SelectMany(folder => Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
            .Where(file => Endings.Contains(Path.GetExtension(file)) && !IsMade(file))
            .Concat(Directory.EnumerateFiles(RepositoryRoot.File("cmake")))
            .Concat(new[] { ".ci/run", "epsam", "test.sh" }.Select(RepositoryRoot.File));

    // by builds, or by tools that install things for the benches
    static bool IsMade(string file) => Path.GetRelativePath(RepositoryRoot.Path, file)
        .Split(Path.DirectorySeparatorChar).Any(part => part is "bin" or "obj" || part.StartsWith('.'));

    [Test]
    public void Files_OfAllSources_KeepTheHouseRules()
    {
        List<string> wrong = [];
        int files = 0;
        foreach (string file in Files())
        {
            files++;
            string name = Path.GetRelativePath(RepositoryRoot.Path, file);
            string text = File.ReadAllText(file).Replace("\r\n", "\n");
            if (!text.EndsWith('\n') || text.EndsWith("\n\n")) wrong.Add($"{name}: must end with one line feed");
            string[] lines = text.Split('\n');
            for (int i = 0; i < lines.Length; i++)
                if (Fault(lines[i]) is { } fault) wrong.Add($"{name}:{i + 1}: {fault}");
        }
        Assert.That(files, Is.GreaterThan(400), "the files are not found");
        Assert.That(wrong, Is.Empty, string.Join('\n', wrong));
    }

    static string? Fault(string line) =>
        line.Length > Columns ? $"{line.Length} columns; at most {Columns}"
        : line.Contains('\t') ? "a tab"
        : line.EndsWith(' ') ? "a trailing space"
        : null;

    [TestCase(120, "", null)]
    [TestCase(121, "", "121 columns; at most 120")]
    [TestCase(3, "\t", "a tab")]
    [TestCase(3, " ", "a trailing space")]
    public void Fault_OfALine_IsFound(int length, string end, string? expected) =>
        Assert.That(Fault(new string('x', length) + end), Is.EqualTo(expected));
}
