// The report as a page: valid, self-contained, escaped, with the figures that the files have, at any time of a run.
using System.Globalization;
using System.Text.RegularExpressions;
using System.Xml;
using System.Xml.Linq;
using EpSam.Native.Pipeline;
using EpSam.Native.Tests.Imaging;
using EpSam.Native.Training;

namespace EpSam.Native.Tests.Pipeline;

public sealed class ReportTests
{
    string _root = "";

    [SetUp]
    public void MakeFolder()
    {
        VipsLibrary.RequireOrSkip();
        _root = Directory.CreateTempSubdirectory("epsam-test-").FullName;
    }

    [TearDown]
    public void RemoveFolder()
    {
        string? keep = Environment.GetEnvironmentVariable("EPSAM_KEEP_REPORT");   // a folder, to look at the pages
        string page = _root.Length == 0 ? "" : Path.Combine(_root, "run <1> & \"two\"", "report.html");
        if (keep is not null && File.Exists(page))
            File.Copy(page, Path.Combine(keep, TestContext.CurrentContext.Test.MethodName + ".html"), true);
        if (_root.Length > 0) Directory.Delete(_root, recursive: true);
    }

    static XDocument Parse(string path)
    {
        using XmlReader reader = XmlReader.Create(path, new XmlReaderSettings { DtdProcessing = DtdProcessing.Ignore });
        return XDocument.Load(reader);
    }

    static void IsSelfContained(string page)
    {
        string[] links = [.. Regex.Matches(page, "(?:src|href|action|data|poster|srcset)\\s*=\\s*[\"']([^\"']{0,40})")
            .Select(m => m.Groups[1].Value)];
        Assert.That(links, Is.All.StartsWith("data:image/"));
        string withoutData = Regex.Replace(page, "\"data:image/[^\"]*\"", "");
        withoutData = withoutData.Replace("http://www.w3.org/2000/svg", "");
        Assert.That(withoutData, Does.Not.Contain("http").And.Not.Contain("//"));
        Assert.That(withoutData, Does.Not.Contain("<script").And.Not.Contain("@import").And.Not.Contain("url("));
    }

    [Test]
    public void WholeRun_Page_HasTheFiguresOfTheFiles()
    {
        MadeUpRun run = new(_root);
        run.Configure();
        run.Masks();
        run.Metrics();
        run.Stages();
        run.Evaluate();
        Assert.That(run.Report(), Is.Empty);
        string text = File.ReadAllText(run.Folder.Report);
        XDocument page = Parse(run.Folder.Report);
        IsSelfContained(text);

        // the mean of the lines of evaluation.csv is in the table of masks
        string[] cells = [.. page.Descendants("td").Select(td => td.Value)];
        string[][] lines = [.. CsvText.Rows(File.ReadAllText(run.Folder.EvaluationCsv)).Skip(1)];
        foreach (IGrouping<string, string[]> kind in lines.GroupBy(l => l[3]))
        {
            double dice = kind.Average(l => double.Parse(l[4], CultureInfo.InvariantCulture));
            double pooled = (2 * kind.Sum(l => double.Parse(l[8])) + 0.001)
                / (kind.Sum(l => double.Parse(l[6])) + kind.Sum(l => double.Parse(l[7])) + 0.001);
            int row = Array.FindIndex(cells, c => c == EvaluationKind.Title(kind.Key)
                || c.StartsWith(EvaluationKind.Title(kind.Key) + " (", StringComparison.Ordinal));
            Assert.That(row, Is.GreaterThanOrEqualTo(0), kind.Key);
            Assert.That(cells[row + 1], Is.EqualTo("10"));
            Assert.That(cells[row + 2], Is.EqualTo(dice.ToString("F4", CultureInfo.InvariantCulture)), kind.Key);
            Assert.That(cells[row + 6], Is.EqualTo(pooled.ToString("F4", CultureInfo.InvariantCulture)), kind.Key);
        }

        // pseudo masks against the truth: as counted here
        XElement pseudo = page.Descendants("section").Single(e => e.Element("h2")!.Value.StartsWith("Pseudo masks"));
        foreach (int round in new[] { 0, 1, 2 })
        {
            double dice = run.Set.Of(Split.Train).Where(i => File.Exists(run.Folder.PseudoMask(round, i.Name)))
                .Average(i => Metrics.Dice(run.Files.ReadGrey(run.Folder.PseudoMask(round, i.Name)).Pixels,
                    run.Files.ReadGrey(i.MaskPath!).Pixels));
            string[] row = [.. pseudo.Descendants("tr").ElementAt(1 + round).Elements("td").Select(td => td.Value)];
            Assert.That(row[5], Is.EqualTo(dice.ToString("F4", CultureInfo.InvariantCulture)));
        }

        // every figure of metrics.csv is a dot
        string[] dots = [.. page.Descendants("circle").Select(c => c.Value)];
        foreach (string[] line in CsvText.Rows(File.ReadAllText(run.Folder.Metrics)).Skip(1))
        {
            string value = double.Parse(line[4], CultureInfo.InvariantCulture)
                .ToString("0.#####", CultureInfo.InvariantCulture);
            Assert.That(dots, Does.Contain($"{line[3].Replace('_', ' ')}, epoch {line[1]}: {value}"));
        }

        // pictures: two best, two median, two worst, four of training, each with its chain
        Assert.That(page.Descendants("div").Count(d => (string?)d.Attribute("class") == "sample"), Is.EqualTo(10));
        Assert.That(page.Descendants("img").Count(), Is.GreaterThan(60));
        Assert.That(page.Descendants("tr").Where(t => (string?)t.Attribute("class") == "set")
            .Select(t => t.Elements("td").First().Value), Is.EquivalentTo(new[]
        {
            "classifier.blocks", "classifier.width", "classifier.epochs", "classifier.size", "decoder.epochs",
            "decoder.points",
        }));
        Assert.That(page.Descendants("summary").Select(s => s.Value).Skip(1), Is.EqualTo(new[]
        {
            "Device memory over time: classifier", "Device memory over time: masks, round0, round1, round2, round3",
        }));
        Assert.That(page.Descendants("h1").Single().Value, Is.EqualTo("run <1> & \"two\""));
    }

