// Pickles no honest program writes. Anything that names a class or function outside the list must be refused with that
// name; anything that abuses the stack machine must end at once, within the memory limit.
using EpSam.Native.Checkpoints;

namespace EpSam.Native.Tests.Checkpoints;

public sealed class PickleTests
{
    static PickleWriter P => new PickleWriter().Proto();

    static CheckpointException RefusalOf(byte[] file) =>
        Assert.Throws<CheckpointException>(() => Checkpoint.Parse(file).Dispose())!;

    // ---- names

    // The usual targets of pickle exploits, and harmless-looking names that have been used to reach them.
    [TestCase("os", "system")]
    [TestCase("posix", "system")]
    [TestCase("nt", "system")]
    [TestCase("builtins", "eval")]
    [TestCase("builtins", "exec")]
    [TestCase("builtins", "getattr")]
    [TestCase("builtins", "__import__")]
    [TestCase("builtins", "bytearray")]
    [TestCase("__builtin__", "compile")]
    [TestCase("__builtin__", "apply")]
    [TestCase("__builtin__", "globals")]
    [TestCase("subprocess", "run")]
    [TestCase("subprocess", "Popen")]
    [TestCase("socket", "create_connection")]
    [TestCase("http.client", "HTTPSConnection")]
    [TestCase("httplib", "HTTPSConnection")]
    [TestCase("requests.api", "get")]
    [TestCase("aiohttp.client", "ClientSession")]
    [TestCase("sys", "exit")]
    [TestCase("sys", "modules")]
    [TestCase("_pickle", "loads")]
    [TestCase("pickle", "loads")]
    [TestCase("operator", "attrgetter")]
    [TestCase("operator", "methodcaller")]
    [TestCase("functools", "partial")]
    [TestCase("runpy", "_run_code")]
    [TestCase("webbrowser", "open")]
    [TestCase("shutil", "rmtree")]
    [TestCase("asyncio.unix_events", "_UnixSubprocessTransport._start")]
    [TestCase("pip", "main")]
    [TestCase("pty", "spawn")]
    [TestCase("timeit", "timeit")]
    [TestCase("bdb", "Bdb.run")]
    [TestCase("ctypes", "CDLL")]
    [TestCase("importlib", "import_module")]
    [TestCase("numpy", "load")]
    [TestCase("numpy.testing._private.utils", "runstring")]
    [TestCase("torch", "load")]
    [TestCase("torch.storage", "_load_from_bytes")]
    [TestCase("torch.hub", "load_state_dict_from_url")]
    [TestCase("torch.serialization", "load")]
    [TestCase("torch.utils.collect_env", "run")]
    [TestCase("torch.fx.experimental.symbolic_shapes", "ShapeEnv.evaluate_guards_expression")]
    [TestCase("torch._utils", "_rebuild_tensor_v2.__globals__")]
    [TestCase("collections", "OrderedDict.__init__")]
    [TestCase("collections", "namedtuple")]
    [TestCase("torch.nn.modules.conv", "Conv3d")]
    [TestCase("", "")]
    [TestCase("torch", "")]
    [TestCase("TORCH", "FloatStorage")]
    [TestCase("torch ", "FloatStorage")]
    [TestCase("torch.cuda.", "FloatStorage")]
    public void Global_NotOnTheList_IsRefusedByName(string module, string name)
    {
        byte[][] pickles =
        [
            P.Global(module, name).Op("(").Text("echo").Op("tR").Done(),
            P.Global(module, name).Op("0}").Done(),                               // named and dropped
            new PickleWriter().Proto(4).ShortText(module).ShortText(name).Raw(0x93).Op(")R").Done(),
            // by memo
            P.Text(module).Op("q\u0007").Text(name).Op("q\u0008") .Op("00h\u0007h\u0008").Raw(0x93).Op(")R").Done(),
            new PickleWriter().Op($"(S'x'\ni{module}\n{name}\n").Done(),         // INST
        ];
        foreach (byte[] pickle in pickles)
        {
            foreach (byte[] file in (byte[][])[PickleWriter.Zip(pickle), PickleWriter.Legacy(pickle)])
            {
                CheckpointException e = RefusalOf(file);
                Assert.That(e.Error, Is.EqualTo(CheckpointError.PickleGlobal));
                Assert.That(e.Message, Does.Contain($"{module}.{name}"));
            }
        }
    }

