// Every error of the parser: the place, marked by ¦ in the text, and what the message says.
using System.Text;
using EpSam.VirtualGpu.Ptx;

namespace EpSam.VirtualGpu.Tests.Ptx;

[TestFixture, Category("Quick")]
public sealed class ParserErrorTests
{
    const string Header = ".version 7.8\n.target sm_86\n.address_size 64\n";

    /// <summary>Parses the text without its mark; the error must be where the mark was.</summary>
    static void AssertError(string marked, string message)
    {
        int at = marked.IndexOf('¦');
        Assert.That(at, Is.GreaterThanOrEqualTo(0), "no mark in the test's text");
        string before = marked[..at];
        SourcePosition expected = new(before.Count(c => c == '\n') + 1, at - before.LastIndexOf('\n'));
        PtxException error = Assert.Throws<PtxException>(() => Parser.Parse(marked.Remove(at, 1)))!;
        Assert.That(error.Message, Does.Contain(message));
        Assert.That(error.Position, Is.EqualTo(expected), error.Message);
        Assert.That(error.Message, Does.StartWith($"PTX line {expected.Line}, column {expected.Column}: "));
    }

    [TestCase("¦", "'.version' at the start of the module expected, found the end of the text")]
    [TestCase("¦MZ\u0090", "'.version' at the start of the module expected, found 'MZ'")]
    [TestCase("¦\u007fELF", "the character U+007F is not allowed")]
    [TestCase(".version ¦8.1\n.target sm_90", "PTX ISA 8.1 is newer than 7.8")]
    [TestCase(".version ¦7.9\n.target sm_90", "PTX ISA 7.9 is newer than 7.8")]
    [TestCase(".version ¦0.9\n.target sm_90", "there is no PTX ISA 0.9")]
    [TestCase(".version ¦7\n.target sm_90", "a version such as 7.0")]
    [TestCase(".version ¦seven", "a version such as 7.0 after '.version' expected, found 'seven'")]
    [TestCase(".version 7.0\n¦.entry k {}", "'.target' after '.version' expected, found '.entry'")]
    [TestCase(".version 7.0\n.target ¦sm_800", "unknown target 'sm_800'")]
    [TestCase(".version 7.0\n.target ¦sm_86", "target sm_86 needs PTX ISA 7.1; this module says .version 7.0")]
    [TestCase(".version 7.1\n.target sm_86, ¦sm_80", "a second target, sm_80")]
    [TestCase(".version 7.1\n.target sm_86, ¦debgu", "unknown target option 'debgu'")]
    [TestCase(".version 7.1\n.target debug¦", "a target such as sm_80 after '.target'")]
    [TestCase(".version 7.1\n.target sm_86\n.address_size ¦32", "32-bit addresses are not supported")]
    [TestCase(".version 7.1\n.target sm_86\n.address_size ¦16", "the address size is 64, not 16")]
    public void Header_Error(string text, string message) => AssertError(text, message);

    [TestCase("¦.version 7.8", "'.version' stands at the start of the module, once")]
    [TestCase("¦.glbal .u32 x;", "unknown directive '.glbal'; did you mean '.global'?")]
    [TestCase("¦.entri k {}", "did you mean '.entry'?")]
    [TestCase("¦.qwertyuiop", "unknown directive '.qwertyuiop'")]
    [TestCase("¦.alias a, b;", "'.alias' is not supported")]
    [TestCase("¦.tex .u64 t;", "textures and surfaces are not supported")]
    [TestCase(".global ¦.texref t;", "textures and surfaces are not supported")]
    [TestCase("¦.reg .u32 x;", "'.reg' stands inside of a function")]
    [TestCase("¦.local .u32 x;", "'.local' variables stand inside of functions")]
    [TestCase(".visible ¦.file 1 \"x\"", "a variable or function after '.visible' expected")]
    [TestCase("¦add.s32 a, b, c;", "a directive such as .entry, .func or .global expected, found 'add'")]
    [TestCase("¦}", "this '}' closes nothing")]
    [TestCase("¦/* never\nclosed", "this comment is never closed")]
    [TestCase(".file 1 ¦\"never\nclosed\"", "this string is never closed")]
    [TestCase(".global .u32 x;¦\0.global", "NUL character stands in the middle")]
    [TestCase("¦é", "the character U+00E9 is not allowed in PTX outside of comments")]
    [TestCase("¦`", "the character '`' has no meaning here")]
    [TestCase(".section .debug ¦{ .b8 1", "this '{' is never closed")]
    [TestCase(".file ¦x", "the file's number expected, found 'x'")]
    [TestCase(".pragma ¦nounroll;", "a string after '.pragma' expected")]
    [TestCase(".extern .global .u32 ¦x;", "the external variable 'x' is not defined in this module")]
    public void Module_Error(string text, string message) => AssertError(Header + text, message);

