// Results of many slides in a few files: the same bytes however they were made.
using System.Text.Json;
using EpSam.Imaging;
using EpSam.Imaging.Annotations;
using EpSam.Native.Pipeline;
using EpSam.Slides;
using EpSam.Slides.Batch;

namespace EpSam.Native.Tests.Slides.Batch;

public sealed class BatchMergeTests
{
    static readonly string[] Odd = ["ä b", "z", "a,1", "say \"x\"", "B", "b", "日本"];

    BatchRig _rig = null!;

    [SetUp]
    public void MakeRig() => _rig = new BatchRig();

    [TearDown]
    public void RemoveRig() => _rig.Dispose();

    static MergedBatch Merge(BatchFolder to, params BatchFolder[] from) =>
        BatchMerge.Run(from.Length > 0 ? from : [to], to, CancellationToken.None);

    static string[] Merged(BatchFolder folder) =>
        [.. new[] { folder.SlidesTable, folder.TilesTable, folder.Outlines, folder.FailedTable }
            .Select(File.ReadAllText)];

    [Test]
    public void Tables_HaveARowForEachSlideAndTile_WhateverItsName()
    {
        SlideFile[] slides = _rig.Slides(Odd);
        _rig.Run(slides);
        MergedBatch merged = Merge(_rig.Out());
        string[] sorted = [.. Odd.Order(StringComparer.Ordinal)];
        Assert.That(merged.Done.Select(s => s.Name), Is.EqualTo(sorted));
        Assert.That((merged.Failed.Count, merged.Missing.Count), Is.EqualTo((0, 0)));
        List<string[]> rows = CsvText.Rows(File.ReadAllText(_rig.Out().SlidesTable));
        Assert.That(rows.Skip(1).Select(r => r[0]), Is.EqualTo(sorted));
        Assert.That(rows[1][1], Is.EqualTo(sorted[0] + ".tif"));
        int fraction = Array.IndexOf(rows[0], "tumour_fraction");
        Assert.That(rows.Skip(1).Select(r => r[fraction]), Is.All.EqualTo("0.250000"));
        List<string[]> tiles = CsvText.Rows(File.ReadAllText(_rig.Out().TilesTable));
        Assert.That(string.Join(',', tiles[0]), Is.EqualTo("slide," + BatchRig.TilesHeader));
        Assert.That(tiles.Skip(1).Select(t => t[0]), Is.EqualTo(sorted.SelectMany(n => new[] { n, n })));
        foreach (string text in Merged(_rig.Out()).Take(2))
            Assert.That(text, Does.Not.Contain('\r').And.EndsWith("\n"));
    }

    [Test]
    public void Outlines_CarryTheirSlide_AndAreOtherwiseAsTheyWere()
    {
        _rig.Run(_rig.Slides("a \"q\"", "b"));
        Merge(_rig.Out());
        JsonElement[] features = [.. JsonDocument.Parse(File.ReadAllText(_rig.Out().Outlines)).RootElement
            .GetProperty("features").EnumerateArray()];
        Assert.That(features.Select(f => f.GetProperty("properties").GetProperty("slide").GetString()),
            Is.EqualTo(new[] { "a \"q\"", "b" }));
        JsonElement properties = features[1].GetProperty("properties");
        Assert.That(properties.EnumerateObject().Select(p => p.Name),
            Is.EqualTo(new[] { "slide", "objectType", "measurements" }));
        Assert.That(properties.GetProperty("measurements").GetRawText(), Is.EqualTo("{\"properties\":1}"));
        Assert.That(features[1].GetProperty("geometry").GetProperty("coordinates").GetRawText(),
            Is.EqualTo("[[[0,0],[7.5,0],[0,1e2],[0,0]]]"), "numbers as they were written");
        Assert.That(GeoJson.Read(_rig.Out().Outlines), Has.Count.EqualTo(2));
    }

