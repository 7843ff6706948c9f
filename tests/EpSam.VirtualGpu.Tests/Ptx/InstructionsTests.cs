// Operand checks, compared with the verdicts of NVIDIA's assembler (Data/operands.txt), and their messages.
using EpSam.VirtualGpu.Ptx;

namespace EpSam.VirtualGpu.Tests.Ptx;

[TestFixture, Category("Quick")]
public sealed class InstructionsTests
{
    const string Start = """
        .version 7.8
        .target sm_90
        .address_size 64
        .global .u32 a[10]; .shared .u32 sh[10]; .const .u32 cc; .func (.param .b32 r) ff(.param .b32 x);
        .visible .entry k(.param .u64 p)
        {
        .reg .pred %p<4>; .reg .b8 %b<3>; .reg .b16 %h<9>; .reg .u16 %us<3>; .reg .f16 %hf<4>; .reg .f16x2 %hx<4>;
        .reg .b32 %r<10>; .reg .u32 %u<4>; .reg .s32 %s<4>; .reg .f32 %f<10>;
        .reg .b64 %rd<10>; .reg .u64 %ul<3>; .reg .s64 %sl<3>; .reg .f64 %d<9>;

        """;

    static string? Verdict(string instruction)
    {
        try
        {
            Parser.Parse(Start + instruction + "\nL: ret;\n}\n");
            return null;
        }
        catch (PtxException error)
        {
            return error.Message;
        }
    }

    // where we differ from ptxas on purpose
    static readonly Dictionary<string, string> Different = new()
    {
        ["isspacep.shared %p1, %r1;"] = "32-bit generic addresses do not exist with 64-bit addresses",
        ["ld.global.u32 {%r1}, [a];"] = "a vector of one element, outside of the manual's grammar",
        ["mov.u16 %h1, sh;"] = "an address cut to 16 bits is a mistake",
        ["ld.shared.u32 %r1, [5];"] = "constant addresses are in the manual; ptxas 11.8 takes them in .local only",
        ["cvt.rn.f16x2.f32 %rd1, %rd1, %rd1;"] = "a packed result fills its register: the manual has no wider one",
        ["mov.b64 {%f1,%u1}, %rd1;"] = "mixed element types are harmless",
        ["add.u8 %b1, %b1, 3;"] = "which types an instruction has is decided by the lane table",
    };

    [Test]
    public void Operands_AgreeWithPtxas()
    {
        string[] lines = SyntaxDump.Data("operands.txt").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        List<string> wrong = [];
        int compared = 0;
        foreach (string line in lines.Where(l => l[0] != '#'))
        {
            string instruction = line[6..];
            string? mine = Verdict(instruction);
            bool differs = (mine is null) != line.StartsWith("ok", StringComparison.Ordinal);
            compared++;
            if (differs != Different.ContainsKey(instruction))
            {
                wrong.Add($"{line} => {mine ?? "ok"}");
            }
        }
        Assert.That(wrong, Is.Empty);
        Assert.That(compared, Is.GreaterThan(200));
    }

