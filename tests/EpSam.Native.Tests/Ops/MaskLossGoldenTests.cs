// EP-SAM's losses and metrics alone, as its own code computes them. The goldens' predictions are probabilities: here
// they go in as logits, and gradients are compared behind the sigmoid.
using System.Runtime.InteropServices;
using EpSam.Cases;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu;

namespace EpSam.Native.Tests.Ops;

public sealed class MaskLossGoldenTests
{
    [TestCase("a", false)]
    [TestCase("b", false)]
    [TestCase("empty_target", true)]
    public void LossesAndMetrics_AreWithinTheGoldensTolerance(string name, bool empty)
    {
        Golden golden = Golden.Open("s05_epsam_decoder_training/losses_metrics.safetensors");
        golden.TryGetShape($"loss/{name}/dice_grad", out Shape shape);
        int count = (int)shape.Count;
        float[] p = Uniform($"input:s05/loss/{name}/p", count);
        float[] logits = [.. p.Select(v => (float)Math.Log(v / (1.0 - v)))];
        byte[] target = [.. Uniform($"input:s05/loss/{name}/t", count).Select(v => (byte)(!empty && v > 0.6f ? 1 : 0))];

        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions());
        using Gpu gpu = new(card.Driver);
        long batch = shape[0];
        using DeviceBuffer x = new(gpu, DType.F32, shape), t = new(gpu, DType.U8, shape),
            d = new(gpu, DType.F32, shape);
        using DeviceBuffer parts = new(gpu, DType.F32, MaskLoss.PartsShape(x.Tensor)),
            sums = new(gpu, DType.F32, new(batch, 5)), y = new(gpu, DType.F32, new(batch, 4));
        gpu.Upload(MemoryMarshal.AsBytes<float>(logits), x.Tensor);
        gpu.Upload(target, t.Tensor);
        MaskLoss.Forward(gpu, x.Tensor, t.Tensor, MaskLoss.Smooth, parts.Tensor, sums.Tensor, y.Tensor);
        float[] values = Read(gpu, y.Tensor), mean = new float[4];
        for (int i = 0; i < values.Length; i++) mean[i % 4] += values[i] / batch;

        Assert.Multiple(() =>
        {
            string[] names = [$"loss/{name}/dice", $"loss/{name}/iou", $"metric/{name}/Dice", $"metric/{name}/IoU"];
            for (int i = 0; i < 4; i++)
                Assert.That(golden.Compare(names[i], [mean[i]]), Is.LessThanOrEqualTo(1), names[i]);
            for (int i = 0; i < 2; i++)
            {
                MaskLoss.Backward(gpu, x.Tensor, t.Tensor, MaskLoss.Smooth, sums.Tensor, i == 0 ? 1f / batch : 0,
                    i == 1 ? 1f / batch : 0, d.Tensor);
                float[] gradient = golden.Read<float>($"{names[i]}_grad");
                float[] expected = [.. gradient.Zip(p, (g, v) => (float)(g * v * (1.0 - v)))];
                Assert.That(golden.Compare($"{names[i]}_grad", expected, Read(gpu, d.Tensor)), Is.LessThanOrEqualTo(1));
            }
        });
    }

    static float[] Uniform(string key, int count)
    {
        float[] values = new float[count];
        FormulaParameters.Fill(key, 0.5, 0.5, values);
        return values;
    }

    static float[] Read(Gpu gpu, Tensor tensor)
    {
        float[] values = new float[tensor.Shape.Count];
        gpu.Download(tensor, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