    [TestCase(".global ¦.u33 x;", "unknown type '.u33'; did you mean '.u")]
    [TestCase(".global ¦.bf16 x;", "'.bf16' is no type of variables; declare it .b16")]
    [TestCase(".global ¦.v3 .u32 x;", "vectors have 2 or 4 elements")]
    [TestCase(".global ¦x;", "a type such as .b32 expected, found 'x'")]
    [TestCase(".global .u32 ¦.u32 x;", "a second type, '.u32'")]
    [TestCase(".global .align ¦3 .u32 x;", "the alignment must be a power of two, not 3")]
    [TestCase(".global .align ¦131072 .u32 x;", "the alignment must be a whole number from 1 to 65536, not 131072")]
    [TestCase(".global .u32 x¦", "';' after the declaration expected, found the end of the text")]
    [TestCase(".global .u32 ¦5;", "the variable's name expected, found '5'")]
    [TestCase(".global .u32 x;\n.global .f32 ¦x;", "'x' is declared twice in this scope, first in line 4")]
    [TestCase(".func x;\n.global .f32 ¦x;", "'x' is declared twice in this scope, first in line 4")]
    [TestCase(".global .u32 x;\n.func ¦x;", "'x' is already the name of a variable")]
    [TestCase(".global .u32 x[¦-1];", "the array's size must be a whole number from 0 to")]
    [TestCase(".global .u32 x[¦18446744073709551615];", "the array's size must be a whole number")]
    [TestCase(".global .u32 x[¦18446744073709551616];", "18446744073709551616 does not fit in 64 bits")]
    [TestCase(".global .u32 ¦x[1099511627776];", "a variable of more than 1024 GiB")]
    [TestCase(".global .u32 ¦x[1000000000][1000000000][1000000000];", "a variable of more than 1024 GiB")]
    [TestCase(".global .u32 ¦x[];", "the array 'x' has no size and no initialiser")]
    [TestCase(".global .u32 ¦x[2][];", "only the first dimension may be left empty")]
    [TestCase(".global .u8 ¦x[100000000] = {1};", "more than 64 MiB of initialised variables")]
    [TestCase(".global .u8 x[][100000000] = ¦{{1}};", "initial values beyond 64 MiB")]
    [TestCase(".global .u8 x[][1000000000000] = ¦{{},{},{1}};", "initial values beyond 64 MiB")]
    [TestCase(".global .u32 x[2] = {1, 2, ¦3};", "too many initial values: there is room for 2")]
    [TestCase(".global .u32 x[2] = {1, 2¦;", "',' or '}' in the list of initial values expected, found ';'")]
    [TestCase(".global .u32 x[2] = ¦{1, ", "this '{' is never closed")]
    [TestCase(".global .u32 x[2] = ¦1;", "'{' before the initial values of 'x' expected, found '1'")]
    [TestCase(".global .u32 x[2][2] = {¦1, 2};", "'{' for the next dimension of the array expected, found '1'")]
    [TestCase(".global .u32 x[2] = {¦{1}, 2};", "an initial value expected, found '{'")]
    [TestCase(".global .u64 x = ¦y;", "undeclared variable or function 'y'")]
    [TestCase(".global .u32 yy;\n.global .u64 x = ¦yz;", "undeclared variable or function 'yz'; did you mean 'yy'?")]
    [TestCase(".global .u32 y;\n.global .u32 x = ¦y;", "an address needs 64 bits; the variable's type is .u32")]
    [TestCase(".shared .u32 y;\n.global .u64 x = ¦y;", "undeclared variable or function 'y'")]
    [TestCase(".global .u32 x = ¦1.5;", "a floating-point number cannot initialise a variable of type .u32")]
    [TestCase(".global .f32 x = ¦1;",
        "an integer cannot initialise a variable of type .f32; write it with a decimal point")]
    [TestCase(".global .f16 x = ¦1.0;", "a variable of type .f16 cannot have an initialiser; declare it .b16")]
    [TestCase(".shared .u32 ¦x = 1;", "only .global and .const variables can have an initialiser")]
    [TestCase(".extern .global .u32 ¦x = 1;", "an external variable cannot have an initialiser")]
    [TestCase(".const .b8 a[65536];\n.const .b8 ¦b;", "the .const variables of the module need more than 64 KiB")]
    [TestCase(".const¦[2] .b8 a;", "constant banks (.const[n]) are not supported")]
    [TestCase(".global .u32 x = ¦0x;", "'0x' is not a hexadecimal number")]
    [TestCase(".global .u32 x = ¦09;", "'09' is not an octal number")]
    [TestCase(".global .u32 x = ¦0b12;", "'0b12' is not a binary number")]
    [TestCase(".global .u32 x = ¦12ab;", "'12ab' is not a number")]
    [TestCase(".global .f32 x = ¦0f3F80;", "'0f3F80' is not a number: 0f and exactly 8 hexadecimal digits expected")]
    [TestCase(".global .f64 x = ¦0d3FF000000000000G;", "0d and exactly 16 hexadecimal digits expected")]
    [TestCase(".global .f64 x = ¦1e999;", "out of the range of a 64-bit floating-point number")]
    [TestCase(".global .u32 x = 1 ¦/ 0;", "division by zero in a constant expression")]
    [TestCase(".global .u32 x = 1 ¦% (2 - 2);", "division by zero in a constant expression")]
    [TestCase(".global .u32 x = (1¦;", "')' of the '(' before it expected, found ';'")]
    [TestCase(".global .u32 x = 1 ? 2¦;", "':' of the '?' before it expected, found ';'")]
    [TestCase(".global .u32 x = 1 +¦;", "an initial value expected, found ';'")]
    [TestCase(".global .f32 x = 1.0 ¦& 2.0;", "this operator needs integers")]
    [TestCase(".global .f32 x = ¦~1.0;", "'~' needs an integer")]
    public void Variable_Error(string text, string message) => AssertError(Header + text, message);

