// Writes random but valid PTX kernels: every register class, guards, nested and divergent ifs and loops, device
// function calls, loads, stores, warp operations, barriers. Each thread ends by storing all its registers, so that two
// ways of running a kernel can be compared bit for bit. The same seed gives the same text.
using System.Text;

namespace EpSam.VirtualGpu.Tests.Exec;

internal sealed class KernelGenerator(int seed)
{
    public const int Registers = 4, InputBytes = 4096;
    public const int OutputBytes = 64;   // a thread: four D, four R, then H in pairs and the predicates in one word

    // R = 32-bit, H = 16-bit, D = 64-bit register; P = predicate; N = nonzero-ish constant, S = small constant.
    static readonly string[] templates =
    [
        "add.s32 R, R, R", "add.u32 R, R, N", "sub.s32 R, R, R", "mul.lo.s32 R, R, R", "mul.hi.u32 R, R, R",
        "mul.hi.s32 R, R, R", "mad.lo.s32 R, R, R, R", "mad.hi.u32 R, R, R, R", "mul.wide.s32 D, R, R",
        "mul.wide.u32 D, R, N", "mad.wide.s32 D, R, R, D", "mad.wide.u32 D, R, R, D", "mul.wide.u16 R, H, H",
        "mul.wide.s16 R, H, H", "add.u16 H, H, H", "sub.s16 H, H, H", "mul.lo.u16 H, H, H",
        "add.s64 D, D, D", "sub.s64 D, D, D", "mul.lo.s64 D, D, D", "mul.hi.u64 D, D, D", "mad.lo.s64 D, D, D, D",
        "div.u32 R, R, R", "rem.u32 R, R, R", "div.s32 R, R, R", "rem.s32 R, R, N", "div.u64 D, D, D",
        "rem.s64 D, D, D", "min.s32 R, R, R", "max.u32 R, R, R", "min.u64 D, D, D", "max.s16 H, H, H", "abs.s32 R, R",
        "neg.s32 R, R", "neg.s64 D, D", "and.b32 R, R, R", "or.b32 R, R, N", "xor.b64 D, D, D", "not.b32 R, R",
        "not.b16 H, H", "and.b64 D, D, D", "cnot.b32 R, R", "shl.b32 R, R, R", "shl.b32 R, R, S", "shr.u32 R, R, S",
        "shr.s32 R, R, R", "shl.b64 D, D, R", "shr.s64 D, D, S", "shr.u16 H, H, R", "popc.b32 R, R", "popc.b64 R, D",
        "clz.b32 R, R", "clz.b64 R, D", "bfind.u32 R, R", "bfind.s64 R, D", "brev.b32 R, R", "brev.b64 D, D",
        "bfe.u32 R, R, R, R", "bfe.s64 D, D, S, S", "bfi.b32 R, R, R, S, S", "shf.l.wrap.b32 R, R, R, R",
        "shf.r.clamp.b32 R, R, R, S", "prmt.b32 R, R, R, R", "prmt.b32 R, R, R, N", "lop3.b32 R, R, R, R, 0x6a",
        "lop3.b32 R, R, R, R, 0xe8", "sad.u32 R, R, R, R",
        "dp4a.u32.s32 R, R, R, R", "mul24.lo.s32 R, R, R", "mad24.lo.u32 R, R, R, R", "add.sat.s32 R, R, R",
        "add.cc.u32 R, R, R", "addc.cc.u32 R, R, R", "addc.u32 R, R, R", "sub.cc.u32 R, R, R", "subc.u32 R, R, R",
        "add.f32 R, R, R", "sub.f32 R, R, R", "mul.f32 R, R, R", "fma.rn.f32 R, R, R, R", "add.ftz.f32 R, R, R",
        "mul.sat.f32 R, R, R", "fma.rn.ftz.sat.f32 R, R, R, R", "div.rn.f32 R, R, R", "min.f32 R, R, R",
        "max.f32 R, R, R", "neg.f32 R, R", "abs.f32 R, R", "rcp.approx.f32 R, R", "sqrt.rn.f32 R, R",
        "ex2.approx.f32 R, R", "lg2.approx.f32 R, R", "rsqrt.approx.f32 R, R", "tanh.approx.f32 R, R",
        "add.f64 D, D, D", "mul.f64 D, D, D", "fma.rn.f64 D, D, D, D", "div.rn.f64 D, D, D", "min.f64 D, D, D",
        "neg.f64 D, D", "add.f16x2 R, R, R", "fma.rn.f16x2 R, R, R, R", "fma.rn.bf16x2 R, R, R, R", "add.f16 H, H, H",
        "fma.rn.f16 H, H, H, H", "cvt.u64.u32 D, R", "cvt.s64.s32 D, R", "cvt.u32.u64 R, D", "cvt.u32.u16 R, H",
        "cvt.s32.s16 R, H", "cvt.u16.u32 H, R", "cvt.s32.s8 R, R", "cvt.rn.f32.s32 R, R", "cvt.rn.f32.u32 R, R",
        "cvt.rzi.s32.f32 R, R", "cvt.rni.u32.f32 R, R", "cvt.f64.f32 D, R", "cvt.rn.f32.f64 R, D",
        "cvt.rn.f16.f32 H, R", "cvt.f32.f16 R, H", "cvt.rn.bf16x2.f32 R, R, R", "cvt.rn.f16x2.f32 R, R, R",
        "cvt.rn.f64.s64 D, D", "cvt.rzi.s64.f64 D, D", "cvt.rmi.f32.f32 R, R", "cvt.sat.u8.s32 R, R",
        "selp.b32 R, R, R, P", "selp.b64 D, D, D, P", "selp.b16 H, H, H, P", "slct.s32.f32 R, R, R, R",
        "setp.lt.s32 P, R, R", "setp.ge.u32 P, R, R", "setp.eq.s64 P, D, D", "setp.ne.u16 P, H, H",
        "setp.gt.f32 P, R, R", "setp.ltu.f32 P, R, R", "setp.le.f64 P, D, D", "setp.lt.and.s32 P, R, R, P",
        "setp.ge.or.u64 P, D, D, P", "setp.eq.xor.f32 P|P, R, R, !P", "setp.lt.s32 P|P, R, R",
        "and.pred P, P, P", "or.pred P, P, P", "xor.pred P, P, P", "not.pred P, P", "mov.pred P, P",
        "set.gt.u32.s32 R, R, R", "set.lt.f32.f32 R, R, R", "copysign.f32 R, R, R", "testp.finite.f32 P, R",
        "mov.b32 R, R", "mov.b64 D, D", "mov.b64 D, {R, R}", "mov.b64 {R, R}, D", "mov.b32 R, {H, H}",
        "mov.b32 {H, H}, R", "mov.u32 R, N", "mov.u32 R, %laneid", "mov.u32 R, %ctaid.x", "mov.u32 R, %tid.y",
        "mov.u32 R, %lanemask_lt", "mov.u32 R, %ntid.x", "shfl.sync.bfly.b32 R, R, S, 31, -1",
        "shfl.sync.up.b32 R|P, R, S, 0, -1", "shfl.sync.idx.b32 R, R, R, 31, -1", "vote.sync.ballot.b32 R, P, -1",
        "vote.sync.any.pred P, P, -1", "vote.sync.all.pred P, !P, -1", "activemask.b32 R",
        "redux.sync.add.u32 R, R, -1", "match.any.sync.b32 R, R, -1",
        // The same in all lanes of a warp, or nearly: %x is the thread, %v that plus 64 for each block.
        "shr.u32 R, %x, 5", "shr.u32 R, %x, 4", "shr.s32 R, %v, 6", "and.b32 R, %v, -32", "and.b32 R, %v, -16",
        "div.u32 R, %x, 32", "setp.lt.u32 P, %x, 32", "setp.gt.s32 P, %v, 63", "setp.ge.u32 P, %v, 80",
        "setp.le.u32 P, %x, 40", "mov.u32 R, %x",
    ];

