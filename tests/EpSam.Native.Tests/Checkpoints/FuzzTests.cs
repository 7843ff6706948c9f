// More than 100,000 damaged checkpoints of both formats, from fixed seeds. Each must be read or refused with a
// CheckpointException: no other exception, no long time, no more memory than twice the file and the constant. What is
// read is read to the last byte. Blind damage of an archive rarely gets past its checksums, so the pickle and the JSON
// header are also damaged inside files that are right again around them.
using System.Text;
using EpSam.Native.Checkpoints;

namespace EpSam.Native.Tests.Checkpoints;

public sealed class FuzzTests
{
    static readonly byte[][] Words =
    [
        [0xff, 0xff, 0xff, 0xff], [0xff, 0xff, 0xff, 0x7f], [0, 0, 0, 0x80], [0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0x80],
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            [0xff, 0xff], [0x80],
        .. new[]
        {
            "PK\u0001\u0002", "PK\u0003\u0004", "PK\u0005\u0006", "PK\u0006\u0006", "PK\u0006\u0007",
                "9223372036854775807", "18446744073709551616",
            "-1", "1e9", "[", "]", "{", "}", "\"", ",", ":", "\\u0000", "\\ud800", "\"dtype\"", "\"shape\"",
                "__metadata__", "F64", "BOOL", "null",
            "(", ")", ".", "t", "R", "b", "Q", "0", "1", "2", "u", "s", "a", "e", "l", "d", "h\0", "q\0", "h\u0005",
                "q\u0003", "N", "K\u0000",
            "cos\nsystem\n", "ctorch\nFloatStorage\n", "ctorch\nLongStorage\n", "ccollections\nOrderedDict\n",
                "c_codecs\nencode\n",
            "cnumpy\ndtype\n", "ctorch._utils\n_rebuild_tensor_v2\n", "ctorch._utils\n_rebuild_parameter\n", "\u0085",
                "\u0086", "\u0087", "\u008f",
            "\u0090", "\u0091", "\u0093", "\u0094", "\u008a\u0008\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u007f",
                "\u008a\u0001\u00ff", "J\u00ff\u00ff\u00ff\u00ff",
        }.Select(Encoding.Latin1.GetBytes),
    ];

    [Test]
    [Category("Slow")]
    public void Mutated_120000Files_AreReadOrRefused()
    {
        Tally tally = new();
        foreach ((string name, byte[] file) in Seeds()) Run(tally, name, file, 120_000 / Seeds().Count());
        Report(tally, 120_000);
    }

    [Test]
    public void Mutated_4000Files_AreReadOrRefused()
    {
        Tally tally = new();
        foreach ((string name, byte[] file) in Seeds()) Run(tally, name, file, 4_000 / Seeds().Count());
        Report(tally, 4_000);
    }

    sealed class Tally
    {
        public int Files, Read;
        public long MostMemory;
        public double LongestMilliseconds;
        public readonly SortedDictionary<CheckpointError, int> Errors = [];
    }

    static void Report(Tally tally, int atLeast)
    {
        TestContext.Out.WriteLine(
            $"{tally.Files} files, {tally.Read} read, longest {tally.LongestMilliseconds:f1} ms, "
            + $"most memory {tally.MostMemory} bytes");
        foreach ((CheckpointError error, int count) in tally.Errors) TestContext.Out.WriteLine($"  {error} {count}");
        Assert.That(tally.Files, Is.GreaterThanOrEqualTo(atLeast * 9 / 10));
        Assert.That(tally.Read, Is.GreaterThan(0));
        Assert.That(tally.Errors, Has.Count.GreaterThan(12), "the damage does not reach deep enough");
    }

    // Three kinds: 's' safetensors, 'z' zip, 'p' the old stream. Files of PyTorch where they are here.
    static IEnumerable<(string Name, byte[] File)> Seeds()
    {
        byte[] pickle = new PickleWriter().Proto().Op("}(").Text("a.weight")
            .Tensor("FloatStorage", "0", 12, 0, [3, 4], [4, 1]).Text("a.bias")
            .Tensor("HalfStorage", "1", 3, 0, [3], [1]).Text("n").Op("](").Integer(3).Text("x").Op("e").Text("t")
            .Tensor("FloatStorage", "0", 12, 1, [4, 2], [1, 4]).Op("u").Done();
        byte[] one = [.. Enumerable.Range(0, 48).Select(i => (byte)i)], two = [1, 2, 3, 4, 5, 6];
        yield return ("z own", PickleWriter.Zip(pickle, ("0", one), ("1", two)));
        yield return ("p own", PickleWriter.Legacy(pickle, ("0", one, 4), ("1", two, 2)));
        TensorEntry[] tensors =
            [new("a.weight", ElementType.F32, [3, 4], one), new("a.bias", ElementType.F16, [3], two),
            new("e", ElementType.U8, [0], ReadOnlyMemory<byte>.Empty)];
        yield return ("s own",
            [.. SafetensorsWriter.Header(tensors, new Dictionary<string, object?> { ["k"] = "v" }), .. one, .. two]);
        foreach (string path in Shared.Files("goldens/s00_formula_and_loaders", ".pth", ".safetensors"))
        {
            char kind = path.EndsWith('s') ? 's' : path.Contains("legacy") ? 'p' : 'z';
            yield return ($"{kind} {Path.GetFileName(path)}", File.ReadAllBytes(path));
        }
    }

