// Wrong command lines and wrong files: the exit code, and one message that says what was expected and found.
using EpSam.Native.Tests.Imaging;

namespace EpSam.Native.Tests.Cli;

public sealed class UsageTests
{
    const string Module = """
        .version 7.0
        .target sm_80
        .address_size 64
        .visible .entry first(.param .u64 x, .param .u32 n) { ret; }
        .visible .entry second(.param .align 4 .b8 s[12]) { ret; }
        .visible .entry third() { ret; }
        """;

    string directory = "", file = "";

    [SetUp]
    public void MakeDirectory()
    {
        directory = Directory.CreateTempSubdirectory("epsam-test-").FullName;
        file = Path.Combine(directory, "module.ptx");
        File.WriteAllText(file, Module);
    }

    [TearDown]
    public void RemoveDirectory() => Directory.Delete(directory, recursive: true);

    CommandLine Run(string entry, params string[] rest) =>
        CommandLine.Run(["ptx", "run", file, "--entry", entry, "--grid", "1", "--block", "32", .. rest]);

    [TestCase("")]
    [TestCase("frobnicate")]
    [TestCase("ptx")]
    [TestCase("ptx run")]
    [TestCase("ptx run x.ptx --entry a --grid 1")]
    [TestCase("ptx run x.ptx --entry a --grid 1 --block 1 --frob")]
    [TestCase("ptx run x.ptx --entry a --grid 0 --block 1")]
    [TestCase("ptx run x.ptx --entry a --grid 1,2,3,4 --block 1")]
    [TestCase("ptx run x.ptx --entry a --grid 1 --block 1,-1")]
    [TestCase("ptx run x.ptx --entry a --grid 99999999999 --block 1")]
    [TestCase("ptx run x.ptx --entry a --grid 1 --block 1 --shared -5")]
    [TestCase("ptx run x.ptx --entry a --grid 1 --block 1 --shared many")]
    [TestCase("ptx run x.ptx --entry a --grid 1 --block 1 --arg u32")]
    [TestCase("ptx check")]
    [TestCase("ptx check a b")]
    [TestCase("doctor --jason")]
    public void WrongCommandLine_Exits2_WithAMessageAndNoOutput(string line)
    {
        CommandLine result = CommandLine.Run(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.That(result.Code, Is.EqualTo(2), result.Error);
        Assert.That(result.Error, Does.StartWith("epsam: "));
        Assert.That(result.Output, Is.Empty);
    }

    [TestCase("slide a.svs --out o --run r --maps-onyl", "unknown option --maps-onyl (a file of that name is ./--maps")]
    [TestCase("slide -m a.svs --out o --run r", "unknown option -m ")]
    [TestCase("slide merge o --ou x", "unknown option --ou ")]
    [TestCase("slide evaluate o --slides s --ou x", "unknown option --ou ")]
    [TestCase("prepare a.svs --out o --levle 2", "unknown option --levle ")]
    [TestCase("slide a.svs --out o --run r --mpp 0,5", "--mpp 0,5: expected a number with a point, as 0.5")]
    [TestCase("slide a.svs --out o --run r --mpp inf", "--mpp 'inf': expected a number")]
    [TestCase("slide a.svs --out o --run r --tile 99999999999", "--tile '99999999999': expected a whole number, at")]
    [TestCase("synth --out o --seed -1", "--seed '-1': expected a whole number, 0 to 4294967295")]
    [TestCase("synth --out o --normal 0,5", "--normal 0,5: expected a number with a point")]
    [TestCase("prepare a.svs --out o --seed -1", "--seed '-1': expected a whole number, 0 to 18446744073709551615")]
    [TestCase("prepare a.svs --out o --level 0 --mpp 1", "--level and --mpp")]
    public void Slips_AreSaid_BeforeAnythingIsDone(string line, string expected)
    {
        CommandLine result = CommandLine.Run(line.Split(' '));
        Assert.That((result.Code, result.Output), Is.EqualTo((2, "")), result.Error);
        Assert.That(result.Error, Does.StartWith($"epsam: {expected}"));
        Assert.That(Path.Exists("o"), Is.False);
    }

    [TestCase("--out", "prepare", "a.svs", "--out", "")]
    [TestCase("--run", "slide", "a.svs", "--out", "o", "--run", "")]
    [TestCase("SLIDE", "slide", "", "--out", "o", "--run", "r")]
    [TestCase("RUN", "train", "status", "")]
    public void EmptyValues_OfUnsetVariables_AreSaid(string which, params string[] arguments)
    {
        CommandLine result = CommandLine.Run(arguments);
        Assert.That((result.Code, result.Output), Is.EqualTo((2, "")), result.Error);
        Assert.That(result.Error, Does.StartWith($"epsam: {which}: an empty value"));
    }

    [TestCase("segment a.png --help")]
    [TestCase("slide --frob --help")]
    public void Help_IsNotRefused(string line) => Assert.That(CommandLine.Run(line.Split(' ')).Code, Is.Zero);

    [Test]
    public void Cancelled_SaysHowToGoOn()
    {
        VipsLibrary.RequireOrSkip();
        StringWriter error = new();
        int code = EpSam.Cli.Program.Run(["synth", "--out", directory], TextWriter.Null, error,
            new CancellationToken(canceled: true));
        Assert.That((code, error.ToString()),
            Is.EqualTo((130, $"epsam: cancelled; the same command goes on{Environment.NewLine}")));
    }

    [TestCase("--help", "doctor")]
    [TestCase("ptx run --help", "--entry")]
    [TestCase("--version", ".")]   // the version of the program it runs in
    public void Help_Exits0(string line, string contains)
    {
        CommandLine result = CommandLine.Run(line.Split(' '));
        Assert.That(result.Code, Is.Zero);
        Assert.That(result.Output, Does.Contain(contains));
    }

    [Test]
    public void Run_BadChecks_AreUsageErrors()
    {
        CommandLine result = Run("third", "--check", "some");
        Assert.That((result.Code, result.Error),
            Is.EqualTo((2, $"epsam: --check some: expected all or none{Environment.NewLine}")));
        result = Run("third", "--gpu", "quantum");
        Assert.That(result.Code, Is.EqualTo(2));
        Assert.That(result.Error, Does.StartWith("epsam: --gpu quantum: expected virtual, virtual:CARD or native"));
        result = Run("third", "--gpu", "native", "--interpret");
        Assert.That(result.Code, Is.EqualTo(2));
        Assert.That(result.Error, Does.Contain("--interpret and --counters are the virtual GPU's"));
    }

    [Test]
    public void MissingFile_Exits1_AndNamesIt()
    {
        string missing = Path.Combine(directory, "missing.ptx");
        foreach (CommandLine result in new[]
                 {
                     CommandLine.Run("ptx", "check", missing),
                     CommandLine.Run("ptx", "run", missing, "--entry", "a", "--grid", "1", "--block", "1"),
                 })
            Assert.That((result.Code, result.Error),
                Is.EqualTo((1, $"epsam: PTX file {missing} does not exist{Environment.NewLine}")));
        CommandLine folder = CommandLine.Run("ptx", "check", directory);
        Assert.That(folder.Code, Is.EqualTo(1));
        Assert.That(folder.Error, Does.Contain("is a directory; expected a file"));
    }

    [TestCase(new byte[0], "is empty")]
    [TestCase(new byte[] { (byte)'.', 0, 1 }, "is not a text: byte 1 is zero")]
    public void NotAText_Exits1(byte[] content, string message)
    {
        File.WriteAllBytes(file, content);
        CommandLine result = CommandLine.Run("ptx", "check", file);
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Error, Does.StartWith($"epsam: PTX file {file} ").And.Contain(message));
    }

