// EP-SAM's activation maps from pixels to masks against the recorded numbers of the reference code (set s04), by
// the public class. Full width takes half a minute to minutes with the virtual GPU's checks, so that they are on only
// where it is asked for (Explicit); small networks always have them. How far each step may be off says meta.json:
// its tolerances for floats, one level of 255 where a float is that near to the next level, one level where an
// orientation differs, half a percent of a mask's pixels. What follows from a recorded map is exact: CamMaskTests.
using EpSam.Cases;
using EpSam.Imaging;
using EpSam.Native.Models.ResNet;
using EpSam.Native.Nn;
using EpSam.Native.Preprocess;
using EpSam.Native.Prompts;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Native.Tests.Models;

[Category("Slow")]
public sealed class CamGoldenTests
{
    const string Folder = "s04_epsam_cam/";
    const double FeatureTolerance = 5e-6; // of the largest: none is recorded here, s03 has 5e-6 to 9e-6 for layer4

    static readonly int[] Angles = [0, 180, 90, 270]; // in the order of PatchNetwork.Observe

    [TestCase("he0", "he0_512x512.png", 0, 0, 512, 512, false)]
    [TestCase("he1", "he1_512x512.png", 0, 0, 512, 512, false)]
    [TestCase("he2_h384_w512", "he2_h384_w512.png", 0, 0, 512, 384, false)]
    [TestCase("he1_h201_w173", "he1_512x512.png", 100, 60, 173, 201, false)]
    [TestCase("he0", "he0_512x512.png", 0, 0, 512, 512, true, Explicit = true)]
    [TestCase("he1", "he1_512x512.png", 0, 0, 512, 512, true, Explicit = true)]
    [TestCase("he2_h384_w512", "he2_h384_w512.png", 0, 0, 512, 384, true, Explicit = true)]
    [TestCase("he1_h201_w173", "he1_512x512.png", 100, 60, 173, 201, true, Explicit = true)]
    public void Cam_OfAnImage_IsTheReferences(
        string name, string file, int left, int top, int w, int h, bool isChecked)
    {
        Golden golden = Golden.Open(Folder + "cams.safetensors");
        byte[] image = Crop(file, left, top, w, h);
        float[] activations = [];
        List<(Shape Shape, float[] Values)> features = [];
        double shift = Golden.Json(Folder + "meta.json").GetProperty("fc_weight_shift").GetDouble();
        ActivationMap map = Run(image, h, w, isChecked, v => v + shift, (network, tensor) =>
        {
            network.Observe = a => activations = a;
            network.Model.Observe = (stage, x) =>
            {
                if (stage == "layer4.0") features.Add((x.Shape, tensor(x)));
            };
        });
        Assert.Multiple(() =>
        {
            CheckFeatures(golden, name, features);
            CheckMaps(golden, name, activations, map);
            CheckMasks(golden, name, map, h, w);
        });
    }

    [Test]
    public void Cam_AllWeightsNegative_IsEmpty()
    {
        Golden golden = Golden.Open(Folder + "cams.safetensors");
        ActivationMap map = Run(Crop("he1_512x512.png", 100, 60, 173, 201), 201, 173, false, v => -Math.Abs(v),
            null);
        Assert.That(map.IsEmpty);
        Assert.That(map.Logits, Is.All.LessThan(0.1f), "activations are negative; the bias is below 0.1");
        foreach ((string set, CamMaskRule rule) in
            new[] { ("camelyon16", CamMaskRule.Camelyon16), ("camelyon17", CamMaskRule.Camelyon17) })
        {
            Assert.That(map.Mask(rule), Is.EqualTo(golden.Read<byte>($"edge_all_negative_fc/{set}/mask")));
            Assert.That(map.Probabilities(),
                Is.EqualTo(golden.Read<float>($"edge_all_negative_fc/{set}/normalized_cam")));
        }
        Assert.That(map.Points(map.Mask(CamMaskRule.Camelyon17), 50, 1), Is.EqualTo(new[] { (0, 0) }));
    }

