using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using EpSam.Cuda;
using EpSam.VirtualGpu;
using NativeKernels = EpSam.Native.Runtime.Kernels;

namespace EpSam.Native.Tests.Kernels;

/// <summary>Sources, headers and committed PTX of kernels agree.</summary>
public sealed class KernelFileTests
{
    static readonly string[] FieldNames = ["in", "out", "args", "launch", "needs", "bytes", "accuracy", "order"];

    static IEnumerable<TestCaseData> Headers =>
        KernelHeader.ReadAll().Select(h => new TestCaseData(h).SetArgDisplayNames(h.Name));

    static IEnumerable<string> Sources =>
        Directory.GetFiles(RepositoryRoot.File("kernels"), "*.cu").Select(p => Path.GetFileNameWithoutExtension(p)!);

    [Test]
    public void Entries_OfAllPtx_HaveOneHeaderEach() =>
        Assert.That(KernelHeader.ReadAll().Select(h => h.Name), Is.EquivalentTo(NativeKernels.Names));

    [TestCaseSource(nameof(Headers))]
    public void Header_HasAllFields_AndTheEntrysParameters(object header)
    {
        KernelHeader h = (KernelHeader)header;
        Assert.That(h.Fields.Keys, Is.EquivalentTo(FieldNames));
        string ptx = NativeKernels.Text(h.File.Replace(".cu", ".ptx"));
        Match entry = Regex.Match(ptx, $@"\.entry {h.Name}\((?<p>[^)]*)\)\s*\.maxntid (?<threads>\d+), 1, 1");
        Assert.That(entry.Success, Is.True, $"{h.Name} is not in {h.File}'s PTX with a block size");
        string kinds = string.Concat(Regex.Matches(entry.Groups["p"].Value, @"\.param \.(\w+)")
            .Select(m => m.Groups[1].Value switch { "u64" => 'l', "u32" => 'i', "f32" => 'f', _ => '?' }));
        Assert.That(h.Parameters, Is.EqualTo(kinds), "args");
        Assert.That(h.Number("launch", @"block (\d+)"), Is.EqualTo(int.Parse(entry.Groups["threads"].Value)), "block");
    }

    /// <summary>Threads, static shared memory and no local memory, as the driver reports them.</summary>
    [Test]
    public unsafe void Functions_OnTheVirtualGpu_UseWhatTheirHeadersSay()
    {
        CuDriver driver = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions()).Driver;
        using EpSam.Native.Runtime.Gpu gpu = new(driver);
        foreach (KernelHeader header in KernelHeader.ReadAll())
        {
            CUfunction function = gpu.Kernels.Get(header.Name).Function;
            int local, shared;
            driver.Check(driver.cuFuncGetAttribute(&local, CUfunction_attribute.CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES,
                function));
            driver.Check(driver.cuFuncGetAttribute(&shared, CUfunction_attribute.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES,
                function));
            string size = Regex.Match(header.Name, @"_k(\d+)") is { Success: true } m ? m.Groups[1].Value : "0";
            Match said = Regex.Match(header.Fields["launch"], @"shared (<= )?(\d+)(·K)? B");
            int allowed = int.Parse(said.Groups[2].Value) * (said.Groups[3].Success ? int.Parse(size) : 1);
            Assert.That(local, Is.Zero, $"{header.Name}: local memory");
            if (said.Groups[1].Success)
                Assert.That(shared, Is.LessThanOrEqualTo(allowed), $"{header.Name}: shared memory");
            else Assert.That(shared, Is.EqualTo(allowed), $"{header.Name}: shared memory");
        }
    }

    [TestCaseSource(nameof(Sources))]
    public void Stamp_OfCommittedPtx_IsTheHashOfItsSources(string name)
    {
        string first = File.ReadLines(RepositoryRoot.File($"kernels/ptx/{name}.ptx")).First();
        Assert.That(first, Is.EqualTo($"// source {Hash(name)}"), "stale: run cmake/build-kernels");
    }

    [Test]
    public void Files_OfPtx_AllHaveASource() =>
        Assert.That(NativeKernels.Files.Select(f => f.Replace(".ptx", "")), Is.EquivalentTo(Sources));

    [Test, Category("Slow")]
    public void Rebuild_WhereTheCompilerIs_GivesTheCommittedText()
    {
        if (!OnPath("clang-14") || !OnPath("bash"))
            Assert.Ignore("clang-14, which the PTX was made with, is not on PATH");
        string folder = Directory.CreateTempSubdirectory("epsam-kernels").FullName;
        try
        {
            ProcessStartInfo start = new(RepositoryRoot.File("cmake/build-kernels"), ["--force", "--out", folder])
            {
                RedirectStandardError = true, RedirectStandardOutput = true,
            };
            start.Environment["KERNEL_CXX"] = "clang-14";
            using Process build = Process.Start(start)!;
            Task<string> output = build.StandardOutput.ReadToEndAsync(), errors = build.StandardError.ReadToEndAsync();
            build.WaitForExit();
            Assert.That(build.ExitCode, Is.Zero, output.Result + errors.Result);
            foreach (string name in Sources)
                Assert.That(File.ReadAllText(Path.Combine(folder, name + ".ptx")) ==
                    File.ReadAllText(RepositoryRoot.File($"kernels/ptx/{name}.ptx")), Is.True, $"{name}.ptx differs");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    // As cmake/build-kernels: the .cu, then what it includes, breadth first, each once, without carriage returns.
    static string Hash(string name)
    {
        List<string> files = [$"{name}.cu"];
        StringBuilder text = new();
        for (int i = 0; i < files.Count; i++)
        {
            string source = File.ReadAllText(RepositoryRoot.File($"kernels/{files[i]}")).Replace("\r", "");
            text.Append(source);
            foreach (Match include in Regex.Matches(source, "^#include \"([^\"]+)\"", RegexOptions.Multiline))
                if (!files.Contains(include.Groups[1].Value)) files.Add(include.Groups[1].Value);
        }
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }

    static bool OnPath(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, program)));
}
