// epsam ptx run from the outside: files in, kernel, files out. The PTX is written here and nowhere else.
using System.Runtime.InteropServices;

namespace EpSam.Native.Tests.Cli;

public sealed class PtxRunTests
{
    const string Head = ".version 7.0\n.target sm_80\n.address_size 64\n";

    // y[i] = 3·x[i] + n for all threads; no guard, so that a larger block runs over the end.
    const string Axpy = Head + """
        .visible .entry axpy(.param .u64 x, .param .u64 y, .param .u32 n)
        {
            .reg .b32 %r<6>;
            .reg .b64 %rd<6>;
            ld.param.u64 %rd0, [x];
            ld.param.u64 %rd1, [y];
            ld.param.u32 %r0, [n];
            mov.u32 %r1, %ctaid.x;
            mov.u32 %r2, %ntid.x;
            mov.u32 %r3, %tid.x;
            mad.lo.u32 %r1, %r1, %r2, %r3;
            mul.wide.u32 %rd2, %r1, 4;
            add.u64 %rd0, %rd0, %rd2;
            add.u64 %rd1, %rd1, %rd2;
            ld.global.u32 %r4, [%rd0];
            mad.lo.u32 %r5, %r4, 3, %r0;
            st.global.u32 [%rd1], %r5;
            ret;
        }
        """;

    string directory = "", ptx = "", x = "", y = "";

    [SetUp]
    public void MakeDirectory()
    {
        directory = Directory.CreateTempSubdirectory("epsam-test-").FullName;
        ptx = Path.Combine(directory, "k.ptx");
        x = Path.Combine(directory, "x.bin");
        y = Path.Combine(directory, "y.bin");
    }

    [TearDown]
    public void RemoveDirectory() => Directory.Delete(directory, recursive: true);

    CommandLine Run(string module, string entry, string grid, string block, params string[] rest)
    {
        File.WriteAllText(ptx, module);
        return CommandLine.Run(["ptx", "run", ptx, "--entry", entry, "--grid", grid, "--block", block, .. rest]);
    }

    static void WriteWords(string path, params uint[] words) =>
        File.WriteAllBytes(path, MemoryMarshal.AsBytes<uint>(words).ToArray());

    static uint[] ReadWords(string path) => MemoryMarshal.Cast<byte, uint>(File.ReadAllBytes(path)).ToArray();

    static uint[] Sequence(int count) => [.. Enumerable.Range(0, count).Select(i => (uint)i)];

    [Test]
    public void Run_InAndOut_GivesTheResult([Values] bool interpret, [Values("all", "none")] string check)
    {
        WriteWords(x, Sequence(128));
        string[] options = interpret ? ["--interpret"] : [];
        CommandLine result = Run(Axpy, "axpy", "2", "64",
            ["--arg", $"in:{x}", "--arg", $"out:512:{y}", "--arg", "u32:7",
            "--check", check, .. options]);
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(ReadWords(y), Is.EqualTo(Sequence(128).Select(i => 3 * i + 7)));
        Assert.That(result.Output, Does.Contain($"{y}: 512 bytes"));
        Assert.That(Directory.GetFiles(directory), Has.Length.EqualTo(3));
    }

    [Test]
    public void Run_ChangedConstant_ChangesTheResult()
    {
        WriteWords(x, Sequence(32));
        string changed = Axpy.Replace("%r4, 3, %r0", "%r4, 5, %r0");
        CommandLine result = Run(changed, "axpy", "1", "32", "--arg", $"in:{x}", "--arg", $"out:128:{y}", "--arg",
            "u32:7");
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(ReadWords(y), Is.EqualTo(Sequence(32).Select(i => 5 * i + 7)));
    }

    [Test]
    public void Run_InOut_SavesTheBufferAndLeavesTheInput()
    {
        WriteWords(x, Sequence(32));
        const string Double = Head + """
            .visible .entry twice(.param .u64 x)
            {
                .reg .b32 %r<2>; .reg .b64 %rd<3>;
                ld.param.u64 %rd0, [x];
                mov.u32 %r0, %tid.x;
                mul.wide.u32 %rd1, %r0, 4;
                add.u64 %rd2, %rd0, %rd1;
                ld.global.u32 %r1, [%rd2];
                add.u32 %r1, %r1, %r1;
                st.global.u32 [%rd2], %r1;
                ret;
            }
            """;
        CommandLine result = Run(Double, "twice", "1", "32", "--arg", $"inout:{x}:{y}");
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(ReadWords(y), Is.EqualTo(Sequence(32).Select(i => 2 * i)));
        Assert.That(ReadWords(x), Is.EqualTo(Sequence(32)));
    }

