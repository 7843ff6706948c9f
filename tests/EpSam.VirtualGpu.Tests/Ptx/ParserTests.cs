// One test for each construct of PTX that the parser reads; expected values are worked out by hand from PTX ISA 7.8.
using EpSam.VirtualGpu.Ptx;

namespace EpSam.VirtualGpu.Tests.Ptx;

[TestFixture, Category("Quick")]
public sealed class ParserTests
{
    const string Header = ".version 7.8\n.target sm_86\n.address_size 64\n";

    static PtxModule Module(string text) => Parser.Parse(Header + text);

    static PtxFunction Kernel(string body) =>
        Module(".visible .entry k(.param .u64 p)\n{\n" + body + "\n}\n").Functions[0];

    static string Body(string body) => SyntaxDump.Body(Kernel(body));

    static PtxVariable Variable(string text) => Module(text).Variables[0];

    [Test]
    public void Module_Header_IsRead()
    {
        PtxModule module =
            Parser.Parse(
                "/* a\n * b */ .version 7.1 // c\n.target sm_86, texmode_independent, debug\n.address_size 64");
        Assert.That((module.VersionMajor, module.VersionMinor, module.Target, module.AddressSize),
            Is.EqualTo((7, 1, "sm_86", 64)));
    }

    [TestCase(".version 7.8\n.target sm_90", "sm_90")]
    [TestCase(".version 6.0\r\n.target sm_70\r\n.address_size 64\r\n\0\0", "sm_70")]
    [TestCase("\t.version 1.4 .target sm_13, map_f64_to_f32", "sm_13")]
    public void Module_Header_Variants(string text, string target) =>
        Assert.That(Parser.Parse(text).Target, Is.EqualTo(target));

    [Test]
    public void Module_Lines_AreTheSource()
    {
        PtxModule module = Module("// the fourth line");
        Assert.That(module.Lines[3], Is.EqualTo("// the fourth line"));
    }

    [Test]
    public void Module_DebugDirectives_AreSkipped()
    {
        PtxModule module = Module("""
            .file 1 "a.cu"
            .file 2 "b.cu", 1234567, 99
            .pragma "nounroll", "x";
            .section .debug_abbrev
            {
                .b8 1 // DW_TAG
                .b32 .debug_str+4, Lbegin-Lend
                $L__info_string0:
                .b8 0x11
            }
            .visible .entry k()
            {
                .loc 1 2 3
                .loc 2 3 4, function_name $L__info_string0 + 5, inlined_at 1 7 1
                .pragma "nounroll";
                ret;
            }
            """);
        Assert.That(SyntaxDump.Body(module.Functions[0]), Is.EqualTo("ret;"));
    }

    [Test]
    public void Entry_HeaderAndDirectives_AreRead()
    {
        PtxFunction kernel = Module("""
            .visible .entry k(
                .param .u64 .ptr .global .align 16 a,
                .param .align 8 .b8 s[24],
                .param .f32 x
            )
            .maxntid 16, 8
            .reqntid 128
            .minnctapersm 2
            .maxnreg 64
            { ret; }
            """).Functions[0];
        Assert.That(kernel.IsEntry && kernel.HasBody);
        Assert.That(kernel.Parameters.Select(SyntaxDump.Text),
            Is.EqualTo(new[] { "Param U64 a x1 align 8", "Param B8 s x24 align 8 array", "Param F32 x x1 align 4" }));
        Assert.That(kernel.MaxThreads, Is.EqualTo(new[] { 16, 8, 1 }));
        Assert.That(kernel.RequiredThreads, Is.EqualTo(new[] { 128, 1, 1 }));
        Assert.That((kernel.MinBlocks, kernel.MaxRegisters), Is.EqualTo((2, 64)));
    }

    [TestCase(".entry k { ret; }")]
    [TestCase(".entry k() { ret; }")]
    [TestCase(".weak .entry k() { ret; }")]
    public void Entry_WithoutParameters(string text) => Assert.That(Module(text).Find("k")!.Parameters, Is.Empty);