    static void Run(Tally tally, string name, byte[] seed, int times)
    {
        Random random = new(string.Concat("fuzz ", name).Aggregate(17, (a, c) => a * 31 + c));
        Func<byte[]>? inner =
            name[0] switch { 's' => () => DamageHeader(seed, random), 'z' => DamagePickle(seed, random), _ => null };
        for (int i = 0; i < times; i++)
        {
            byte[] file = inner is not null && i % 3 != 0 ? inner() : Damage(seed, random);
            try
            {
                Try(tally, file);
            }
            catch (Exception e) when (e is not ResultStateException)
            {
                Assert.Fail($"{name}, file {i}: {e}\n{Convert.ToBase64String(file)}");
            }
        }
    }

    static void Try(Tally tally, byte[] file)
    {
        tally.Files++;
        TimeSpan started = Environment.CpuUsage.TotalTime;   // a busy machine does not count
        long before = GC.GetAllocatedBytesForCurrentThread();
        StateDict? found = null;
        try
        {
            found = Checkpoint.Parse(file);
            tally.Read++;
        }
        catch (CheckpointException e)
        {
            tally.Errors[e.Error] = tally.Errors.GetValueOrDefault(e.Error) + 1;
        }
        long memory = GC.GetAllocatedBytesForCurrentThread() - before;
        double milliseconds = (Environment.CpuUsage.TotalTime - started).TotalMilliseconds;
        tally.MostMemory = Math.Max(tally.MostMemory, memory);
        tally.LongestMilliseconds = Math.Max(tally.LongestMilliseconds, milliseconds);
        if (memory > 2L * file.Length + MemoryBudget.Constant)
            throw new InvalidOperationException($"{memory} bytes of memory for {file.Length}");
        if (milliseconds > 2000) throw new InvalidOperationException($"{milliseconds} ms of CPU time");
        if (found is not null) ReadAll(found);
    }

    static void ReadAll(StateDict found)
    {
        byte[] buffer = new byte[1 << 12];
        foreach (TensorEntry entry in found)
        {
            int atOnce = buffer.Length / entry.Type.Size();
            for (long first = 0; first < entry.Count; first += atOnce)
                entry.Read(first, buffer.AsSpan(0, (int)Math.Min(atOnce, entry.Count - first) * entry.Type.Size()));
        }
        SafetensorsWriter.Header([.. found], found.Metadata);
    }

    static byte[] Damage(ReadOnlySpan<byte> seed, Random random)
    {
        List<byte> bytes = [.. seed];
        for (int n = random.Next(1, 5); n > 0 && bytes.Count > 0; n--)
        {
            int at = random.Next(bytes.Count),
                count = Math.Min(bytes.Count - at, random.Next(1, random.Next(2) == 0 ? 8 : 200));
            byte[] word = Words[random.Next(Words.Length)];
            switch (random.Next(9))
            {
                case 0: bytes[at] ^= (byte)(1 << random.Next(8)); break;
                case 1: bytes[at] = (byte)random.Next(256); break;
                case 2: bytes[at] += (byte)(random.Next(2) * 2 - 1); break;
                case 3: bytes.RemoveRange(at, count); break;
                case 4: bytes.InsertRange(random.Next(bytes.Count), bytes.GetRange(at, count)); break;
                case 5: bytes.InsertRange(at, word); break;
                case 6: bytes.RemoveRange(at, Math.Min(word.Length, bytes.Count - at)); bytes.InsertRange(at,
                    word); break;
                case 7 when random.Next(4) == 0: bytes.RemoveRange(at, bytes.Count - at); break;
                default: for (int i = at; i < at + count; i++) bytes[i] = bytes[random.Next(bytes.Count)]; break;
            }
        }
        return [.. bytes];
    }

    static byte[] DamageHeader(byte[] seed, Random random)
    {
        int length = (int)BitConverter.ToInt64(seed);
        byte[] header = Damage(seed.AsSpan(8, length), random);
        return [.. BitConverter.GetBytes((long)header.Length), .. header, .. seed.AsSpan(8 + length)];
    }

    // The archive's entries with another pickle and right checksums.
    static Func<byte[]> DamagePickle(byte[] seed, Random random)
    {
        MemorySource source = new(seed);
        ZipEntry[] entries = [.. ZipDirectory.Read(source, new MemoryBudget(seed.Length)).Values];
        return () =>
        {
            ZipWriter zip = new() { HasDescriptors = random.Next(2) == 0 };
            foreach (ZipEntry entry in entries)
            {
                ReadOnlySpan<byte> bytes = source.Slice(entry.Offset, (int)entry.Length);
                zip.Add(entry.Name, entry.Name.EndsWith(".pkl", StringComparison.Ordinal) ? Damage(bytes, random)
                    : bytes.ToArray());
            }
            return zip.Done();
        };
    }
}