    [Test]
    public void Outlines_OfAnyLayout_AreCopied()
    {
        _rig.Run(_rig.Slides("a", "b", "c"));
        string rings = string.Join(',', Enumerable.Range(0, 40_000).Select(i => $"[{i}.25,{-i}]"));
        string name = new('ü', 200_000); // longer than what is read at once
        File.WriteAllText(_rig.Out().Of("a").GeoJson, $$"""
            { "other": { "features": [ 1 ] }, "features": [
              { "properties": null, "geometry": { "type": "LineString", "coordinates": [ {{rings}} ] } },
              { "properties": { "name": "{{name}}", "x": [ true, null, -1.50e-3 ] } } ], "after": [ { "x": 1 } ] }
            """);
        File.WriteAllText(_rig.Out().Of("b").GeoJson, "{\"features\":[]}");
        Merge(_rig.Out());
        JsonElement root = JsonDocument.Parse(File.ReadAllText(_rig.Out().Outlines)).RootElement;
        JsonElement[] features = [.. root.GetProperty("features").EnumerateArray()];
        Assert.That(root.EnumerateObject().Select(p => p.Name), Is.EqualTo(new[] { "type", "features" }));
        Assert.That(features.Select(f => f.GetProperty("properties").GetProperty("slide").GetString()),
            Is.EqualTo(new[] { "a", "a", "c" }));
        Assert.That(features[0].GetProperty("geometry").GetProperty("coordinates").GetRawText(),
            Is.EqualTo($"[{rings}]"));
        Assert.That(features[1].GetProperty("properties").GetProperty("name").GetString(), Is.EqualTo(name));
        Assert.That(features[1].GetProperty("properties").GetProperty("x").GetRawText(),
            Is.EqualTo("[true,null,-1.50e-3]"));
        foreach (string damaged in new[] { "{\"features\":[{", "nothing", "{\"type\":\"x\"}", "" })
        {
            File.WriteAllText(_rig.Out().Of("b").GeoJson, damaged);
            Assert.That(Assert.Throws<BatchException>(() => Merge(_rig.Out()))!.Message,
                Does.Contain(_rig.Out().Of("b").GeoJson), damaged);
        }
    }

    [Test]
    public void FourShards_InAnyOrder_InOneFolderOrFour_GiveTheSameBytes()
    {
        SlideFile[] slides = _rig.Slides([.. Odd, "broken"]);
        _rig.Midway = (file, _) =>
        {
            if (file.Name == "broken") throw new ImagingException(ImagingError.Damaged, "cut off, \"badly\"");
        };
        _rig.Run(slides, folder: _rig.Out("one"));
        foreach (int shard in new[] { 2, 0, 3, 1 })
        {
            _rig.Run([.. slides.Reverse()], new Shard(shard, 4), _rig.Out("four"));
            _rig.Run(slides, new Shard(shard, 4), _rig.Out($"of{shard}"));
        }
        Merge(_rig.Out("one"));
        MergedBatch four = Merge(_rig.Out("four"));
        MergedBatch apart = Merge(_rig.Out("all"), _rig.Out("of3"), _rig.Out("of1"), _rig.Out("of0"), _rig.Out("of2"));
        Assert.That(File.ReadAllText(_rig.Out("four").Page), Is.EqualTo(File.ReadAllText(_rig.Out("one").Page)));
        Assert.That(File.ReadAllText(_rig.Out("all").Page), Does.Contain("../of").And.Contain("cut off"));
        foreach (MergedBatch merged in new[] { four, apart })
        {
            Assert.That((merged.Done.Count, merged.Failed.Count, merged.Missing.Count), Is.EqualTo((7, 1, 0)));
            Assert.That(Merged(merged.Folder), Is.EqualTo(Merged(_rig.Out("one"))));
        }
        Assert.That(CsvText.Rows(File.ReadAllText(_rig.Out("one").FailedTable))[1],
            Is.EqualTo(new[] { "broken", "broken.tif", $"{slides[^1].Path}: cut off, \"badly\"" }));
        foreach (string name in Odd)
            foreach (string file in Directory.GetFiles(_rig.Out("one").Of(name).Root))
                Assert.That(File.ReadAllBytes(file), Is.EqualTo(File.ReadAllBytes(
                    Path.Combine(_rig.Out("four").Of(name).Root, Path.GetFileName(file)))), file);
    }