    readonly Random random = new(seed);
    readonly StringBuilder text = new();
    int labels, depth, budget;

    /// <summary>The module: entry "k" (input, output pointers), perhaps with a device function.</summary>
    public string Module()
    {
        text.Append(".version 7.8\n.target sm_86\n.address_size 64\n");
        budget = 10 + random.Next(40);
        bool function = random.Next(4) == 0;
        if (function) Function();
        text.Append(".visible .entry k(.param .u64 in, .param .u64 out)\n{\n");
        Declare();
        text.Append("    .shared .align 16 .b8 tile[1024];\n    .reg .b64 %in, %out, %at;\n" +
            "    .reg .b32 %t, %w, %n, %one;\n");
        Prologue();
        Statements();
        if (random.Next(2) == 0) { Exchange(); Statements(); }
        if (function) Call();
        Statements();
        Epilogue();
        text.Append("}\n");
        return text.ToString();
    }

    void Declare()
    {
        text.Append($"    .reg .b32 %r<{Registers}>;\n    .reg .b16 %h<{Registers}>;\n" +
            $"    .reg .b64 %d<{Registers}>;\n    .reg .pred %q, %p<{Registers}>;\n");
        for (int i = 0; i < 12; i++) text.Append($"    .reg .b32 %i{i};\n");
        text.Append("    .reg .b32 %x, %u, %m, %v;\n    mov.u32 %x, %tid.x;\n    mov.u32 %u, %ctaid.x;\n" +
            "    shl.b32 %m, %u, 6;\n    add.u32 %v, %m, %x;\n");
    }