    [Test]
    public void Global_InTheHeadOfAStream_IsRefused()
    {
        byte[] evil = P.Global("os", "system").Op("(").Text("id").Op("tR").Done();
        byte[] head = PickleWriter.LegacyHead(), good = P.Op("}").Done();
        byte[][] files = [evil, [.. head[..^0], .. evil], [.. head, .. good, .. evil]];
        foreach (byte[] file in files) Assert.That(RefusalOf(file).Message, Does.Contain("os.system"));
    }

    // A scanner may stop at the first STOP, a loader may not go on behind it: there must be nothing.
    [Test]
    public void SecondPickle_BehindTheFirst_IsRefused()
    {
        byte[] two = [.. P.Op("}").Done(), .. P.Global("os", "system").Op(")R").Done()];
        Assert.That(RefusalOf(PickleWriter.Zip(two)).Error, Is.EqualTo(CheckpointError.PickleValue));
    }

    [Test]
    public void Pickle_WithoutTorchSave_IsRefused() =>
        Assert.That(RefusalOf(P.Op("](").Text("a").Text("b").Op("e").Done()).Error,
            Is.EqualTo(CheckpointError.UnknownFormat));

    [Test]
    public void Global_WithControlCharacters_IsShownHarmlessly()
    {
        byte[] pickle = P.Global("os\u001b[2J", "system").Done();
        Assert.That(RefusalOf(PickleWriter.Zip(pickle)).Message,
            Does.Contain("os\\u001b[2J.system").And.Not.Contain("\u001b"));
    }

    // What attackers assemble from allowed names: nothing on the list calls, looks up or imports.
    [Test]
    public void AllowedNames_CannotBeUsedOtherwise()
    {
        (string Name, byte[] Pickle)[] cases =
        [
            ("call a storage type", P.Global("torch", "FloatStorage").Op("(").Integer(1).Op("tR").Done()),
            ("call ndarray", P.Global("numpy", "ndarray").Op("(").Integer(1).Op("tR").Done()),
            ("call a text", P.Text("os.system").Op(")R").Done()),
            ("call a dict", P.Op("})R").Done()),
            ("call with a list", P.Global("collections", "OrderedDict").Op("]R").Done()),
            ("build on a name", P.Global("collections", "OrderedDict").Op("}b").Done()),
            ("build on a list", P.Op("]}b").Done()),
            ("build a dict from a tuple", P.Op("})b").Done()),
            ("encode to utf-8", P.Global("_codecs", "encode").Op("(").Text("x").Text("utf-8").Op("tR").Done()),
            ("encode to rot13", P.Global("_codecs", "encode").Op("(").Text("x").Text("rot13").Op("tR").Done()),
            ("encode what is not latin1",
                P.Global("_codecs", "encode").Op("(").Text("€").Text("latin1").Op("tR").Done()),
            ("parameter of a text",
                P.Global("torch._utils", "_rebuild_parameter").Op("(").Text("x").Raw(0x88).Op(")tR").Done()),
            ("tensor of a text",
                P.Global("torch._utils", "_rebuild_tensor_v2").Op("(").Text("x").Op("K\0)))tR").Done()),
            ("object dtype", P.Global("numpy", "dtype").Op("(").Text("O8").Raw(0x89, 0x88).Op("tR").Done()),
            ("numpy scalar of objects",
                P.Global("numpy.core.multiarray", "scalar").Op("(").Text("O8").Bytes(1).Op("tR").Done()),
            ("module id", P.Op("(").Text("module").Op("NNNNtQ").Done()),
            ("persistent id of a text", P.Text("storage").Op("Q").Done()),
            ("the result is a name", P.Global("torch", "Size").Done()),
            ("a name as value", P.Op("}").Text("x").Global("torch", "FloatStorage").Op("s").Done()),
            ("a storage as value", P.Op("}").Text("x").Storage("FloatStorage", "0", 2).Op("s").Done()),
            ("the result is a number", P.Integer(1).Done()),
            ("a list as key", P.Op("}]Ns").Done()),
            ("a tensor as key", P.Op("}").Tensor("FloatStorage", "0", 2, 0, [2], [1]).Op("Ns").Done()),
        ];
        foreach ((string name, byte[] pickle) in cases)
            Assert.That(RefusalOf(PickleWriter.Zip(pickle, ("0", new byte[8]))).Error,
                Is.EqualTo(CheckpointError.PickleValue), name);
    }

