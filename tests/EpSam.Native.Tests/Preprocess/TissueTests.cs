// The tissue of a slide and the centres of its patches against EP-SAM's own preprocessing, on an overview of a
// CAMELYON16 slide.
using System.Text.Json;
using EpSam.Cases;
using EpSam.Imaging;
using EpSam.Native.Preprocess;

namespace EpSam.Native.Tests.Preprocess;

public sealed class TissueTests
{
    const string Tissue = "s04b_image_ops/tissue_mask.safetensors", Meta = "s04b_image_ops/meta.json";
    const int H = 620, W = 560;

    [Test]
    public void TissueMask_RecordedOverview_AsReference()
    {
        Golden golden = Golden.Open(Tissue);
        Raster overview = Golden.Picture("cam_h620_w560.png");
        byte[] saturation = new byte[H * W], binary = new byte[H * W], closed = new byte[H * W];
        CvHsv.Saturation(overview.Pixels, saturation);
        Assert.That(saturation, Is.EqualTo(golden.Read<byte>("saturation")));
        int threshold = Otsu.Binarize(saturation, binary);
        JsonElement recorded = Golden.Json(Meta).GetProperty("info").GetProperty("tissue_otsu_threshold");
        Assert.That(threshold, Is.EqualTo(recorded.GetDouble()));
        Assert.That(binary, Is.EqualTo(golden.Read<byte>("otsu_binary")));
        Morphology.Close(binary, H, W, 7, closed, iterations: 2);
        Assert.That(closed, Is.EqualTo(golden.Read<byte>("closed7x2")));
        Assert.That(TissueMask.Of(overview.Pixels, H, W), Is.EqualTo(golden.Read<byte>("tissue_mask")));
    }

    [TestCase("side512_ds16", 512, 16, 0.25)]
    [TestCase("side256_ds16", 256, 16, 0.25)]
    [TestCase("side512_ds8", 512, 8, 0.25)]
    [TestCase("side256_ds8_focus05", 256, 8, 0.5)]
    public void PatchCentres_RecordedMask_AsReference(string name, int side, int downsample, double focus)
    {
        Golden golden = Golden.Open(Tissue);
        var centres = PatchCentres.Of(golden.Read<byte>("tissue_mask"), H, W, side, downsample, focus);
        long[] expected = golden.Read<long>("sample_centers/" + name);
        Assert.That(centres.SelectMany(c => new long[] { c.Row, c.Column }), Is.EqualTo(expected));
    }

    [Test]
    public void TumourPercentage_RecordedMask_AsReference()
    {
        JsonElement expected = Golden.Json(Meta).GetProperty("info").GetProperty("tumorPercentage");
        byte[] values = FormulaParameters.Bytes("input:s04b/tumor", 64 * 64 * 3);
        byte[] mask = [.. values.Where((_, i) => i % 3 == 0).Select(v => (byte)(v > 200 ? 1 : 0))];
        double percentage = expected.GetProperty("stored_value_int(p*1000)/10").GetDouble();
        Assert.That(TumourPercentage.Of(mask), Is.EqualTo(percentage));
        Assert.That(TumourPercentage.Of(new byte[100]), Is.Zero);
    }
}
