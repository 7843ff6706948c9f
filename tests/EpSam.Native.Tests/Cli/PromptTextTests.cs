using EpSam.Cli;

namespace EpSam.Native.Tests.Cli;

public sealed class PromptTextTests
{
    [Test]
    public void Points_WithAndWithoutLabels_AreRead()
    {
        Assert.That(PromptText.Points("10,20,1;30.5, 40 ,0; 5,6;"), Is.EqualTo(new PointPrompt[]
            { new(10, 20, 1), new(30.5, 40, 0), new(5, 6, 1) }));
        Assert.That(PromptText.Points("-3,1e2,0"), Is.EqualTo(new PointPrompt[] { new(-3, 100, 0) }));
    }

    [Test]
    public void Box_FourNumbers_IsRead() =>
        Assert.That(PromptText.Box("1, 2,30.25,40"), Is.EqualTo(new BoxPrompt(1, 2, 30.25, 40)));

    [TestCase("", "no point")]
    [TestCase(" ; ", "no point")]
    [TestCase("10", "'10'")]
    [TestCase("10,20,1,5", "'10,20,1,5'")]
    [TestCase("10,20,2", "label '2'")]
    [TestCase("10,20,-1", "label '-1'")]
    [TestCase("ten,20,1", "'ten'")]
    [TestCase("10,nan,1", "'nan'")]
    [TestCase("10,1e999,1", "'1e999'")]
    public void Points_Wrong_SayWhatIsExpectedAndFound(string text, string found)
    {
        UserError? error = Assert.Throws<UserError>(() => PromptText.Points(text));
        Assert.That(error!.Code, Is.EqualTo(2));
        Assert.That(error.Message, Does.StartWith($"--points \"{text}\": expected x,y,label;x,y,label in pixels")
            .And.EndWith($"found {found}"));
    }

    [TestCase("", "1 of them")]
    [TestCase("1,2,3", "3 of them")]
    [TestCase("1,2,3,4,5", "5 of them")]
    [TestCase("1,2,three,4", "'three'")]
    [TestCase("10,2,10,4", "a box without inside: x0 must be below x1, and y0 below y1")]
    [TestCase("1,9,10,4", "a box without inside: x0 must be below x1, and y0 below y1")]
    public void Box_Wrong_SaysWhatIsExpectedAndFound(string text, string found)
    {
        UserError? error = Assert.Throws<UserError>(() => PromptText.Box(text));
        Assert.That((error!.Code, error.Message),
            Is.EqualTo((2, $"--box {text}: expected x0,y0,x1,y1 in pixels, found {found}")));
    }
}
