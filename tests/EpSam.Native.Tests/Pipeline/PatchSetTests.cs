// How data sets are found, read and refused. Images are stand-ins that know their size.
using EpSam.Native.Pipeline;

namespace EpSam.Native.Tests.Pipeline;

public sealed class PatchSetTests
{
    DataFolder _data = null!;

    [SetUp]
    public void MakeFolder() => _data = new DataFolder();

    [TearDown]
    public void RemoveFolder() => _data.Dispose();

    static string[] Names(PatchSet set, Split split) => [.. set.Of(split).Select(i => i.Name)];

    [Test]
    public void Open_EpSamLayout_LabelsMasksAndParts()
    {
        _data.Images("train/image/b_1.png", "train/image/a_0.jpg", "train/mask/b_1.png", "val/image/c_1.tif",
            "val/mask/c.png", "val/image/d_0.png", "test/image/e_1.png", "train/image/.hidden_1.png");
        PatchSet set = DataFolder.Open(_data.Root);
        Assert.That(set.Images.Select(i => (i.Name, i.Label, i.Split, Path.GetFileName(i.MaskPath))), Is.EqualTo(new[]
        {
            ("a_0", 0, Split.Train, null), ("b_1", 1, Split.Train, "b_1.png"), ("c_1", 1, Split.Val, "c.png"),
            ("d_0", 0, Split.Val, null), ("e_1", 1, Split.Test, null),
        }));
        Assert.That(set.Patches, Is.EqualTo(set.Images.Select((image, i) => new Patch(i, null, image.Label))));
        Assert.That(set.Notes, Has.Count.EqualTo(1).And.One.Contains("test set has 1 patches with tumour and 0"));
    }

    [Test]
    public void Open_Table_CropsMasksBesideAndHeadersWithExplanations()
    {
        _data.Images("images/a.jpg", "images/b.jpg", "images/c.jpg", "masks/a.png", "other/z.png");
        string table = _data.Table("Image,x,y,w,h,LABEL(1 tumour | 0 none | -1 mixed),tumour_fraction,Split",
            "images/b.jpg,0,0,4,4,0,0.0,val", "images/a.jpg,0,0,4,3,1,0.6,train", "images/a.jpg,4,3,4,3,0,0,train",
            "images/a.jpg,0,3,4,3,-1,0.2,train", "images/b.jpg,4,0,4,4,1,1,val", "images/c.jpg,0,0,8,6,,0.3,test", "");
        foreach (string path in new[] { table, _data.Root })
        {
            PatchSet set = DataFolder.Open(path);
            Assert.That(set.Images.Select(i => (i.Name, i.Label, i.Split, Path.GetFileName(i.MaskPath))), Is.EqualTo(
                new[] { ("a", 1, Split.Train, "a.png"), ("b", 1, Split.Val, null), ("c", -1, Split.Test, null) }));
            Assert.That(set.Patches, Is.EqualTo(new Patch[]
            {
                new(0, new Crop(0, 0, 4, 3), 1), new(0, new Crop(4, 3, 4, 3), 0), new(1, new Crop(0, 0, 4, 4), 0),
                new(1, new Crop(4, 0, 4, 4), 1),
            }));
        }
    }

    [Test]
    public void Open_TableWithMaskColumn_IsRelativeToTheTableAndQuoted()
    {
        _data.Images("pictures/a, b.png", "pictures/c.png", "pictures/d.png", "pictures/e.png", "truth/1.png");
        string table = _data.Table("image,label,mask,split", "\"pictures/a, b.png\",1,truth/1.png,train",
            "pictures/c.png,0,,train", "pictures/d.png,0,,val", "pictures/e.png,1,,VAL");
        PatchSet set = DataFolder.Open(table);
        Assert.That(Names(set, Split.Train), Is.EqualTo(new[] { "a, b", "c" }));
        Assert.That(set.Images[0].MaskPath, Is.EqualTo(_data.In("truth/1.png")));
        Assert.That(set.Images[1].MaskPath, Is.Null);
    }

