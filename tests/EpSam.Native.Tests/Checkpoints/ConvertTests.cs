// epsam convert: names and shapes kept, nested ones with dots; errors in one line, and no file left.
using EpSam.Native.Checkpoints;
using EpSam.Native.Tests.Cli;

namespace EpSam.Native.Tests.Checkpoints;

public sealed class ConvertTests
{
    string directory = "";

    [SetUp]
    public void MakeDirectory() => directory = Directory.CreateTempSubdirectory("epsam-test-").FullName;

    [TearDown]
    public void RemoveDirectory() => Directory.Delete(directory, recursive: true);

    string In(string name) => Path.Combine(directory, name);

    static byte[] Nested =>
        PickleWriter.Zip(new PickleWriter().Proto().Op("}(").Text("epoch").Integer(7).Text("model").Op("}").Text("w")
        .Tensor("HalfStorage", "0", 4, 0, [2, 2], [1, 2]).Op("su").Done(), ("0", [1, 0, 2, 0, 3, 0, 4, 0]));

    [Test]
    public void NestedPth_BecomesSafetensors()
    {
        File.WriteAllBytes(In("a.pth"), Nested);
        CommandLine run = CommandLine.Run("convert", In("a.pth"), In("a.safetensors"));
        Assert.That(run.Error, Is.Empty);
        Assert.That(run.Code, Is.Zero);
        Assert.That(run.Output,
            Is.EqualTo($"{In("a.safetensors")}: 1 tensors (1 F16), 4 elements, 8 bytes, 1 other values as metadata\n"));
        using StateDict found = Checkpoint.Open(In("a.safetensors"));
        Assert.That(found.Names, Is.EqualTo(new[] { "model.w" }));
        Assert.That(found.Metadata["epoch"], Is.EqualTo("7"));
        Assert.That(found["model.w"].ToBytes(), Is.EqualTo(new byte[] { 1, 0, 3, 0, 2, 0, 4, 0 }));
        Assert.That(CommandLine.Run("convert", In("a.safetensors"), In("b.safetensors"), "--quiet").Output, Is.Empty);
        Assert.That(File.ReadAllBytes(In("b.safetensors")), Is.EqualTo(File.ReadAllBytes(In("a.safetensors"))));
    }

    [Test]
    public void Safetensors_BecomesPthThatIsTheSameAgain()
    {
        string golden = Shared.File("goldens/s00_formula_and_loaders/nested_zip.pth");
        CommandLine.Run("convert", golden, In("a.safetensors"));
        using (StateDict all = Checkpoint.Open(In("a.safetensors")))
        {
            // sizes of no element, of one without an axis, views that were not contiguous
            new StateDict([.. all, new("none", ElementType.I64, [0, 3], Array.Empty<byte>()),
                new("count", ElementType.I64, [], BitConverter.GetBytes(-7L)), new("flag", ElementType.Bool, [1],
                    new byte[] { 1 })]).Save(In("b.safetensors"));
        }
        CommandLine run = CommandLine.Run("convert", In("b.safetensors"), In("b.pth"));
        Assert.That(run.Code, Is.Zero, run.Error);
        using StateDict expected = Checkpoint.Open(In("b.safetensors")), found = Checkpoint.Open(In("b.pth"));
        Assert.That(found.Format, Is.EqualTo(CheckpointFormat.TorchZip));
        found.Verify();
        Assert.That(found.Names, Is.EqualTo(expected.Names));
        foreach (TensorEntry entry in expected)
        {
            Assert.That((found[entry.Name].Type, found[entry.Name].Sizes.ToArray()),
                Is.EqualTo((entry.Type, entry.Sizes.ToArray())));
            Assert.That(found[entry.Name].ToBytes(), Is.EqualTo(entry.ToBytes()), entry.Name);
        }
        CommandLine.Run("convert", In("b.pth"), In("c.safetensors"), "--quiet");
        Assert.That(File.ReadAllBytes(In("c.safetensors")), Is.EqualTo(File.ReadAllBytes(In("b.safetensors"))));
        File.WriteAllBytes(In("n.pth"), Nested);
        Assert.That(CommandLine.Run("convert", In("n.pth"), In("m.pth")).Output,
            Does.EndWith(", 1 other values left out\n"));
    }

    [Test]
    public void Pth_OfATypeThatTorchHasNot_IsRefused()
    {
        new StateDict([new("x", ElementType.U32, [1], new byte[4])]).Save(In("x.safetensors"));
        CommandLine run = CommandLine.Run("convert", In("x.safetensors"), In("x.pth"));
        Assert.That(run.Code, Is.EqualTo(1));
        Assert.That(run.Error, Does.Contain("x: U32 cannot be written as .pth; write safetensors"));
        Assert.That(File.Exists(In("x.pth")), Is.False);
    }

    [Test]
    public void Golden_ThroughConvert_KeepsEveryByte()
    {
        CommandLine run =
            CommandLine.Run("convert", Shared.File("goldens/s00_formula_and_loaders/nested_zip.pth"),
            In("n.safetensors"));
        Assert.That(run.Code, Is.Zero, run.Error);
        var expected = Shared.Expected(Shared.File("goldens/s00_formula_and_loaders/nested_expected.safetensors"));
        var found = Shared.Expected(In("n.safetensors")).ToDictionary(t => t.Name);
        Assert.That(found, Has.Count.EqualTo(expected.Count));
        foreach ((string name, string type, long[] sizes, byte[] bytes) in expected)
        {
            var tensor = found[name.Replace('/', '.')];
            Assert.That((tensor.Type, tensor.Sizes), Is.EqualTo((type, sizes)));
            Assert.That(tensor.Bytes, Is.EqualTo(bytes));
        }
    }

    [Test]
    public void BadInput_IsOneLine_AndLeavesNoFile()
    {
        byte[] damaged = Nested,
            evil = PickleWriter.Zip(new PickleWriter().Proto().Global("os", "system").Op("(").Text("id").Op("tR")
            .Done());
        damaged[damaged.AsSpan().IndexOf(new byte[] { 1, 0, 2, 0, 3, 0, 4, 0 })]++;
        File.WriteAllBytes(In("damaged.pth"), damaged);
        File.WriteAllBytes(In("evil.pth"), evil);
        File.WriteAllBytes(In("empty.pth"), []);
        (string Input, string Output, int Code, string Message)[] cases =
        [
            (In("damaged.pth"), In("o.safetensors"), 1, "ZipChecksum"),
            (In("evil.pth"), In("o.safetensors"), 1, "os.system"),
            (In("empty.pth"), In("o.safetensors"), 1, "no bytes"),
            (In("absent.pth"), In("o.safetensors"), 1, "does not exist"),
            (directory, In("o.safetensors"), 1, "is a directory"),
            (In("evil.pth"), In("o.pth.tar"), 2, "safetensors"),
            (In("evil.pth"), In("o.pth"), 1, "os.system"),
            (In("evil.pth"), In("no/o.safetensors"), 1, "does not exist"),
        ];
        foreach ((string input, string output, int code, string message) in cases)
        {
            CommandLine run = CommandLine.Run("convert", input, output);
            Assert.That(run.Code, Is.EqualTo(code), run.Error);
            Assert.That(run.Error, Does.StartWith("epsam: ").And.Contain(message));
            Assert.That(run.Error.TrimEnd().Split('\n'), Has.Length.EqualTo(1));
        }
        Assert.That(Directory.GetFiles(directory), Has.Length.EqualTo(3));
    }
}
