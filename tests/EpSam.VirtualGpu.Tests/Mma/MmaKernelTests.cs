// Matrix instructions inside kernels: from PTX text through builder, interpreter and emitted code to memory.
using EpSam.VirtualGpu.Checks;
using EpSam.VirtualGpu.Driver;
using EpSam.VirtualGpu.Exec;
using EpSam.VirtualGpu.Ptx;

namespace EpSam.VirtualGpu.Tests.Mma;

public sealed unsafe class MmaKernelTests
{
    const string Header = ".version 7.8\n.target sm_80\n.address_size 64\n";

    // C (16 x 8) = A (16 x 16, row-major) * B^T (8 x 16, row-major), one warp: both staged in shared memory, fetched by
    // ldmatrix as CUTLASS does it (lanes 0-15 the rows of A's left half, 16-31 of its right half).
    const string Product = Header + """
        .visible .entry product(.param .u64 a_ptr, .param .u64 b_ptr, .param .u64 c_ptr)
        {
            .reg .b32 %r<30>; .reg .b64 %rd<10>; .reg .f32 %f<8>;
            .shared .align 16 .b8 tile[768];
            ld.param.u64 %rd0, [a_ptr];
            ld.param.u64 %rd1, [b_ptr];
            ld.param.u64 %rd2, [c_ptr];
            mov.u32 %r0, %tid.x;
            mov.u32 %r1, tile;
            mul.wide.u32 %rd3, %r0, 16;
            add.u64 %rd4, %rd0, %rd3;
            ld.global.v4.b32 {%r2, %r3, %r4, %r5}, [%rd4];      // 16 of A's 512 bytes
            shl.b32 %r6, %r0, 4;
            add.u32 %r6, %r6, %r1;
            st.shared.v4.b32 [%r6], {%r2, %r3, %r4, %r5};
            mul.wide.u32 %rd3, %r0, 8;
            add.u64 %rd4, %rd1, %rd3;
            ld.global.v2.b32 {%r2, %r3}, [%rd4];                // 8 of B's 256 bytes
            shl.b32 %r6, %r0, 3;
            add.u32 %r6, %r6, %r1;
            st.shared.v2.b32 [%r6 + 512], {%r2, %r3};
            bar.sync 0;
            and.b32 %r7, %r0, 15;
            shr.u32 %r8, %r0, 4;
            shl.b32 %r7, %r7, 5;
            shl.b32 %r8, %r8, 4;
            add.u32 %r7, %r7, %r8;
            add.u32 %r7, %r7, %r1;
            ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r10, %r11, %r12, %r13}, [%r7];
            and.b32 %r7, %r0, 7;
            shl.b32 %r7, %r7, 5;
            and.b32 %r8, %r0, 8;
            shl.b32 %r8, %r8, 1;
            add.u32 %r7, %r7, %r8;
            add.u32 %r7, %r7, %r1;
            ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r14, %r15}, [%r7 + 512];
            mov.f32 %f0, 0f00000000;
            mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
                {%f4, %f5, %f6, %f7}, {%r10, %r11, %r12, %r13}, {%r14, %r15}, {%f0, %f0, %f0, %f0};
            shr.u32 %r16, %r0, 2;
            and.b32 %r17, %r0, 3;
            shl.b32 %r16, %r16, 5;
            shl.b32 %r17, %r17, 3;
            add.u32 %r16, %r16, %r17;
            cvt.u64.u32 %rd5, %r16;
            add.u64 %rd6, %rd2, %rd5;
            st.global.v2.f32 [%rd6], {%f4, %f5};
            st.global.v2.f32 [%rd6 + 256], {%f6, %f7};
            ret;
        }
        """;

    static Program Build(string text)
    {
        PtxModule module = Parser.Parse(text);
        return Program.Build(module, module.Functions.First(f => f.IsEntry), new Dictionary<string, ulong>());
    }

    [Test]
    public void ProductThroughSharedMemory(
        [Values] bool interpret, [Values(CheckFlags.None, CheckFlags.All)] CheckFlags checks)
    {
        using var heap = new Heap(1 << 20, checks);
        ulong a = heap.Allocate(512, "a"), b = heap.Allocate(256, "b"), c = heap.Allocate(512, "c");
        heap.MarkInitialised(a, 512);
        heap.MarkInitialised(b, 256);
        var random = new Random(2);
        var aElements = (ushort*)AddressSpace.ToHost(a);
        var bElements = (ushort*)AddressSpace.ToHost(b);
        for (int i = 0; i < 256; i++) aElements[i] = Bf16(random.Next(-8, 9));
        for (int i = 0; i < 128; i++) bElements[i] = Bf16(random.Next(-8, 9));
        Span<byte> parameters = stackalloc byte[24];
        BitConverter.TryWriteBytes(parameters, a);
        BitConverter.TryWriteBytes(parameters[8..], b);
        BitConverter.TryWriteBytes(parameters[16..], c);
        Grid.Launch(Build(Product), new Dim3(1), new Dim3(32), 0, parameters,
            new LaunchContext(heap, checks, "product"), new LaunchOptions(interpret));
        var actual = (float*)AddressSpace.ToHost(c);
        for (int row = 0; row < 16; row++)
        {
            for (int column = 0; column < 8; column++)
            {
                float sum = 0;   // exact: small integers
                for (int k = 0; k < 16; k++)
                    sum += Number(aElements[row * 16 + k]) * Number(bElements[column * 16 + k]);
                Assert.That(actual[row * 8 + column], Is.EqualTo(sum), $"({row},{column})");
            }
        }

        static ushort Bf16(int value) => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16);
        static float Number(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);
    }

    [Test]
    public void SharedMemoryThatNothingWrote_IsAFaultOfLdMatrix()
    {
        using var heap = new Heap(1 << 20, CheckFlags.All);
        string text = Header + """
            .visible .entry k() { .reg .b32 %r<4>; .shared .align 16 .b8 tile[128]; mov.u32 %r0, tile;
            ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r1}, [%r0]; ret; }
            """;
        KernelFault fault = Assert.Throws<KernelFault>(() => Grid.Launch(Build(text), new Dim3(1), new Dim3(32), 0, [],
            new LaunchContext(heap, CheckFlags.All, "k"), new LaunchOptions()))!;
        Assert.That(fault.Kind, Is.EqualTo(FaultKind.Uninitialised));
        Assert.That(fault.Line, Is.EqualTo(5));
    }

    [TestCase("{%f0, %f1}, {%r0, %r1, %r2, %r3}, {%r4, %r5}, {%f0, %f1, %f2, %f3}", "operand d must be a vector of 4")]
    [TestCase("{%f0, %f1, %f2, %f3}, {%r0, %r1}, {%r4, %r5}, {%f0, %f1, %f2, %f3}", "operand a must be a vector of 4")]
    [TestCase("{%f0, %f1, %f2, %f3}, {%r0, %r1, %r2, %r3}, %r4, {%f0, %f1, %f2, %f3}", "operand b must be")]
    [TestCase("{%f0, %f1, %f2, %f3}, {%r0, %r1, %r2, %r3}, {%r4, %r5}", "operands, not 3")]
    public void WrongFragments_AreErrorsAtLoad(string operands, string message)
    {
        string text = Header + ".visible .entry k() { .reg .b32 %r<8>; .reg .f32 %f<8>;\n" +
            $"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {operands};\nret; }}";
        Assert.That(() => Build(text), Throws.TypeOf<PtxException>().With.Message.Contains(message));
    }
}
