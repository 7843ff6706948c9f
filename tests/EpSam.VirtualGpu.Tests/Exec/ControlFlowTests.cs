// Calls, tables of branches, divergence and barriers in small kernels, each worked out by hand; run by emitted code and
// by the interpreter with all checks on.
using EpSam.Cuda;
using EpSam.VirtualGpu.Tests.Driver;

namespace EpSam.VirtualGpu.Tests.Exec;

[TestFixture(false, TestName = "ControlFlow(emitted)")]
[TestFixture(true, TestName = "ControlFlow(interpreted)")]
internal sealed unsafe class ControlFlowTests(bool interpret)
{
    const string Head = ".version 7.5\n.target sm_80\n.address_size 64\n";
    VirtualDevice gpu = null!;

    [SetUp]
    public void Open() => gpu = new VirtualDevice(new VirtualGpuOptions { Interpret = interpret });

    [TearDown]
    public void Close() => gpu.Dispose();

    /// <summary>
    /// Runs a body that leaves its answer in %r1; %t is the thread. Returns the answers of 64 threads.
    /// </summary>
    uint[] Run(string body, string declarations = "", uint threads = 64)
    {
        CUfunction kernel = gpu.Find(gpu.Load(Head + declarations +
            ".visible .entry k(.param .u64 out)\n{\n.reg .b64 %p, %a, %d<4>;\n.reg .b32 %t, %r<10>;\n" +
            ".reg .pred %q, %s;\nmov.u32 %t, %tid.x;\nmov.u32 %r1, 0;\n" + body +
            "\nld.param.u64 %p, [out];\nmul.wide.u32 %a, %t, 4;\nadd.u64 %a, %a, %p;\nst.global.u32 [%a], %r1;\n" +
            "ret;\n}\n"), "k");
        CUdeviceptr data = gpu.Upload(new uint[64]);
        gpu.Cu.Check(gpu.Launch(kernel, (1, 1, 1), (threads, 1, 1), 0, data.Value));
        return gpu.Download<uint>(data, 64);
    }

    static uint[] Expected(Func<uint, uint> f, int count = 64) =>
        [.. Enumerable.Range(0, 64).Select(i => i < count ? f((uint)i) : 0)];

    [Test]
    public void Loop_WithADifferentCountPerLane_SumsPerLane() => Assert.That(
        Run("mov.u32 %r2, 0;\nLOOP:\nadd.u32 %r1, %r1, %r2;\nadd.u32 %r2, %r2, 1;\nsetp.le.u32 %q, %r2, %t;\n" +
            "@%q bra LOOP;"),
        Is.EqualTo(Expected(t => t * (t + 1) / 2)));

    [Test]
    public void NestedIf_WithEarlyReturn_KeepsTheOthers() => Assert.That(
        Run("and.b32 %r2, %t, 1;\nsetp.eq.u32 %q, %r2, 0;\n@%q bra EVEN;\nsetp.lt.u32 %s, %t, 10;\n@%s exit;\n" +
            "add.u32 %r1, %t, 100;\nbra JOIN;\nEVEN:\nadd.u32 %r1, %t, 200;\nJOIN:\nadd.u32 %r1, %r1, 1;"),
        Is.EqualTo(Expected(t => t % 2 == 0 ? t + 201 : t < 10 ? 0 : t + 101)));

    [Test]
    public void EarlyReturnInsideAnIf_StillMeetsAtTheBarrier()
    {
        // Lanes that leave inside the branch do not keep the others from joining before the barrier.
        uint[] result = Run("setp.lt.u32 %q, %t, 8;\n@!%q bra JOIN;\nsetp.lt.u32 %s, %t, 4;\n@%s exit;\n" +
            "add.u32 %r1, %r1, 50;\nJOIN:\nbar.sync 0;\nadd.u32 %r1, %r1, %t;");
        Assert.That(result, Is.EqualTo(Expected(t => t < 4 ? 0 : t < 8 ? t + 50 : t)));
    }

    [Test]
    public void BranchTable_GoesToItsLabel() => Assert.That(
        Run("and.b32 %r2, %t, 3;\nTABLE: .branchtargets A, B, C, D;\nbrx.idx %r2, TABLE;\n" +
            "A: add.u32 %r1, %r1, 10;\nbra END;\nB: add.u32 %r1, %r1, 20;\nbra END;\n" +
            "C: add.u32 %r1, %r1, 30;\nbra END;\nD: add.u32 %r1, %r1, 40;\nEND:"),
        Is.EqualTo(Expected(t => 10 * (t % 4 + 1))));

