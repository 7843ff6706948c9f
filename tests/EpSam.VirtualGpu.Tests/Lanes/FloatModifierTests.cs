// Float instructions as they stand in PTX, run as a kernel: .ftz, .sat and .rn do not reach the lane methods, so
// these rows show that the whole of builder and lane method does what the ISA says. Expected values are worked out by
// hand.
using System.Runtime.InteropServices;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;
using EpSam.VirtualGpu.Exec;
using EpSam.VirtualGpu.Ptx;
using Program = EpSam.VirtualGpu.Exec.Program;

namespace EpSam.VirtualGpu.Tests.Lanes;

internal sealed unsafe class FloatModifierTests
{
    const uint One = 0x3f800000, Two = 0x40000000, Tiny = 0x00000001, Nothing = 0;

    // %r1 %r2 %r3 (32 bits), %h1 %h2 %h3 (their low 16), %d1 %d2 (%r1, %r2 as upper halves); the result in %r0, %h0
    // or %d0.
    [TestCase("add.rn.f32 %r0, %r1, %r2;", One, One, Nothing, 0x40000000u)]
    [TestCase("add.f32 %r0, %r1, %r2;", Tiny, Tiny, Nothing, 0x00000002u)]
    [TestCase("add.ftz.f32 %r0, %r1, %r2;", Tiny, Tiny, Nothing, 0u)]
    [TestCase("add.rz.ftz.f32 %r0, %r1, %r2;", 0x80000001u, 0x80000001u, Nothing, 0x80000000u)]
    [TestCase("mul.ftz.f32 %r0, %r1, %r2;", 0x00800000u, 0x3f000000u, Nothing, 0u)]         // the result is subnormal
    [TestCase("mul.f32 %r0, %r1, %r2;", 0x00800000u, 0x3f000000u, Nothing, 0x00400000u)]
    [TestCase("mul.sat.f32 %r0, %r1, %r2;", Two, One, Nothing, One)]
    [TestCase("mul.sat.f32 %r0, %r1, %r2;", 0x7fc00000u, One, Nothing, 0u)]
    [TestCase("sub.sat.f32 %r0, %r1, %r2;", One, Two, Nothing, 0u)]
    [TestCase("fma.rn.ftz.sat.f32 %r0, %r1, %r2, %r3;", Two, Two, 0xc0600000u, 0x3f000000u)]   // 4 - 3.5
    [TestCase("fma.rp.f32 %r0, %r1, %r2, %r3;", One, One, 0x30000000u, 0x3f800001u)]
    [TestCase("rcp.approx.f32 %r0, %r1;", 0x00400000u, Nothing, Nothing, 0x7f000000u)]
    [TestCase("rcp.approx.ftz.f32 %r0, %r1;", 0x80400000u, Nothing, Nothing, 0xff800000u)]
    [TestCase("sqrt.approx.ftz.f32 %r0, %r1;", Tiny, Nothing, Nothing, 0u)]
    [TestCase("ex2.approx.ftz.f32 %r0, %r1;", 0xc3020000u, Nothing, Nothing, 0u)]           // 2^-130
    [TestCase("ex2.approx.f32 %r0, %r1;", 0xc3020000u, Nothing, Nothing, 0x00080000u)]
    [TestCase("max.ftz.NaN.xorsign.abs.f32 %r0, %r1, %r2;", 0xc0000000u, One, Nothing, 0xc0000000u)]
    [TestCase("abs.ftz.f32 %r0, %r1;", 0x80000001u, Nothing, Nothing, 0u)]
    [TestCase("setp.lt.ftz.f32 %p, %r1, %r2; selp.u32 %r0, 1, 2, %p;", Nothing, Tiny, Nothing, 2u)]
    [TestCase("setp.lt.f32 %p, %r1, %r2; selp.u32 %r0, 1, 2, %p;", Nothing, Tiny, Nothing, 1u)]
    // The .ftz of slct is for the third source: the others are bits.
    [TestCase("slct.ftz.u32.f32 %r0, %r1, %r2, %r3;", 5u, 6u, 0x80000001u, 5u)]
    [TestCase("slct.u32.f32 %r0, %r1, %r2, %r3;", 5u, 6u, 0x80000001u, 6u)]
    [TestCase("cvt.rzi.s32.f32 %r0, %r1;", 0xc02ccccdu, Nothing, Nothing, 0xfffffffeu)]     // -2.7
    [TestCase("cvt.rpi.ftz.s32.f32 %r0, %r1;", Tiny, Nothing, Nothing, 0u)]
    [TestCase("cvt.rpi.s32.f32 %r0, %r1;", Tiny, Nothing, Nothing, 1u)]
    [TestCase("cvt.rn.bf16x2.f32 %r0, %r1, %r2;", One, Two, Nothing, 0x3f804000u)]
    [TestCase("cvt.rn.relu.f16x2.f32 %r0, %r1, %r2;", 0xbf800000u, Two, Nothing, 0x00004000u)]
    [TestCase("cvt.sat.f32.f32 %r0, %r1;", 0xbf800000u, Nothing, Nothing, 0u)]
    [TestCase("cvt.rn.f16.f32 %h0, %r1;", One, Nothing, Nothing, 0x3c00u)]
    [TestCase("cvt.rm.ftz.f16.f32 %h0, %r1;", 0x80000001u, Nothing, Nothing, 0x8000u)]
    [TestCase("cvt.rm.f16.f32 %h0, %r1;", 0x80000001u, Nothing, Nothing, 0x8001u)]
    [TestCase("cvt.f32.f16 %r0, %h1;", 0x3c00u, Nothing, Nothing, One)]
    [TestCase("fma.rn.sat.f16 %h0, %h1, %h2, %h3;", 0x4000u, 0x4000u, 0x3c00u, 0x3c00u)]
    [TestCase("add.ftz.f16x2 %r0, %r1, %r2;", 0x3c000001u, 0x3c000001u, Nothing, 0x40000000u)]
    [TestCase("add.rn.bf16x2 %r0, %r1, %r2;", 0x3f804000u, 0x3f804000u, Nothing, 0x40004080u)]
    [TestCase("ex2.approx.ftz.bf16 %h0, %h1;", 0x4000u, Nothing, Nothing, 0x4080u)]
    [TestCase("cvt.f64.f32 %d0, %r1;", Tiny, Nothing, Nothing, 0x36a0000000000000u)]
    [TestCase("cvt.ftz.f64.f32 %d0, %r1;", Tiny, Nothing, Nothing, 0u)]
    [TestCase("cvt.rn.ftz.f32.f64 %r0, %d1;", 0x37a00000u, Nothing, Nothing, 0u)]           // 2^-133
    [TestCase("cvt.rn.f32.f64 %r0, %d1;", 0x37a00000u, Nothing, Nothing, 0x00010000u)]
    [TestCase("rcp.approx.ftz.f64 %d0, %d1;", 0x40000000u, Nothing, Nothing, 0x3fe0000000000000u)]
    [TestCase("add.rp.f64 %d0, %d1, %d2;", 0x3ff00000u, 0x3c000000u, Nothing, 0x3ff0000000000001u)]
    public void Instruction_WithItsModifiers(string instruction, uint a, uint b, uint c, ulong expected)
    {
        string register = instruction.Contains("%d0") ? "%d0" : instruction.Contains("%h0") ? "%h0" : "%r0";
        string type = register switch { "%d0" => "b64", "%h0" => "b16", _ => "b32" };
        string ptx = $$"""
            .version 7.8
            .target sm_80
            .address_size 64
            .visible .entry k(.param .u64 out)
            {
                .reg .b16 %h<4>;
                .reg .b32 %r<4>;
                .reg .b64 %d<3>, %out;
                .reg .pred %p;
                mov.b32 %r1, {{a}};
                mov.b32 %r2, {{b}};
                mov.b32 %r3, {{c}};
                cvt.u16.u32 %h1, %r1;
                cvt.u16.u32 %h2, %r2;
                cvt.u16.u32 %h3, %r3;
                cvt.u64.u32 %d1, %r1;
                cvt.u64.u32 %d2, %r2;
                shl.b64 %d1, %d1, 32;
                shl.b64 %d2, %d2, 32;
                ld.param.u64 %out, [out];
                {{instruction}}
                st.global.{{type}} [%out], {{register}};
                ret;
            }
            """;
        Assert.That(Run(ptx), Is.EqualTo(expected), instruction);
    }

    static ulong Run(string ptx)
    {
        PtxModule module = Parser.Parse(ptx);
        Program program = Program.Build(module, module.Find("k")!, new Dictionary<string, ulong>());
        using Heap heap = new(1 << 20, CheckFlags.None);
        ulong output = heap.Allocate(8, "output");
        var bytes = new Span<byte>(AddressSpace.ToHost(output), 8);
        bytes.Clear();
        Grid.Launch(program, new Dim3(1), new Dim3(32), 0, BitConverter.GetBytes(output),
            new LaunchContext(heap, CheckFlags.None, "k"), new LaunchOptions(Workers: 1));
        return MemoryMarshal.Read<ulong>(bytes);
    }
}
