// The rows of IntegerRowTests once more, as PTX: each instruction in a kernel of its own, through parser, builder,
// interpreter and emitted code; with one row a lane, and with one row for all lanes (so that the emitter may take the
// scalar methods).
using System.Runtime.Intrinsics;
using System.Text;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;
using EpSam.VirtualGpu.Exec;
using EpSam.VirtualGpu.Lanes;
using EpSam.VirtualGpu.Ptx;
using Program = EpSam.VirtualGpu.Exec.Program;

namespace EpSam.VirtualGpu.Tests.Lanes;

internal sealed unsafe class IntegerKernelTests
{
    const int Threads = 64;
    Heap heap = null!;
    ulong input, output;

    [OneTimeSetUp]
    public void Allocate()
    {
        heap = new Heap(1 << 20, CheckFlags.All);
        input = heap.Allocate(1 << 12, "rows");
        output = heap.Allocate(Threads * 8, "results");
    }

    [OneTimeTearDown]
    public void Free() => heap.Dispose();

    // The condition code is no operand in PTX; see CarriesChain.
    static IEnumerable<string> Keys() => IntegerRowTests.rows.Keys.Where(
        k => !k.EndsWith("carry") && !k.StartsWith("addc") && !k.StartsWith("subc") && !k.StartsWith("madc"));

    [TestCaseSource(nameof(Keys))]
    public void RowsGiveTheSameInAKernel(string key)
    {
        int immediate = key.StartsWith("lop3") ? 3 : -1;
        foreach (var group in IntegerRowTests.rows[key].GroupBy(r => immediate < 0 ? 0 : r.Operands[immediate]))
        {
            IntegerRowTests.Row[] rows = [.. group];
            Program varying = Build(Kernel(key, rows[0].Operands, rows.Length, perLane: true));
            Program uniform = Build(Kernel(key, rows[0].Operands, rows.Length, perLane: false));
            ulong mask = Width(key, -1) == 64 ? ulong.MaxValue : uint.MaxValue;
            foreach (bool interpret in (bool[])[true, false])
            {
                ulong[] results = Run(varying, rows, interpret, 0);
                for (int t = 0; t < Threads; t++)
                    Check(key, rows[t % rows.Length], results[t], mask, $"lane {t}, interpreted: {interpret}");
                for (int r = 0; r < rows.Length; r++)
                {
                    foreach (ulong result in Run(uniform, rows, interpret, r))
                        Check(key, rows[r], result, mask, $"uniform, interpreted: {interpret}");
                }
            }
        }
    }

    static void Check(string key, IntegerRowTests.Row row, ulong result, ulong mask, string where)
    {
        if (result == (row.Expected & mask)) return;
        Assert.Fail($"{key} {string.Join(' ', row.Operands.Select(x => $"0x{x:x}"))} = 0x{result:x}, "
            + $"expected 0x{row.Expected & mask:x} ({where})");
    }

    [Test]
    public void CarriesChain([Values] bool interpret)
    {
        // In 32-bit pieces: (a, b) + (c, d) and (a, b) - (c, d), 64 bits each, and the 64-bit product a·c + (c, d).
        IntegerRowTests.Row[] rows =
        [
            new([0xffff_ffff_ffff_ffff, 1], 0), new([0x0000_0001_ffff_ffff, 0xffff_ffff_0000_0001], 0),
            new([0x1234_5678_9abc_def0, 0xfedc_ba98_7654_3210], 0), new([0, 1], 0), new([0x8000_0000_0000_0000, 0], 0),
        ];
        foreach ((string body, Func<ulong, ulong, ulong> expected) in new (string, Func<ulong, ulong, ulong>)[]
        {
            ("add.cc.u32 %x0,%r0,%r2; addc.u32 %x1,%r1,%r3;", (a, b) => a + b),
            ("sub.cc.u32 %x0,%r0,%r2; subc.u32 %x1,%r1,%r3;", (a, b) => a - b),
            ("mad.lo.cc.u32 %x0,%r0,%r2,%r2; madc.hi.u32 %x1,%r0,%r2,%r3;", (a, b) => (ulong)(uint)a * (uint)b + b),
        })
        {
            Program program = Build(Module(2, rows.Length, true, ".reg .b32 %r<4>, %x<2>;", $"""
                mov.b64 {"{%r0,%r1}"}, %in0;
                mov.b64 {"{%r2,%r3}"}, %in1;
                {body}
                mov.b64 %out, {"{%x0,%x1}"};
                """));
            ulong[] results = Run(program, rows, interpret, 0);
            for (int t = 0; t < Threads; t++)
            {
                ulong[] operands = rows[t % rows.Length].Operands;
                Assert.That(results[t], Is.EqualTo(expected(operands[0], operands[1])), body);
            }
        }
    }

