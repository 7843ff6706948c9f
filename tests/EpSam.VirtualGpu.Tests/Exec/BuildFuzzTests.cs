// Mutated kernels that still parse: building and emitting them either works or is refused with a PtxException that says
// where. Nothing else may come out, and none may take long.
using System.Text.RegularExpressions;
using EpSam.VirtualGpu.Ptx;
using Program = EpSam.VirtualGpu.Exec.Program;

namespace EpSam.VirtualGpu.Tests.Exec;

internal sealed partial class BuildFuzzTests
{
    // Of this process's work: a busy machine does not count. The slowest took 0.1 s; a hang takes for ever.
    static readonly TimeSpan longest = TimeSpan.FromSeconds(5);

    [GeneratedRegex(@"[%\w.]+|\S")]
    private static partial Regex Token();

    [TestCase(2_000)]
    [TestCase(20_000, Category = "Slow")]
    public void MutatedKernels_BuildOrAreRefused(int mutants)
    {
        string[] seeds = [.. Enumerable.Range(0, 60).Select(i => new KernelGenerator(i).Module())];
        string[] tokens = [.. seeds.SelectMany(s => Token().Matches(s).Select(m => m.Value)).Distinct()];
        Random random = new(7);
        int built = 0;
        for (int i = 0; i < mutants; i++)
        {
            string text = Mutate(seeds[random.Next(seeds.Length)], tokens, random);
            TimeSpan start = Environment.CpuUsage.TotalTime;
            try
            {
                PtxModule module = Parser.Parse(text);
                foreach (PtxFunction entry in module.Functions.Where(f => f is { IsEntry: true, HasBody: true }))
                {
                    Program.Build(module, entry, new Dictionary<string, ulong>())
                        .Get(interpret: false, i % 2 == 0, counting: false, new EpSam.VirtualGpu.Exec.Dim3(64));
                    built++;
                }
            }
            catch (PtxException refused)
            {
                Assert.That(refused.Position.Line, Is.Positive);
            }
            catch (Exception other)
            {
                throw new AssertionException($"mutant {i}: {other}\n{text}");
            }
            Assert.That(Environment.CpuUsage.TotalTime - start, Is.LessThan(longest), text);
        }
        Assert.That(built, Is.GreaterThan(mutants / 20), "too few mutants reach the builder to test it");
    }

    /// <summary>One to three lines dropped, doubled, or with a token replaced by another one of the seeds.</summary>
    static string Mutate(string seed, string[] tokens, Random random)
    {
        string[] lines = seed.Split('\n');
        for (int edits = 1 + random.Next(3); edits > 0; edits--)
        {
            ref string line = ref lines[random.Next(lines.Length)];
            MatchCollection found = Token().Matches(line);
            switch (random.Next(4))
            {
                case 0: line = ""; break;
                case 1: line += "\n" + lines[random.Next(lines.Length)]; break;
                default:
                    if (found.Count == 0) break;
                    Match m = found[random.Next(found.Count)];
                    line = line[..m.Index] + tokens[random.Next(tokens.Length)] + line[(m.Index + m.Length)..];
                    break;
            }
        }
        return string.Join('\n', lines);
    }
}