    static void CheckFeatures(Golden golden, string name, List<(Shape Shape, float[] Values)> features)
    {
        Assert.That(features.Sum(f => f.Shape[0]), Is.EqualTo(4), "orientations");
        string at = $"{name}/angle0/feature"; // of the others there is none
        float[] expected = golden.Read<float>($"{at}/val");
        int[] picked = golden.Read<int>($"{at}/idx");
        float[] upright = ClassifierRun.ChannelsFirst(features[0].Shape, features[0].Values);
        double off = picked.Select((p, i) => (double)Math.Abs(upright[p] - expected[i])).Max();
        double most = expected.Max(Math.Abs);
        TestContext.Out.WriteLine($"{at}: off by {off / most:G2} of the largest");
        Assert.That(off, Is.LessThanOrEqualTo(FeatureTolerance * most), at);
    }

    static void CheckMaps(Golden golden, string name, float[] activations, ActivationMap map)
    {
        int size = activations.Length / 4;
        bool[] mayDiffer = new bool[size];
        for (int turn = 0; turn < 4; turn++)
        {
            string at = $"{name}/angle{Angles[turn]}";
            float[] raw = activations[(turn * size)..((turn + 1) * size)];
            Assert.That(golden.Compare($"{at}/cam_raw", raw), Is.LessThanOrEqualTo(1), at);
            float least = raw.Min(v => Math.Max(v, 0)), most = raw.Max();
            float[] scaled = [.. raw.Select(v => (Math.Max(v, 0) - least) / (most - least))];
            Assert.That(golden.Compare($"{at}/cam_scaled", scaled), Is.LessThanOrEqualTo(1), at);
            byte[] levels = [.. scaled.Select(v => (byte)(255 * v))], expected = golden.Read<byte>($"{at}/cam_u8");
            bool[] differ = [.. levels.Select((v, i) => v != expected[i])];
            double tolerance = 255 * golden.Tolerance($"{at}/cam_scaled");
            float[] recorded = golden.Read<float>($"{at}/cam_scaled");
            for (int i = 0; i < size; i++)
            {
                double value = 255.0 * recorded[i];
                bool isNear = Math.Abs(value - Math.Round(value)) <= tolerance;
                Assert.That(Math.Abs(levels[i] - expected[i]), Is.LessThanOrEqualTo(isNear ? 1 : 0), $"{at} at {i}");
            }
            (int rows, int columns) = Angles[turn] % 180 == 0 ? (map.Height, map.Width) : (map.Width, map.Height);
            byte[] back = new byte[size];
            QuarterTurns.Rotate<byte>(expected, rows, columns, 1, -Angles[turn] / 90, back);
            Assert.That(back, Is.EqualTo(golden.Read<byte>($"{at}/cam_u8_rotated_back")));
            bool[] upright = new bool[size];
            QuarterTurns.Rotate<bool>(differ, rows, columns, 1, -Angles[turn] / 90, upright);
            for (int i = 0; i < size; i++) mayDiffer[i] |= upright[i];
        }
        CheckAverage(golden, name, activations, map, mayDiffer);
    }

    static void CheckAverage(Golden golden, string name, float[] activations, ActivationMap map, bool[] mayDiffer)
    {
        int size = map.Map.Length;
        byte[] average = golden.Read<byte>($"{name}/avg_u8"), onTheHost = new byte[size];
        for (int i = 0; i < size; i++)
        {
            int off = Math.Abs(map.Map[i] - average[i]);
            Assert.That(off, Is.LessThanOrEqualTo(mayDiffer[i] ? 1 : 0), $"{name} at {i}");
            Assert.That(average[i], Is.EqualTo((byte)golden.Read<double>($"{name}/avg_float64")[i]));
        }
        TestContext.Out.WriteLine($"{name}: {mayDiffer.Count(d => d)} of {size} positions may differ by one level");
        Assert.That(mayDiffer.Count(d => d), Is.LessThanOrEqualTo(size / 100 + 1), "few");
        float[] inOrder = [.. activations[..size], .. activations[(2 * size)..(3 * size)],
            .. activations[size..(2 * size)], .. activations[(3 * size)..]];
        CamMap.Average(inOrder, map.Height, map.Width, onTheHost);
        Assert.That(map.Map, Is.EqualTo(onTheHost), "the kernel's bits are the host's");
    }

