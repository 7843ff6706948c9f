using EpSam.Cuda;
using EpSam.VirtualGpu.Checks;
using static EpSam.Cuda.CUfunction_attribute;
using static EpSam.Cuda.CUresult;

namespace EpSam.VirtualGpu.Tests.Driver;

public sealed unsafe class LaunchTests
{
    VirtualDevice _gpu = null!;
    CuDriver _cu;
    CUmodule _module;

    [SetUp]
    public void Start()
    {
        _gpu = new VirtualDevice(new VirtualGpuOptions { Counters = true });
        _cu = _gpu.Cu;
        _module = _gpu.Load(Kernels.All);
    }

    [TearDown]
    public void Stop() => _gpu.Dispose();

    CUfunction Find(string entry) => _gpu.Find(_module, entry);

    [Test]
    public void Launch_RunsTheKernel()
    {
        CUdeviceptr p = _gpu.Allocate(4 * 64);
        _cu.Check(_gpu.Launch(Find("fill"), (2, 1, 1), (32, 1, 1), 0, p.Value, 7));
        Assert.That(_gpu.Download<uint>(p, 64), Is.All.EqualTo(7u));
    }

    [Test]
    public void Launch_ReadsModuleVariables()
    {
        CUdeviceptr p = _gpu.Allocate(16);
        _cu.Check(_gpu.Launch(Find("copy_table"), (1, 1, 1), (4, 1, 1), 0, p.Value));
        Assert.That(_gpu.Download<uint>(p, 4), Is.EqualTo(new uint[] { 1, 2, 3, 4 }));
    }

