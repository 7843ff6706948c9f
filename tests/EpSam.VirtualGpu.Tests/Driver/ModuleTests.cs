using System.Text;
using EpSam.Cuda;
using static EpSam.Cuda.CUresult;

namespace EpSam.VirtualGpu.Tests.Driver;

public sealed unsafe class ModuleTests
{
    VirtualDevice _gpu = null!;
    CuDriver _cu;

    [SetUp]
    public void Start()
    {
        _gpu = new VirtualDevice();
        _cu = _gpu.Cu;
    }

    [TearDown]
    public void Stop() => _gpu.Dispose();

    (CUdeviceptr Address, int Bytes) Variable(CUmodule module, string name)
    {
        CUdeviceptr address;
        nuint bytes;
        fixed (byte* text = Encoding.UTF8.GetBytes(name + "\0"))
            _cu.Check(_cu.cuModuleGetGlobal_v2(&address, &bytes, module, text), $"variable {name}");
        return (address, (int)bytes);
    }

    [Test]
    public void Variables_HaveTheirInitialValues()
    {
        CUmodule module = _gpu.Load(Kernels.All);
        (CUdeviceptr table, int bytes) = Variable(module, "table");
        Assert.That(_gpu.Download<uint>(table, bytes / 4), Is.EqualTo(new uint[] { 1, 2, 3, 4 }));
        Assert.That(_gpu.Download<uint>(Variable(module, "kTile").Address, 1), Is.EqualTo(new uint[] { 64 }));
        Assert.That(_gpu.Download<byte>(Variable(module, "zeros").Address, 8), Is.EqualTo(new byte[8]));
        Assert.That(_gpu.Download<ulong>(Variable(module, "pointer").Address, 1), Is.EqualTo(new[] { table.Value }));
    }

    // Code is kept for texts that are loaded again, and must not carry anything from one device to the other.
    [Test]
    public void SameText_OnTwoDevices_EachHasItsOwnVariablesAndChecks()
    {
        const string store = """
            .visible .entry store(.param .u64 out)
            {
                .reg .b32 %r<2>;
                .reg .b64 %rd<2>;
                ld.param.u64 %rd1, [out];
                SOURCE
                st.global.u32 [%rd1+4], %r1;
                ret;
            }
            """;
        string plain = Kernels.Header + store.Replace("SOURCE", "mov.u32 %r1, 5;");
        string variable = Kernels.Header + ".visible .global .align 4 .u32 five = 5;\n"
            + store.Replace("SOURCE", "ld.global.u32 %r1, [five];");
        using VirtualDevice other = new("rtx-3060", Checks.CheckFlags.None);
        foreach (string text in new[] { plain, variable })
        {
            foreach ((VirtualDevice gpu, uint value) in new[] { (_gpu, 5u), (other, text == variable ? 6u : 5u) })
            {
                gpu.Cu.Check(gpu.Cu.cuCtxSetCurrent(gpu.Context));
                CUmodule module = gpu.Load(text);
                if (value == 6) Overwrite(gpu, module, value);
                CUdeviceptr data = gpu.Upload(1u, 2u);
                gpu.Cu.Check(gpu.Launch(gpu.Find(module, "store"), (1, 1, 1), (1, 1, 1), 0, data.Value));
                Assert.That(gpu.Download<uint>(data, 2), Is.EqualTo(new uint[] { 1, value }));
            }
        }
        _cu.Check(_cu.cuCtxSetCurrent(_gpu.Context));
        CUresult end =
            _gpu.Launch(_gpu.Find(_gpu.Load(plain), "store"), (1, 1, 1), (1, 1, 1), 0, _gpu.Upload(1u).Value);
        _gpu.Fails(CUDA_ERROR_ILLEGAL_ADDRESS, end, "0 bytes past the end");
    }

