// One bug of each class, planted in a small kernel, run as a user would run it. The report must say what, in which
// kernel, at which PTX line, in which block and thread, at which address, and what lies nearest; the result code must
// be the hardware's. The interpreter and emitted code must find the same.
using EpSam.Cuda;
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Tests.Driver;
using static EpSam.Cuda.CUresult;

namespace EpSam.VirtualGpu.Tests.Exec;

[TestFixture(false, TestName = "SeededBugs(emitted)")]
[TestFixture(true, TestName = "SeededBugs(interpreted)")]
internal sealed unsafe class SeededBugTests(bool interpret)
{
    const string Head = ".version 7.0\n.target sm_80\n.address_size 64\n";

    VirtualDevice gpu = null!;

    [SetUp]
    public void Open() => gpu = new VirtualDevice(new VirtualGpuOptions { Interpret = interpret });

    [TearDown]
    public void Close() => gpu.Dispose();

    CUfunction Kernel(string body, string declarations = "") => gpu.Find(gpu.Load(Source(body, declarations)), "buggy");

    static string Source(string body, string declarations = "") => Head + declarations +
        ".visible .entry buggy(.param .u64 data)\n{\n.reg .b64 %p, %a;\n.reg .b32 %r<8>;\n.reg .pred %q;\n" +
        "ld.param.u64 %p, [data];\nmov.u32 %r0, %tid.x;\nmul.wide.u32 %a, %r0, 4;\nadd.u64 %a, %a, %p;\n" +
        "mov.u32 %r1, %ctaid.x;\n" +
        body + "\nret;\n}\n";

    // Lines 1-3 head, 4 entry, 5 {, 6-8 registers, 9-13 addresses: the body starts at line 14.
    const string FirstLine = "PTX line 14";

    [Test]
    public void GlobalOutOfBounds_NamesTheAllocationAndTheDistance()
    {
        CUdeviceptr data = gpu.Upload(new uint[40]);
        CUfunction kernel = Kernel("st.global.u32 [%a], %r0;");
        gpu.Fails(CUDA_ERROR_ILLEGAL_ADDRESS, gpu.Launch(kernel, (2, 1, 1), (64, 1, 1), 0, data.Value),
            "OutOfBounds", "kernel buggy", FirstLine, "st.global.u32", "block (0,0,0)", "thread (40,0,0)",
            $"0x{data.Value + 160:x}", "160 bytes");
    }

    [Test]
    public void FaultsOfManyBlocks_TheLowestBlocksIsReported_WhateverFailsFirst()
    {
        // Every block writes below the allocation; block 0 counts to 100,000 before, the others do not.
        using VirtualDevice two = new(new VirtualGpuOptions { Interpret = interpret, Workers = 2 });
        CUdeviceptr data = two.Upload(new uint[64]);
        CUfunction kernel = two.Find(two.Load(Source(
            "setp.eq.u32 %q, %r1, 0;\nselp.u32 %r2, 100000, 1, %q;\nLOOP:\nsub.u32 %r2, %r2, 1;\n" +
            "setp.ne.u32 %q, %r2, 0;\n@%q bra LOOP;\nst.global.u32 [%p+-4], %r0;")), "buggy");
        two.Fails(CUDA_ERROR_ILLEGAL_ADDRESS, two.Launch(kernel, (40, 1, 1), (64, 1, 1), 0, data.Value),
            "OutOfBounds", "PTX line 20", "block (0,0,0)", "thread (0,0,0)");
    }

    [Test]
    public void UseAfterFree_NamesTheFreedAllocation()
    {
        CUdeviceptr data = gpu.Upload(new uint[64]);
        gpu.Cu.Check(gpu.Cu.cuMemFree_v2(data));
        CUfunction kernel = Kernel("ld.global.u32 %r2, [%a];\nst.global.u32 [%a], %r2;");
        gpu.Fails(CUDA_ERROR_ILLEGAL_ADDRESS, gpu.Launch(kernel, (1, 1, 1), (32, 1, 1), 0, data.Value),
            "UseAfterFree", "kernel buggy", FirstLine, "block (0,0,0)", "thread (0,0,0)", $"0x{data.Value:x}", "freed");
    }

    [TestCase("ld.global.u32 %r2, [%p];", "read of 4 bytes at 0x40, not a device address")]
    [TestCase("ld.shared.u32 %r2, [tile+200];",
        "4 bytes at shared offset 200 (0xc8), 72 bytes past the end of the 128 bytes")]
    [TestCase("ld.param.u32 %r2, [data+6];", "4 bytes at parameter offset 6 (0x6), crosses the end by 2 bytes")]
    public void OneAddressForAllLanes_OutsideOfItsSpace_WithoutChecks_NamesTheFirstThread(string load, string words)
    {
        using VirtualDevice unchecked_ = new(new VirtualGpuOptions { Interpret = interpret, Checks = CheckFlags.None });
        CUfunction kernel = unchecked_.Find(unchecked_.Load(Source(
            $"setp.lt.u32 %q, %r0, 39;\n@%q bra DONE;\n{load}\nst.global.u32 [%a], %r2;\nDONE:",
            ".shared .align 4 .b8 tile[128];\n")), "buggy");
        unchecked_.Fails(CUDA_ERROR_ILLEGAL_ADDRESS, unchecked_.Launch(kernel, (1, 3, 1), (64, 1, 1), 0, 0x40),
            "kernel buggy", "PTX line 17", words, "block (0,0,0)", "thread (39,0,0)");
    }