    [Test]
    public void Open_WithoutValidation_SplitsByImageAndLabelWithTheSeed()
    {
        string[] all = [.. Enumerable.Range(0, 30).Select(i => $"i{i:D2}")];
        _data.Images([.. all.Select(n => $"images/{n}.png")]);
        string table = _data.Table(["image,label,x,y,w,h", .. all.SelectMany((n, i) => new[]
        {
            $"images/{n}.png,0,0,0,4,6", $"images/{n}.png,{(i < 20 ? 1 : 0)},4,0,4,6",
        })]);
        PatchSet set = DataFolder.Open(table, 0.2), other = DataFolder.Open(table, 0.2, 23);
        Assert.That(set.Of(Split.Val).Count(i => i.Label == 1), Is.EqualTo(4));
        Assert.That(set.Of(Split.Val).Count(i => i.Label == 0), Is.EqualTo(2));
        Assert.That(set.PatchesOf(Split.Val).Count(), Is.EqualTo(12));
        Assert.That(Names(DataFolder.Open(table, 0.2), Split.Val), Is.EqualTo(Names(set, Split.Val)));
        Assert.That(Names(other, Split.Val), Is.Not.EqualTo(Names(set, Split.Val)));
        Assert.That(DataFolder.Refusal(table), Does.Contain("validation_share").And.Contain("--config"));
    }

    [Test]
    public void Open_SharedCamelyonCrops_AreTakenAsTheyAre()
    {
        string table = Golden.Find("../data/patches/camelyon_kaggle512/subpatches128.csv");
        PatchSet set = PatchSet.Open(table, new Fixed512(), new DataConfig { ValidationShare = 0.25 });
        Assert.That((set.Images.Count, set.Patches.Count, set.Patches.Count(p => p.Label == 1)),
            Is.EqualTo((32, 364, 267)));   // as the data's README counts them
        Assert.That(set.Images.All(i => File.Exists(i.MaskPath)), Is.True);
        Assert.That(set.Of(Split.Val).Count(), Is.InRange(7, 9));
    }

    [Test]
    public void Open_NothingThere_SaysWhatIsExpected()
    {
        Assert.That(DataFolder.Refusal(_data.In("none")), Does.Contain("does not exist"));
        Assert.That(DataFolder.Refusal(_data.Root), Does.Contain("train/image/NAME_0.png").And.Contain("CSV"));
        Directory.CreateDirectory(_data.In("train/image"));
        Assert.That(DataFolder.Refusal(_data.Root), Does.Contain("no image"));
        Directory.Delete(_data.In("train"), true);
        File.WriteAllText(_data.In("a.csv"), "image,label\n");
        Assert.That(DataFolder.Refusal(_data.Root), Does.Contain("no image is listed"));
        File.WriteAllText(_data.In("b.csv"), "label,image\n");
        Assert.That(DataFolder.Refusal(_data.Root), Does.Contain("several tables").And.Contain("a.csv"));
    }

    [Test]
    public void Open_OneClass_IsRefused()
    {
        _data.Images("train/image/a_1.png", "train/image/b_1.png", "val/image/c_1.png", "val/image/d_0.png");
        Assert.That(DataFolder.Refusal(_data.Root), Does.Contain("only train images with label 1 (2)"));
        _data.Images("train/image/e_0.png");
        Assert.That(DataFolder.Open(_data.Root).Notes, Is.Empty);
        File.Delete(_data.In("val/image/d_0.png"));
        Assert.That(DataFolder.Open(_data.Root).Notes, Has.One.Contains("only val images with label 1 (1)"));
        string table = _data.Table("image,label", "train/image/a_1.png,", "val/image/c_1.png,-1");
        Assert.That(DataFolder.Refusal(table, 0.5), Does.Contain("too few labelled images"));
    }

    [Test]
    public void Open_BadNamesAndFiles_NamesTheFirstFew()
    {
        _data.Images("train/image/a_1.png", "train/image/b_0.png", "val/image/c_1.png", "val/image/d_0.png",
            "train/image/nolabel.png", "train/image/e_2.png");
        Assert.That(DataFolder.Refusal(_data.Root), Does.Contain("must end with its label").And.Contain("e_2.png"));
        File.Delete(_data.In("train/image/nolabel.png"));
        File.Delete(_data.In("train/image/e_2.png"));
        _data.Image("train/image/bad_1.png", "garbage");
        Assert.That(DataFolder.Refusal(_data.Root), Is.EqualTo(
            $"1 image of 5 cannot be read: {_data.In("train/image/bad_1.png")}: garbage"));
        File.Delete(_data.In("train/image/bad_1.png"));
        _data.Image("val/mask/c_1.png", "9x6");
        Assert.That(DataFolder.Refusal(_data.Root), Is.EqualTo(
            $"1 mask of 4 has another size than the image: {_data.In("val/mask/c_1.png")} is 9 x 6, its image 8 x 6"));
        File.Delete(_data.In("val/mask/c_1.png"));
        _data.Images("val/image/A_1.jpg");
        Assert.That(DataFolder.Refusal(_data.Root),
            Does.Contain("1 name of images is used twice").And.Contain("a_1.png"));
    }