    [TestCase("foo.s32 %r1;", "unknown instruction 'foo'; did you mean")]
    [TestCase("ad.s32 %r1, %r2, %r3;", "unknown instruction 'ad'; did you mean 'add'?")]
    [TestCase("tex.2d.v4.f32.f32 {%f1}, [a];", "'tex' is not supported by the virtual GPU")]
    [TestCase("wmma.load.a.sync %r1;", "'wmma' is not supported by the virtual GPU")]
    [TestCase("add.s32 %r1, %r2;", "'add.s32' takes 3 operands, not 2")]
    [TestCase("ret %r1;", "'ret' takes 0 operands, not 1")]
    [TestCase("bar.sync;", "'bar.sync' takes 1 or 2 operands, not 0")]
    [TestCase("ld.global.L2::cache_hint.u32 %r1, [a], %rd1;",
        "takes 2 operands, not 3; cache policies are not supported")]
    [TestCase("add %r1, %r2, %r3;", "'add' needs a type such as .b32 at its end")]
    [TestCase("add.f32 %f1, %f2, %rd1;", "register '%rd1' is .b64, which does not fit where .f32 is expected")]
    [TestCase("ld.global.u16 %p1, [a];", "register '%p1' is .pred, which does not fit where .u16 or wider is expected")]
    [TestCase("add.s32 5, %r2, %r3;", "the destination must be a register")]
    [TestCase("add.s32 _, %r2, %r3;", "the result of this instruction cannot be dropped with '_'")]
    [TestCase("add.s32 %r1|%p1, %r2, %r3;", "this instruction has no second result after '|'")]
    [TestCase("shfl.sync.idx.b32 _|%p1, %r1, 0, 31, -1;", "only the predicate of the pair may be '_'")]
    [TestCase("add.f32 %f1, %f2, 1;", "an integer constant where .f32 is expected; write it with a decimal point")]
    [TestCase("add.s32 %r1, %r2, 1.0;", "a floating-point constant where .s32 is expected")]
    [TestCase("mov.b32 %r1, 1.0;", "write it as 0f")]
    [TestCase("add.f16 %hf1, %hf2, 1.0;", "there are no constants of type .f16")]
    [TestCase("add.u32 %r1, %tid.x, 1;", "mov '%tid.x' to a register first")]
    [TestCase("add.u64 %rd1, %rd2, a;", "mov 'a' to a register first")]
    [TestCase("add.u32 %r1, !%p1, 1;", "a negated predicate where .u32 is expected")]
    [TestCase("ld.global.u32 %r1, %rd1;", "an address in brackets expected")]
    [TestCase("ld.global.u32 %r1, [%f1];", "an address register must be an integer of 32 or 64 bits; '%f1' is .f32")]
    [TestCase("ld.global.u32 %r1, [sh];", "'sh' is a .shared variable; the instruction accesses .global memory")]
    [TestCase("ld.u64 %rd1, [p];", "'p' is a parameter; it is read with ld.param")]
    [TestCase("ld.global.v2.u32 %r1, [a];", ".v2 needs a vector of 2 elements in braces")]
    [TestCase("ld.global.v4.u32 {%r1,%r2}, [a];", ".v4 needs a vector of 4 elements in braces, not 2")]
    [TestCase("ld.global.v2.u8 {%r1,%h1}, [a];", "the registers of a vector must be of one size")]
    [TestCase("mov.f16 %hf1, %hf2;", "mov has no type .f16; use .b16")]
    [TestCase("mov.u64 %rd1, %tid.x;", "'%tid.x' is a 32-bit integer, not .u64")]
    [TestCase("mov.u32 %r1, %clock64;", "'%clock64' is a 64-bit integer, not .u32")]
    [TestCase("mov.f32 %f1, a;", "an address needs 32 or 64 bits, not .f32")]
    [TestCase("mov.b64 %rd1, {%r1, %r2, %r3};", ".b64 cannot be packed from or unpacked to 3 elements")]
    [TestCase("mov.b64 %rd1, {%r1, %rd2};", "each of the 2 elements of .b64 must be a register or constant of 32 bits")]
    [TestCase("mov.b64 {%h1, %h2}, %rd1;", "each of the 2 elements of .b64 must be a register of 32 bits")]
    [TestCase("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r1, 5}, [sh];", "registers in braces expected")]
    [TestCase("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r1, %rd1}, [sh];", "a fragment's registers have 32 bits")]
    [TestCase("lop3.b32 %r1, %r2, %r3, %r4, %r5;", "an integer constant expected")]
    public void Operands_Message(string instruction, string message) =>
        Assert.That(Verdict(instruction), Does.Contain(message));

    [TestCase("add.s32 %r1, %r2, ¦%f1;")]
    [TestCase("@%p1 add.s32 ¦%f1, %r2, %r3;")]
    [TestCase("    ¦add.s32 %r1, %r2;")]
    [TestCase("mov.b32 %r1, %r2; ¦foo.b32 %r1;")]
    [TestCase("st.global.v2.u32 ¦%rd1, {%r1, %r2};")]
    public void Operands_Place(string marked)
    {
        int at = marked.IndexOf('¦');
        PtxException error = Assert.Throws<PtxException>(() => Parser.Parse(Start + marked.Remove(at, 1) + "\n}"))!;
        Assert.That(error.Position, Is.EqualTo(new SourcePosition(10, at + 1)), error.Message);
    }
}