    [Test]
    public void Misaligned_NamesAddressAndSize()
    {
        CUdeviceptr data = gpu.Upload(new uint[64]);
        CUfunction kernel = Kernel("ld.global.v2.u32 {%r2, %r3}, [%a];\nst.global.u32 [%a], %r2;");
        gpu.Fails(CUDA_ERROR_MISALIGNED_ADDRESS, gpu.Launch(kernel, (1, 1, 1), (32, 1, 1), 0, data.Value),
            "Misaligned", "kernel buggy", FirstLine, "block (0,0,0)", "thread (1,0,0)", $"0x{data.Value + 4:x}", "8");
    }

    [Test]
    public void UninitialisedRead_NamesTheAllocation()
    {
        CUdeviceptr data = gpu.Allocate(256);
        CUfunction kernel = Kernel("ld.global.u32 %r2, [%a];\nst.global.u32 [%a], %r2;");
        gpu.Fails(CUDA_ERROR_LAUNCH_FAILED, gpu.Launch(kernel, (1, 1, 1), (32, 1, 1), 0, data.Value),
            "Uninitialised", "kernel buggy", FirstLine, "block (0,0,0)", "thread (0,0,0)",
            $"0x{data.Value:x}", "256 bytes");
    }

    [Test]
    public void SharedRace_NamesBothAccesses()
    {
        // Both warps write the same words, with no barrier between.
        CUfunction kernel = Kernel(
            "mov.u32 %r2, tile;\nand.b32 %r3, %r0, 31;\nshl.b32 %r3, %r3, 2;\nadd.u32 %r4, %r2, %r3;\n" +
            "st.shared.u32 [%r4], %r0;",
            ".shared .align 4 .b8 tile[128];\n");
        gpu.Fails(CUDA_ERROR_LAUNCH_FAILED, gpu.Launch(kernel, (1, 1, 1), (64, 1, 1), 0, 0),
            "Race", "kernel buggy", "PTX line 19", "st.shared.u32", "block (0,0,0)", "thread (32,0,0)",
            "thread (0,0,0)", "shared offset 0");
    }

    [Test]
    public void MissingSynchronisation_BetweenWriteAndRead_IsReported()
    {
        // Each thread reads the word of its partner in the other warp, which has not run yet.
        CUfunction kernel = Kernel(
            "mov.u32 %r2, tile;\nshl.b32 %r3, %r0, 2;\nadd.u32 %r4, %r2, %r3;\nst.shared.u32 [%r4], %r0;\n" +
            "xor.b32 %r3, %r3, 128;\nadd.u32 %r4, %r2, %r3;\nld.shared.u32 %r5, [%r4];\nst.global.u32 [%a], %r5;",
            ".shared .align 4 .b8 tile[256];\n");
        gpu.Fails(CUDA_ERROR_LAUNCH_FAILED, gpu.Launch(kernel, (1, 1, 1), (64, 1, 1), 0, 0),
            "kernel buggy", "PTX line 21", "ld.shared.u32", "block (0,0,0)", "thread (0,0,0)", "shared offset 128");
    }

    [Test]
    public void MissingBarrier_WhenSomeWarpsLeave_IsReported()
    {
        CUdeviceptr data = gpu.Upload(new uint[64]);
        CUfunction kernel = Kernel("setp.ge.u32 %q, %r0, 32;\n@%q bra DONE;\nbar.sync 0;\n" +
            "st.global.u32 [%a], %r0;\nDONE:");
        gpu.Fails(CUDA_ERROR_LAUNCH_FAILED, gpu.Launch(kernel, (1, 1, 1), (64, 1, 1), 0, data.Value),
            "MissingBarrier", "kernel buggy", "PTX line 16", "bar.sync", "block (0,0,0)", "thread (0,0,0)",
            "1 of the block's 2 warps");
    }

    [Test]
    public void DivergentBarrier_NamesTheLanes()
    {
        CUdeviceptr data = gpu.Upload(new uint[64]);
        CUfunction kernel = Kernel("setp.lt.u32 %q, %r0, 7;\n@!%q bra DONE;\nbar.sync 0;\nDONE:\n" +
            "st.global.u32 [%a], %r0;");
        gpu.Fails(CUDA_ERROR_LAUNCH_FAILED, gpu.Launch(kernel, (1, 1, 1), (32, 1, 1), 0, data.Value),
            "DivergentBarrier", "kernel buggy", "PTX line 16", "bar.sync", "block (0,0,0)", "thread (0,0,0)",
            "0x0000007f");
    }

    [Test]
    public void TooMuchSharedMemory_IsRefusedAndTheDeviceStaysUsable()
    {
        CUfunction kernel = Kernel("st.global.u32 [%a], %r0;");
        gpu.Fails(CUDA_ERROR_INVALID_VALUE, gpu.Launch(kernel, (1, 1, 1), (32, 1, 1), 64 * 1024, 0), "49152");
        gpu.AssertUsable();
    }

    [Test]
    public void WithoutTheBug_NothingIsReported()
    {
        CUdeviceptr data = gpu.Upload(new uint[64]);
        CUfunction kernel = Kernel(
            "mov.u32 %r2, tile;\nshl.b32 %r3, %r0, 2;\nadd.u32 %r4, %r2, %r3;\nst.shared.u32 [%r4], %r0;\n" +
            "bar.sync 0;\nxor.b32 %r3, %r3, 128;\nadd.u32 %r4, %r2, %r3;\nld.shared.u32 %r5, [%r4];\n" +
            "st.global.u32 [%a], %r5;",
            ".shared .align 4 .b8 tile[256];\n");
        gpu.Cu.Check(gpu.Launch(kernel, (1, 1, 1), (64, 1, 1), 0, data.Value));
        Assert.That(gpu.Download<uint>(data, 64), Is.EqualTo(Enumerable.Range(0, 64).Select(i => (uint)(i ^ 32))));
    }
}
