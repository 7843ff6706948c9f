using EpSam.Cases;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu;

namespace EpSam.Native.Tests.Kernels;

/// <summary>The swizzles of the tensor-core kernels do what they are for, counted request by request.</summary>
[Category("Slow")]
public sealed class BankConflictTests
{
    static readonly string[] Names =
    [
        "attention bf16 2x14x14 heads 2 size 64", "attention bf16 1x5x64 heads 2 size 64",
        "attention bf16 2x14x14 heads 2 size 80", "attention bf16 1x5x64 heads 2 size 80",
        "gemm nt bf16 129x136x96 bias", "gemm nn bf16 129x136x96", "gemm nt f32 129x136x96 bias",
        "gemm nn f32 129x136x96",
    ];

    [TestCaseSource(nameof(Names))]
    public void TiledKernel_Run_HasNoSharedMemoryBankConflict(string name)
    {
        OpCase test = AllCases.All.Single(c => c.Name == name);
        VirtualGpu.VirtualGpu device = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions { Counters = true });
        using Gpu gpu = new(device.Driver);
        double[][] inputs = test.MakeInputs();
        List<DeviceBuffer> x = [.. test.Inputs.Select(t => new DeviceBuffer(gpu, t.DType, t.Shape))];
        List<DeviceBuffer> y = [.. test.Outputs.Select(t => new DeviceBuffer(gpu, t.DType, t.Shape))];
        for (int i = 0; i < x.Count; i++) gpu.Upload(Values.Encode(inputs[i], x[i].Tensor.DType), x[i].Tensor);
        test.Run(gpu, [.. x.Select(b => b.Tensor)], [.. y.Select(b => b.Tensor)]);
        gpu.Synchronize();
        Assert.Multiple(() =>
        {
            Assert.That(device.LastLaunch!.SharedRequests, Is.GreaterThan(0));
            Assert.That(device.LastLaunch!.SharedConflicts, Is.Zero);
        });
        foreach (DeviceBuffer buffer in x.Concat(y)) buffer.Dispose();
    }
}
