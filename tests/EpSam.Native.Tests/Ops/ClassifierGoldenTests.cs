// The ops of the patch classifier alone against the recorded numbers of the reference code (set s03): the input's
// fourth channel, ADL, max pooling. Goldens are channels first.
using System.Runtime.InteropServices;
using EpSam.Cases;
using EpSam.Imaging;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu;

namespace EpSam.Native.Tests.Ops;

public sealed class ClassifierGoldenTests
{
    const string Folder = "s03_epsam_classifier/";

    VirtualGpu.VirtualGpu _virtual = null!;
    Gpu _gpu = null!;

    [SetUp]
    public void Open()
    {
        _virtual = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions()); // all checks
        _gpu = new Gpu(_virtual.Driver, _virtual.Blas);
    }

    [TearDown]
    public void Close()
    {
        _gpu.Dispose();
        Assert.That(_virtual.LiveAllocations, Is.Zero);
    }

    [TestCase(1, 256, 256)]
    [TestCase(1, 512, 512)]
    [TestCase(2, 173, 201)]
    [TestCase(1, 96, 160)]
    [TestCase(2, 5, 7)]
    public void HighFrequency_OfFormula_IsTheReferences(int b, int h, int w)
    {
        Golden golden = Golden.Open(Folder + "highfreq.safetensors");
        string size = $"{b}x3x{h}x{w}";
        float[] x = new float[b * 3 * h * w];
        FormulaParameters.Fill($"input:s03/hf/{size}", 0.5, 0.5, x); // u = (v + 1) / 2
        using DeviceBuffer images = Last(x, new(b, h, w, 3), 3);
        Assert.That(golden.Compare($"hf_mean/formula_{size}", Fourth(images.Tensor)), Is.LessThanOrEqualTo(1));
    }

    [TestCase("he0_512", "he0_512x512.png", 0, 0, 512, 512)]
    [TestCase("he1_256crop", "he1_512x512.png", 100, 60, 256, 256)]
    [TestCase("he2_odd", "he2_h384_w512.png", 11, 7, 173, 201)]
    public void HighFrequency_OfPicture_IsTheReferences(string name, string file, int left, int top, int w, int h)
    {
        Golden golden = Golden.Open(Folder + "highfreq.safetensors");
        Raster picture = Golden.Picture(file);
        byte[] x = new byte[3 * h * w];
        for (int row = 0; row < h; row++)
            picture.Pixels.AsSpan(3 * ((top + row) * picture.Width + left), 3 * w).CopyTo(x.AsSpan(3 * row * w));
        using DeviceBuffer image = new(_gpu, DType.U8, new(1, h, w, 3));
        _gpu.Upload(x, image.Tensor);
        Assert.That(golden.Compare($"hf_mean/{name}", Fourth(image.Tensor)), Is.LessThanOrEqualTo(1));
    }

    // Channels of these goldens are no multiple of four. Two copies of each have the mean of one, and its gradient.
    [TestCase("drop", true, 0.3, 3, 10, 63)]
    [TestCase("importance", false, 0.3, 3, 10, 63)]
    [TestCase("drop_negative_max", true, -3, 2, 6, 25)]
    public void Adl_ForwardAndBackward_AreTheReferences(string name, bool drop, double offset, int b, int c, int p)
    {
        Golden golden = Golden.Open(Folder + "modules.safetensors");
        float[] values = new float[b * c * p];
        FormulaParameters.Fill($"input:s03/adl/{name}/x", offset, 1, values);
        using DeviceBuffer x = Last(values, new(b, p, 2 * c), c), y = new(_gpu, DType.F32, x.Tensor.Shape);
        using DeviceBuffer dy = Last(FormulaParameters.Floats($"input:s03/adl/{name}/lossw", values.Length),
            x.Tensor.Shape, c);
        using DeviceBuffer dx = new(_gpu, DType.F32, x.Tensor.Shape), largest = new(_gpu, DType.F32, new(b));
        using DeviceBuffer map = new(_gpu, DType.F32, new(b, p));
        Adl.Forward(_gpu, x.Tensor, drop, 0.8f, largest.Tensor, map.Tensor, y.Tensor);
        Adl.Backward(_gpu, x.Tensor, map.Tensor, dy.Tensor, dx.Tensor);
        Assert.That(golden.Compare($"adl/{name}/y", First(y.Tensor, c)), Is.LessThanOrEqualTo(1));
        Assert.That(golden.Compare($"adl/{name}/grad/x", First(dx.Tensor, c)), Is.LessThanOrEqualTo(1));
    }

    [TestCase("plain", 11, 16)]
    [TestCase("ties", 12, 13)]
    public void MaxPool_ForwardAndBackward_AreTheReferences(string name, int h, int w)
    {
        Golden golden = Golden.Open(Folder + "modules.safetensors");
        PoolSteps steps = new(3, 2, 1);
        (long oh, long ow) = (steps.Length(h), steps.Length(w));
        float[] values = FormulaParameters.Floats($"input:s03/maxpool/{name}/x", 2 * 3 * h * w, name == "ties" ? 4 : 1);
        if (name == "ties") foreach (ref float v in values.AsSpan()) v = MathF.Floor(v);
        using DeviceBuffer x = Last(values, new(2, h, w, 4), 3), y = new(_gpu, DType.F32, new(2, oh, ow, 4));
        using DeviceBuffer dy = Last(
            FormulaParameters.Floats($"input:s03/maxpool/{name}/lossw", (int)(2 * 3 * oh * ow)), y.Tensor.Shape, 3);
        using DeviceBuffer dx = new(_gpu, DType.F32, x.Tensor.Shape);
        Pool.Max(_gpu, x.Tensor, steps, y.Tensor);
        Pool.MaxBackward(_gpu, x.Tensor, steps, dy.Tensor, dx.Tensor);
        Assert.That(golden.Compare($"maxpool/{name}/y", First(y.Tensor, 3)), Is.LessThanOrEqualTo(1));
        Assert.That(golden.Compare($"maxpool/{name}/grad/x", First(dx.Tensor, 3)), Is.LessThanOrEqualTo(1));
    }

    // The fourth channel of the classifier's input.
    float[] Fourth(Tensor images)
    {
        (long b, int h, int w) = (images.Shape[0], (int)images.Shape[1], (int)images.Shape[2]);
        using DeviceBuffer y = new(_gpu, DType.F32, new(b, h, w, 4)), table = new(_gpu, DType.F32, new(h + w, 2));
        using DeviceBuffer parts = new(_gpu, DType.F32, HighFrequency.Parts(images));
        _gpu.Upload(MemoryMarshal.AsBytes(HighFrequency.Table(h, w).AsSpan()), table.Tensor);
        HighFrequency.Forward(_gpu, images, table.Tensor, parts.Tensor, y.Tensor);
        return [.. Download(y.Tensor).Where((_, i) => i % 4 == 3)];
    }

    // Values (B, channels, …) as a tensor with channels last, as many as it has: they repeat.
    DeviceBuffer Last(float[] values, Shape shape, int channels)
    {
        int c = (int)shape[^1], positions = (int)(shape.Rows / shape[0]);
        float[] last = new float[shape.Count];
        for (int i = 0; i < last.Length; i++)
            last[i] = values[(i / c / positions * channels + i % c % channels) * positions + i / c % positions];
        DeviceBuffer buffer = new(_gpu, DType.F32, shape);
        _gpu.Upload(MemoryMarshal.AsBytes(last.AsSpan()), buffer.Tensor);
        return buffer;
    }

    // The first channels of a tensor, in front of space.
    float[] First(Tensor tensor, int channels)
    {
        int c = (int)tensor.Shape[^1], positions = (int)(tensor.Shape.Rows / tensor.Shape[0]);
        float[] values = Download(tensor), first = new float[values.Length / c * channels];
        for (int i = 0; i < first.Length; i++)
            first[i] = values[(i / positions / channels * positions + i % positions) * c + i / positions % channels];
        return first;
    }

    float[] Download(Tensor tensor)
    {
        float[] values = new float[tensor.Shape.Count];
        _gpu.Download(tensor, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
