// Who may see whom (src/README.md). Project references are read from the project files, so that a forbidden edge
// fails even when nothing uses it yet; what an assembly uses in the end is checked as well.
using System.Reflection;
using System.Xml.Linq;

namespace EpSam.Native.Tests.Layering;

public sealed class LayeringTests
{
    [TestCase("EpSam.Cuda", "")]
    [TestCase("EpSam.Imaging", "")]
    [TestCase("EpSam.VirtualGpu", "EpSam.Cuda")]
    [TestCase("EpSam.Native", "EpSam.Cuda")]
    [TestCase("EpSam.Slides", "EpSam.Imaging EpSam.Native")]
    [TestCase("EpSam.Cli", "EpSam.Cuda EpSam.Imaging EpSam.Native EpSam.Slides EpSam.VirtualGpu")]
    public void Project_References_AreThese(string project, string expected)
    {
        XDocument file = XDocument.Load(RepositoryRoot.File($"src/{project}/{project}.csproj"));
        string[] references =
            [.. file.Descendants("ProjectReference")
                .Select(e => Path.GetFileNameWithoutExtension(e.Attribute("Include")!.Value.Replace('\\', '/')))
                .Order(StringComparer.Ordinal)];
        Assert.That(string.Join(' ', references), Is.EqualTo(expected));
    }

    [Test]
    public void Sources_AllProjects_AreNamedAbove()
    {
        string[] projects =
            [.. Directory.GetDirectories(RepositoryRoot.File("src")).Select(d => Path.GetFileName(d)!).Order()];
        string[] expected =
            ["EpSam.Cli", "EpSam.Cuda", "EpSam.Imaging", "EpSam.Native", "EpSam.Slides", "EpSam.VirtualGpu"];
        Assert.That(projects, Is.EqualTo(expected));
    }

    [Test]
    public void ProductProjects_Packages_OnlyTheCommandLineHasAny()
    {
        string[] projects = ["EpSam.Cuda", "EpSam.Imaging", "EpSam.VirtualGpu", "EpSam.Native", "EpSam.Slides"];
        foreach (string project in projects)
        {
            XDocument file = XDocument.Load(RepositoryRoot.File($"src/{project}/{project}.csproj"));
            Assert.That(file.Descendants("PackageReference"), Is.Empty, project);
        }
    }

    [TestCase("EpSam.Cuda", "EpSam.VirtualGpu")]
    [TestCase("EpSam.Cuda", "EpSam.Native")]
    [TestCase("EpSam.VirtualGpu", "EpSam.Native")]
    [TestCase("EpSam.Native", "EpSam.VirtualGpu")]
    [TestCase("EpSam.Native", "EpSam.Cli")]
    public void Assembly_Uses_NothingAboveIt(string assembly, string forbidden)
    {
        AssemblyName[] used = Assembly.Load(assembly).GetReferencedAssemblies();
        Assert.That(used.Select(a => a.Name), Does.Not.Contain(forbidden));
    }

    [TestCase("EpSam.Native", "EpSam.VirtualGpu")]
    [TestCase("EpSam.VirtualGpu", "EpSam.Native")]
    [TestCase("EpSam.Cuda", "EpSam.Native")]
    [TestCase("EpSam.Cuda", "EpSam.VirtualGpu")]
    public void Sources_Text_DoesNotUse(string project, string forbidden)
    {
        foreach (string file in SourceFiles($"src/{project}"))
        {
            string[] lines = File.ReadAllLines(file);
            for (int i = 0; i < lines.Length; i++)
            {
                string line = lines[i].Trim();
                bool isUse = line.StartsWith("using ", StringComparison.Ordinal)
                    || line.StartsWith("global using ", StringComparison.Ordinal);
                Assert.That(isUse && line.Contains(forbidden, StringComparison.Ordinal), Is.False,
                    $"{file}:{i + 1}: {line}");
            }
        }
    }

    // The virtual GPU runs any PTX: no kernel of ours may be known to it by name.
    [Test]
    public void VirtualGpu_Sources_NameNoShippedKernel()
    {
        string folder = RepositoryRoot.File("kernels/ptx");
        Assert.That(folder, Does.Exist);
        string[] entries =
            [.. Directory.GetFiles(folder, "*.ptx").SelectMany(File.ReadLines)
                .Select(l => System.Text.RegularExpressions.Regex.Match(l, @"\.entry\s+(\w+)"))
                .Where(m => m.Success).Select(m => m.Groups[1].Value).Distinct()];
        foreach (string file in SourceFiles("src/EpSam.VirtualGpu"))
        {
            string text = File.ReadAllText(file);
            foreach (string entry in entries) Assert.That(text, Does.Not.Contain('"' + entry), file);
        }
    }

    static IEnumerable<string> SourceFiles(string folder) =>
        Directory.GetFiles(RepositoryRoot.File(folder), "*.cs", SearchOption.AllDirectories)
            .Where(f => !f.Split(Path.DirectorySeparatorChar).Intersect(["bin", "obj"]).Any());
}