    [TestCase(".entry ¦5", "the kernel's name expected, found '5'")]
    [TestCase(".entry k¦", "'{' or ';' after the header expected, found the end of the text")]
    [TestCase(".entry k(.param .u32 a¦", "')' after the parameters expected, found the end of the text")]
    [TestCase(".entry k(¦.u32 a) {}", "'.param' expected, found '.u32'")]
    [TestCase(".entry k(¦.reg .u32 a) {}", "'.param' expected, found '.reg'")]
    [TestCase(".entry k(.param .u32 a, .param .u32 ¦a) {}", "'a' is declared twice in this scope, first in line 4")]
    [TestCase(".entry ¦k(.param .b8 a[5000]) {}", "the parameters of 'k' need more than 4352 bytes")]
    [TestCase(".entry k ¦.maxntd 5 {}",
        "unknown directive '.maxntd' after a function's header; did you mean '.maxntid'?")]
    [TestCase(".entry k .maxntid ¦0 {}", "the number of threads must be a whole number from 1 to")]
    [TestCase(".entry k .maxntid 1,1,1,¦1 {}", "at most three extents")]
    [TestCase(".entry k ¦.reqnctapercluster 2 {}", "clusters of blocks are not supported")]
    [TestCase(".entry k {}\n.entry ¦k {}", "'k' is defined twice, first in line 4")]
    [TestCase(".func f(.param .b32 a);\n.func ¦f(.param .b64 a) {}", "'f' differs from its declaration in line 4")]
    [TestCase(".func f;\n.entry ¦f {}", "'f' differs from its declaration in line 4")]
    [TestCase(".extern .func f(.param .b32 a)\n¦{}", "';' after an external declaration expected, found '{'")]
    [TestCase(".entry k ¦{ ret;", "the end of the text inside of 'k': this '{' is never closed")]
    [TestCase(".func f(.reg ¦.foo a) {}", "unknown type '.foo'")]
    [TestCase(".func f(.reg .v2 .u32 ¦a) {}", "a register parameter cannot be a vector")]
    [TestCase(".func f(.param .pred ¦a) {}", "a parameter cannot be a predicate")]
    public void Function_Error(string text, string message) => AssertError(Header + text, message);