    [TestCase("o", "OBJ")]
    [TestCase("\u0081", "NEWOBJ")]
    [TestCase("\u0092", "NEWOBJ_EX")]
    [TestCase("\u0082\u0001", "EXT1")]
    [TestCase("\u0083\u0001\u0000", "EXT2")]
    [TestCase("\u0084\u0001\u0000\u0000\u0000", "EXT4")]
    [TestCase("P1\n", "PERSID")]
    [TestCase("\u0097", "NEXT_BUFFER")]
    [TestCase("\u0098", "READONLY_BUFFER")]
    [TestCase("\u00ff", "0xff")]
    [TestCase("\u0000", "0x00")]
    public void Instruction_NotAllowed_IsRefusedByName(string instruction, string name)
    {
        byte[] pickle = P.Op("(").Global("collections", "OrderedDict").Op(")").Op(instruction).Done();
        CheckpointException e = RefusalOf(PickleWriter.Zip(pickle));
        Assert.That(e.Error, Is.EqualTo(CheckpointError.PickleInstruction));
        Assert.That(e.Message, Does.Contain(name));
    }

    // ---- the machine

    [Test]
    public void StackAndMemo_UsedWrongly_AreErrors()
    {
        string[] wrong =
        [
            ".", "0.", "1.", "2.", "t.", "u.", "a.", "s.", "e.", "R.", "b.", "Q.", "q\0.", "h\0.", "]h\u0005.", "(.",
                "]]."
            , "(]1]a.", "}(K\0u.", "}K\0s.", "N(K\0e.", "}K\0a.", "]K\0K\0s.", "\u0085.", "\u0087.", "](\u0085.",
                "](0.", "g-1\n.", "gx\n.",
            "px\n.", "I1x\n.", "L\n.", "F1,5\n.", "S'x\n.", "Sx\n.", "V\\u0041\n.", "\u0080\u0009}.", "](a.", "(]t]R.",
                "}}d.", "}(N1s.",
        ];
        foreach (string program in wrong)
        {
            CheckpointException e = RefusalOf(PickleWriter.Zip(new PickleWriter().Op(program).Done()));
            Assert.That(e.Error, Is.EqualTo(CheckpointError.PickleValue), program);
        }
    }

    [Test]
    public void CutOff_Everywhere_IsTruncated()
    {
        byte[] pickle = P.Op("}(").Text("x").Tensor("FloatStorage", "0", 2, 0, [2], [1]).Text("y").Op("I5\n").Text("z")
            .Op("G\0\0\0\0\0\0\0\0u")
            .Raw(0x8b, 1, 0, 0, 0, 5, (byte)'0').Op("X\u0002\0\0\0ab0").Raw(0x8e, 1, 0, 0, 0, 0, 0, 0, 0, 7, (byte)'0')
                .Done();
        CheckpointError[] found = new CheckpointError[pickle.Length];
        for (int length = 0; length < pickle.Length; length++)
            found[length] = RefusalOf(PickleWriter.Zip(pickle[..length], ("0", new byte[8]))).Error;
        Assert.That(found, Has.All.EqualTo(CheckpointError.Truncated));
    }