    [Test]
    public void Calls_WithParametersOfTheSameName_KeepTheirTypes() => Assert.That(
        Run("cvt.u64.u32 %d0, %t;\n{\n.param .b32 param0;\n.param .b32 back;\nst.param.b32 [param0], %t;\n" +
            "call.uni (back), twice, (param0);\n" +
            "ld.param.b32 %r2, [back];\n}\n{\n.param .b64 param0;\n.param .b64 back;\nst.param.b64 [param0], %d0;\n" +
            "call.uni (back), square, (param0);\nld.param.b64 %d1, [back];\n}\ncvt.u32.u64 %r3, %d1;\n" +
            "add.u32 %r1, %r2, %r3;",
            ".func (.param .b32 r) twice(.param .b32 x)\n{\n.reg .b32 %a;\nld.param.b32 %a, [x];\n" +
            "add.u32 %a, %a, %a;\nst.param.b32 [r], %a;\nret;\n}\n" +
            ".func (.param .b64 r) square(.param .b64 x)\n{\n.reg .b64 %a;\nld.param.b64 %a, [x];\n" +
            "mul.lo.u64 %a, %a, %a;\nst.param.b64 [r], %a;\nret;\n}\n"),
        Is.EqualTo(Expected(t => 2 * t + t * t)));

    [Test]
    public void Call_WithRegisterParameters_AndDivergentReturns() => Assert.That(
        Run("call (%r1), clamp, (%t);",
            ".func (.reg .b32 %res) clamp(.reg .b32 %x)\n{\n.reg .pred %c;\nmov.u32 %res, 40;\n" +
            "setp.gt.u32 %c, %x, 40;\n@%c ret;\nmov.u32 %res, %x;\nret;\n}\n"),
        Is.EqualTo(Expected(t => Math.Min(t, 40u))));

    [Test]
    public void BarrierReductions_CountAllThreads() => Assert.That(
        Run("setp.lt.u32 %q, %t, 5;\nbar.red.popc.u32 %r2, 0, %q;\nsetp.lt.u32 %s, %t, 60;\n" +
            "bar.red.and.pred %q, 0, %s;\nselp.u32 %r3, 100, 0, %q;\n" +
            "bar.red.or.pred %q, 0, !%s;\nselp.u32 %r4, 1000, 0, %q;\n" +
            "add.u32 %r1, %r2, %r3;\nadd.u32 %r1, %r1, %r4;"),
        Is.EqualTo(Expected(_ => 1005)));

    [Test]
    public void NamedBarriers_ProducerAndConsumer() => Assert.That(
        // Warp 0 writes and only arrives; warp 1 waits for 64 threads and reads.
        Run("mov.u32 %r2, tile;\nand.b32 %r3, %t, 31;\nshl.b32 %r3, %r3, 2;\nadd.u32 %r2, %r2, %r3;\n" +
            "setp.ge.u32 %q, %t, 32;\n@%q bra READ;\n" +
            "st.shared.u32 [%r2], %t;\nbar.arrive 1, 64;\nbra END;\nREAD:\nbar.sync 1, 64;\n" +
            "ld.shared.u32 %r1, [%r2];\nEND:",
            ".shared .align 4 .b8 tile[128];\n"),
        Is.EqualTo(Expected(t => t < 32 ? 0 : t - 32)));

    [Test]
    public void PartialWarp_LeavesTheRestAlone() => Assert.That(
        Run("activemask.b32 %r2;\npopc.b32 %r1, %r2;", threads: 45),
        Is.EqualTo(Expected(t => t < 32 ? 32u : 13u, 45)));

    [Test]
    public void ConstantPredicates_AreTheSameInAllLanes() => Assert.That(
        Run("vote.sync.ballot.b32 %r2, 1, -1;\npopc.b32 %r2, %r2;\n" +
            "bar.red.popc.u32 %r3, 0, 1;\nadd.u32 %r1, %r2, %r3;"),
        Is.EqualTo(Expected(_ => 32 + 64)));

    [Test]
    public void SpecialRegisters_AreThoseOfTheLaunch() => Assert.That(
        Run("mov.u32 %r2, %warpid;\nmov.u32 %r3, %lanemask_le;\npopc.b32 %r3, %r3;\nmov.u32 %r4, %ntid.x;\n" +
            "mad.lo.u32 %r1, %r2, 1000, %r3;\nadd.u32 %r1, %r1, %r4;"),
        Is.EqualTo(Expected(t => t / 32 * 1000 + t % 32 + 1 + 64)));
}