    [Test]
    public void Function_RegisterParameters_AreRegisters()
    {
        PtxFunction function =
            Module(".func (.reg .f32 %out) f(.reg .f32 %in, .reg .pred %p) { @%p mov.f32 %out, %in; ret; }").Find("f")!;
        Assert.That(function.Returns[0].Register, Is.SameAs(function.Registers[0]));
        Assert.That(function.Parameters[1].Register!.Type, Is.EqualTo(PtxType.Pred));
        Assert.That(function.Parameters[0].Space, Is.EqualTo(StateSpace.Reg));
        Assert.That(SyntaxDump.Body(function), Is.EqualTo("@%p mov.f32 %out, %in;\nret;"));
    }

    [Test]
    public void Function_DeclaredThenDefined_FindsTheDefinition()
    {
        PtxModule module = Module(".extern .func (.param .b32 r) g(.param .b64 a);\n.func f(.param .b32 a);\n" +
            ".visible .func f(.param .b32 b) .noreturn { trap; }");
        Assert.That(module.Find("f")!.HasBody);
        Assert.That(module.Find("f")!.IsNoReturn);
        Assert.That(module.Find("g")!.HasBody, Is.False);
        Assert.That(module.Find("h"), Is.Null);
    }

    [TestCase("call f;", "call f;")]
    [TestCase("call.uni f, (%r1);", "call.uni f, (%r1);")]
    [TestCase("call (x), f, (a, b);", "call (x), f, (a, b);")]
    [TestCase("call (%r1), f, (7, %r2);", "call (%r1), f, (7, %r2);")]
    [TestCase("call (_), f, ();", "call (_), f, ();")]
    [TestCase("proto: .callprototype (.param .b32 _) _ (.param .b32 _, .param .b64 _) .noreturn;\n" +
        "call (x), %rd1, (a, b), proto;",
        "call (x), %rd1, (a, b), proto;")]
    [TestCase("t: .calltargets f, g;\ncall (x), %rd1, (a, b), t;", "call (x), %rd1, (a, b), t;")]
    public void Call_Forms(string text, string expected)
    {
        PtxFunction kernel =
            Module(".func f;\n.func g;\n.entry k() {\n.reg .b32 %r<4>; .reg .b64 %rd<2>; .param .b32 x, a, b;\n" +
            text + "\n}").Functions[^1];
        Assert.That(SyntaxDump.Body(kernel), Is.EqualTo(expected));
        if (text[0] == 'p')
        {
            Assert.That(kernel.Prototypes["proto"].Parameters.Select(p => p.Type),
                Is.EqualTo(new[] { PtxType.B32, PtxType.B64 }));
            Assert.That(kernel.Prototypes["proto"].IsNoReturn);
        }
        if (text[0] == 't')
        {
            Assert.That(kernel.CallTargets["t"], Is.EqualTo(new[] { "f", "g" }));
        }
    }