    [Test]
    public void BeginningOfARun_Page_SaysWhatIsMissing()
    {
        MadeUpRun run = new(_root, 3);
        Assert.That(run.Report(), Is.Empty);
        string text = File.ReadAllText(run.Folder.Report);
        Parse(run.Folder.Report);
        IsSelfContained(text);
        Assert.That(text, Does.Contain("Not evaluated yet").And.Contain("No figures yet"));
        Assert.That(text, Does.Contain("No stage is done"));
    }

    [Test]
    public void MiddleOfARun_Page_ShowsWhatThereIs()
    {
        MadeUpRun run = new(_root, 3);
        run.Metrics();
        run.Masks();
        run.Report();
        string text = File.ReadAllText(run.Folder.Report);
        Parse(run.Folder.Report);
        Assert.That(text, Does.Contain("Not evaluated yet").And.Contain("pseudo mask, round 0").And.Contain("dropped"));
    }

    [Test]
    public void DamagedFiles_Page_IsMadeAndNamesThem()
    {
        MadeUpRun run = new(_root, 2);
        run.Masks();
        run.Metrics();
        File.AppendAllText(run.Folder.Metrics, "round0,x,<script>alert(1)</script>,loss\nround0,nine,1,loss,2\n");
        File.AppendAllText(run.Folder.Metrics, "round9,1,1,\"<script>alert('a')</script>\u0001\",0.5\n");
        File.WriteAllText(run.Folder.EvaluationJson, "{ \"parts\": ");
        RunFolder.Write(run.Folder.Stages, "{\"stages\":[{\"name\":\"masks\"},null,{}]}"u8);
        RunFolder.Write(run.Folder.Timeline("masks"), "<svg onload='alert(1)'></svg>"u8);
        RunFolder.Write(run.Folder.InitialMask(run.Set.Images[0].Name), "no picture"u8);
        string[] problems = [.. run.Report()];
        string text = File.ReadAllText(run.Folder.Report);
        Parse(run.Folder.Report);
        IsSelfContained(text);
        Assert.That(text, Does.Not.Contain("<script").And.Not.Contain("onload"));
        Assert.That(text, Does.Contain("&lt;script&gt;alert(&#39;a&#39;)"));
        string all = string.Join('\n', problems);
        Assert.That(all, Does.Contain("metrics.csv: 2 lines").And.Contain("evaluation.json").And.Contain("masks.svg")
            .And.Contain(run.Set.Images[0].Name));
        foreach (string problem in problems) Assert.That(Parse(run.Folder.Report).ToString(), Is.Not.Empty, problem);
    }

    [TestCase(0.0013, 0.002), TestCase(3.0, 5), TestCase(1.0, 1), TestCase(70, 100), TestCase(0.5, 0.5)]
    public void Ticks_Step_IsRound(double value, double expected) =>
        Assert.That(ReportChart.Nice(value), Is.EqualTo(expected).Within(1e-12));

    [Test]
    public void Charts_AwkwardValues_StayInside()
    {
        foreach (double[] ys in new double[][]
            { [], [1], [0, 0, 0], [double.NaN, 2], [1e-12, 2e-12], [1e9, -1e9], [double.PositiveInfinity, 1] })
        {
            string svg = ReportChart.Lines("t", "epoch", [new("a", [.. ys.Select((y, i) => ((double)i, y))])]).Text;
            XElement root = XElement.Parse(svg);
            Assert.That(svg, Does.Not.Contain("NaN").And.Not.Contain("Infinity").And.Not.Contain("∞"));
            foreach (XElement text in root.Elements("text"))
                Assert.That((double)text.Attribute("y")!, Is.InRange(0, 500));
            Assert.That(root.Elements("text").Count(), Is.LessThan(40));
        }
    }
}