    void Function()
    {
        text.Append(".func (.param .b32 result) f(.param .b32 a, .param .b64 b)\n{\n");
        Declare();
        text.Append("    ld.param.b32 %r0, [a];\n    ld.param.b64 %d0, [b];\n");
        for (int i = 1; i < Registers; i++)
            text.Append($"    add.u32 %r{i}, %r0, {i * 77};\n" +
                $"    add.u64 %d{i}, %d0, {i};\n");
        for (int i = 0; i < Registers; i++)
            text.Append($"    cvt.u16.u32 %h{i}, %r{i};\n" +
                $"    setp.gt.s32 %p{i}, %r{i}, 100;\n");
        for (int i = 0; i < 4; i++) Instruction(depth: 1);
        text.Append("    @%p0 bra DONE;\n    add.u32 %r1, %r1, 5;\nDONE:\n    st.param.b32 [result], %r1;\n" +
            "    ret;\n}\n");
    }

    void Prologue()
    {
        text.Append("    ld.param.u64 %in, [in];\n    ld.param.u64 %out, [out];\n    mov.u32 %t, %tid.x;\n" +
            "    mov.u32 %n, %ntid.x;\n");
        text.Append("    mov.u32 %w, %ctaid.x;\n    mad.lo.u32 %w, %w, %n, %t;\n    mul.lo.u32 %one, %w, 7;\n");
        text.Append("    and.b32 %one, %w, 15;\n    mul.wide.u32 %at, %one, 128;\n    add.u64 %at, %at, %in;\n");
        text.Append($"    ld.global.v4.b32 {{%r0, %r1, %r2, %r3}}, [%at+{16 * random.Next(4)}];\n");
        text.Append("    ld.global.v2.b64 {%d0, %d1}, [%at+64];\n" +
            "    ld.global.v4.b16 {%h0, %h1, %h2, %h3}, [%at+80];\n");
        text.Append($"    mov.b64 %d2, {random.NextInt64()};\n    cvt.u64.u32 %d3, %t;\n");
        // Some start values small, some the same in all lanes.
        for (int i = 0; i < Registers; i++)
        {
            if (random.Next(3) == 0) text.Append($"    mov.b32 %r{i}, {random.Next(-5, 200)};\n");
            else if (random.Next(3) == 0) text.Append($"    add.u32 %r{i}, %t, {random.Next(50)};\n");
            text.Append($"    setp.{(random.Next(2) == 0 ? "lt" : "ge")}.s32 %p{i}, " +
                $"{(random.Next(3) == 0 ? "%n" : "%t")}, {random.Next(64)};\n");
        }
    }

    void Statements()
    {
        int count = 1 + random.Next(5);
        for (int i = 0; i < count && budget > 0; i++)
        {
            switch (random.Next(10))
            {
                case 0 when depth < 3: If(); break;
                case 1 when depth < 2: Loop(); break;
                case 2: Memory(); break;
                case 3 when depth is > 0 and < 3 && random.Next(4) == 0: EarlyExit(); break;
                default: Instruction(depth); break;
            }
        }
    }

    void Instruction(int depth)
    {
        budget--;
        string template = templates[random.Next(templates.Length)];
        StringBuilder line = new("    ");
        if (random.Next(5) == 0 && !template.Contains(".sync")
            && !template.StartsWith("activemask", StringComparison.Ordinal))
            line.Append(random.Next(2) == 0 ? "@" : "@!").Append($"%p{random.Next(Registers)} ");
        int operands = template.IndexOf(' '), start = line.Length;
        line.Append(template, 0, operands);
        foreach (char c in template.AsSpan(operands))
            line.Append(c switch
            {
                'R' => $"%r{random.Next(Registers)}", 'H' => $"%h{random.Next(Registers)}",
                'D' => $"%d{random.Next(Registers)}",
                'P' => $"%p{random.Next(Registers)}", 'N' => random.Next(1, 100000).ToString(),
                'S' => random.Next(0, 40).ToString(),
                _ => c.ToString(),
            });
        text.Append(line).Append(";\n");
        // Which NaN an operation gives is not specified, and x86 takes it from either operand: make it one.
        bool single = template.Contains(".f32 R"), twice = template.Contains(".f64 D");
        if (!single && !twice) return;
        string result = line.ToString(start + operands + 1, 3);
        text.Append($"    testp.notanumber.f{(single ? 32 : 64)} %q, {result};\n" +
            $"    @%q mov.b{(single ? 32 : 64)} {result}, {(single ? "0x7fffffff" : "0x7fffffffffffffff")};\n");
    }

