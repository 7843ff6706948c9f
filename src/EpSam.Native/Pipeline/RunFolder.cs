// Where a run keeps what. Files appear complete or not at all, so that every stage can be killed at any time and goes
// on from what is there.
using System.Text;
using EpSam.Native.Checkpoints;
using EpSam.Native.Runtime;

namespace EpSam.Native.Pipeline;

/// <summary>The folder of a run.</summary>
public sealed class RunFolder(string path)
{
    /// <summary>The folder.</summary>
    public string Root { get; } = Path.GetFullPath(path);

    /// <summary>The configuration, all values.</summary>
    public string Config => In("run.json");
    /// <summary>What the data set was resolved to.</summary>
    public string Data => In("data.csv");
    /// <summary>Which stages are done, with figures.</summary>
    public string Stages => In("stages.json");
    /// <summary>Every figure of every epoch.</summary>
    public string Metrics => In("metrics.csv");
    /// <summary>How a stage's device memory was used, a picture (SVG); see <see cref="KeepTimeline"/>.</summary>
    public string Timeline(string stage) => In("plans", stage + ".svg");
    /// <summary>The same for TensorBoard.</summary>
    public string Events => In("tensorboard", "events.out.tfevents.0.epsam");
    /// <summary>Held open while a process works in the folder; freed by the system however the process ends.</summary>
    public string Lock => In(".lock");
    /// <summary>The report.</summary>
    public string Report => In("report.html");
    /// <summary>The best classifier: EP-SAM's names.</summary>
    public string Classifier => In("classifier", "classifier.safetensors");
    /// <summary>What the classifier's training is resumed from.</summary>
    public string ClassifierState => In("classifier", "state.safetensors");
    /// <summary>Encoded images.</summary>
    public string Cache => In("cache");

    /// <summary>An image's activation map, 8-bit grey, a sixteenth of its sides.</summary>
    public string Cam(string image) => In("initial", image + ".cam.png");
    /// <summary>An image's initial mask, 0 and 255.</summary>
    public string InitialMask(string image) => In("initial", image + ".png");

    /// <summary>The best decoder of a round (0: the preliminary one), with the published names.</summary>
    public string Decoder(int round) => In($"round{round}", "decoder.safetensors");
    /// <summary>What a round is resumed from.</summary>
    public string DecoderState(int round) => In($"round{round}", "state.safetensors");
    /// <summary>A pseudo mask that a round has made and kept for the next, 0 and 255.</summary>
    public string PseudoMask(int round, string image) => In($"round{round}", "masks", image + ".png");
    /// <summary>Score of every pseudo mask of a round and whether it was kept: image,score,kept.</summary>
    public string PseudoMasks(int round) => In($"round{round}", "masks.csv");

    /// <summary>Results on a part of the data: masks of a kind ("cam", "round2") by image, 0 and 255.</summary>
    public string Prediction(Split split, string kind, string image) =>
        In("predictions", split.ToString().ToLowerInvariant(), kind, image + ".png");
    /// <summary>All results on validation and test images.</summary>
    public string Predictions => In("predictions");
    /// <summary>The classifier's scores of the labelled patches of a part of the data.</summary>
    public string Scores(Split split) => In("predictions", split.ToString().ToLowerInvariant(), "patches.csv");
    /// <summary>Figures by image, of all parts and kinds.</summary>
    public string EvaluationCsv => In("evaluation.csv");
    /// <summary>Their means, and those of the trivial masks.</summary>
    public string EvaluationJson => In("evaluation.json");

    /// <summary>Deletes a file, or a folder with all that is in it, if it is there.</summary>
    public static void Delete(string path)
    {
        if (Directory.Exists(path)) Directory.Delete(path, recursive: true);
        else if (File.Exists(path)) File.Delete(path);
    }

    /// <summary>Writes a file that appears complete or not at all; makes the folder it is in.</summary>
    public static void Write(string path, ReadOnlySpan<byte> bytes)
    {
        byte[] copy = bytes.ToArray();
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        AtomicFile.Write(path, stream => stream.Write(copy));
    }

    /// <summary>Keeps the picture of a stage's plan for the report: to be called once the stage has planned.</summary>
    public void KeepTimeline(string stage, Plan plan) =>
        Write(Timeline(stage), Encoding.UTF8.GetBytes(PlanTimeline.Svg(plan, stage)));

    string In(params string[] parts) => Path.Combine([Root, .. parts]);
}
