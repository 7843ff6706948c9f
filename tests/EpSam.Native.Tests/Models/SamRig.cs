// A small SAM on a virtual GPU with all checks on, its weights by formula: the model of s01, which runs in a second.
using EpSam.Cases;
using EpSam.Native.Models.Sam;
using EpSam.Native.Nn;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;

namespace EpSam.Native.Tests.Models;

internal sealed class SamRig : IDisposable
{
    public static SamConfig Tiny => TinyModel.Config;

    /// <summary>
    /// The same with a wider decoder: it has 8 heads, as the published models, so its shapes tell all.
    /// </summary>
    public static SamConfig Small { get; } = TinyModel.Config with { OutChannels = 256, DecoderHeads = 8 };

    public VirtualGpu.VirtualGpu Card { get; }
    public Gpu Gpu { get; }
    public SamModel Model { get; }
    public SamPredictor Predictor { get; }

    public SamRig(SamOptions? options = null, IParameterSource? source = null, CheckFlags checks = CheckFlags.All,
        SamConfig? config = null)
    {
        Card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions { Checks = checks });
        Gpu = new Gpu(Card.Driver, Card.Blas);
        try
        {
            Model = SamModel.Load(Gpu, source ?? Formula(Tiny), config ?? Tiny, options);
        }
        catch
        {
            Gpu.Dispose();
            throw;
        }
        Predictor = new SamPredictor(Model);
    }

    /// <summary>The goldens' formula for every parameter of a model.</summary>
    public static FormulaParameters Formula(SamConfig config)
    {
        KeyValuePair<string, Shape>[] shapes = [];
        Plan.Of(arena =>
        {
            Parameters parameters = new(arena, DType.F32);
            SamNetwork.Declare(config, parameters);
            shapes = [.. parameters.All.Select(p => KeyValuePair.Create(p.Key, p.Value.Shape))];
        });
        return new FormulaParameters(shapes);
    }

    /// <summary>Noise with structure: a picture by formula.</summary>
    public static byte[] Picture(int height, int width, string name = "a") =>
        FormulaParameters.Bytes($"input:picture/{name}", 3 * height * width);

    public void Dispose()
    {
        Model.Dispose();
        Gpu.Dispose();
        Assert.That(Card.LiveAllocations, Is.Zero, "allocations left");
    }
}