    // Every by-value type in one place: the kernel copies its parameter block to memory.
    [Test]
    public void Run_Values_ArriveAsWritten()
    {
        const string Copy = Head + """
            .visible .entry copy(.param .u64 y, .param .u8 a, .param .s16 b, .param .f32 c, .param .f64 d,
                                 .param .align 4 .b8 s[12])
            {
                .reg .b16 %h<2>; .reg .b32 %r<5>; .reg .b64 %rd<3>;
                ld.param.u64 %rd0, [y];
                ld.param.u8 %h0, [a];
                ld.param.u16 %h1, [b];
                ld.param.b32 %r0, [c];
                ld.param.b64 %rd1, [d];
                ld.param.b32 %r1, [s];
                ld.param.b32 %r2, [s+4];
                ld.param.b32 %r3, [s+8];
                cvt.u32.u16 %r4, %h0;
                st.global.u32 [%rd0], %r4;
                cvt.s32.s16 %r4, %h1;
                st.global.u32 [%rd0+4], %r4;
                st.global.b32 [%rd0+8], %r0;
                st.global.b32 [%rd0+12], %r1;
                st.global.b64 [%rd0+16], %rd1;
                st.global.b32 [%rd0+24], %r2;
                st.global.b32 [%rd0+28], %r3;
                ret;
            }
            """;
        CommandLine result = Run(Copy, "copy", "1", "1", "--arg", $"out:32:{y}", "--arg", "u8:200", "--arg", "s16:-2",
            "--arg", "f32:1.5", "--arg", "f64:-2", "--arg", "u32:1,2,0xFFFFFFFF");
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(ReadWords(y), Is.EqualTo(new uint[] { 200, 0xFFFFFFFE, 0x3FC00000, 1, 0, 0xC0000000, 2,
            0xFFFFFFFF }));
    }

    // Dynamic shared memory: threads of a block hand their value to the mirrored thread.
    [TestCase("49152", "256", 0, "")]
    [TestCase("65536", "256", 0, "")]                     // above 48 KiB: allowed to who asks, and the tool asks
    [TestCase("1048576", "256", 1, "1048576")]
    [TestCase("4096", "2048", 1, "2048")]                 // more threads than a block may have
    public void Run_DynamicSharedMemory_HasTheCardsLimits(string shared, string block, int code, string contains)
    {
        const string Mirror = Head + """
            .extern .shared .align 4 .b8 buffer[];
            .visible .entry mirror(.param .u64 y)
            {
                .reg .b32 %r<6>; .reg .b64 %rd<3>;
                ld.param.u64 %rd0, [y];
                mov.u32 %r0, %tid.x;
                mov.u32 %r1, %ntid.x;
                mov.u32 %r2, buffer;
                shl.b32 %r3, %r0, 2;
                add.u32 %r3, %r2, %r3;
                st.shared.u32 [%r3], %r0;
                bar.sync 0;
                sub.u32 %r4, %r1, %r0;
                sub.u32 %r4, %r4, 1;
                shl.b32 %r4, %r4, 2;
                add.u32 %r4, %r2, %r4;
                ld.shared.u32 %r5, [%r4];
                mul.wide.u32 %rd1, %r0, 4;
                add.u64 %rd2, %rd0, %rd1;
                st.global.u32 [%rd2], %r5;
                ret;
            }
            """;
        CommandLine result = Run(Mirror, "mirror", "1", block, "--shared", shared, "--arg",
            $"out:{4 * int.Parse(block)}:{y}");
        Assert.That(result.Code, Is.EqualTo(code), result.Error);
        if (code == 0) Assert.That(ReadWords(y), Is.EqualTo(Sequence(256).Reverse()));
        else Assert.That(result.Error, Does.Contain(contains));
        Assert.That(File.Exists(y), Is.EqualTo(code == 0));
    }

    [Test]
    public void Run_OutOfBounds_ReportsEverythingAndLeavesNoFile([Values] bool interpret)
    {
        WriteWords(x, Sequence(64));
        string[] options = interpret ? ["--interpret"] : [];
        CommandLine result = Run(Axpy, "axpy", "1", "64",
            ["--arg", $"in:{x}", "--arg", $"out:248:{y}", "--arg", "u32:0", .. options]);
        Assert.That(result.Code, Is.EqualTo(1));
        int line = Array.FindIndex(Axpy.Split('\n'), l => l.Contains("st.global")) + 1;
        Assert.That(result.Error, Does.Contain("axpy").And.Contain("OutOfBounds").And.Contain($"line {line}")
            .And.Contain("st.global.u32").And.Contain("(0,0,0)").And.Contain("(62,0,0)").And.Contain("0x"));
        Assert.That(File.Exists(y), Is.False);
        Assert.That(Directory.GetFiles(directory), Has.Length.EqualTo(2));
    }

