// What is known of tid.x inside a warp: operations that see only the warp's number are scalar where rows of threads are
// whole warps, and right for every shape of block, emitted or interpreted.
using EpSam.Cuda;
using EpSam.VirtualGpu.Exec;
using EpSam.VirtualGpu.Ir;
using EpSam.VirtualGpu.Passes;
using EpSam.VirtualGpu.Ptx;
using EpSam.VirtualGpu.Tests.Driver;
using Program = EpSam.VirtualGpu.Exec.Program;

namespace EpSam.VirtualGpu.Tests.Exec;

internal sealed unsafe class WarpRowsTests
{
    // Each thread stores tid.x / 32, tid.x & -32, tid.x < 32, (64 + tid.x) / 32 and tid.y, a
    // decimal digit or more each.
    const string Kernel = ".version 7.5\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 out)\n{\n"
        + ".reg .b64 %p, %a;\n.reg .b32 %t, %y, %z, %n, %h, %b, %m, %s, %i, %r<8>;\n.reg .pred %q;\n"
        + "mov.u32 %t, %tid.x;\nmov.u32 %y, %tid.y;\nmov.u32 %z, %tid.z;\nmov.u32 %n, %ntid.x;\nmov.u32 %h, %ntid.y;\n"
        + "shr.u32 %r1, %t, 5;\nand.b32 %r2, %t, -32;\nsetp.lt.u32 %q, %t, 32;\nselp.u32 %r3, 1, 0, %q;\n"
        + "mov.u32 %b, %ctaid.x;\nadd.u32 %m, %b, 1;\nshl.b32 %s, %m, 6;\nadd.u32 %i, %s, %t;\nshr.u32 %r4, %i, 5;\n"
        + "mad.lo.u32 %r5, %r2, 10, %r1;\nmad.lo.u32 %r5, %r5, 10, %r3;\nmad.lo.u32 %r5, %r5, 10, %r4;\n"
        + "mad.lo.u32 %r5, %r5, 10, %y;\n"
        + "mad.lo.u32 %z, %z, %h, %y;\nmad.lo.u32 %z, %z, %n, %t;\n"
        + "ld.param.u64 %p, [out];\nmul.wide.u32 %a, %z, 4;\nadd.u64 %a, %a, %p;\nst.global.u32 [%a], %r5;\nret;\n}\n";

    static uint Expected(uint x, uint y) =>
        ((((x / 32 * 32 * 10) + (x / 32)) * 10 + (x < 32 ? 1u : 0u)) * 10 + (64 + x) / 32) * 10 + y;

    [Test]
    public void EveryShapeOfBlock_GivesEachThreadItsNumbers(
        [Values(false, true)] bool interpret,
        [Values("128 1 1", "100 1 1", "32 4 1", "64 2 2", "48 2 1", "16 4 1", "5 3 2", "1 1 33")] string shape)
    {
        uint[] size = [.. shape.Split(' ').Select(uint.Parse)];
        uint count = size[0] * size[1] * size[2];
        using VirtualDevice gpu = new(new VirtualGpuOptions { Interpret = interpret });
        CUfunction kernel = gpu.Find(gpu.Load(Kernel), "k");
        CUdeviceptr data = gpu.Upload(new uint[count]);
        gpu.Cu.Check(gpu.Launch(kernel, (1, 1, 1), (size[0], size[1], size[2]), 0, data.Value));
        Assert.That(gpu.Download<uint>(data, (int)count),
            Is.EqualTo(Enumerable.Range(0, (int)count)
                .Select(i => Expected((uint)i % size[0], (uint)i / size[0] % size[1]))));
    }

    [TestCase("shr.u32 %r, %t, 5;", true)]
    [TestCase("shr.u32 %r, %t, 4;", false)]
    [TestCase("and.b32 %r, %t, -32;", true)]
    [TestCase("and.b32 %r, %t, 31;", false)]
    [TestCase("div.u32 %r, %t, 64;", true)]
    [TestCase("div.u32 %r, %t, 48;", false)]
    [TestCase("shl.b32 %s, %c, 7;\nadd.u32 %i, %s, %t;\nshr.u32 %r, %i, 5;", true)]
    [TestCase("shl.b32 %s, %c, 3;\nadd.u32 %i, %s, %t;\nshr.u32 %r, %i, 5;", false)]
    [TestCase("shl.b32 %s, %t, 7;\nadd.u32 %i, %s, %t;\nshr.u32 %r, %i, 5;", false)] // what is added differs by lane
    [TestCase("mov.u32 %i, %t;\nadd.u32 %i, %i, 1;\nshr.u32 %r, %i, 5;", false)]     // written twice
    [TestCase("@%q mov.u32 %i, %t;\nshr.u32 %r, %i, 5;", false)]                      // not written by all
    public void Result_IsUniform_WhereRowsAreWholeWarps(string body, bool uniform)
    {
        PtxModule module = Parser.Parse(
            ".version 7.5\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 out)\n{\n"
            + ".reg .b64 %p;\n.reg .b32 %t, %c, %s, %i, %r;\n.reg .pred %q;\nmov.u32 %t, %tid.x;\n"
            + "mov.u32 %c, %ctaid.x;\nsetp.gt.u32 %q, %t, 3;\n" + body
            + "\nld.param.u64 %p, [out];\nst.global.u32 [%p], %r;\nret;\n}\n");
        Kernel kernel = Program.Build(module, module.Find("k")!, new Dictionary<string, ulong>()).Kernel;
        Liveness liveness = Liveness.Run(kernel);
        int[] meetings = ControlFlow.PostDominators(kernel);
        Reg result = kernel.Regs.Single(r => r.Name == "%r");
        bool Known(bool wholeRows) =>
            Uniformity.Run(kernel, liveness, meetings, false, wholeRows).Uniform[result.Index];
        Assert.That((Known(true), Known(false)), Is.EqualTo((uniform, false)));
    }
}
