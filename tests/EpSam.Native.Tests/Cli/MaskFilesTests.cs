// Expected texts are written by hand in the form of SAM's scripts/amg.py (Python's str of floats, json of pycocotools).
using System.Text;
using System.Text.Json;
using EpSam.Cli;
using EpSam.Imaging;
using EpSam.Native.Masks;
using EpSam.Native.Tests.Imaging;

namespace EpSam.Native.Tests.Cli;

public sealed class MaskFilesTests
{
    // rows 0 1 1 / 0 0 1: columns 00 10 11, so runs 2 zeros, 1 one, 1 zero, 2 ones
    static readonly byte[] Pixels = [0, 1, 1, 0, 0, 1];

    static MaskRecord Record() => new(Rle.Encode(Pixels, 2, 3), new Box(1, 0, 2, 1), 0.9912109375f, (16, 0.5), 1,
        new Box(0, 0, 3, 2));

    [Test]
    public void Csv_IsThatOfTheReferencesScript()
    {
        string[] lines = Encoding.UTF8.GetString(MaskFiles.Csv([Record()])).Split('\n');
        Assert.That(lines[0], Is.EqualTo(
            "id,area,bbox_x0,bbox_y0,bbox_w,bbox_h,point_input_x,point_input_y,predicted_iou,"
            + "stability_score,crop_box_x0,crop_box_y0,crop_box_w,crop_box_h"));
        Assert.That(lines[1], Is.EqualTo("0,3,1,0,1,1,16.0,0.5,0.9912109375,1.0,0,0,3,2"));
        Assert.That(lines[2..], Is.EqualTo(new[] { "" }));
    }

    [TestCase(1, "1.0")]
    [TestCase(-2.5, "-2.5")]
    [TestCase(1e-5, "1e-05")]
    [TestCase(0.1, "0.1")]
    [TestCase(0.89019012451171875, "0.8901901245117188")]
    public void Number_IsWrittenAsPythonDoes(double value, string text) =>
        Assert.That(MaskFiles.Number(value), Is.EqualTo(text));

    [Test]
    public void Coco_IsThatOfTheReferencesScript()
    {
        JsonElement record = JsonDocument.Parse(MaskFiles.Coco([Record()])).RootElement[0];
        Assert.That(record.EnumerateObject().Select(p => p.Name), Is.EqualTo(new[]
            { "segmentation", "area", "bbox", "predicted_iou", "point_coords", "stability_score", "crop_box" }));
        // runs 2 1 1 2; from the fourth on the difference to the one two before: 2 1 1 1, each one character from '0'
        Assert.That(record.GetProperty("segmentation").GetRawText().Where(c => !char.IsWhiteSpace(c)),
            Is.EqualTo("""{"size":[2,3],"counts":"2111"}"""));
        Assert.That(record.GetProperty("area").GetInt32(), Is.EqualTo(3));
        Assert.That(record.GetProperty("bbox").EnumerateArray().Select(e => e.GetInt32()),
            Is.EqualTo(new[] { 1, 0, 1, 1 }));
        Assert.That(record.GetProperty("point_coords")[0][0].GetDouble(), Is.EqualTo(16));
        Assert.That(record.GetProperty("predicted_iou").GetDouble(), Is.EqualTo(0.9912109375));
        Assert.That(record.GetProperty("crop_box").EnumerateArray().Select(e => e.GetInt32()),
            Is.EqualTo(new[] { 0, 0, 3, 2 }));
    }

    [Test]
    public void Png_ReadAgain_IsTheMask()
    {
        VipsLibrary.RequireOrSkip();
        Raster read = ImageReader.ReadGrey(MaskFiles.Png(Pixels, 3, 2));
        Assert.That((read.Width, read.Height), Is.EqualTo((3, 2)));
        Assert.That(read.Pixels, Is.EqualTo(new byte[] { 0, 255, 255, 0, 0, 255 }));
    }

    [Test]
    public void OverlayPng_PaintsTheMaskOnly()
    {
        VipsLibrary.RequireOrSkip();
        Raster image = new(3, 2, 3, [.. Enumerable.Repeat((byte)100, 18)]);
        Raster read = ImageReader.ReadRgb(MaskFiles.OverlayPng(image, [Record()], 0));
        for (int i = 0; i < 6; i++)
            Assert.That(read.Pixels[(3 * i)..(3 * i + 3)].Any(v => v != 100), Is.EqualTo(Pixels[i] != 0), $"pixel {i}");
    }

    [Test]
    public void Marks_LieWhereThePromptsAre_AndStayInThePicture()
    {
        byte[] rgb = new byte[40 * 60 * 3];
        PromptMarks.Draw(rgb, 40, 60,
            [new PointPrompt(10, 20, 1), new PointPrompt(50, 5, 0), new PointPrompt(-300, 1e9, 1)],
            new BoxPrompt(-5, 2, 30, 100));
        (byte, byte, byte) At(int x, int y) =>
            (rgb[3 * (y * 60 + x)], rgb[3 * (y * 60 + x) + 1], rgb[3 * (y * 60 + x) + 2]);
        Assert.That(At(10, 20), Is.EqualTo(((byte)46, (byte)204, (byte)64)));   // green: in the object
        Assert.That(At(50, 5), Is.EqualTo(((byte)235, (byte)60, (byte)50)));    // red: not in it
        Assert.That(At(30, 30), Is.Not.EqualTo(((byte)0, (byte)0, (byte)0)));   // the box's right side
        Assert.That(At(45, 30), Is.EqualTo(((byte)0, (byte)0, (byte)0)));
        Assert.That(At(0, 39), Is.EqualTo(((byte)0, (byte)0, (byte)0)));        // bottom and left side lie outside
    }
}