    [TestCase("a.png,1|b.png,0|a.png,0", "labels that disagree, 1 and 0")]
    [TestCase("a.png,1|b.png,0|a.png,1", "a.png is listed twice (")]
    [TestCase("a.png,2|b.png,0", "data.csv:2: label 2; expected 1")]
    [TestCase("a.png,1,x", "data.csv:2: 3 fields")]
    [TestCase(",1", "data.csv:2: no image")]
    [TestCase("missing.png,1|b.png,0", "missing.png: nothing")]
    [TestCase("\"a.png,1", "data.csv:2: 1 fields, the first line has 2")]
    public void Open_BadRow_IsNamed(string rows, string expected)
    {
        _data.Images("a.png", "b.png");
        Assert.That(DataFolder.Refusal(_data.Table(["image,label", .. rows.Split('|')]), 0.5), Does.Contain(expected));
    }

    [TestCase("a.png,1,0,0,4,4,train|a.png,0,4,0,4,4,val", "in different parts, Train and Val")]
    [TestCase("a.png,1,0,0,4,4,train|a.png,0,,,,,train", "as a whole and as a crop")]
    [TestCase("a.png,1,0,0,4,4,train|a.png,0,0,0,4,4,train", "crop 0,0,4,4 twice, with labels that disagree")]
    [TestCase("a.png,1,0,0,4,4,train|b.png,0,5,0,4,4,val", "1 image of 2 has a crop that is not inside of it: ")]
    [TestCase("a.png,1,0,-1,4,4,train", "data.csv:2: y -1; a crop has")]
    [TestCase("a.png,1,0,0,0,4,train", "data.csv:2: w 0; a crop has")]
    [TestCase("a.png,1,0,0,4,4,later", "data.csv:2: split later; expected train, val or test")]
    public void Open_BadCrop_IsNamed(string rows, string expected)
    {
        _data.Images("a.png", "b.png");
        string table = _data.Table(["image,label,x,y,w,h,split", .. rows.Split('|')]);
        Assert.That(DataFolder.Refusal(table), Does.Contain(expected));
    }

    [Test]
    public void Open_TableAgainstNames_DisagreeOnlyWhereAllNamesAreLabelled()
    {
        _data.Images("a_1.png", "b_0.png", "c_0.png", "d_1.png");
        string[] rows = ["image,label,split", "a_1.png,1,train", "b_0.png,0,train", "c_0.png,1,val", "d_1.png,1,val"];
        Assert.That(DataFolder.Refusal(_data.Table(rows)),
            Does.Contain("1 of 4 say something else").And.Contain("c_0.png is 1"));
        _data.Images("e_7.png");   // names end with numbers
        Assert.That(DataFolder.Open(_data.Table([.. rows, "e_7.png,0,train"])).Images, Has.Count.EqualTo(5));
    }

    [TestCase("picture,label", "has no column image; its columns are picture, label")]
    [TestCase("image,label,x,y", "has x, y of the columns x, y, w, h")]
    public void Open_BadHeader_IsRefused(string header, string expected) =>
        Assert.That(DataFolder.Refusal(_data.Table(header, "a.png,1,0,0")), Does.Contain(expected));

    sealed class Fixed512 : IImageFiles
    {
        public (int Height, int Width) ReadSize(string path) => (512, 512);
        public Picture ReadRgb(string path) => throw new NotSupportedException();
        public Picture ReadGrey(string path) => throw new NotSupportedException();
        public byte[] EncodePng(Picture picture) => throw new NotSupportedException();
        public byte[] EncodeJpeg(Picture picture, int quality) => throw new NotSupportedException();
    }
}
