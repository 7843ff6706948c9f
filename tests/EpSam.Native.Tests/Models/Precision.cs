namespace EpSam.Native.Tests.Models;

/// <summary>Results in bf16 against those in f32.</summary>
internal static class Precision
{
    public static void Compare(string name, float[] masks, float[] rounded, float[] iou, float[] roundedIou)
    {
        double error = SamRun.RelativeError(masks, rounded), share = IoU(masks, rounded);
        double quality = iou.Zip(roundedIou, (a, b) => Math.Abs(a - b)).Max();
        TestContext.Out.WriteLine(
            $"{name,-18} logits off by {error:P2} of their size, mask IoU {share:F4}, predicted IoU "
            + $"off by {quality:F4}");
        Assert.That(share, Is.GreaterThanOrEqualTo(0.99), name);
    }

    /// <summary>The share of pixels in one or both masks, logits above 0, that are in both.</summary>
    public static double IoU(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        long both = 0, any = 0;
        for (int i = 0; i < a.Length; i++)
        {
            both += a[i] > 0 && b[i] > 0 ? 1 : 0;
            any += a[i] > 0 || b[i] > 0 ? 1 : 0;
        }
        return (double)both / any;
    }
}