    [TestCase(".reg .b32 %r<4>; add.s32 %r1, ¦%r9, 1;", "undeclared register '%r9'; '%r<4>' declares %r0 to %r3")]
    [TestCase("add.s32 ¦%r1, %r2, 1;", "undeclared register '%r1'")]
    [TestCase(".reg .b32 %sum; mov.b32 ¦%smu, 1;", "undeclared register '%smu'; did you mean '%sum'?")]
    [TestCase("mov.b32 a, ¦%tidx;", "undeclared register '%tidx'")]
    [TestCase("mov.b32 a, ¦%lanid;", "undeclared register '%lanid'; did you mean '%laneid'?")]
    [TestCase("mov.b32 a, ¦%tid;", "'%tid' has components: write %tid.x, %tid.y or %tid.z")]
    [TestCase("mov.b32 a, ¦%tid.q;", "'%tid.q' is no special register")]
    [TestCase("mov.b32 a, ¦nothing;", "undeclared variable or function 'nothing'")]
    [TestCase("mov.b32 a¦.x, 1;", "'a' is not a vector; it has no component '.x'")]
    [TestCase(".reg .v2 .b32 v; mov.b32 v¦.z, 1;", "'v' has 2 components, .x to .y, not '.z'")]
    [TestCase("bra ¦L;", "undeclared label 'L'")]
    [TestCase("LOOP: bra ¦LOPP;", "undeclared label 'LOPP'; did you mean 'LOOP'?")]
    [TestCase("{ L: } bra ¦L;",
        "undeclared label 'L'; a label of this name lies inside of a { } that cannot be jumped into")]
    [TestCase("L: ¦L: ret;", "'L' is declared twice in this scope")]
    [TestCase("¦a: ret;", "'a' is declared twice in this scope")]
    [TestCase("L: .reg .b32 ¦L;", "'L' is already a label in this scope")]
    [TestCase("T: .branchtargets L; L: bra ¦T;", "'T' must be the label of an instruction")]
    [TestCase("L: brx.idx a, ¦L;", "'L' must be the label of a '.branchtargets'")]
    [TestCase("L: call d, (a), ¦L;", "'L' must be the label of a '.callprototype' or '.calltargets'")]
    [TestCase("T: .calltargets ¦nothing;", "undeclared function 'nothing'")]
    [TestCase("¦.branchtargets L;", "'.branchtargets' needs a label before it")]
    [TestCase(".reg .b32 ¦a;", "'a' is declared twice in this scope")]
    [TestCase(".reg .b32 %r<4>, ¦%r<2>;", "'%r<…>' is declared twice in this scope")]
    [TestCase(".reg .b32 %r<4>, ¦%r3;", "'%r3' is declared twice: it is one of '%r<4>' too")]
    [TestCase(".reg .b32 %r3; .reg .b32 ¦%r<4>;", "'%r3' is declared twice: it is one of '%r<4>' too")]
    [TestCase(".reg .b32 %r1<5>; .reg .b32 ¦%r<12>;", "'%r10' is declared twice: it is one of '%r<12>' too")]
    [TestCase(".reg .b32 %r<¦4000000000>;", "the number of registers is 4000000000; at most 1000000 are allowed")]
    [TestCase(".reg .b32 %r<999997>; .reg .b32 ¦b;", "more than 1000000 registers in one function")]
    [TestCase(".reg .b32 %r<¦-1>;", "the number of registers expected, found '-'")]
    [TestCase(".reg .b32 %r<5¦;", "'>' after the number of registers expected, found ';'")]
    [TestCase(".reg .b32 q¦[4];", "registers cannot be arrays")]
    [TestCase(".reg .b32 q ¦= 4;", "registers cannot have an initialiser")]
    [TestCase("¦.regs .b32 q;", "unknown directive '.regs'; did you mean '.reg'?")]
    [TestCase("@¦1 ret;", "a predicate register after '@' expected, found '1'")]
    [TestCase("@¦a ret;", "the guard must be a predicate; 'a' is .b32")]
    [TestCase("@p ¦;", "an instruction after the guard expected, found ';'")]
    [TestCase("@!¦nothing ret;", "undeclared variable or function 'nothing'")]
    [TestCase("¦;", "an instruction, a label or '}' expected, found ';'")]
    [TestCase("¦5;", "an instruction, a label or '}' expected, found '5'")]
    [TestCase("add.s32 a, a, 1\n¦ret;", "',' or ';' after the operand expected, found 'ret'")]
    [TestCase("add.s32 a, ¦, 1;", "an operand expected, found ','")]
    [TestCase("ld.global.u32 a, [d¦;", "']' after the address expected, found ';'")]
    [TestCase("ld.global.u32 a, [¦];", "an address expected, found ']'")]
    [TestCase("ld.global.u32 a, [¦%tid.x];", "an address is a register, a variable or a number")]
    [TestCase("ld.global.u32 a, [d¦+99999999999];", "the offset 99999999999 does not fit in 32 bits")]
    [TestCase("ld.global.u32 a, [d+¦];", "an offset expected, found ']'")]
    [TestCase("ld.global.v2.u32 {a, ¦}, [d];", "an element of the vector expected, found '}'")]
    [TestCase("setp.eq.s32 p|¦5, a, b;", "a predicate register after '|' expected, found '5'")]
    [TestCase("mov.b32 a, ¦!a;", "'!' needs a predicate; 'a' is .b32")]
    [TestCase("call ¦[a];", "a function, or a register that holds its address, expected")]
    [TestCase("call (a, ¦;", "an argument expected, found ';'")]
    [TestCase("call (a)¦;", "',' after the results expected, found ';'")]
    [TestCase("call (a ¦b);", "',' or ')' after the argument expected, found 'b'")]
    [TestCase("¦§: ret;", "the character U+00A7 is not allowed")]
    [TestCase("add.s32 a, a, ¦123456789012345678901;", "does not fit in 64 bits")]
    public void Body_Error(string text, string message) =>
        AssertError(Header + ".entry k\n{\n.reg .b32 a; .reg .b64 d; .reg .pred p;\n" + text + "\n}", message);