    [TestCase(".global .u32 a;", "Global U32 a x1 align 4")]
    [TestCase(".visible .global .align 16 .b8 a[10];", "Global B8 a x10 align 16 array")]
    [TestCase(".global .align 2 .u64 a;", "Global U64 a x1 align 8")]
    [TestCase(".global .v4 .f32 a;", "Global F32 a x4 align 16")]
    [TestCase(".global .align 32 .v2 .u16 a[3][5];", "Global U16 a x30 align 32 array")]
    [TestCase(".extern .shared .align 16 .b8 a[];", "Shared B8 a x0 align 16 array external")]
    [TestCase(".common .global .u8 a;", "Global U8 a x1 align 1")]
    [TestCase(".global .attribute(.managed) .s32 a;", "Global S32 a x1 align 4")]
    [TestCase(".global .attribute(.unified(19, 95)) .s32 a;", "Global S32 a x1 align 4")]
    [TestCase(".shared .f64 a[2*(3+1)];", "Shared F64 a x8 align 8 array")]
    [TestCase(".const .u16 a = 0xFFEE;", "Const U16 a x1 align 2 = EEFF")]
    [TestCase(".global .s32 a = -2;", "Global S32 a x1 align 4 = FEFFFFFF")]
    [TestCase(".global .u8 a[] = {1, 300, -1};", "Global U8 a x3 align 1 array = 012CFF")]
    [TestCase(".global .u8 a[4] = {1, 2};", "Global U8 a x4 align 1 array = 01020000")]
    [TestCase(".global .u8 a[2] = {};", "Global U8 a x2 align 1 array = 0000")]
    [TestCase(".global .u8 a[2][3] = {{1, 2}, {4, 5, 6}};", "Global U8 a x6 align 1 array = 010200040506")]
    [TestCase(".global .u8 a[][2] = {{1}, {2, 3}, {4}};", "Global U8 a x6 align 1 array = 010002030400")]
    [TestCase(".global .u8 a[2][2][2] = {{{1, 2}, {3, 4}}, {{5, 6}}};",
        "Global U8 a x8 align 1 array = 0102030405060000")]
    [TestCase(".global .v2 .u8 a[2] = {{1, 2}, {3, 4}};", "Global U8 a x4 align 2 array = 01020304")]
    [TestCase(".global .v4 .u8 a = {1, 2, 3, 4};", "Global U8 a x4 align 4 = 01020304")]
    [TestCase(".global .f32 a[2] = {1.0, 0f40000000};", "Global F32 a x2 align 4 array = 0000803F00000040")]
    [TestCase(".global .f64 a[2] = {-1.5, 0d4000000000000000};",
        "Global F64 a x2 align 8 array = 000000000000F8BF0000000000000040")]
    [TestCase(".global .b32 a = 1.0;", "Global B32 a x1 align 4 = 0000803F")]
    [TestCase(".global .f64 a = 0f3F800000;", "Global F64 a x1 align 8 = 000000000000F03F")]
    public void Variable_Declaration(string text, string expected) =>
        Assert.That(SyntaxDump.Text(Variable(text)), Is.EqualTo(expected));

    [Test]
    public void Variable_Addresses_AreRelocations()
    {
        PtxModule module = Module(".func f;\n.global .u32 x[4];\n.const .u32 c;\n" +
            ".global .u64 a[] = {x, x+4, x+-8, generic(c), generic(x)+12, f, 5};");
        Assert.That(SyntaxDump.Text(module.Variables[2]), Is.EqualTo("Global U64 a x7 align 8 array = "
            + new string('0', 96) + "0500000000000000 @0:x @8:x+4 @16:x-8 @24:generic c @32:generic x+12 @40:f"));
    }

    [Test]
    public void Variable_ExternalThenDefined_IsTheDefinition()
    {
        PtxModule module =
            Module(".extern .global .u32 x;\n.visible .global .u32 x = 3;\n.global .u32 y;\n.extern .global .u32 y;");
        Assert.That(module.Variables.Select(v => v.Name + v.Position.Line), Is.EqualTo(new[] { "x5", "y6" }));
    }