    [Test]
    public void Launch_WithOneBufferOfParameters_RunsToo()
    {
        CUdeviceptr p = _gpu.Allocate(128);
        byte* buffer = stackalloc byte[12];
        *(ulong*)buffer = p.Value;
        *(uint*)(buffer + 8) = 9;
        nuint size = 12;
        void** extra = stackalloc void*[]
        {
            (void*)CuConstants.CU_LAUNCH_PARAM_BUFFER_POINTER, buffer,
            (void*)CuConstants.CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
            (void*)CuConstants.CU_LAUNCH_PARAM_END,
        };
        CUfunction fill = Find("fill");
        _cu.Check(_cu.cuLaunchKernel(fill, 1, 1, 1, 32, 1, 1, 0, default, null, extra));
        Assert.That(_gpu.Download<uint>(p, 32), Is.All.EqualTo(9u));
        size = 8;
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuLaunchKernel(fill, 1, 1, 1, 32, 1, 1, 0, default, null, extra),
            "8 bytes of parameters are given; it has 12");
        extra[0] = (void*)9;
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuLaunchKernel(fill, 1, 1, 1, 32, 1, 1, 0, default, null, extra),
            "marker");
    }

    [Test]
    public void Launch_WithoutParameters_IsInvalid()
    {
        void** pointers = stackalloc void*[2];
        int value = 0;
        pointers[0] = &value;
        pointers[1] = null;
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE,
            _cu.cuLaunchKernel(Find("fill"), 1, 1, 1, 1, 1, 1, 0, default, null, null), "2 parameters");
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE,
            _cu.cuLaunchKernel(Find("fill"), 1, 1, 1, 1, 1, 1, 0, default, pointers, null), "parameter 1");
        _gpu.AssertUsable();
    }

    [TestCase(0u, 1u, 1u, 1u, 1u, 1u, "empty")]
    [TestCase(1u, 1u, 1u, 32u, 0u, 1u, "empty")]
    [TestCase(0x80000000u, 1u, 1u, 1u, 1u, 1u, "2147483647")]
    [TestCase(1u, 65536u, 1u, 1u, 1u, 1u, "65535")]
    [TestCase(1u, 1u, 65536u, 1u, 1u, 1u, "65535")]
    [TestCase(1u, 1u, 1u, 1025u, 1u, 1u, "1024")]
    [TestCase(1u, 1u, 1u, 1u, 1u, 65u, "(1024,1024,64)")]
    [TestCase(1u, 1u, 1u, 32u, 33u, 1u, "1056 threads")]
    [TestCase(1u, 1u, 1u, 0xffffffffu, 0xffffffffu, 1u, "exceeds")]
    public void Launch_BeyondTheLimits_IsInvalid(uint gx, uint gy, uint gz, uint bx, uint by, uint bz, string word)
    {
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _gpu.Launch(Find("static_shared"), (gx, gy, gz), (bx, by, bz), 0),
            "static_shared", word);
        _gpu.AssertUsable();
    }

    [Test]
    public void Launch_BeyondMaxntid_IsOutOfResources()
    {
        CUfunction most = Find("most_64");
        _cu.Check(_gpu.Launch(most, (1, 1, 1), (64, 1, 1), 0));
        _gpu.Fails(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, _gpu.Launch(most, (1, 1, 1), (65, 1, 1), 0), "65 threads", "64");
        Assert.That(_gpu.Attribute(CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, most), Is.EqualTo(64));
    }

    [Test]
    public void Launch_OtherThanReqntid_IsInvalid()
    {
        CUfunction exactly = Find("exactly_32_2");
        _cu.Check(_gpu.Launch(exactly, (1, 1, 1), (32, 2, 1), 0));
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _gpu.Launch(exactly, (1, 1, 1), (64, 1, 1), 0), "(32,2,1)");
    }

    // 100 values are alive over a branch: more than the 64 registers that 1024 threads can have each.
    static string HungryKernel(string directive)
    {
        System.Text.StringBuilder ptx = new(Kernels.Header);
        ptx.Append($".visible .entry hungry(.param .u64 p) {directive}\n{{\n");
        ptx.Append(".reg .b32 %r<101>;\n.reg .b64 %rd<2>;\n.reg .pred %q;\n");
        ptx.Append("ld.param.u64 %rd1, [p];\n");
        for (int i = 0; i < 100; i++) ptx.Append($"ld.global.u32 %r{i}, [%rd1+{4 * i}];\n");
        ptx.Append("setp.eq.u32 %q, %r0, 77;\n@%q bra done;\n");
        for (int i = 0; i < 100; i++) ptx.Append($"st.global.u32 [%rd1+{4 * i}], %r{99 - i};\n");
        return ptx.Append("done:\nret;\n}\n").ToString();
    }

    [Test]
    public void Launch_BeyondTheRegisters_IsOutOfResources()
    {
        CUdeviceptr p = _gpu.Upload(new uint[100]);
        CUfunction hungry = _gpu.Find(_gpu.Load(HungryKernel("")), "hungry");
        Assert.That(_gpu.Attribute(CU_FUNC_ATTRIBUTE_NUM_REGS, hungry), Is.InRange(100, 128));
        _gpu.Fails(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, _gpu.Launch(hungry, (1, 1, 1), (1024, 1, 1), 0, p.Value),
            "registers exceed the 65536");
        _gpu.AssertUsable();
        _cu.Check(_gpu.Launch(hungry, (1, 1, 1), (1, 1, 1), 0, p.Value));
    }

    [TestCase(".maxntid 1024, 1, 1", 64)]
    [TestCase(".maxntid 768, 1, 1", 80)] // 65536 / 768 = 85, rounded down to a multiple of 8
    [TestCase(".maxnreg 72", 72)]
    public void Directives_BoundTheRegisters(string directive, int registers) => Assert.That(
        _gpu.Attribute(CU_FUNC_ATTRIBUTE_NUM_REGS, _gpu.Find(_gpu.Load(HungryKernel(directive)), "hungry")),
        Is.EqualTo(registers));

    [Test]
    public void DynamicShared_Above48KiB_NeedsOptIn()
    {
        CUfunction last = Find("last_shared");
        _cu.Check(_gpu.Launch(last, (1, 1, 1), (1, 1, 1), 49152, 49151));
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _gpu.Launch(last, (1, 1, 1), (1, 1, 1), 49153, 0),
            "too much shared memory", "49153", "101376", "cuFuncSetAttribute");
        _cu.Check(_cu.cuFuncSetAttribute(last, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 101376));
        _cu.Check(_gpu.Launch(last, (1, 1, 1), (1, 1, 1), 101376, 101375));
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE,
            _cu.cuFuncSetAttribute(last, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 101377), "101376");
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _gpu.Launch(last, (1, 1, 1), (1, 1, 1), 101377, 0));
        _gpu.AssertUsable();
    }

    [Test]
    public void StaticShared_CountsAgainstTheLimit()
    {
        CUfunction tile = Find("static_shared"); // 16384 bytes
        Assert.That(_gpu.Attribute(CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, tile), Is.EqualTo(16384));
        Assert.That(_gpu.Attribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, tile), Is.EqualTo(32768));
        _cu.Check(_gpu.Launch(tile, (1, 1, 1), (1, 1, 1), 32768));
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _gpu.Launch(tile, (1, 1, 1), (1, 1, 1), 32769), "16384 static");
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE,
            _cu.cuFuncSetAttribute(tile, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 101376 - 16383));
    }

    [Test]
    public void Attributes_WrongOnes_AreInvalid()
    {
        CUfunction fill = Find("fill");
        int value;
        Assert.That(_gpu.Attribute(CU_FUNC_ATTRIBUTE_PTX_VERSION, fill), Is.EqualTo(70));
        Assert.That(_gpu.Attribute(CU_FUNC_ATTRIBUTE_BINARY_VERSION, fill), Is.EqualTo(86));
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuFuncGetAttribute(&value, (CUfunction_attribute)77, fill), "77");
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuFuncSetAttribute(fill, CU_FUNC_ATTRIBUTE_NUM_REGS, 4),
            "cannot be set");
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE,
            _cu.cuFuncSetAttribute(fill, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 101), "101");
        _gpu.Fails(CUDA_ERROR_INVALID_HANDLE, _cu.cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_NUM_REGS, default),
            "null");
    }

    // sm_86: 1536 threads, 16 blocks, 100 KiB of shared memory of which 1 KiB a block is the system's.
    [TestCase("most_64", 64, 0, 16)]
    [TestCase("fill", 1024, 0, 1)]
    [TestCase("fill", 512, 0, 3)]
    [TestCase("fill", 512, 32768, 3)]
    [TestCase("fill", 128, 49152, 2)]
    [TestCase("static_shared", 32, 32768, 2)]
    [TestCase("fill", 32, 60000, 0)]
    public void Occupancy_FollowsFromTheCard(string entry, int threads, int shared, int expected)
    {
        int blocks;
        _cu.Check(_cu.cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, Find(entry), threads, (nuint)shared));
        Assert.That(blocks, Is.EqualTo(expected));
        Assert.That(_cu.cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, Find(entry), 1025, 0),
            Is.EqualTo(CUDA_ERROR_INVALID_VALUE));
    }

    [Test]
    public void Function_OfAnotherContext_IsRefused()
    {
        CUfunction fill = Find("most_64");
        using VirtualDevice other = new();
        other.Fails(CUDA_ERROR_INVALID_HANDLE, other.Launch(fill, (1, 1, 1), (1, 1, 1), 0), "another context");
    }

    [Test]
    public void Counters_AddUpByKernel()
    {
        CUdeviceptr p = _gpu.Allocate(4 * 64);
        for (int i = 0; i < 3; i++) _cu.Check(_gpu.Launch(Find("fill"), (2, 1, 1), (32, 1, 1), 0, p.Value, 7));
        _cu.Check(_gpu.Launch(Find("most_64"), (1, 1, 1), (1, 1, 1), 0));
        Assert.That(_gpu.Gpu.LastLaunch!.Kernel, Is.EqualTo("most_64"));
        KernelCounters fill = _gpu.Gpu.Kernels().Single(k => k.Kernel == "fill");
        // Two warps a launch; each stores 128 bytes side by side: one request of four sectors.
        Assert.That((fill.Launches, fill.GlobalRequests, fill.GlobalSectors, fill.BytesWritten, fill.BytesRead),
            Is.EqualTo((3L, 6L, 24L, 768L, 0L)));
        Assert.That(fill.Roofline(_gpu.Gpu.Card).Bound, Is.EqualTo("memory"));
        // 24 sectors of 32 bytes at 2 * 7.501 GHz * 192 bit / 8 = 360.048 GB/s
        Assert.That(fill.Roofline(_gpu.Gpu.Card).Seconds, Is.EqualTo(768 / 360.048e9).Within(1e-6).Percent);
        _gpu.Gpu.ResetCounters();
        Assert.That((_gpu.Gpu.LastLaunch, _gpu.Gpu.Kernels().Count), Is.EqualTo(((KernelCounters?)null, 0)));
    }
}