    [Test]
    public void LongIntegers_AndLines_AreBounded()
    {
        (string Name, byte[] Pickle, CheckpointError Error)[] cases =
        [
            ("2,000 bytes", P.Raw(0x8b, 0xd0, 7, 0, 0).Raw(new byte[2000]).Done(), CheckpointError.PickleLimit),
            ("length of 2^31", P.Raw(0x8b, 0, 0, 0, 0x80).Done(), CheckpointError.Truncated),
            ("length of -1", P.Raw(0x8b, 0xff, 0xff, 0xff, 0xff).Done(), CheckpointError.Truncated),
            ("text of 2^32-1", P.Raw((byte)'X', 0xff, 0xff, 0xff, 0xff).Done(), CheckpointError.Truncated),
            ("text of 2^64-1", P.Raw(0x8d, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff).Done(),
                CheckpointError.Truncated),
            ("text of 2^63", P.Raw(0x8d, 0, 0, 0, 0, 0, 0, 0, 0x80).Done(), CheckpointError.Truncated),
            ("bytes of 2^40", P.Raw(0x8e, 0, 0, 0, 0, 0, 1, 0, 0).Done(), CheckpointError.Truncated),
            ("memo index", P.Op("]r\u00ff\u00ff\u00ff\u007f").Done(), CheckpointError.Truncated),
            ("memo index in text", P.Op("]p2147483647\n").Done(), CheckpointError.PickleLimit),
            ("digits", P.Op("I" + new string('9', 5000) + "\n").Done(), CheckpointError.PickleLimit),
            ("name", P.Op("c" + new string('a', 5000) + "\nb\n").Done(), CheckpointError.PickleLimit),
            ("key", P.Op("}").Text(new string('k', 5000)).Op("Ns").Done(), CheckpointError.PickleLimit),
        ];
        foreach ((string name, byte[] pickle, CheckpointError error) in cases)
            Assert.That(RefusalOf(PickleWriter.Zip(pickle)).Error, Is.EqualTo(error), name);
    }