    [TestCase("7 / 2", 3)]
    [TestCase("-7 / 2", -3)]
    [TestCase("-7 % 3", -1)]
    [TestCase("0x10 + 010 + 0b11 + 5U", 16 + 8 + 3 + 5)]
    [TestCase("1 + 2 * 3 - 4", 3)]
    [TestCase("(1 + 2) * 3", 9)]
    [TestCase("1 << 4 | 3", 19)]
    [TestCase("0xFF ^ 0x0F & 0x3C", 0xFF ^ (0x0F & 0x3C))]
    [TestCase("-8 >> 1", -4)]
    [TestCase("~0", -1)]
    [TestCase("!5 + !0", 1)]
    [TestCase("3 > 2 ? 10 : 20", 10)]
    [TestCase("0 ? 1 : 0 ? 2 : 3", 3)]
    [TestCase("1 < 2 && 2 <= 2 || 0", 1)]
    [TestCase("-1 < 0U", 0)]
    [TestCase("(.s64)0xFFFFFFFFFFFFFFFF < 0", 1)]
    [TestCase("(.u64)-1 > 1", 1)]
    [TestCase("0xFFFFFFFFFFFFFFFF", -1)]
    [TestCase("(.s64)0x8000000000000000 / -1", long.MinValue)]
    [TestCase("(.s64)0x8000000000000000 % -1", 0)]
    [TestCase("-9223372036854775808 / -1", 0)]   // 2^63 is too large for a signed number, so this divides unsigned ones
    [TestCase("WARP_SZ - 1", 31)]
    [TestCase("1 << 64", 0)]
    [TestCase("2 == 2.0", 1)]
    [TestCase("- - 3", 3)]
    public void Constant_IntegerExpression(string text, long expected)
    {
        PtxOperand operand = Kernel($".reg .b64 r; mov.b64 r, {text};").Body[0].Operands[1];
        Assert.That(operand.Kind, Is.EqualTo(OperandKind.Immediate));
        Assert.That((long)operand.Bits, Is.EqualTo(expected));
    }

    [TestCase("1.5", 1.5)]
    [TestCase("-2.5e3", -2500.0)]
    [TestCase("1e-3", 0.001)]
    [TestCase("1.0 / 4", 0.25)]
    [TestCase("0d3FE0000000000000", 0.5)]
    [TestCase("1.5 > 1 ? 2.0 : 3.0", 2.0)]
    public void Constant_FloatExpression(string text, double expected)
    {
        PtxOperand operand = Kernel($".reg .f64 r; mov.f64 r, {text};").Body[0].Operands[1];
        Assert.That((operand.IsFloat, operand.IsSingle), Is.EqualTo((true, false)));
        Assert.That(BitConverter.UInt64BitsToDouble(operand.Bits), Is.EqualTo(expected));
    }

    [TestCase("0f3F800000", 0x3F800000u)]
    [TestCase("0F7fc00001", 0x7FC00001u)]
    [TestCase("-0f3F800000", 0xBF800000u)]
    public void Constant_SingleBits(string text, uint expected)
    {
        PtxOperand operand = Kernel($".reg .f32 r; mov.f32 r, {text};").Body[0].Operands[1];
        Assert.That((operand.IsSingle, operand.Bits), Is.EqualTo((true, (ulong)expected)));
    }

    [TestCase("ld.global.u32 %r1, [%rd1];")]
    [TestCase("ld.global.u32 %r1, [%rd1+16];")]
    [TestCase("ld.global.u32 %r1, [%rd1-16];")]
    [TestCase("ld.param.u64 %rd1, [p];")]
    [TestCase("ld.param.u32 %r1, [p+4];")]
    [TestCase("ld.shared.u32 %r1, [64];")]
    [TestCase("ld.global.L1::no_allocate.L2::128B.v4.f32 {%f1, %f2, _, %f3}, [%rd1];")]
    [TestCase("ld.shared::cta.u8 %r1, [%r2];")]
    [TestCase("st.global.v2.f32 [%rd1], {%f1, 0f00000000};")]
    [TestCase("setp.lt.and.s32 %p1|%p2, %r1, -5, !%p3;")]
    [TestCase("setp.eq.u32 _|%p2, %r1, %r2;")]
    [TestCase("@!%p1 bra.uni L;")]
    [TestCase("shfl.sync.bfly.b32 %r1|%p1, %r2, 16, 31, -1;")]
    [TestCase("mov.u32 %r1, %tid.x;")]
    [TestCase("mov.u64 %rd1, %clock64;")]
    [TestCase("mov.u32 %r1, %lanemask_lt;")]
    [TestCase("mov.b32 %r1, %envreg31;")]
    [TestCase("mov.b64 {%r1, %r2}, %rd1;")]
    [TestCase("mov.b32 %r1, {%h1, %h2};")]
    [TestCase("mov.u64 %rd1, v+8;")]
    [TestCase("mov.u32 %r1, s;")]
    [TestCase("mov.u64 %rd1, k;")]
    [TestCase("mov.pred %p1, !%p2;")]
    [TestCase("add.cc.u32 %r1, %r1, 4294967295;")]
    [TestCase("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f0, %f1, %f2, %f3}, {%r0, %r1, %r2, %r3}, " +
        "{%r4, %r5}, {%f0, %f1, %f2, %f3};")]
    [TestCase("atom.global.cas.b32 _, [%rd1+4], 0, 1;")]
    [TestCase("bar.sync 0;")]
    [TestCase("ret;")]
    public void Instruction_PrintsAsWritten(string text)
    {
        string declarations = ".reg .pred %p<4>; .reg .b16 %h<4>; .reg .b32 %r<8>; .reg .b64 %rd<4>; .reg .f32 %f<4>;" +
            ".local .b32 v[4]; .shared .b32 s; L: ";
        Assert.That(Body(declarations + text), Is.EqualTo("L:\n" + text));
    }