    void If()
    {
        depth++;
        string other = $"L{labels++}", end = $"L{labels++}";
        bool hasElse = random.Next(2) == 0;
        text.Append($"    @{(random.Next(2) == 0 ? "!" : "")}%p{random.Next(Registers)} " +
            $"bra {(hasElse ? other : end)};\n");
        Statements();
        if (hasElse)
        {
            text.Append($"    bra {end};\n{other}:\n");
            Statements();
        }
        text.Append($"{end}:\n");
        depth--;
    }

    /// <summary>A loop of at most six turns whose number may differ by lane.</summary>
    void Loop()
    {
        depth++;
        string head = $"L{labels++}";
        int counter = labels % 10;
        text.Append(random.Next(2) == 0
            ? $"    and.b32 %i{counter}, %t, {random.Next(1, 6)};\n"
            : $"    mov.b32 %i{counter}, {random.Next(1, 5)};\n");
        text.Append($"{head}:\n");
        Statements();
        text.Append($"    sub.s32 %i{counter}, %i{counter}, 1;\n    setp.gt.s32 %q, %i{counter}, 0;\n" +
            $"    @%q bra {head};\n");
        depth--;
    }

    void Memory()
    {
        budget -= 3;
        int r = random.Next(Registers), d = random.Next(Registers);
        text.Append($"    and.b32 %one, %r{random.Next(Registers)}, {InputBytes - 64};\n" +
            "    and.b32 %one, %one, -16;\n    cvt.u64.u32 %at, %one;\n    add.u64 %at, %at, %in;\n");
        string guard = random.Next(3) == 0 ? $"@%p{random.Next(Registers)} " : "";
        text.Append("    ").Append(guard).Append(random.Next(6) switch
        {
            0 => $"ld.global.v2.b32 {{%r{r}, %r{(r + 1) % Registers}}}, [%at+8]",
            1 => $"ld.global.v4.f32 {{%r{r}, %r{(r + 1) % Registers}, " +
                $"%r{(r + 2) % Registers}, %r{(r + 3) % Registers}}}, [%at]",
            2 => $"ld.global.s8 %r{r}, [%at+3]",
            3 => $"ld.global.b64 %d{d}, [%at+8]",
            4 => $"ld.u16 %h{r}, [%at+2]",
            _ => $"ld.global.nc.b32 %r{r}, [%at+4]",
        }).Append(";\n");
    }

    void EarlyExit()
    {
        budget--;
        text.Append($"    @%p{random.Next(Registers)} bra L{labels};\n    bra L{labels + 1};\nL{labels}:\n");
        labels += 2;
        Store();
        text.Append($"    exit;\nL{labels - 1}:\n");
    }

    /// <summary>Through shared memory, at the top level, where all threads meet.</summary>
    void Exchange()
    {
        int r = random.Next(Registers);
        text.Append($"    and.b32 %one, %t, 255;\n    shl.b32 %one, %one, 2;\n    mov.u32 %i0, tile;\n" +
            "    add.u32 %i0, %i0, %one;\n");
        text.Append($"    st.shared.b32 [%i0], %r{r};\n    bar.sync 0;\n" +
            $"    xor.b32 %one, %one, {4 << random.Next(4)};\n    mov.u32 %i0, tile;\n    add.u32 %i0, %i0, %one;\n");
        text.Append($"    ld.shared.b32 %r{(r + 1) % Registers}, [%i0];\n    bar.sync 0;\n");
        if (random.Next(2) == 0) text.Append($"    bar.red.popc.u32 %r{r}, 0, %p{random.Next(Registers)};\n");
    }

    void Call()
    {
        int r = random.Next(Registers);
        text.Append($"    {{\n    .param .b32 a0;\n    .param .b64 a1;\n    .param .b32 back;\n" +
            $"    st.param.b32 [a0], %r{r};\n    st.param.b64 [a1], %d{r};\n");
        text.Append($"    call.uni (back), f, (a0, a1);\n    ld.param.b32 %r{(r + 1) % Registers}, [back];\n    }}\n");
    }

    void Store()
    {
        text.Append($"    mul.wide.u32 %at, %w, {OutputBytes};\n    add.u64 %at, %at, %out;\n");
        text.Append("    st.global.v2.b64 [%at], {%d0, %d1};\n    st.global.v2.b64 [%at+16], {%d2, %d3};\n");
        text.Append("    st.global.v4.b32 [%at+32], {%r0, %r1, %r2, %r3};\n    mov.b32 %one, 0;\n");
        for (int i = 0; i < Registers; i++) text.Append($"    @%p{i} or.b32 %one, %one, {1 << i};\n");
        text.Append("    mov.b32 %i10, {%h0, %h1};\n    mov.b32 %i11, {%h2, %h3};\n" +
            "    st.global.v4.b32 [%at+48], {%i10, %i11, %one, %w};\n");
    }

    void Epilogue()
    {
        Store();
        text.Append("    ret;\n");
    }
}