    [Test]
    public void Scope_Unclosed_NamesTheInnermost() =>
        AssertError(Header + ".entry k { {\n ¦{ ret;", "this '{' is never closed");

    [Test]
    public void Scope_TooDeep_Fails()
    {
        string open = string.Concat(Enumerable.Repeat("{", 64));
        AssertError($"{Header}.entry k {open}¦{{", "scopes nest deeper than 64");
        Assert.DoesNotThrow(() => Parser.Parse($"{Header}.entry k {open}{open.Replace('{', '}')}"));
    }

    [TestCase("(")]
    [TestCase("-")]
    [TestCase("! ")]
    [TestCase("1?1:")]
    [TestCase("(.u64)")]
    public void Expression_TooDeep_Fails(string nested)
    {
        string text = string.Concat(Enumerable.Repeat(nested, 1_000_000));
        PtxException error = Assert.Throws<PtxException>(() => Parser.Parse($"{Header}.global .u32 x = {text}1;"))!;
        Assert.That(error.Message, Does.Contain("this expression nests deeper than 64"));
        Assert.That(error.Position.Line, Is.EqualTo(4));
    }

    [Test]
    public void Initialiser_TooDeep_Fails()
    {
        string text = string.Concat(Enumerable.Repeat("[1]", 1000)) + " = " + new string('{', 1000);
        PtxException error = Assert.Throws<PtxException>(() => Parser.Parse($"{Header}.global .u32 x{text}"))!;
        Assert.That(error.Message, Does.Contain("this expression nests deeper than 64"));
    }

    [Test]
    public void NumberedVariables_Limit() => AssertError(Header + ".global .b32 v<16384>, ¦w<1>;",
        "more than 16384 numbered variables in one module");

    [Test]
    public void Name_TooLong_Fails() => AssertError($"{Header}.global .u32 ¦{new string('x', 70_000)};",
        "a name of 70000 characters");

    [Test]
    public void Number_TooLong_Fails() => AssertError($"{Header}.global .f64 x = ¦{new string('9', 5000)}.0;",
        "a number of more than 1000");

    [Test]
    public void Vector_TooLong_Fails() => AssertError(
        $"{Header}.entry k {{ .reg .b32 a; mov.b32 {{{string.Concat(Enumerable.Repeat("a,", 64))}¦a}}, a;}}",
        "a vector of more than 64 elements");

    [Test]
    public void Operands_TooMany_Fails() => AssertError(
        $"{Header}.entry k {{ .reg .b32 a; add.s32 {string.Concat(Enumerable.Repeat("a,", 16))}¦a;}}",
        "more than 16 operands");

    [Test]
    public void Modifiers_TooMany_Fails() =>
        AssertError($"{Header}.entry k {{ add{string.Concat(Enumerable.Repeat(".x", 32))}¦.x;}}",
        "more than 32 modifiers");

    [Test]
    public void Error_ShowsTheLine()
    {
        PtxException error = Assert.Throws<PtxException>(() => Parser.Parse(Header + "  .globl .u32 x; // here\n"))!;
        Assert.That(error.Instruction, Is.EqualTo(".globl .u32 x; // here"));
    }

    [Test]
    public void Error_InALongLine_ShowsAPart()
    {
        PtxException error = Assert.Throws<PtxException>(() =>
            Parser.Parse(Header + new string(' ', 100_000) + ".globl" + new string('x', 100_000)))!;
        Assert.That(error.Message, Has.Length.LessThan(500));
    }

    /// <summary>A prefix of a module is an error, or a module; never anything else.</summary>
    [Test]
    public void Truncated_AnyPrefix_FailsCleanly()
    {
        string text = SyntaxDump.Data("functions.ptx");
        for (int length = 0; length < text.Length; length += 3)
        {
            string prefix = text[..length];
            try
            {
                Parser.Parse(prefix);
            }
            catch (PtxException error)
            {
                Assert.That(error.Position.Line, Is.InRange(1, prefix.Count(c => c == '\n') + 1));
            }
        }
    }
}
