// The README's program is a project of its own: the text is compared with it, and it is run as it stands, on a small
// model and a photograph.
using System.Reflection;
using EpSam.Cases;
using EpSam.Native.Checkpoints;
using EpSam.Native.Models.Sam;
using EpSam.Native.Tensors;
using EpSam.Native.Tests.Models;

namespace EpSam.Native.Tests.Readme;

[NonParallelizable] // takes over the console
public sealed class LibraryTests
{
    [Test]
    public void Readme_ShowsTheProgramThatIsRunHere()
    {
        string readme = File.ReadAllText(RepositoryRoot.File("README.md")).ReplaceLineEndings("\n");
        string file = RepositoryRoot.File("tests/EpSam.Example/Program.cs");
        string program = File.ReadAllText(file).ReplaceLineEndings("\n");
        Assert.That(readme, Does.Contain($"```csharp\n{program}```\n"));
        Assert.That(program.Split('\n').Count(l => l.Length > 0), Is.LessThanOrEqualTo(30), "a short program");
    }

    [Test]
    public void Program_OnASmallModel_FindsMasks()
    {
        string picture = Golden.Find("images/dog_h201_w173.png");
        Imaging.VipsLibrary.RequireOrSkip();
        string checkpoint = Path.Combine(TestContext.CurrentContext.WorkDirectory, "small.safetensors");
        FormulaParameters formula = SamRig.Formula(SamRig.Small);
        using (StateDict weights = new(formula.Names.Select(name =>
        {
            formula.TryGetShape(name, out Shape shape);
            float[] values = new float[shape.Count];
            formula.Read(name, values);
            // formula weights think little of their masks; the program filters as the reference does
            if (name.EndsWith("iou_prediction_head.layers.2.bias", StringComparison.Ordinal)) values.AsSpan().Fill(2);
            return new TensorEntry(name, [.. Enumerable.Range(0, shape.Rank).Select(i => shape[i])], values);
        })))
            weights.Save(checkpoint);

        TextWriter console = Console.Out;
        StringWriter output = new();
        try
        {
            Console.SetOut(output);
            Assembly.Load("EpSam.Example").EntryPoint!.Invoke(null, [new[] { checkpoint, picture }]);
        }
        finally
        {
            Console.SetOut(console);
            File.Delete(checkpoint);
        }
        TestContext.Out.WriteLine(output);
        Assert.That(output.ToString(), Does.Match(@"^\d+ pixels, predicted IoU -?\d+\.\d\d\n"));
    }
}