    [Test]
    public void Run_UninitialisedInput_IsReported()
    {
        CommandLine result = Run(Axpy, "axpy", "1", "32", "--arg", $"out:128:{x}", "--arg", $"out:128:{y}", "--arg",
            "u32:0");
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Error, Does.Contain("Uninitialised").And.Contain("ld.global.u32"));
        Assert.That(Directory.GetFiles(directory), Has.Length.EqualTo(1));
    }

    [Test]
    public void Run_Counters_ArePrinted()
    {
        WriteWords(x, Sequence(64));
        CommandLine result = Run(Axpy, "axpy", "1", "64", "--arg", $"in:{x}", "--arg", $"out:256:{y}", "--arg",
            "u32:0", "--counters");
        Assert.That(result.Code, Is.Zero, result.Error);
        // Two warps: one load and one store each; 32 lanes x 4 bytes side by side are 4 sectors.
        Assert.That(Counter(result, "global requests"), Is.EqualTo(4));
        Assert.That(Counter(result, "global sectors"), Is.EqualTo(16));
        Assert.That(Counter(result, "bytes read"), Is.EqualTo(256));
        Assert.That(Counter(result, "bytes written"), Is.EqualTo(256));
        Assert.That(Counter(result, "divergent branches"), Is.Zero);
    }

    static long Counter(CommandLine result, string name)
    {
        string line = result.Output.Split('\n').Single(l => l.TrimStart().StartsWith(name, StringComparison.Ordinal));
        return long.Parse(line.Trim()[name.Length..].Trim().Replace(",", ""));
    }

    [Test]
    public void Run_OutOfDeviceMemory_IsNamed()
    {
        CommandLine result = Run(Axpy, "axpy", "1", "32", "--arg", $"out:{64L << 30}:{x}", "--arg", $"out:128:{y}",
            "--arg", "u32:0");
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Error, Does.Contain("CUDA_ERROR_OUT_OF_MEMORY").And.Contain($"{64L << 30} bytes"));
    }

    [Test]
    public void Run_EmptyInput_IsNamed()
    {
        File.WriteAllBytes(x, []);
        CommandLine result = Run(Axpy, "axpy", "1", "32", "--arg", $"in:{x}", "--arg", $"out:128:{y}", "--arg",
            "u32:0");
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Error, Does.Contain($"{x} is empty"));
    }

    [Test]
    public void Run_MissingInput_IsNamed()
    {
        CommandLine result = Run(Axpy, "axpy", "1", "32", "--arg", $"in:{x}", "--arg", $"out:128:{y}", "--arg",
            "u32:0");
        Assert.That((result.Code, result.Error),
            Is.EqualTo((1, $"epsam: input {x} does not exist{Environment.NewLine}")));
    }

    [Test]
    public void Run_UnknownCard_ListsThoseThereAre()
    {
        CommandLine result = Run(Head + ".visible .entry e() { ret; }", "e", "1", "1", "--gpu", "virtual:rtx-9999");
        Assert.That(result.Code, Is.EqualTo(2));
        Assert.That(result.Error, Does.Contain("rtx-9999").And.Contain("rtx-3060"));
    }

    [Test]
    public void Check_GoodFile_TablesItsEntries()
    {
        File.WriteAllText(ptx, Axpy);
        CommandLine result = CommandLine.Run("ptx", "check", ptx);
        Assert.That(result.Code, Is.Zero, result.Error);
        Assert.That(result.Output, Does.Contain("axpy")
            .And.Contain("1 entry, PTX 7.0, sm_80: builds on the virtual GPU").And.Contain("ptxas"));
    }

    [Test]
    public void Check_InstructionThatDoesNotExist_NamesLineColumnAndInstruction()
    {
        File.WriteAllText(ptx, Axpy.Replace("mad.lo.u32 %r5", "mad.middle.u32 %r5"));
        int line = Array.FindIndex(Axpy.Split('\n'), l => l.Contains("mad.lo.u32 %r5")) + 1;
        CommandLine result = CommandLine.Run("ptx", "check", ptx);
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Error, Does.StartWith($"epsam: {ptx}: ").And.Contain($"line {line}, column 5")
            .And.Contain("mad.middle.u32"));
    }

    [Test]
    public void Doctor_NamesTheProviders()
    {
        CommandLine text = CommandLine.Run("doctor"), json = CommandLine.Run("doctor", "--json");
        Assert.That(text.Code, Is.Zero, text.Error);
        Assert.That(text.Output, Does.Contain("native").And.Contain("virtual").And.Contain("null").And.Contain("GiB"));
        using System.Text.Json.JsonDocument document = System.Text.Json.JsonDocument.Parse(json.Output);
        System.Text.Json.JsonElement[] providers = [.. document.RootElement.GetProperty("providers").EnumerateArray()];
        Assert.That(providers.Select(p => p.GetProperty("name").GetString()),
            Is.EqualTo(new[] { "native", "virtual", "null" }));
        Assert.That(providers[1].GetProperty("works").GetBoolean());
        Assert.That(providers[1].GetProperty("devices")[0].GetProperty("memoryBytes").GetInt64(),
            Is.EqualTo(12L << 30));
        System.Text.Json.JsonElement images = document.RootElement.GetProperty("tools").EnumerateArray()
            .Single(t => t.GetProperty("name").GetString() == "libvips");
        if (images.GetProperty("found").ValueKind == System.Text.Json.JsonValueKind.Null)
            Assert.That(images.GetProperty("install").GetString(), Does.Contain("apt-get install -y libvips42"));
        else Assert.That(images.GetProperty("found").GetString(), Does.Match(@"^8\.\d+\.\d+$"));
        if (!providers[0].GetProperty("works").GetBoolean())
            Assert.That(providers[0].GetProperty("install").GetString(), Is.Not.Empty);
    }
}
