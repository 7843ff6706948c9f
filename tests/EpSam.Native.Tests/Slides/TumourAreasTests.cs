using EpSam.Imaging.Annotations;
using EpSam.Slides;

namespace EpSam.Native.Tests.Slides;

public sealed class TumourAreasTests
{
    static Annotation Square(string group, double from, double to) => new("", AnnotationKind.Polygon, group,
        [new([new(from, from), new(to, from), new(to, to), new(from, to)])], []);

    static int Pixels(params Annotation[] annotations) =>
        TumourAreas.Of(annotations, "x").Mask(0, 0, 1, 10, 10).Count((byte)1);

    [Test]
    public void Exclusions_AreTakenOut_WhateverTheOrder()
    {
        Assert.That(Pixels(Square("_0", 0, 8), Square("_2", 2, 5)), Is.EqualTo(64 - 9));
        Assert.That(Pixels(Square("_2", 2, 5), Square("_0", 0, 8)), Is.EqualTo(64 - 9));
        Assert.That(Pixels(Square("normal", 2, 5), Square("metastases", 0, 8)), Is.EqualTo(64 - 9));
        Assert.That(Pixels(Square("Exclusion", 2, 5), Square("Tumor", 0, 8)), Is.EqualTo(64 - 9));
    }

    [Test]
    public void AnnotationsWithoutAGroup_AreTumour_WhereNothingElseIs()
    {
        Assert.That(Pixels(Square("None", 0, 4)), Is.EqualTo(16));
        Assert.That(Pixels(Square("None", 0, 4), Square("Tumor", 6, 8)), Is.EqualTo(4));
    }

    [Test]
    public void UnknownGroups_AreNamed()
    {
        Assert.That(() => TumourAreas.Of([Square("Necrosis", 0, 4), Square("DCIS", 0, 4)], "x.xml"),
            Throws.TypeOf<AnnotationException>().With.Message.EqualTo(
                "x.xml: none of its groups is known to be tumour; it has 'DCIS', 'Necrosis' (--tumour-groups)"));
        Assert.That(TumourAreas.Of([Square("DCIS", 0, 4)], "x", ["dcis"]).Tumour, Has.Count.EqualTo(1));
        Assert.That(TumourAreas.Of([], "x").Tumour, Is.Empty);
    }

    [Test]
    public void TumourThatIsMarkedByPointsAlone_IsNoSlideWithoutTumour()
    {
        Annotation dot = new("", AnnotationKind.Dot, "Tumor", [], [new(3, 3)]);
        Assert.That(() => TumourAreas.Of([dot, Square("normal", 0, 4)], "x.xml"), Throws.TypeOf<AnnotationException>()
            .With.Message.EqualTo("x.xml: tumour is marked by points or lines alone (1); draw its areas, or leave the "
                + "slide out"));
        Assert.That(Pixels(dot, Square("Tumor", 0, 4)), Is.EqualTo(16));
        Assert.That(Pixels(dot with { Group = "normal" }), Is.Zero);
    }

    [Test]
    public void Mask_AtAnyResolution_IsOfTheSamePlace()
    {
        TumourAreas areas = TumourAreas.Of([Square("Tumor", 16, 48)], "x");
        Assert.That(areas.Mask(8, 8, 8, 6, 6), Is.EqualTo(new byte[]
        {
            0, 0, 0, 0, 0, 0,
            0, 1, 1, 1, 1, 0,
            0, 1, 1, 1, 1, 0,
            0, 1, 1, 1, 1, 0,
            0, 1, 1, 1, 1, 0,
            0, 0, 0, 0, 0, 0,
        }));
    }
}