    static Program Build(string ptx)
    {
        PtxModule module = Parser.Parse(ptx);
        return Program.Build(module, module.Find("k")!, new Dictionary<string, ulong>());
    }

    ulong[] Run(Program program, IntegerRowTests.Row[] rows, bool interpret, int row)
    {
        ulong[] operands = [.. rows.SelectMany(r => r.Operands)];
        operands.CopyTo(new Span<ulong>(AddressSpace.ToHost(input), operands.Length));
        heap.MarkInitialised(input, operands.Length * 8);
        byte[] parameters = new byte[24];
        BitConverter.TryWriteBytes(parameters, input);
        BitConverter.TryWriteBytes(parameters.AsSpan(8), output);
        BitConverter.TryWriteBytes(parameters.AsSpan(16), row);
        Grid.Launch(program, new Dim3(1), new Dim3(Threads), 0, parameters,
            new LaunchContext(heap, CheckFlags.All, "k"), new LaunchOptions(interpret, Workers: 1));
        return new Span<ulong>(AddressSpace.ToHost(output), Threads).ToArray();
    }

    static string Kernel(string key, ulong[] first, int rows, bool perLane)
    {
        var registers = new StringBuilder();
        var body = new StringBuilder();
        var operands = new List<string>();
        for (int k = 0; k < first.Length; k++)
        {
            int width = Width(key, k);
            operands.Add(width == 8 ? first[k].ToString() : width == 64 ? $"%in{k}" : $"%a{k}");
            if (width is 8 or 64) continue;
            registers.AppendLine($".reg {(width == 1 ? ".pred" : $".b{width}")} %a{k};");
            body.AppendLine(width == 1 ? $"and.b64 %in{k}, %in{k}, 1; setp.ne.u64 %a{k}, %in{k}, 0;"
                : $"cvt.u{width}.u64 %a{k}, %in{k};");
        }
        int result = Width(key, -1);
        registers.AppendLine($".reg {(result == 1 ? ".pred" : $".b{result}")} %d;");
        body.AppendLine($"{key} %d, {string.Join(", ", operands)};");
        body.AppendLine(result == 1 ? "selp.u64 %out, 1, 0, %d;" : result == 64 ? "mov.b64 %out, %d;"
            : $"cvt.u64.u{result} %out, %d;");
        return Module(first.Length, rows, perLane, registers.ToString(), body.ToString());
    }

    /// <summary>Loads row tid modulo rows, or row p2, into %in0.., runs the body and stores %out.</summary>
    static string Module(int operands, int rows, bool perLane, string registers, string body)
    {
        string loads = string.Join('\n', Enumerable.Range(0, operands).Select(
            k => $"ld.global.u64 %in{k}, [%address+{8 * k}];"));
        return $$"""
            .version 7.8
            .target sm_80
            .address_size 64
            .visible .entry k(.param .u64 p0, .param .u64 p1, .param .u32 p2)
            {
            .reg .b32 %thread, %row;
            .reg .b64 %in<{{operands}}>, %out, %address, %to;
            {{registers}}
            mov.u32 %thread, %tid.x;
            {{(perLane ? $"rem.u32 %row, %thread, {rows};" : "ld.param.u32 %row, [p2];")}}
            ld.param.u64 %address, [p0];
            mad.wide.u32 %address, %row, {{8 * operands}}, %address;
            {{loads}}
            {{body}}
            ld.param.u64 %to, [p1];
            mad.wide.u32 %to, %thread, 8, %to;
            st.global.u64 [%to], %out;
            ret;
            }
            """;
    }

    /// <summary>Bits of the register of operand k, or of the destination (-1): 1 a predicate, 8 an immediate.</summary>
    static int Width(string key, int k)
    {
        LaneMethod method = LaneTable.LaneKeys[key];
        Type type = k < 0 ? method.Method.ReturnType : method.Method.GetParameters()[k].ParameterType;
        if (type == typeof(Vector512<ulong>)) return 64;
        if (type == typeof(byte)) return 8;
        if (type == typeof(uint)) return 1;
        string[] parts = key.Split('.');
        if (parts[0] == "cvt")
            return parts[k < 0 ? 1 : 2].EndsWith("16") || k < 0 && parts[1].EndsWith('8') ? 16 : 32;
        bool narrow = parts[^1].EndsWith("16") && parts[0] != "prmt" || parts[0] == "slct" && parts[1].EndsWith("16");
        bool isAmount = (parts[0] is "shl" or "shr") && k == 1 || parts[0] == "slct" && k == 2;
        bool isWide = parts[1] == "wide" && (k == -1 || k == 2);
        return narrow && !isAmount && !isWide ? 16 : 32;
    }
}