    static void CheckMasks(Golden golden, string name, ActivationMap map, int h, int w)
    {
        foreach ((string set, CamMaskRule rule) in
            new[] { ("c16", CamMaskRule.Camelyon16), ("c17", CamMaskRule.Camelyon17) })
        {
            byte[] mask = map.Mask(rule), expected = golden.Read<byte>($"{name}/{set}/final");
            Assert.That(mask, Has.Length.EqualTo(h * w));
            int differing = mask.Where((v, i) => v != expected[i]).Count();
            TestContext.Out.WriteLine($"{name}/{set}: {differing} of {mask.Length} pixels differ");
            Assert.That(differing, Is.LessThanOrEqualTo(mask.Length / 200), set);
        }
        float[] normalized = map.Probabilities();
        string of = $"{name}/normalized_cam";
        double off = golden.Has(of)
            ? golden.Read<float>(of).Zip(normalized).Max(p => Math.Abs((double)p.First - p.Second))
            : golden.Read<int>(of + "/idx").Zip(golden.Read<float>(of + "/val"))
                .Max(p => Math.Abs((double)normalized[p.First] - p.Second));
        Assert.That(off, Is.LessThanOrEqualTo(2.0 / 64), "two levels of a map of 64 levels or more");
    }

    static ActivationMap Run(byte[] image, int h, int w, bool isChecked, Func<double, double> head,
        Action<PatchNetwork, Func<Tensor, float[]>>? observe)
    {
        KeyValuePair<string, Shape>[] shapes = [];
        Plan.Of(arena =>
        {
            Parameters parameters = new(arena, DType.F32);
            _ = new ResNetAdl(new(), parameters);
            shapes = [.. parameters.Stored];
        });
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions
        {
            Checks = isChecked ? CheckFlags.All : CheckFlags.None,
        });
        using Gpu gpu = new(card.Driver, card.Blas);
        using PatchClassifier classifier = PatchClassifier.Load(gpu,
            new WithHead(new FormulaParameters(shapes), head), new PatchClassifierOptions().For([(h, w)]));
        Assert.That(classifier.Config, Is.EqualTo(new ResNetAdlConfig()));
        observe?.Invoke(classifier.Network, tensor =>
        {
            byte[] bytes = new byte[tensor.Bytes];
            gpu.Download(tensor, bytes);
            return System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(bytes).ToArray();
        });
        long before = System.Diagnostics.Stopwatch.GetTimestamp();
        ActivationMap map = classifier.Cam(image, h, w);
        TestContext.Out.WriteLine($"{System.Diagnostics.Stopwatch.GetElapsedTime(before).TotalSeconds:F1} s, "
            + $"{Sizes.Text(classifier.MeasuredPeak)} of {Sizes.Text(classifier.Plan.Peak)}");
        if (h == w) Assert.That(classifier.MeasuredPeak, Is.EqualTo(classifier.Plan.Peak));
        return map;
    }

    static byte[] Crop(string file, int left, int top, int w, int h)
    {
        Raster picture = Golden.Picture(file);
        byte[] x = new byte[3 * h * w];
        for (int row = 0; row < h; row++)
            picture.Pixels.AsSpan(3 * ((top + row) * picture.Width + left), 3 * w).CopyTo(x.AsSpan(3 * row * w));
        return x;
    }

    // The goldens' head: without the shift hardly any activation is positive.
    sealed class WithHead(IParameterSource source, Func<double, double> change) : IParameterSource
    {
        public IEnumerable<string> Names => source.Names;

        public bool TryGetShape(string name, out Shape shape) => source.TryGetShape(name, out shape);

        public void Read(string name, Span<float> values)
        {
            source.Read(name, values);
            if (name != "fc.weight") return;
            foreach (ref float v in values) v = (float)change(v);
        }
    }
}
