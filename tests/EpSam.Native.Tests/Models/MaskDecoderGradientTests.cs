// The mask decoder on a recording tape against the gradients that the official code recorded: s01's, of a weighted sum
// of all masks and scores over three prompts, and those of the first of EP-SAM's training steps, from pixels to loss.
using System.Runtime.InteropServices;
using EpSam.Cases;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Ops;
using EpSam.Native.Preprocess;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu;
using Memory = EpSam.Native.Runtime.Arena;

namespace EpSam.Native.Tests.Models;

public sealed class MaskDecoderGradientTests
{
    const string Tiny = "s01_sam_tiny", Training = "s05_epsam_decoder_training";

    static float[] Read(Gpu gpu, Tensor tensor)
    {
        float[] values = new float[tensor.Shape.Count];
        gpu.Download(tensor, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    // The small model's prompt encoder and decoder with gradients for each of the decoder's parameters.
    sealed class Rig
    {
        readonly Memory _arena;

        public Rig(Memory arena, bool encoder = false, SamConfig? config = null, DType type = DType.F32)
        {
            (_arena, Parameters, config) = (arena, new Parameters(arena, type), config ?? TinyModel.Config);
            if (encoder) Encoder = new ImageEncoder(config, Parameters);
            PromptEncoder = new PromptEncoder(config, Parameters);
            Decoder = new MaskDecoder(config, Parameters);
            foreach ((string name, Tensor parameter) in Parameters.All)
                if (name.StartsWith("mask_decoder.") || name == "prompt_encoder.no_mask_embed.weight")
                    Gradients.Add(name, arena.Keep(name, DType.F32, parameter.Shape));
            Pe = arena.Keep("dense_pe", type, PromptEncoder.DensePeShape);
        }

        public Parameters Parameters { get; }
        public ImageEncoder? Encoder { get; }
        public PromptEncoder PromptEncoder { get; }
        public MaskDecoder Decoder { get; }
        public Tape Tape { get; private set; } = null!;
        public Tensor Pe { get; }
        public Dictionary<string, Tensor> Gradients { get; } = [];

        public Tensor Upload<T>(string name, DType type, Shape shape, T[] values) where T : unmanaged
        {
            Tensor tensor = _arena.Keep(name, type, shape);
            _arena.Gpu.Upload(MemoryMarshal.AsBytes(values.AsSpan()), tensor);
            return tensor;
        }

        public void Start()
        {
            Parameters.Load(new FormulaParameters(
                Parameters.All.Select(p => KeyValuePair.Create(p.Key, p.Value.Shape))));
            PromptEncoder.DensePe(_arena, Pe);
            foreach (Tensor gradient in Gradients.Values) Elementwise.Zero(_arena.Gpu, gradient);
        }

        // masks (P, M, 4H, 4W), iou (P, M), recorded; what is kept from here on ends with the tape's backward
        public (Tensor Masks, Tensor Iou) Forward(Tensor embeddings, Prompts prompts, int count)
        {
            Tape = new Tape(_arena, recording: true);
            foreach ((string name, Tensor parameter) in Parameters.All)
                if (Gradients.TryGetValue(name, out Tensor gradient)) Tape.Train(parameter, gradient);
            (long p, long n) = (prompts.Count, prompts.PointsEach);
            Tensor points = Upload("points", DType.F32, new Shape(p, n, 2), prompts.Points);
            Tensor labels = Upload("labels", DType.I32, new Shape(p, n), prompts.Labels);
            Tensor of = Upload("image_of", DType.I32, new Shape(p), prompts.ImageOf);
            Tensor sparse = _arena.Keep("sparse", DType.F32, PromptEncoder.SparseShape(p, n));
            Tensor dense = PromptEncoder.NoMask;
            PromptEncoder.Sparse(_arena, points, labels, sparse);
            if (prompts.Masks is float[] given)
            {
                Tensor mask = Upload("mask", DType.F32, PromptEncoder.MaskShape(p), given);
                dense = _arena.Keep("dense", Parameters.Type, PromptEncoder.DenseShape(p));
                PromptEncoder.Dense(_arena, mask, dense);
            }
            Tensor masks = _arena.Keep("masks", DType.F32, Decoder.MaskShape(p, count));
            Tensor iou = _arena.Keep("iou", DType.F32, new Shape(p, count));
            Decoder.Forward(Tape, embeddings, of, Pe, sparse, dense, masks, iou);
            return (masks, iou);
        }

        public Dictionary<string, float[]> Download() =>
            Gradients.ToDictionary(g => g.Key, g => Read(_arena.Gpu, g.Value));
    }

    // Planned, then run with all checks on; what is planned is what is used.
    static Dictionary<string, float[]> Run(Func<Memory, Dictionary<string, float[]>> work)
    {
        Plan plan = Plan.Of(arena => work(arena));
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions());
        using Gpu gpu = new(card.Driver, card.Blas);
        using Memory arena = new(gpu, plan);
        Dictionary<string, float[]> results = work(arena);
        Assert.That(arena.Peak, Is.EqualTo(plan.Peak));
        return results;
    }

    static void Compare(Golden golden, string prefix, Dictionary<string, float[]> gradients)
    {
        Assert.Multiple(() =>
        {
            foreach ((string name, float[] values) in gradients)
            {
                string recorded = $"{prefix}/{name}";
                if (!golden.Has(recorded)) Assert.That(values, Is.All.Zero, $"{name} has no gradient");
                else if (golden.Tolerance(recorded) == 0)
                    Assert.That(values, Is.All.Zero, $"{name}: the reference has exactly 0");
                else Assert.That(golden.Compare(recorded, values), Is.LessThanOrEqualTo(1), name);
            }
        });
    }

    [Test]
    public void Tiny_OfThreePrompts_AreWithinTheGoldensTolerance()
    {
        Golden inputs = Golden.Open($"{Tiny}/prompt_inputs.safetensors");
        Golden encoded = Golden.Open($"{Tiny}/encoder.safetensors");
        float[] embedding = EncoderRun.ChannelsLast(encoded.Read<float>("img0/embedding"), 64, 256);
        Dictionary<string, float[]> gradients = Run(arena => OfThreePrompts(arena, inputs, DType.F32, embedding));
        Compare(Golden.Open($"{Tiny}/gradients.safetensors"), "grad", gradients);
    }

    static Dictionary<string, float[]> OfThreePrompts<T>(Memory arena, Golden inputs, DType type, T[] embedding)
        where T : unmanaged
    {
        Rig rig = new(arena, type: type);
        rig.Start();
        Tensor embeddings = rig.Upload("embeddings", type, rig.PromptEncoder.DenseShape(1), embedding);
        foreach (string prompt in new[] { "points5_mixed_pad", "box_points", "mask_point" })
        {
            using ArenaScope step = arena.Step(prompt);
            (Tensor masks, Tensor iou) = rig.Forward(embeddings, Prompts.Of(inputs, prompt), 4);
            Tensor Weights(string name, Tensor of) => rig.Upload($"d_{name}", DType.F32, of.Shape,
                FormulaParameters.Floats($"input:s01/lossw/{prompt}/{name}", (int)of.Shape.Count));
            rig.Tape.Backward((masks, Weights("masks", masks)), (iou, Weights("iou", iou)));
        }
        return rig.Download();
    }

    [Test]
    public void EpSam_OfTheFirstTrainingStep_AreWithinTheGoldensTolerance()
    {
        Golden inputs = Golden.Open($"{Training}/inputs.safetensors");
        Golden golden = Golden.Open($"{Training}/training.safetensors");
        const int Height = 180, Width = 200, Batch = 2, Frame = 256;
        byte[] images = inputs.Read<byte>("images_u8");
        byte[] targets = inputs.Read<byte>("masks_u8")[..(Batch * Height * Width)];
        (int rows, int columns) = new ResizeLongestSide(Frame).Size(Height, Width);
        float[] frames = [.. Enumerable.Range(0, Batch).SelectMany(i =>
            Framed(images.AsSpan(i * Height * Width * 3, Height * Width * 3), Height, Width, rows, columns, Frame))];
        // in pixels of the patch, not of the frame, as EP-SAM's own code has them
        float[] points = [.. inputs.Read<long>("points_xy")[..(Batch * 20)].Select(v => (float)v)];
        List<float> xy = [];
        List<int> labels = [];
        for (int i = 0; i < Batch; i++)
        {
            xy.AddRange([.. points[(20 * i)..(20 * (i + 1))], 0, 0]);
            labels.AddRange([.. Enumerable.Repeat(1, 10), -1]);
        }
        Prompts prompts = new([.. xy], [.. labels], null, [0, 1]);
        MaskSizes sizes = new(64, 64, Frame, rows, columns, Height, Width);

        float[] low = [], losses = [];
        Dictionary<string, float[]> gradients = Run(arena =>
        {
            Rig rig = new(arena, encoder: true);
            Gpu gpu = arena.Gpu;
            rig.Start();
            Tensor pixels = rig.Upload("images", DType.F32, rig.Encoder!.InputShape(Batch), frames);
            Tensor embeddings = arena.Keep("embeddings", DType.F32, rig.PromptEncoder.DenseShape(Batch));
            rig.Encoder.Forward(arena, pixels, embeddings);
            (Tensor masks, _) = rig.Forward(embeddings, prompts, 1);
            Shape full = new(Batch, Height, Width);
            Tensor table = rig.Upload("table", DType.I32, MaskResize.TableShape(sizes), MaskResize.Table(sizes));
            Tensor adjoint =
                rig.Upload("adjoint", DType.I32, MaskResize.AdjointShape(sizes), MaskResize.AdjointTable(sizes));
            Tensor target = rig.Upload("target", DType.U8, full, targets);
            Tensor logits = arena.Keep("logits", DType.F32, full), d = arena.Keep("d_logits", DType.F32, full);
            Tensor parts = arena.Keep("parts", DType.F32, MaskLoss.PartsShape(logits));
            Tensor sums = arena.Keep("sums", DType.F32, new Shape(Batch, 5));
            Tensor y = arena.Keep("y", DType.F32, new Shape(Batch, 4)), flat = masks.Reshape(new Shape(Batch, 64, 64));
            Tensor dMasks = arena.Keep("d_masks", DType.F32, flat.Shape);
            MaskResize.Logits(gpu, flat, table, sizes, 0, logits);
            MaskLoss.Forward(gpu, logits, target, MaskLoss.Smooth, parts, sums, y);
            MaskLoss.Backward(gpu, logits, target, MaskLoss.Smooth, sums, 1f / Batch, 1f / Batch, d);
            MaskResize.Backward(gpu, d, adjoint, sizes, dMasks);
            (low, losses) = (Read(gpu, masks), Read(gpu, y));
            rig.Tape.Backward(masks, dMasks.Reshape(masks.Shape));
            Dictionary<string, float[]> results = rig.Download();
            results.Remove("prompt_encoder.no_mask_embed.weight"); // frozen there
            return results;
        });
        (float dice, float iou) = ((losses[0] + losses[4]) / Batch, (losses[1] + losses[5]) / Batch);
        Assert.That(golden.Compare("step0/low_res_masks", low), Is.LessThanOrEqualTo(1));
        float[] expected = [.. golden.Read<double>("step0/losses").Select(v => (float)v)];
        Assert.That(golden.Compare("step0/losses", expected, [dice, iou, dice + iou]), Is.LessThanOrEqualTo(1));
        Compare(golden, "grad_step1", gradients);
    }

    // In bf16 what is as large as the image is rounded, in backward as in forward, and some of the few ReLU gates of so
    // small a model turn: one of 32 is 18 % of a gradient. So what is asked here is that all point the same way.
    [Test]
    public void Tiny_InBF16_PointWhereTheGoldensDo()
    {
        Golden inputs = Golden.Open($"{Tiny}/prompt_inputs.safetensors");
        Golden encoded = Golden.Open($"{Tiny}/encoder.safetensors");
        Golden golden = Golden.Open($"{Tiny}/gradients.safetensors");
        ushort[] embedding = new ushort[64 * 256];
        Parameters.ToBF16(EncoderRun.ChannelsLast(encoded.Read<float>("img0/embedding"), 64, 256), embedding);
        Dictionary<string, float[]> gradients = Run(arena => OfThreePrompts(arena, inputs, DType.BF16, embedding));
        Assert.Multiple(() =>
        {
            foreach ((string name, float[] values) in gradients)
            {
                if (name.EndsWith("k_proj.bias")) continue; // 0 but for rounding: softmax does not see it
                double cosine = Cosine(golden.Read<float>($"grad/{name}"), values);
                TestContext.Out.WriteLine($"{cosine:F4} {name}");
                Assert.That(cosine, Is.GreaterThan(0.95), name);
            }
        });
    }

    static double Cosine(float[] a, float[] b)
    {
        double Dot(float[] x, float[] y) => x.Zip(y, (u, v) => (double)u * v).Sum();
        return Dot(a, b) / Math.Sqrt(Dot(a, a) * Dot(b, b));
    }

    // A step of EP-SAM's decoder training at SAM's size: four patches of 50 points, f32.
    [Test]
    public void EpSam_OfFourPatches_AreMadeInLessThanAGibibyte()
    {
        Plan plan = Plan.Of(arena =>
        {
            Rig rig = new(arena, config: SamConfig.VitB);
            rig.Start();
            Tensor embeddings = arena.Keep("embeddings", DType.F32, rig.PromptEncoder.DenseShape(4));
            Prompts prompts = new(new float[4 * 51 * 2], new int[4 * 51], null, [0, 1, 2, 3]);
            (Tensor masks, _) = rig.Forward(embeddings, prompts, 1);
            rig.Tape.Backward(masks, arena.Keep("d_masks", DType.F32, masks.Shape));
        });
        TestContext.Out.WriteLine($"peak {Sizes.Text(plan.Peak)}, of it {Sizes.Text(plan.AtPeak(ArenaUse.Activation))} "
            + $"kept, {Sizes.Text(plan.AtPeak(ArenaUse.Workspace))} workspace");
        Assert.That(plan.Peak, Is.LessThan(1L << 30));
    }

    static float[] Framed(ReadOnlySpan<byte> image, int height, int width, int rows, int columns, int frame)
    {
        byte[] resized = new byte[rows * columns * 3];
        Resample.PillowBilinear(image, height, width, 3, rows, columns, resized);
        float[] values = TinyModel.Normalised(resized), padded = new float[frame * frame * 3];
        for (int y = 0; y < rows; y++)
            values.AsSpan(y * columns * 3, columns * 3).CopyTo(padded.AsSpan(y * frame * 3));
        return padded;
    }
}
