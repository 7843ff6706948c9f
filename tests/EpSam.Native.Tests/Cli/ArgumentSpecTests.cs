// Expected bytes are written down by hand from the formats (IEEE 754, two's complement), not computed.
using EpSam.Cli;

namespace EpSam.Native.Tests.Cli;

public sealed class ArgumentSpecTests
{
    [TestCase("u32:5", "05000000")]
    [TestCase("u8:255", "FF")]
    [TestCase("s8:-128", "80")]
    [TestCase("u16:0x1234", "3412")]
    [TestCase("s32:-1", "FFFFFFFF")]
    [TestCase("s64:-1", "FFFFFFFFFFFFFFFF")]
    [TestCase("s64:-9223372036854775808", "0000000000000080")]
    [TestCase("u64:18446744073709551615", "FFFFFFFFFFFFFFFF")]
    [TestCase("u64:0xFEDCBA9876543210", "1032547698BADCFE")]
    [TestCase("b32:-2", "FEFFFFFF")]
    [TestCase("b32:4294967295", "FFFFFFFF")]
    [TestCase("f32:0.5", "0000003F")]
    [TestCase("f32:-0", "00000080")]
    [TestCase("f32:1e-45", "01000000")]
    [TestCase("f32:inf", "0000807F")]
    [TestCase("f32:-inf", "000080FF")]
    [TestCase("f32:0x7FC00001", "0100C07F")]
    [TestCase("f64:1", "000000000000F03F")]
    [TestCase("f16:1", "003C")]
    [TestCase("f16:65504", "FF7B")]
    [TestCase("f16:65519.99", "FF7B")]                 // below the middle between 65504 and 65536
    [TestCase("f16:0.000000059604644775390625", "0100")] // 2^-24, the least subnormal
    [TestCase("bf16:1", "803F")]
    [TestCase("bf16:1.00390625", "803F")]               // 1 + 2^-8: a tie, goes to even
    [TestCase("bf16:1.01171875", "823F")]               // 1 + 3·2^-8: a tie, goes to even
    [TestCase("bf16:1.0039062500000002", "813F")]       // just above the tie; as a float it would be the tie
    [TestCase("bf16:-1.0039062500000002", "81BF")]
    [TestCase("u32:1,2,0x3", "010000000200000003000000")]
    [TestCase("b8:1,2,255", "0102FF")]
    [TestCase("f32:1,-2", "0000803F000000C0")]
    public void Parse_Value_GivesItsBytes(string text, string hex)
    {
        ArgumentSpec spec = ArgumentSpec.Parse(text);
        Assert.That(Convert.ToHexString(((ArgumentSpec.Value)spec).Bytes), Is.EqualTo(hex));
    }

    [TestCase("f32:nan", 4)]
    [TestCase("f16:nan", 2)]
    [TestCase("bf16:nan", 2)]
    [TestCase("f64:nan", 8)]
    public void Parse_Nan_IsANan(string text, int size)
    {
        byte[] bytes = ((ArgumentSpec.Value)ArgumentSpec.Parse(text)).Bytes;
        Assert.That(bytes, Has.Length.EqualTo(size));
        bool isNan = text[..text.IndexOf(':')] switch
        {
            "f64" => double.IsNaN(BitConverter.ToDouble(bytes)),
            "f32" => float.IsNaN(BitConverter.ToSingle(bytes)),
            "f16" => Half.IsNaN(BitConverter.ToHalf(bytes)),
            _ => float.IsNaN(BitConverter.UInt32BitsToSingle((uint)BitConverter.ToUInt16(bytes) << 16)),
        };
        Assert.That(isNan);
    }

    [Test]
    public void Parse_Buffers_GiveFilesAndSizes()
    {
        Assert.That(ArgumentSpec.Parse("in:a.bin"), Is.EqualTo(new ArgumentSpec.Buffer("in:a.bin", "a.bin", 0, null)));
        Assert.That(ArgumentSpec.Parse("in:a:b"), Is.EqualTo(new ArgumentSpec.Buffer("in:a:b", "a:b", 0, null)));
        Assert.That(ArgumentSpec.Parse("out:16:b.bin"),
            Is.EqualTo(new ArgumentSpec.Buffer("out:16:b.bin", null, 16, "b.bin")));
        Assert.That(ArgumentSpec.Parse("inout:a:b"), Is.EqualTo(new ArgumentSpec.Buffer("inout:a:b", "a", 0, "b")));
    }

    [TestCase("", "expected TYPE:VALUE")]
    [TestCase("5", "expected TYPE:VALUE")]
    [TestCase(":5", "expected TYPE:VALUE")]
    [TestCase("u33:5", "unknown type 'u33'")]
    [TestCase("file:5", "unknown type 'file'")]
    [TestCase("u32:", "'' is not an integer")]
    [TestCase("u32:five", "'five' is not an integer")]
    [TestCase("u32:1.5", "'1.5' is not an integer")]
    [TestCase("u32:0x", "'0x' is not an integer")]
    [TestCase("u32:1,,2", "'' is not an integer")]
    [TestCase("u32: 1", "' 1' is not an integer")]
    [TestCase("u32:-1", "-1 does not fit u32, which holds 0 to 4294967295")]
    [TestCase("u8:256", "256 does not fit u8, which holds 0 to 255")]
    [TestCase("s8:128", "128 does not fit s8, which holds -128 to 127")]
    [TestCase("u64:18446744073709551616", "does not fit u64")]
    [TestCase("u64:99999999999999999999999999999999999999999999", "is not an integer")]
    [TestCase("f32:1e39", "1e39 is too large for f32")]
    [TestCase("f16:65520", "65520 is too large for f16")]
    [TestCase("bf16:3.4e38", "3.4e38 is too large for bf16")]
    [TestCase("f64:1e999", "is not a number that fits f64")]
    [TestCase("f32:0x1FFFFFFFF", "does not fit b32")]
    [TestCase("f32:half", "'half' is not a number")]
    [TestCase("in:", "expected in:FILE")]
    [TestCase("out:16", "expected out:BYTES:FILE")]
    [TestCase("out:16:", "expected out:BYTES:FILE")]
    [TestCase("out:x:f", "'x' is not a number of bytes")]
    [TestCase("out:0:f", "the size must be 1 byte to 2^63-1, not 0")]
    [TestCase("out:-1:f", "the size must be 1 byte to 2^63-1, not -1")]
    [TestCase("inout:a", "expected inout:INPUT:OUTPUT")]
    [TestCase("inout:a:", "expected inout:INPUT:OUTPUT")]
    [TestCase("inout:a:b:c", "expected inout:INPUT:OUTPUT")]
    public void Parse_BadText_SaysWhatIsExpected(string text, string message)
    {
        UserError? error = Assert.Throws<UserError>(() => ArgumentSpec.Parse(text));
        Assert.That(error!.Code, Is.EqualTo(2));
        Assert.That(error.Message, Does.StartWith($"--arg {text}: ").And.Contain(message));
    }
}