    [TestCase("ld.global.u32 %r1 , [ %rd1 + -4 ] ;", "ld.global.u32 %r1, [%rd1-4];")]
    [TestCase("ld.global.u32 %r1,[%rd1+4*2+1];", "ld.global.u32 %r1, [%rd1+9];")]
    [TestCase("ld.local.u32 %r1,[v-4+8];", "ld.local.u32 %r1, [v+4];")]
    [TestCase("ld.local.u32 %r1, v[3];", "ld.local.u32 %r1, [v+12];")]
    [TestCase("mov.u64 %rd1, v[2];", "mov.u64 %rd1, v+8;")]
    [TestCase("/* x */add.s32\n\t%r1,//\n%r2,\n1;", "add.s32 %r1, %r2, 1;")]
    [TestCase("add .s32 %r1, %r2, 1;", "add.s32 %r1, %r2, 1;")]
    [TestCase("{ { add.s32 %r1, %r2, 1; } }", "add.s32 %r1, %r2, 1;")]
    public void Instruction_Spellings(string text, string expected) =>
        Assert.That(Body(".reg .b32 %r<8>; .reg .b64 %rd<4>; .local .b32 v[4]; " + text), Is.EqualTo(expected));

    [Test]
    public void Address_NamesItsVariable()
    {
        PtxFunction kernel = Kernel(".shared .u32 s; .reg .b32 r; ld.shared.u32 r, [s+0]; ld.param.u32 r, [p];");
        Assert.That(kernel.Body[0].Operands[1].Variable, Is.SameAs(kernel.Variables[0]));
        Assert.That(kernel.Body[1].Operands[1].Variable, Is.SameAs(kernel.Parameters[0]));
    }

    [Test]
    public void Registers_OfRanges_AreMadeOnFirstUse()
    {
        PtxFunction kernel = Kernel(".reg .b32 %r<999999>; .reg .f32 x; add.s32 %r7, %r999998, %r0; mov.b32 %r7, %r7;");
        Assert.That(kernel.Registers.Select(r => $"{r.Index} {r.Name} {r.Type}"),
            Is.EqualTo(new[] { "0 x F32", "1 %r7 B32", "2 %r999998 B32", "3 %r0 B32" }));
        Assert.That(kernel.Body[1].Operands[0].Register, Is.SameAs(kernel.Body[0].Operands[0].Register));
    }

    [Test]
    public void Registers_RangePrefixWithDigits_IsFound()
    {
        PtxFunction kernel = Kernel(".reg .b32 %a1<12>; .reg .b64 %a<2>; mov.b32 %a111, 1; mov.b64 %a1, 1;");
        Assert.That(kernel.Registers.Select(r => $"{r.Name} {r.Type}"), Is.EqualTo(new[] { "%a111 B32", "%a1 B64" }));
    }