    static void Overwrite(VirtualDevice gpu, CUmodule module, uint value)
    {
        CUdeviceptr address;
        nuint bytes;
        fixed (byte* name = "five\0"u8) gpu.Cu.Check(gpu.Cu.cuModuleGetGlobal_v2(&address, &bytes, module, name));
        gpu.Cu.Check(gpu.Cu.cuMemcpyHtoD_v2(address, &value, 4));
    }

    [Test]
    public void Variable_CannotBeFreed()
    {
        CUmodule module = _gpu.Load(Kernels.All);
        CUdeviceptr table = Variable(module, "table").Address;
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuMemFree_v2(table), "variable of a module");
        Assert.That(_gpu.Download<uint>(table, 1), Is.EqualTo(new uint[] { 1 }));
    }

    [Test]
    public void UnknownNames_AreAnsweredWithTheKnown()
    {
        CUmodule module = _gpu.Load(Kernels.All);
        CUdeviceptr address;
        nuint bytes;
        _gpu.Fails(CUDA_ERROR_NOT_FOUND, _gpu.TryFind(module, "fil", out _), "no entry 'fil'", "fill", "most_64");
        _gpu.Fails(CUDA_ERROR_NOT_FOUND, _gpu.TryFind(module, "helper", out _), "is a .func");
        fixed (byte* name = "tabel\0"u8)
        {
            _gpu.Fails(CUDA_ERROR_NOT_FOUND, _cu.cuModuleGetGlobal_v2(&address, &bytes, module, name),
                "no variable 'tabel'", "table");
            CUfunction function;
            _gpu.Fails(CUDA_ERROR_INVALID_HANDLE, _cu.cuModuleGetFunction(&function, new(77), name), "never made");
        }
        _gpu.AssertUsable();
    }

    [TestCase("hello", "line 1")]
    [TestCase(".version 7.0\n.target sm_80\n.address_size 64\n.entry f()\n{\n    frobnicate.u32 1;\n    ret;\n}",
        "line 6")]
    [TestCase(".version 7.0\n.target sm_80\n.address_size 64\n.entry f() { ", "line 4")]
    public void WrongPtx_IsInvalidPtxWithItsPlace(string text, string place)
    {
        _gpu.Fails(CUDA_ERROR_INVALID_PTX, _gpu.TryLoad(text, out _), "a PTX JIT compilation failed", place);
        Assert.That(_gpu.Gpu.LiveAllocations, Is.Zero);
        _gpu.AssertUsable();
    }

    [Test]
    public void NewerPtxVersion_HasACodeOfItsOwn() => _gpu.Fails(CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
        _gpu.TryLoad(".version 8.3\n.target sm_90\n.address_size 64\n", out _), "8.3", "7.8");

    [Test]
    public void NewerTarget_DoesNotRun()
    {
        string ptx = Kernels.Header.Replace("7.0", "7.8").Replace("sm_80", "sm_90");
        _gpu.Fails(CUDA_ERROR_NO_BINARY_FOR_GPU, _gpu.TryLoad(ptx, out _), "sm_90", "RTX 3060", "sm_86");
        using (VirtualDevice hopper = new("h100")) hopper.Load(ptx);
        using (VirtualDevice old = new("titan-xp"))
            old.Fails(CUDA_ERROR_NO_BINARY_FOR_GPU, old.TryLoad(Kernels.All, out _), "sm_61");
        _cu.Check(_cu.cuCtxSetCurrent(_gpu.Context));
        _gpu.AssertUsable();
    }

    [Test]
    public void MachineCode_IsAnInvalidImage()
    {
        CUmodule module;
        fixed (byte* elf = "\u007fELF\u0002\u0001\0"u8)
            _gpu.Fails(CUDA_ERROR_INVALID_IMAGE, _cu.cuModuleLoadData(&module, elf), "cubin", "PTX text");
        fixed (byte* fatbin = (byte[])[0x50, 0xed, 0x55, 0xba, 1, 0])
            _gpu.Fails(CUDA_ERROR_INVALID_IMAGE, _cu.cuModuleLoadData(&module, fatbin), "fatbin");
        fixed (byte* empty = "\0"u8)
            _gpu.Fails(CUDA_ERROR_INVALID_IMAGE, _cu.cuModuleLoadData(&module, empty), "empty");
        _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuModuleLoadData(&module, null), "null");
        _gpu.AssertUsable();
    }

    [Test]
    public void TooMuchStaticShared_IsInvalidPtx()
    {
        string ptx = Kernels.Header + ".entry big() {\n .shared .align 4 .b8 tile[49156];\n .reg .b32 %r<2>;\n"
            + " mov.u32 %r1, 1;\n st.shared.u32 [tile], %r1;\n ret;\n}";
        _gpu.Fails(CUDA_ERROR_INVALID_PTX, _gpu.TryLoad(ptx, out _), "big", "0xc004 bytes, 0xc000 max");
    }

    [Test]
    public void TooMuchConstantMemory_IsInvalidPtx() => _gpu.Fails(CUDA_ERROR_INVALID_PTX,
        _gpu.TryLoad(Kernels.Header + ".const .align 4 .b8 a[65536];\n.const .align 4 .b8 b[4];\n", out _), ".const",
            "64 KiB");

    [Test]
    public void VariablesBeyondTheCard_AreOutOfMemory_AndNothingIsLeft()
    {
        using VirtualDevice small = new(new VirtualGpuOptions { MemoryBytes = 4096 });
        small.Fails(CUDA_ERROR_OUT_OF_MEMORY, small.TryLoad(
            Kernels.Header + ".global .align 4 .b8 a[1024];\n.global .align 4 .b8 b[8192];\n", out _), "8192");
        Assert.That(small.Gpu.LiveAllocations, Is.Zero);
        small.AssertUsable();
    }

    [Test]
    public void ErrorLog_HoldsTheReport()
    {
        byte* log = stackalloc byte[200];
        CUjit_option* options = stackalloc CUjit_option[]
        {
            CUjit_option.CU_JIT_ERROR_LOG_BUFFER, CUjit_option.CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
        };
        void** values = stackalloc void*[] { log, (void*)200 };
        CUmodule module;
        fixed (byte* text = "hello\0"u8)
        {
            _gpu.Fails(CUDA_ERROR_INVALID_PTX, _cu.cuModuleLoadDataEx(&module, text, 2, options, values));
            Assert.That(CuText.Read(log), Does.Contain("line 1"));
            Assert.That((int)values[1], Is.EqualTo(CuText.Read(log)!.Length));
            values[1] = (void*)5; // room for four characters
            _cu.cuModuleLoadDataEx(&module, text, 2, options, values);
            Assert.That(CuText.Read(log)!, Has.Length.EqualTo(4));
            options[0] = (CUjit_option)999;
            _gpu.Fails(CUDA_ERROR_INVALID_VALUE, _cu.cuModuleLoadDataEx(&module, text, 2, options, values), "999");
        }
    }

    [Test]
    public void Unload_EndsFunctionsAndFreesVariables()
    {
        CUmodule module = _gpu.Load(Kernels.All);
        CUfunction fill = _gpu.Find(module, "fill");
        Assert.That(_gpu.Find(module, "fill"), Is.EqualTo(fill));
        Assert.That(_gpu.Gpu.LiveAllocations, Is.EqualTo(4));
        _cu.Check(_cu.cuModuleUnload(module));
        Assert.That(_gpu.Gpu.LiveAllocations, Is.Zero);
        _gpu.Fails(CUDA_ERROR_INVALID_HANDLE, _gpu.Launch(fill, (1, 1, 1), (1, 1, 1), 0, 0, 0), "destroyed");
        _gpu.Fails(CUDA_ERROR_INVALID_HANDLE, _cu.cuModuleUnload(module), "destroyed");
        _gpu.AssertUsable();
    }
}