    [Test]
    public void BadPtx_Exits1_WithFileLineAndColumn()
    {
        File.WriteAllText(file,
            ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry a() { frob.u32 %r1; }\n");
        foreach (CommandLine result in new[] { CommandLine.Run("ptx", "check", file), Run("a") })
        {
            Assert.That(result.Code, Is.EqualTo(1));
            Assert.That(result.Error, Does.StartWith($"epsam: {file}: ").And.Contain("line 4, column "));
            Assert.That(result.Output, Is.Empty);
        }
    }

    [Test]
    public void UnknownEntry_Exits1_AndListsThoseThereAre()
    {
        CommandLine result = Run("frist");
        Assert.That((result.Code, result.Error),
            Is.EqualTo((1, $"epsam: {file} has no entry frist; it has first, second, third{Environment.NewLine}")));
    }

    [Test]
    public void WrongArgumentCount_Exits1_AndListsTheParameters()
    {
        CommandLine result = Run("first", "--arg", "u64:0");
        Assert.That((result.Code, result.Error),
            Is.EqualTo((1, $"epsam: entry first takes 2 arguments (.u64 x, .u32 n); found 1{Environment.NewLine}")));
        Assert.That(Run("third", "--arg", "u64:0").Error,
            Does.Contain("entry third takes 0 arguments (none); found 1"));
    }

    [Test]
    public void WrongArgumentSize_Exits1_AndNamesTheParameter()
    {
        CommandLine result = Run("first", "--arg", "u64:0", "--arg", "u64:7");
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Error, Does.Contain(
            "--arg u64:7: argument 2 of entry first is .u32 n, 4 bytes; found 8 bytes"));
        result = Run("second", "--arg", "u32:1,2");
        Assert.That(result.Error, Does.Contain("argument 1 of entry second is .b8 s[12], 12 bytes; found 8 bytes"));
        result = Run("second", "--arg", $"out:4:{Path.Combine(directory, "o")}");
        Assert.That(result.Error, Does.Contain("12 bytes; found the 8 bytes of an address"));
    }

    [Test]
    public void Files_MissingInputOrOutputFolder_Exit1()
    {
        string missing = Path.Combine(directory, "no", "o");
        CommandLine result = Run("first", "--arg", $"out:4:{missing}", "--arg", "u32:1");
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Error, Does.StartWith($"epsam: output {missing}: the directory ")
            .And.Contain("does not exist"));
        string twice = Path.Combine(directory, "o");
        result = Run("first", "--arg", $"out:4:{twice}", "--arg", $"out:4:{twice}");
        Assert.That(result.Code, Is.EqualTo(2));
        Assert.That(result.Error, Does.Contain("is the output of another argument too"));
    }
}