    static IEnumerable<TestCaseData> Bombs()
    {
        static byte[] Repeat(string program, int times, string end) =>
            new PickleWriter().Proto().Op(string.Concat(Enumerable.Repeat(program, times))).Op(end).Done();
        // A list of two of a list of two ... 60 levels: 2^60 leaves.
        string laughs = "](K\0K\0eq\0"
            + string.Concat(Enumerable.Range(1, 60).Select(i => $"](h{(char)(i - 1)}h{(char)(i - 1)}eq{(char)i}"));
        (string Name, byte[] Pickle)[] cases =
        [
            ("lists", Repeat("]", 1_000_000, "")),
            ("dicts", Repeat("}", 1_000_000, "")),
            ("sets", Repeat("\u008f", 1_000_000, "")),
            ("marks", Repeat("(", 1_000_000, "")),
            ("nothings", Repeat("N", 2_000_000, "")),
            ("copies", Repeat("]2", 1_000_000, "")),
            ("memo", Repeat("]\u0094", 1_000_000, "")),
            ("numbers", Repeat("J\u0001\u0001\u0001\u0001", 400_000, "")),
            ("nested lists", Repeat("](", 60_000, string.Concat(Enumerable.Repeat("e", 60_000)))),
            ("nested tuples", new PickleWriter().Proto().Op(")" + new string('\u0085', 1_000_000)).Done()),
            ("list in itself", new PickleWriter().Proto().Op("]q\0h\0a").Done()),
            ("dict in itself", new PickleWriter().Proto().Op("}q\0Nh\0s").Done()),
            ("billion laughs", new PickleWriter().Proto().Op(laughs).Done()),
            ("laughs of lists in sets",
                new PickleWriter().Proto().Op(laughs.Replace("]", "\u008f").Replace("e", "\u0090")).Done()),
            ("one list set a million times", Repeat("h\0a", 1, "").Length > 0
                ? new PickleWriter().Proto().Op("]q\0(" + new string('N', 1000) + "e0"
                + "]" + string.Concat(Enumerable.Repeat("(h\0h\0h\0h\0e", 100_000))).Done() : []),
            ("encode again and again",
                new PickleWriter().Proto().Global("_codecs", "encode").Op("q\0").Text(new string('x', 1_000_000))
                .Op("q\u0001")
                .Text("latin1").Op("\u0086q\u0002]").Op(string.Concat(Enumerable.Repeat("h\0h\u0002Ra", 1000))).Done()),
            ("dict of a list again and again",
                new PickleWriter().Proto().Global("builtins", "list")
                .Op("q\0](" + new string('N', 100_000) + "e\u0085q\u0002]")
                .Op(string.Concat(Enumerable.Repeat("h\0h\u0002Ra", 10_000))).Done()),
            ("a long key again and again",
                new PickleWriter().Proto().Text(new string('k', 1000)).Op("q\0}")
                .Op(string.Concat(Enumerable.Repeat("h\0Ns", 200_000))).Done()),
        ];
        foreach ((string name, byte[] pickle) in cases) yield return new TestCaseData(pickle).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Bombs))]
    public void Bomb_EndsSoon_WithinTheMemoryLimit(byte[] pickle)
    {
        foreach (byte[] file in (byte[][])[PickleWriter.Zip(pickle), PickleWriter.Legacy(pickle)])
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            TimeSpan start = Environment.CpuUsage.TotalTime;   // a busy machine does not count
            try
            {
                Checkpoint.Parse(file).Dispose();
            }
            catch (CheckpointException e)
            {
                Assert.That(e.Error, Is.EqualTo(CheckpointError.MemoryLimit).Or.EqualTo(CheckpointError.PickleLimit)
                    .Or.EqualTo(CheckpointError.PickleValue));
            }
            Assert.That(GC.GetAllocatedBytesForCurrentThread() - before,
                Is.LessThanOrEqualTo(2L * file.Length + MemoryBudget.Constant));
            Assert.That((Environment.CpuUsage.TotalTime - start).TotalSeconds, Is.LessThan(2));
        }
    }

    // ---- tensors

    static readonly byte[] Four = [.. new[] { 1f, 2f, 3f, 4f }.SelectMany(BitConverter.GetBytes)];

    static byte[] TensorFile(long count, long offset, long[] sizes, long[] strides) => PickleWriter.Zip(
        P.Op("}").Text("x").Tensor("FloatStorage", "0", count, offset, sizes, strides).Op("s").Done(), ("0", Four));

    static IEnumerable<TestCaseData> BadTensors()
    {
        const long huge = long.MaxValue;
        (string Name, CheckpointError Error, long Count, long Offset, long[] Sizes, long[] Strides)[] cases =
        [
            ("beyond the end", CheckpointError.InvalidTensor, 4, 0, [5], [1]),
            ("offset beyond the end", CheckpointError.InvalidTensor, 4, 1, [4], [1]),
            ("stride beyond the end", CheckpointError.InvalidTensor, 4, 0, [2], [4]),
            ("scalar beyond the end", CheckpointError.InvalidTensor, 4, 4, [], []),
            ("negative size", CheckpointError.InvalidTensor, 4, 0, [-1], [1]),
            ("negative stride", CheckpointError.InvalidTensor, 4, 3, [4], [-1]),
            ("strides missing", CheckpointError.InvalidTensor, 4, 0, [2, 2], [1]),
            ("65 axes", CheckpointError.InvalidTensor, 4, 0, [.. Enumerable.Repeat(1L, 65)],
                [.. Enumerable.Repeat(1L, 65)]),
            ("stride wraps", CheckpointError.InvalidTensor, 4, 0, [3], [huge]),
            ("stride and offset wrap", CheckpointError.InvalidTensor, 4, huge, [2, 2], [huge, huge]),
            ("sizes wrap to 0", CheckpointError.Overflow, 4, 0, [1L << 32, 1L << 32], [0, 0]),
            ("size and type wrap", CheckpointError.Overflow, 4, 0, [1L << 62], [0]),
            ("wraps before a zero", CheckpointError.Overflow, 4, 0, [huge, huge, 0], [0, 0, 0]),
            ("expanded to a terabyte", CheckpointError.MemoryLimit, 4, 0, [1L << 38], [0]),
            ("expanded twice", CheckpointError.MemoryLimit, 4, 0, [1 << 12, 1 << 12], [0, 0]),
            ("storage too large", CheckpointError.InvalidStorage, 5, 0, [4], [1]),
            ("storage too small", CheckpointError.InvalidStorage, 3, 0, [3], [1]),
            ("storage of 2^62", CheckpointError.Overflow, 1L << 62, 0, [4], [1]),
            ("storage of -4", CheckpointError.Overflow, -4, 0, [4], [1]),
        ];
        foreach (var c in cases)
            yield return new TestCaseData(c.Error, c.Count, c.Offset, c.Sizes, c.Strides).SetArgDisplayNames(c.Name);
    }

    [TestCaseSource(nameof(BadTensors))]
    public void BadTensor_IsRefusedByName(CheckpointError error, long count, long offset, long[] sizes,
        long[] strides) =>
        Assert.That(RefusalOf(TensorFile(count, offset, sizes, strides)).Error, Is.EqualTo(error));

    [Test]
    public void SharedStorage_TooManyTimes_IsRefused()
    {
        PickleWriter pickle = P.Op("](");
        for (int i = 0; i < 64; i++) pickle.Tensor("ByteStorage", "0", 8 << 20, 0, [8 << 20], [1]);
        byte[] file = PickleWriter.Zip(pickle.Op("e").Done(), ("0", new byte[8 << 20]));
        Assert.That(RefusalOf(file).Error, Is.EqualTo(CheckpointError.MemoryLimit));
    }

    [Test]
    public void Views_ReadInAnyPieces_AreRowMajor()
    {
        // 4 axes with a transposition, a step and an expansion over 0..119, against the plain index formula.
        byte[] data = [.. Enumerable.Range(0, 120).SelectMany(i => BitConverter.GetBytes((float)i))];
        long[] sizes = [3, 2, 4, 5], strides = [1, 0, 24, 3];
        byte[] file =
            PickleWriter.Zip(P.Op("}").Text("x").Tensor("FloatStorage", "0", 120, 2, sizes, strides).Op("s").Done(),
            ("0", data));
        using StateDict found = Checkpoint.Parse(file);
        float[] expected = new float[120];
        for (int i = 0; i < 120; i++)
            expected[i] = 2 + i / 40 * 1 + i / 20 % 2 * 0 + i / 5 % 4 * 24 + i % 5 * 3;
        TensorEntry x = found["x"];
        Assert.That(x.ToFloats(), Is.EqualTo(expected));
        for (int first = 0; first <= 120; first++)
        {
            for (int count = 0; count <= 120 - first; count += 1 + count / 3)
            {
                float[] piece = new float[count];
                x.ReadFloats(first, piece);
                Assert.That(piece, Is.EqualTo(expected[first..(first + count)]));
            }
        }
        Assert.Throws<ArgumentException>(() => x.ReadFloats(120, new float[1]));
        Assert.Throws<ArgumentException>(() => x.ReadFloats(-1, new float[1]));
        Assert.Throws<ArgumentException>(() => x.Read(0, new byte[3]));
    }

    [Test]
    public void OldStream_ViewOfAStorage_StartsWhereItSays()
    {
        // _rebuild_tensor with ('storage', type, key, location, 4, (view key, 1, 3)): elements 1.. of the whole.
        byte[] pickle = P.Op("}").Text("x").Global("torch._utils", "_rebuild_tensor").Op("((").Text("storage")
            .Global("torch", "FloatStorage")
            .Text("7").Text("cpu").Integer(4).Op("(").Text("8").Integer(1).Integer(3).Op("ttQ").Integer(1).Tuple(2)
                .Tuple(1).Op("tRs").Done();
        using StateDict found = Checkpoint.Parse(PickleWriter.Legacy(pickle, ("7", Four, 4)));
        Assert.That(found["x"].ToFloats(), Is.EqualTo(new[] { 3f, 4f }));
    }

    [Test]
    public void OldStream_StoragesThatDiffer_AreRefused()
    {
        byte[] pickle = P.Op("}").Text("x").Tensor("FloatStorage", "k", 4, 0, [4], [1], isLegacy: true).Op("s").Done();
        byte[] right = PickleWriter.Legacy(pickle, ("k", Four, 4));
        using (StateDict found = Checkpoint.Parse(right)) Assert.That(found["x"].ToFloats(),
            Is.EqualTo(new[] { 1f, 2f, 3f, 4f }));
        Assert.That(RefusalOf(PickleWriter.Legacy(pickle)).Error, Is.EqualTo(CheckpointError.InvalidStorage));
        Assert.That(RefusalOf(PickleWriter.Legacy(pickle, ("k", Four, 4), ("k", Four, 4))).Error,
            Is.EqualTo(CheckpointError.InvalidStorage));
        Assert.That(RefusalOf(PickleWriter.Legacy(pickle, ("k", Four, 4), ("j", Four, 4))).Error,
            Is.EqualTo(CheckpointError.InvalidStorage));
        Assert.That(RefusalOf(PickleWriter.Legacy(pickle, ("k", Four, 2))).Error,
            Is.EqualTo(CheckpointError.InvalidStorage));
        Assert.That(RefusalOf([.. right, 0]).Error, Is.EqualTo(CheckpointError.InvalidStorage));
        Assert.That(RefusalOf(right[..^1]).Error, Is.EqualTo(CheckpointError.Truncated));
        Assert.That(RefusalOf(right[..^17]).Error, Is.EqualTo(CheckpointError.Truncated));
    }

    [Test]
    public void NumpyArray_AnyOrder_BecomesATensor()
    {
        byte[] data = [1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0];
        foreach (bool isFortran in (bool[])[false, true])
        {
            byte[] pickle = new PickleWriter().Proto(3).Op("}").Text("x")
                .Global("numpy._core.multiarray", "_reconstruct").Op("(")
                .Global("numpy", "ndarray").Tuple(0).Bytes((byte)'b').Op("tR(K\u0001").Tuple(2, 3)
                    .Global("numpy", "dtype").Op("(")
                .Text("i2").Raw(0x89, 0x88).Op("tR(K\u0003").Text("<")
                    .Op("NNNJ\u00ff\u00ff\u00ff\u00ffJ\u00ff\u00ff\u00ff\u00ffK\0tb")
                .Raw(isFortran ? (byte)0x88 : (byte)0x89).Bytes(data).Op("tbs").Done();
            using StateDict found = Checkpoint.Parse(PickleWriter.Zip(pickle));
            Assert.That(found["x"].Type, Is.EqualTo(ElementType.I16));
            Assert.That(found["x"].Sizes.ToArray(), Is.EqualTo(new[] { 2L, 3 }));
            Assert.That(found["x"].ToFloats(),
                Is.EqualTo(isFortran ? new[] { 1f, 3, 5, 2, 4, 6 } : new[] { 1f, 2, 3, 4, 5, 6 }));
        }
    }

    [Test]
    public void NewerRebuild_WithUntypedStorage_HasItsType()
    {
        byte[] pickle = P.Op("}").Text("x").Global("torch._utils", "_rebuild_tensor_v3").Op("((").Text("storage")
            .Global("torch.storage", "UntypedStorage").Text("0").Text("cpu").Integer(6).Op("tQ").Integer(1).Tuple(2)
                .Tuple(1).Raw(0x89)
            .Op("}").Global("torch", "uint16").Op("tRs").Done();
        using StateDict found = Checkpoint.Parse(PickleWriter.Zip(pickle, ("0", [1, 0, 2, 0, 0xff, 0xff])));
        Assert.That(found["x"].Type, Is.EqualTo(ElementType.U16));
        Assert.That(found["x"].ToFloats(), Is.EqualTo(new[] { 2f, 65535f }));
    }

    // ---- names

    [Test]
    public void Nesting_BecomesDots_AndClashesAreRefused()
    {
        byte[] pickle = P.Op("}(").Text("a").Op("](").Tensor("FloatStorage", "0", 4, 0, [1], [1]).Op("}").Integer(5)
            .Tensor("FloatStorage", "0", 4, 1, [1], [1]).Op("s").Op("e").Text("b").Op("N").Text("c").Op("](")
                .Integer(1).Text("t").Op("eu").Done();
        using (StateDict found = Checkpoint.Parse(PickleWriter.Zip(pickle, ("0", Four))))
        {
            Assert.That(found.Names, Is.EqualTo(new[] { "a.0", "a.1.5" }));
            Assert.That(found.Metadata.Keys, Is.EqualTo(new[] { "b", "c" }));
            Assert.That(found.Metadata["c"], Is.EqualTo(new object[] { 1L, "t" }));
        }
        byte[] clash = P.Op("}(").Text("a.b").Op("N").Text("a").Op("}").Text("b").Op("Ns").Op("u").Done();
        Assert.That(RefusalOf(PickleWriter.Zip(clash)).Error, Is.EqualTo(CheckpointError.DuplicateName));
    }

    [Test]
    public void TensorAlone_IsCalledTensor()
    {
        using StateDict found =
            Checkpoint.Parse(PickleWriter.Zip(P.Tensor("FloatStorage", "0", 4, 0, [2, 2], [2, 1]).Done(), ("0", Four)));
        Assert.That(found.Names, Is.EqualTo(new[] { "tensor" }));
    }
}
