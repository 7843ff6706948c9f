// One bad file for each way in which a safetensors file can be wrong, each refused by its own name; and what is
// allowed.
using System.Text;
using EpSam.Native.Checkpoints;

namespace EpSam.Native.Tests.Checkpoints;

public sealed class SafetensorsTests
{
    static byte[] File(string header, int dataBytes, long? length = null)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        return [.. BitConverter.GetBytes(length ?? json.Length), .. json,
            .. Enumerable.Range(0, dataBytes).Select(i => (byte)i)];
    }

    static string Info(string type, string shape, string offsets) =>
        $"{{\"dtype\":\"{type}\",\"shape\":[{shape}],\"data_offsets\":[{offsets}]}}";

    static CheckpointError ErrorOf(byte[] file)
    {
        MemorySource source = new(file);
        return Assert.Throws<CheckpointException>(() => Safetensors.Read(source, new MemoryBudget(file.Length)))!.Error;
    }

    static IEnumerable<TestCaseData> BadHeaders()
    {
        string good = Info("F32", "2", "0,8"), nested = string.Concat(Enumerable.Repeat("[", 200));
        (string Name, CheckpointError Error, string Header, int Data)[] cases =
        [
            ("starts with a space", CheckpointError.InvalidHeaderStart, $" {{\"a\":{good}}}", 8),
            ("an array", CheckpointError.InvalidHeaderStart, "[]", 0),
            ("empty", CheckpointError.InvalidHeaderStart, "", 0),
            ("cut off", CheckpointError.InvalidHeader, "{\"a\":{\"dtype\":\"F32\"", 0),
            ("text behind", CheckpointError.InvalidHeader, $"{{\"a\":{good}}}x", 8),
            ("two objects", CheckpointError.InvalidHeader, "{}{}", 0),
            ("trailing comma", CheckpointError.InvalidHeader, $"{{\"a\":{good},}}", 8),
            ("comment", CheckpointError.InvalidHeader, $"{{/**/\"a\":{good}}}", 8),
            ("single quotes", CheckpointError.InvalidHeader, "{'a':1}", 0),
            ("lone surrogate", CheckpointError.InvalidHeader, $"{{\"\\ud800\":{good}}}", 8),
            ("lone surrogate in a field", CheckpointError.InvalidHeader, "{\"a\":{\"d\\udc00type\":\"F32\"}}", 0),
            ("lone surrogate in a type", CheckpointError.InvalidHeader, "{\"a\":{\"dtype\":\"\\ud800\"}}", 0),
            ("tensor is a number", CheckpointError.InvalidHeader, "{\"a\":1}", 0),
            ("deep nesting", CheckpointError.InvalidHeader, $"{{\"a\":{nested}", 0),
            ("no dtype", CheckpointError.InvalidHeader, "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8),
            ("no shape", CheckpointError.InvalidHeader, "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8),
            ("no offsets", CheckpointError.InvalidHeader, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8),
            ("dtype is a number", CheckpointError.InvalidHeader,
                "{\"a\":{\"dtype\":1,\"shape\":[2],\"data_offsets\":[0,8]}}", 8),
            ("field twice", CheckpointError.InvalidHeader,
                "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8),
            ("unknown field", CheckpointError.InvalidHeader,
                "{\"a\":{\"strides\":[1],\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8),
            ("three offsets", CheckpointError.InvalidHeader, $"{{\"a\":{Info("F32", "2", "0,8,8")}}}", 8),
            ("one offset", CheckpointError.InvalidHeader, $"{{\"a\":{Info("F32", "2", "8")}}}", 8),
            ("negative size", CheckpointError.InvalidHeader, $"{{\"a\":{Info("F32", "-2", "0,8")}}}", 8),
            ("negative offset", CheckpointError.InvalidHeader, $"{{\"a\":{Info("F32", "2", "-8,0")}}}", 8),
            ("fraction", CheckpointError.InvalidHeader, $"{{\"a\":{Info("F32", "2.0", "0,8")}}}", 8),
            ("exponent", CheckpointError.InvalidHeader, $"{{\"a\":{Info("F32", "2e0", "0,8")}}}", 8),
            ("size is a text", CheckpointError.InvalidHeader, $"{{\"a\":{Info("F32", "\"2\"", "0,8")}}}", 8),
            ("shape of shapes", CheckpointError.InvalidHeader, $"{{\"a\":{Info("F32", "[2]", "0,8")}}}", 8),
            ("65 axes", CheckpointError.InvalidHeader,
                $"{{\"a\":{Info("F32", string.Join(",", Enumerable.Repeat(1, 65)), "0,4")}}}", 4),
            ("metadata is a text", CheckpointError.InvalidHeader, "{\"__metadata__\":\"x\"}", 0),
            ("metadata holds a number", CheckpointError.InvalidHeader, "{\"__metadata__\":{\"x\":1}}", 0),
            ("metadata holds null", CheckpointError.InvalidHeader, "{\"__metadata__\":{\"x\":null}}", 0),
            ("name twice", CheckpointError.DuplicateName, $"{{\"a\":{good},\"a\":{good}}}", 8),
            ("name twice, once escaped", CheckpointError.DuplicateName,
                $"{{\"a\":{good},\"\\u0061\":{Info("F32", "2", "8,16")}}}", 16),
            ("metadata twice", CheckpointError.DuplicateName, "{\"__metadata__\":{},\"__metadata__\":{}}", 0),
            ("metadata key twice", CheckpointError.DuplicateName, "{\"__metadata__\":{\"x\":\"1\",\"x\":\"2\"}}", 0),
            ("unknown type", CheckpointError.UnknownType, $"{{\"a\":{Info("F31", "2", "0,8")}}}", 8),
            ("small letters", CheckpointError.UnknownType, $"{{\"a\":{Info("f32", "2", "0,8")}}}", 8),
            ("hole at the start", CheckpointError.InvalidOffset, $"{{\"a\":{Info("F32", "2", "4,12")}}}", 12),
            ("hole between", CheckpointError.InvalidOffset, $"{{\"a\":{good},\"b\":{Info("F32", "1", "12,16")}}}", 16),
            ("overlap", CheckpointError.InvalidOffset, $"{{\"a\":{good},\"b\":{Info("F32", "2", "4,12")}}}", 12),
            ("same place", CheckpointError.InvalidOffset, $"{{\"a\":{good},\"b\":{good}}}", 8),
            ("backwards", CheckpointError.InvalidOffset, $"{{\"a\":{Info("F32", "2", "8,0")}}}", 8),
            ("shape too large", CheckpointError.InvalidTensorSize, $"{{\"a\":{Info("F32", "3", "0,8")}}}", 8),
            ("shape too small", CheckpointError.InvalidTensorSize, $"{{\"a\":{Info("F16", "2", "0,8")}}}", 8),
            ("empty with bytes", CheckpointError.InvalidTensorSize, $"{{\"a\":{Info("F32", "0", "0,8")}}}", 8),
            ("data missing", CheckpointError.IncompleteData, $"{{\"a\":{good}}}", 7),
            ("data left over", CheckpointError.IncompleteData, $"{{\"a\":{good}}}", 9),
            ("data without tensors", CheckpointError.IncompleteData, "{}", 1),
            ("2^63", CheckpointError.Overflow, $"{{\"a\":{Info("U8", "9223372036854775808", "0,8")}}}", 8),
            ("2^64 + 8 wraps to 8", CheckpointError.Overflow, $"{{\"a\":{Info("U8", "18446744073709551624", "0,8")}}}",
                8),
            ("2^32 * 2^32 wraps to 0", CheckpointError.Overflow,
                $"{{\"a\":{Info("U8", "4294967296,4294967296", "0,0")}}}", 0),
            ("(2^42+1) * 2^22 wraps", CheckpointError.Overflow,
                $"{{\"a\":{Info("U8", "4398046511105,4194304", "0,4194304")}}}", 8),
            ("times the type's size wraps", CheckpointError.Overflow,
                $"{{\"a\":{Info("F64", "2305843009213693952", "0,0")}}}", 0),
            ("overflow before a zero", CheckpointError.Overflow,
                $"{{\"a\":{Info("F64", "4294967296,4294967296,0", "0,0")}}}", 0),
        ];
        foreach ((string name, CheckpointError error, string header, int data) in cases)
            yield return new TestCaseData(error, File(header, data)).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(BadHeaders))]
    public void BadHeader_IsRefusedByName(CheckpointError error, byte[] file) =>
        Assert.That(ErrorOf(file), Is.EqualTo(error));

    [TestCase(0)]
    [TestCase(7)]
    public void LessThanALength_HeaderTooSmall(int bytes) =>
        Assert.That(ErrorOf(new byte[bytes]), Is.EqualTo(CheckpointError.HeaderTooSmall));

    [TestCase(100_000_001L, CheckpointError.HeaderTooLarge)]
    [TestCase(-1L, CheckpointError.HeaderTooLarge)]             // 2^64 - 1
    [TestCase(long.MinValue, CheckpointError.HeaderTooLarge)]
    [TestCase(100_000_000L, CheckpointError.InvalidHeaderLength)]
    [TestCase(3L, CheckpointError.InvalidHeaderLength)]
    public void HeaderLength_OfTwoBytes(long length, CheckpointError error) =>
        Assert.That(ErrorOf(File("{}", 0, length)), Is.EqualTo(error));

    [Test]
    public void NotUtf8_InvalidHeader()
    {
        byte[] file = File("{\"a\":1}", 0);
        file[10] = 0xC3;
        Assert.That(ErrorOf(file), Is.EqualTo(CheckpointError.InvalidHeader));
    }

    [Test]
    public void AllowedForms_AreRead()
    {
        string header =
            $"{{ \"b\" : {Info("I16", "", "0,2")} ,\n\"ä\\n\":{Info("F32", "0,5", "2,2")},"
            + $"\"__metadata__\":{{\"k\":\"v\"}},"
            + $"\"first\":{Info("BF16", "2,1", "2,6")} }}   ";
        using StateDict found = Checkpoint.Parse(File(header, 6));
        Assert.That(found.Names, Is.EqualTo(new[] { "b", "ä\n", "first" }));
        Assert.That(found["b"].ToBytes(), Is.EqualTo(new byte[] { 0, 1 }));
        Assert.That(found["b"].Sizes.Length, Is.Zero);
        Assert.That(found["ä\n"].Count, Is.Zero);
        Assert.That(found["first"].ToBytes(), Is.EqualTo(new byte[] { 2, 3, 4, 5 }));
        Assert.That(found.Metadata["k"], Is.EqualTo("v"));
        using StateDict empty = Checkpoint.Parse(File("{}", 0));
        Assert.That(empty, Is.Empty);
    }

    // A header of 1.5 MB can name very many empty tensors; what is kept of them is bounded.
    [Test]
    public void ManyEmptyTensors_AreStoppedByTheMemoryLimit()
    {
        StringBuilder header = new("{");
        for (int i = 0; i < 30_000; i++) header.Append($"\"{i:x}\":{Info("U8", "0", "0,0")},");
        header[^1] = '}';
        byte[] file = File(header.ToString(), 0);
        long before = GC.GetAllocatedBytesForCurrentThread();
        CheckpointException e = Assert.Throws<CheckpointException>(() => Checkpoint.Parse(file))!;
        Assert.That(e.Error, Is.EqualTo(CheckpointError.MemoryLimit));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before,
            Is.LessThan(2 * file.Length + MemoryBudget.Constant));
    }
}
