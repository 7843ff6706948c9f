// What the runners of op cases share: a GPU of one provider for the whole fixture, a case's tensors on it with poisoned
// outputs, and the bytes that come back. The native provider is skipped, with the reason, where there is no GPU.
using EpSam.Cases;
using EpSam.Cuda;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu;

namespace EpSam.Native.Tests.Ops;

/// <summary>Base of fixtures that run op cases on a provider: "virtual" or "native".</summary>
public abstract class OpFixture(string provider)
{
    VirtualGpu.VirtualGpu? _virtual;

    protected Gpu Gpu { get; private set; } = null!;

    [OneTimeSetUp]
    public void Open()
    {
        if (provider == "virtual")
        {
            _virtual = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions()); // all checks
            Gpu = new Gpu(_virtual.Driver, _virtual.Blas);
            return;
        }
        try
        {
            Gpu = new Gpu(CuNative.OpenDriver(), CuNative.LoadBlas());
        }
        catch (CuUnavailableException e)
        {
            Assert.Ignore($"no native GPU: {e.Message}");
        }
    }

    [OneTimeTearDown]
    public void Close()
    {
        if (Gpu is null) return;
        Gpu.MakeCurrent();
        Gpu.Dispose();
        if (_virtual is not null) Assert.That(_virtual.LiveAllocations, Is.Zero, "allocations left after all cases");
    }

    [SetUp]
    public void MakeCurrent() => Gpu.MakeCurrent(); // contexts are per thread, and a runner may change it

    /// <summary>Runs a case once; one array of bytes per output.</summary>
    protected byte[][] Run(OpCase test, double[][] inputs)
    {
        List<DeviceBuffer> buffers = [];
        try
        {
            Tensor[] x = [.. test.Inputs.Select(t => Allocate(buffers, t))];
            Tensor[] y = [.. test.Outputs.Concat(test.Scratch).Select(t => Allocate(buffers, t))];
            for (int i = 0; i < x.Length; i++) Gpu.Upload(Values.Encode(inputs[i], x[i].DType), x[i]);
            foreach (Tensor output in y) Poison(output);
            test.Run(Gpu, x, y);
            byte[][] results = [.. test.Outputs.Select((_, i) => new byte[y[i].Bytes])];
            for (int i = 0; i < results.Length; i++) Gpu.Download(y[i], results[i]);
            return results;
        }
        finally
        {
            foreach (DeviceBuffer buffer in buffers) buffer.Dispose();
        }
    }

    Tensor Allocate(List<DeviceBuffer> buffers, CaseTensor tensor)
    {
        DeviceBuffer buffer = new(Gpu, tensor.DType, tensor.Shape);
        buffers.Add(buffer);
        return buffer.Tensor;
    }

    void Poison(Tensor output) // all bits set is a NaN in f32 and bf16
    {
        byte[] bytes = new byte[output.Bytes];
        bytes.AsSpan().Fill(0xff);
        Gpu.Upload(bytes, output);
    }

    public static IEnumerable<TestCaseData> Quick => Named(AllCases.All.Where(c => !c.Realistic));

    static IEnumerable<TestCaseData> Named(IEnumerable<OpCase> cases) =>
        cases.Select(c => new TestCaseData(c).SetArgDisplayNames(c.Name));
}
