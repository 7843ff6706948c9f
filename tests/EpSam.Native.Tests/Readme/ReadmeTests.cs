// The README is run: files shown in it are written to an empty folder, its ./epsam lines run there, in this process.
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using EpSam.Cli;
using EpSam.Imaging;
using EpSam.Native.Tests.Cli;
using EpSam.Native.Tests.Imaging;
using EpSam.Native.Tests.Pipeline;

namespace EpSam.Native.Tests.Readme;

[NonParallelizable]   // changes the current directory
public sealed partial class ReadmeTests
{
    static readonly string Text = File.ReadAllText(RepositoryRoot.File("README.md"));

    string directory = "", before = "";

    [SetUp]
    public void EnterEmptyDirectory()
    {
        before = Environment.CurrentDirectory;
        directory = Directory.CreateTempSubdirectory("epsam-test-").FullName;
        Environment.CurrentDirectory = directory;
    }

    [TearDown]
    public void LeaveDirectory()
    {
        Environment.CurrentDirectory = before;
        Directory.Delete(directory, recursive: true);
    }

    static IEnumerable<(string Language, string Body, int Start)> Blocks() =>
        BlockPattern().Matches(Text).Select(m => (m.Groups[1].Value, m.Groups[2].Value, m.Index));

    static IEnumerable<string> ShellLines() =>
        Blocks().Where(b => b.Language == "sh").SelectMany(b => b.Body.Split('\n'))
            .Select(l => l.Split(" #")[0].Trim()).Where(l => l.Length > 0);

    [Test, Category("Slow")]
    public void EpsamLines_InOrder_AllSucceed()
    {
        string ptx = Blocks().Single(b => b.Language == "ptx").Body;
        Assert.That(Text, Does.Contain("Save this as `iota.ptx`"));
        File.WriteAllText("iota.ptx", ptx);
        VipsLibrary.RequireOrSkip();
        File.WriteAllBytes("photo.jpg", ImageWriter.EncodeJpeg(Photo(640, 427), 640, 427, 3));
        TinyData.Write("patches", train: 4, val: 4, test: 2);
        File.WriteAllText("small.json", Blocks().Single(b => b.Language == "json").Body);
        int run = 0;
        foreach (string line in ShellLines().Where(l => l.StartsWith("./epsam ", StringComparison.Ordinal)))
        {
            string[] arguments =
                [.. line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..].Select(a => a.Trim('"'))];
            if (IsLong(arguments))
            {
                Assert.That(Program.Root().Parse(arguments).Errors, Is.Empty, line);
                continue;
            }
            // a form, no example
            if (arguments.Contains("FILE")) arguments = [.. arguments.TakeWhile(a => a != "FILE"), "--help"];
            CommandLine result = CommandLine.Run(arguments);
            Assert.That(result.Code, Is.Zero, $"{line}\n{result.Error}");
            run++;
        }
        Assert.That(run, Is.GreaterThanOrEqualTo(5));

        // What the README says of the result.
        float[] y = MemoryMarshal.Cast<byte, float>(File.ReadAllBytes("y.bin")).ToArray();
        Assert.That(y, Is.EqualTo(Enumerable.Range(0, 250).Select(i => 0.5f * i)));
        Assert.That(y[^1], Is.EqualTo(124.5f));
        foreach (string file in new[] { "masks/photo/overlay_0.png", "masks/photo/segment.json",
            "all/photo/metadata.csv", "all/photo/overlay.png", "run/run.json", "run/data.csv", "run/stages.json",
            "run/metrics.csv", "run/tensorboard", "run/classifier/classifier.safetensors", "run/initial",
            "run/round0/decoder.safetensors", "run/round1/decoder.safetensors", "run/predictions",
            "run/evaluation.csv", "run/evaluation.json", "run/report.html", "run/plans", "run/cache" })
            Assert.That(file, Does.Exist);
    }

    // Minutes of work, or one's own slides and a published checkpoint: such a line is parsed. The demo has tests of its
    // own, and further down smaller examples of the same commands are run.
    static bool IsLong(string[] arguments) => arguments[0] == "demo"
        || arguments.Any(a => a.Contains("SLIDES") || a.Contains("sam_vit_b"));

    static byte[] Photo(int width, int height) // a sky, a field and a house
    {
        byte[] rgb = new byte[3 * width * height];
        for (int y = 0, i = 0; y < height; y++)
            for (int x = 0; x < width; x++)
            {
                bool isHouse = x is > 220 and < 430 && y is > 150 and < 300;
                (rgb[i++], rgb[i++], rgb[i++]) = isHouse ? ((byte)170, (byte)90, (byte)70)
                    : y < 240 ? ((byte)(120 + y / 4), (byte)170, (byte)230) : ((byte)70, (byte)(140 - y / 8), (byte)60);
            }
        return rgb;
    }

    [Test]
    public void Example_WithoutItsGuard_FailsAsDescribed()
    {
        string ptx = Blocks().Single(b => b.Language == "ptx").Body.Replace("@%p bra done;", "");
        File.WriteAllText("iota.ptx", ptx);
        CommandLine result = CommandLine.Run("ptx", "run", "iota.ptx", "--entry", "iota", "--grid", "4", "--block",
            "64",
            "--arg", "out:1000:y.bin", "--arg", "f32:0.5", "--arg", "u32:250");
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Error, Does.Contain("iota").And.Contain("st.global.f32").And.Contain("(3,0,0)")
            .And.Contain("(58,0,0)"));
        Assert.That(File.Exists("y.bin"), Is.False);
    }

    [Test]
    public void OtherCommandsAndPaths_Exist()
    {
        foreach (string line in ShellLines().Where(l => !l.StartsWith("./epsam ", StringComparison.Ordinal)))
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            string path = words[0] == "dotnet" ? words[Array.IndexOf(words, "--project") + 1] : words[0];
            string full = RepositoryRoot.File(path);
            Assert.That(File.Exists(full) || Directory.Exists(full), $"{line}: no {path}");
        }
        foreach (Match match in PathPattern().Matches(Text))
        {
            string full = RepositoryRoot.File(match.Groups[1].Value);
            Assert.That(File.Exists(full) || Directory.Exists(full),
                $"README names {match.Groups[1].Value}, which is not there");
        }
    }

    // The launcher takes the same words as the process under test: it passes them on untouched.
    [Test]
    public void Launcher_PassesItsArgumentsOn()
    {
        string launcher = File.ReadAllText(RepositoryRoot.File("epsam"));
        Assert.That(launcher, Does.Contain("exec dotnet \"$tool\" \"$@\""));
    }

    [GeneratedRegex(@"^```(\w+)\n(.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex BlockPattern();

    // `src/README.md`, `bench/results/`: what stands in code quotes and has a slash, but is no command and no URL.
    [GeneratedRegex(@"`((?:src|kernels|bench|cmake|tests)/[\w./-]*)`")]
    private static partial Regex PathPattern();
}