    [Test]
    public void Registers_InNestedScopes_Shadow()
    {
        PtxFunction kernel =
            Kernel(".reg .b32 t, u; { .reg .b64 t; mov.b64 t, 1; } mov.b32 t, 2; { .reg .f32 t; mov.f32 t, 1.0; }");
        Assert.That(kernel.Registers.Select(r => $"{r.Index} {r.Name} {r.Type}"),
            Is.EqualTo(new[] { "0 t B32", "1 u B32", "2 t B64", "3 t F32" }));
        Assert.That(kernel.Body.Select(s => s.Operands[0].Register!.Index), Is.EqualTo(new[] { 2, 0, 3 }));
    }

    [Test]
    public void Registers_MayHideSpecialOnes() =>
        Assert.That(Kernel(".reg .b32 %laneid; mov.b32 %laneid, 1;").Body[0].Operands[0].Kind,
            Is.EqualTo(OperandKind.Register));

    [Test]
    public void Registers_Vectors_HaveComponents()
    {
        PtxFunction kernel =
            Kernel(".reg .v4 .f32 %v; .reg .b64 a; ld.global.v4.f32 %v, [a]; add.f32 %v.x, %v.g, %v.w; " +
            ".reg .v2 .u32 %w<3>; st.global.v2.u32 [a], %w2; mov.u32 %w1.y, 3;");
        Assert.That(SyntaxDump.Body(kernel), Is.EqualTo("ld.global.v4.f32 {%v.x, %v.y, %v.z, %v.w}, [a];\n" +
            "add.f32 %v.x, %v.y, %v.w;\nst.global.v2.u32 [a], {%w2.x, %w2.y};\nmov.u32 %w1.y, 3;"));
    }

    [Test]
    public void Labels_OfNestedScopes_AreMadeUnique()
    {
        string body = Body(".reg .pred p; { L: @p bra L; } { L: @!p bra L; bra M; } M: bra L; L: ret;");
        Assert.That(body, Is.EqualTo("L:\n@p bra L;\nL#1:\n@!p bra L#1;\nbra M;\nM:\nbra L#2;\nL#2:\nret;"));
    }

    [Test]
    public void Labels_BranchTargets_AreBound()
    {
        PtxFunction kernel = Kernel(".reg .u32 i; { L: } table: .branchtargets L, M, L; brx.idx i, table; L: M: ret;");
        Assert.That(kernel.BranchTargets["table"].Select(SyntaxDump.Text), Is.EqualTo(new[] { "L#1", "M", "L#1" }));
        Assert.That(SyntaxDump.Body(kernel), Is.EqualTo("L:\nbrx.idx i, table;\nL#1:\nM:\nret;"));
    }

    [Test]
    public void Variables_OfNestedScopes_AreSeparate()
    {
        PtxFunction kernel =
            Kernel(".reg .b32 r; { .param .b32 a; st.param.b32 [a], r; } { .param .b64 a; ld.param.b32 r, [a+4]; }");
        Assert.That(kernel.Variables.Select(v => v.Type), Is.EqualTo(new[] { PtxType.B32, PtxType.B64 }));
        Assert.That(kernel.Body[0].Operands[0].Variable, Is.SameAs(kernel.Variables[0]));
        Assert.That(kernel.Body[1].Operands[1].Variable, Is.SameAs(kernel.Variables[1]));
    }

    [Test]
    public void Variables_Numbered() =>
        Assert.That(Kernel(".local .align 8 .b32 v<3>; ret;").Variables.Select(v => v.Name),
            Is.EqualTo(new[] { "v0", "v1", "v2" }));

    [Test]
    public void Statements_KnowTheirPlace()
    {
        PtxFunction kernel = Kernel(".reg .pred p;\n  L: @p\n bra L;\n\tret;");
        Assert.That(kernel.Body.Select(s => s.Position),
            Is.EqualTo(new SourcePosition[] { new(7, 3), new(7, 6), new(9, 2) }));
        Assert.That(kernel.Body[1].Operands[0].Position, Is.EqualTo(new SourcePosition(8, 6)));
    }
}