    [Test]
    public void MissingSlides_AreNamed_AndTheRestMerged()
    {
        SlideFile[] slides = _rig.Slides("a", "b", "c");
        _rig.Run(slides, new Shard(1, 3));
        MergedBatch merged = Merge(_rig.Out());
        Assert.That(merged.Missing, Is.EqualTo(new[] { "a", "c" }));
        Assert.That(File.ReadAllLines(_rig.Out().SlidesTable), Has.Length.EqualTo(2));
        _rig.Run(slides);
        Assert.That(Merge(_rig.Out()).Missing, Is.Empty);
    }

    [Test]
    public void NothingDone_GivesEmptyTables()
    {
        _rig.Midway = (_, _) => throw new SlideException("no scale");
        _rig.Run(_rig.Slides("a"));
        MergedBatch merged = Merge(_rig.Out());
        Assert.That((merged.Done.Count, merged.Failed.Count), Is.EqualTo((0, 1)));
        Assert.That(JsonDocument.Parse(File.ReadAllText(_rig.Out().Outlines)).RootElement.GetProperty("features")
            .GetArrayLength(), Is.Zero);
    }

    [Test]
    public void FoldersThatDoNotBelongTogether_AreRefused()
    {
        _rig.Run(_rig.Slides("a"), folder: _rig.Out("one"));
        BatchSettings before = _rig.Settings;
        _rig.Settings = before with { Options = before.Options with { Mpp = 1 } };
        _rig.Run(_rig.Slides("b"), folder: _rig.Out("two"));
        BatchException e = Assert.Throws<BatchException>(
            () => Merge(_rig.Out("all"), _rig.Out("one"), _rig.Out("two")))!;
        Assert.That(e.Message, Does.Contain("options.mpp is 1, was 0.5"));
        Assert.That(Assert.Throws<BatchException>(() => Merge(_rig.Out("none")))!.Message,
            Does.Contain("has no run.json"));

        _rig.Settings = before;
        SlideFile[] slides = _rig.Slides("a");
        _rig.Run(slides, folder: _rig.Out("same"));
        Assert.That(Merge(_rig.Out("all"), _rig.Out("one"), _rig.Out("same")).Done, Has.Count.EqualTo(1), "same slide");
        File.WriteAllText(slides[0].Path, "another a");
        _rig.Run(slides, folder: _rig.Out("three"));
        e = Assert.Throws<BatchException>(() => Merge(_rig.Out("all"), _rig.Out("one"), _rig.Out("three")))!;
        Assert.That(e.Message, Does.Contain("of different slides"));
    }

    [Test]
    public void DamagedResults_AreNamed_AndLeftoversRemoved()
    {
        _rig.Run(_rig.Slides("a", "b"));
        string left = Path.Combine(_rig.Out().Root, ".tiles.csv.0.tmp");
        File.WriteAllText(left, "half");
        Merge(_rig.Out());
        Assert.That(left, Does.Not.Exist);
        File.WriteAllText(_rig.Out().Of("b").Tiles, "x\n1\n");
        string[] before = Merged(_rig.Out());
        Assert.That(Assert.Throws<BatchException>(() => Merge(_rig.Out()))!.Message, Does.Contain("other columns"));
        File.Delete(_rig.Out().Of("b").Tiles);
        Assert.That(Assert.Throws<BatchException>(() => Merge(_rig.Out()))!.Message,
            Does.Contain("tiles.csv is missing"));
        Assert.That(Merged(_rig.Out()), Is.EqualTo(before), "nothing is half-written");
    }
}
