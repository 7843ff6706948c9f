// ResNet's bottleneck made of ops (convolutions, BatchNorm with residual and ReLU), forward and backward, against the
// recorded numbers of the reference code (set s03, modules): training and evaluation, every gradient, running
// statistics.
using System.Runtime.InteropServices;
using EpSam.Cases;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu;

namespace EpSam.Native.Tests.Ops;

public sealed class BottleneckGoldenTests
{
    const float Eps = 1e-5f, Momentum = 0.1f;

    /// <summary>A convolution and the BatchNorm behind it.</summary>
    sealed class Unit
    {
        public required string Conv { get; init; }
        public required string Norm { get; init; }
        public required ConvSteps Steps { get; init; }
        public required Tensor X { get; init; }
        public required Tensor W { get; init; }
        public required BatchNorm.Affine Affine { get; init; }
        public required Tensor Product { get; init; } // the convolution's result, BatchNorm's x
        public required Tensor Y { get; init; }
        public bool Relu { get; init; }
        public bool Residual { get; init; }
    }

    readonly List<DeviceBuffer> _buffers = [];
    VirtualGpu.VirtualGpu _virtual = null!;
    Gpu _gpu = null!;
    Golden _golden = null!;
    string _case = "", _results = "";
    bool _training;

    [SetUp]
    public void Open()
    {
        _virtual = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions()); // all checks
        _gpu = new Gpu(_virtual.Driver, _virtual.Blas);
    }

    [TearDown]
    public void Close()
    {
        foreach (DeviceBuffer buffer in _buffers) buffer.Dispose();
        _buffers.Clear();
        _gpu.Dispose();
        Assert.That(_virtual.LiveAllocations, Is.Zero);
    }

    [Test]
    public void ForwardAndBackward_OfBottlenecks_AreTheReferences([Values] bool training,
        [Values("down_s2", "plain", "down_s1")] string name)
    {
        _golden = Golden.Open("s03_epsam_classifier/modules.safetensors");
        (_case, _results, _training) = (name, $"bottleneck/{name}/{(training ? "train" : "eval")}/", training);
        (int stride, Shape size) = name switch // B, H, W, C
        {
            "down_s2" => (2, new Shape(3, 11, 14, 16)), "plain" => (1, new Shape(2, 9, 9, 32)),
            _ => (1, new Shape(2, 8, 6, 24)),
        };
        Tensor x = Upload(Formula($"input:s03/bottleneck/{name}/x", size, 2), size);
        Unit first = Forward(x, "conv1", "bn1", 8, 1, 1, true, null);
        Unit second = Forward(first.Y, "conv2", "bn2", 8, 3, stride, true, null);
        Unit? shortcut = name == "plain" ? null
            : Forward(x, "downsample.0", "downsample.1", 32, 1, stride, false, null);
        Unit third = Forward(second.Y, "conv3", "bn3", 32, 1, 1, true, shortcut?.Y ?? x);
        Compare("y", third.Y);

        Tensor dy = Upload(Formula($"input:s03/bottleneck/{name}/lossw", third.Y.Shape, 1), third.Y.Shape);
        Tensor dResidual = New(third.Y.Shape);
        Tensor dx = Backward(first, Backward(second, Backward(third, dy, dResidual), null), null);
        Elementwise.Add(_gpu, dx, shortcut is null ? dResidual : Backward(shortcut, dResidual, null), dx);
        Compare("grad/x", dx);
    }

    Unit Forward(Tensor x, string conv, string norm, long n, int side, int stride, bool relu, Tensor? residual)
    {
        long c = x.Shape[3];
        ConvSteps steps = ConvSteps.In2D(stride, side / 2);
        float[] values = Parameter($"{conv}.weight", new Shape(n, c, side, side));
        Tensor w = Upload(Last(values, (int)n, (int)c, side * side), new Shape(n, side, side, c));
        Tensor product = New(new Shape(x.Shape[0], Conv.Length(x.Shape[1], side, stride, side / 2),
            Conv.Length(x.Shape[2], side, stride, side / 2), n));
        Conv.Forward(_gpu, x, w, null, steps, product);
        (Tensor mean, Tensor variance) = (Vector($"{norm}.running_mean", n), Vector($"{norm}.running_var", n));
        BatchNorm.Affine affine = new(_training ? New(new Shape(n)) : mean, New(new Shape(n)),
            Vector($"{norm}.weight", n), Vector($"{norm}.bias", n));
        if (_training)
        {
            BatchNorm.Statistics(_gpu, product, Eps, Momentum, New(BatchNorm.Parts(product)), affine.Mean, affine.Rstd,
                mean, variance);
            Compare($"buffers/{norm}.running_mean", mean);
            Compare($"buffers/{norm}.running_var", variance);
        }
        else BatchNorm.Rstd(_gpu, variance, Eps, affine.Rstd);
        Tensor y = New(product.Shape);
        BatchNorm.Forward(_gpu, product, affine, residual, relu, y);
        return new Unit
        {
            Conv = conv, Norm = norm, Steps = steps, X = x, W = w, Affine = affine, Product = product, Y = y,
            Relu = relu, Residual = residual is not null,
        };
    }

    // The gradient of the unit's x; those of its parameters are compared.
    Tensor Backward(Unit unit, Tensor dy, Tensor? dResidual)
    {
        long n = unit.Product.Shape[3];
        Tensor dProduct = New(dy.Shape), dx = New(unit.X.Shape), dw = New(unit.W.Shape);
        Tensor dWeight = Upload(new float[n], new Shape(n)), dBias = Upload(new float[n], new Shape(n));
        BatchNorm.Backward(_gpu, unit.Product, unit.Affine, unit.Residual ? unit.Y : null, unit.Relu, _training, dy,
            New(BatchNorm.Parts(unit.Product)), dProduct, dResidual, dWeight, dBias);
        Conv.BackwardWeight(_gpu, unit.X, dProduct, unit.Steps, New(Conv.WeightParts(unit.X, dProduct, dw, unit.Steps)),
            dw);
        Conv.BackwardData(_gpu, dProduct, unit.W, unit.Steps, dx);
        Compare($"grad/{unit.Norm}.weight", dWeight);
        Compare($"grad/{unit.Norm}.bias", dBias);
        Compare($"grad/{unit.Conv}.weight", dw);
        return dx;
    }

    float[] Parameter(string key, Shape shape)
    {
        float[] values = new float[shape.Count];
        new FormulaParameters([new(key, shape)], $"s03/bottleneck/{_case}/").Read(key, values);
        return values;
    }

    Tensor Vector(string key, long count) => Upload(Parameter(key, new Shape(count)), new Shape(count));

    // An input of the goldens (B, C, H, W) with channels last.
    static float[] Formula(string key, Shape last, double factor) =>
        Last(FormulaParameters.Floats(key, (int)last.Count, factor), (int)last[0], (int)last[3],
            (int)(last[1] * last[2]));

    static float[] Last(float[] values, int b, int c, int positions)
    {
        float[] last = new float[values.Length];
        for (int i = 0; i < last.Length; i++)
            last[i] = values[(i / c / positions * c + i % c) * positions + i / c % positions];
        Assert.That(last, Has.Length.EqualTo(b * c * positions));
        return last;
    }

    Tensor New(Shape shape)
    {
        DeviceBuffer buffer = new(_gpu, DType.F32, shape);
        _buffers.Add(buffer);
        return buffer.Tensor;
    }

    Tensor Upload(float[] values, Shape shape)
    {
        Tensor tensor = New(shape);
        _gpu.Upload(MemoryMarshal.AsBytes(values.AsSpan()), tensor);
        return tensor;
    }

    void Compare(string name, Tensor tensor)
    {
        float[] last = new float[tensor.Shape.Count];
        _gpu.Download(tensor, MemoryMarshal.AsBytes(last.AsSpan()));
        float[] values = last;
        if (tensor.Shape.Rank == 4) // channels to the second place, as the goldens have them
        {
            int c = (int)tensor.Shape[3], positions = (int)(tensor.Shape[1] * tensor.Shape[2]);
            values = new float[last.Length];
            for (int i = 0; i < last.Length; i++)
                values[(i / c / positions * c + i % c) * positions + i / c % positions] = last[i];
        }
        Assert.That(_golden.Compare(_results + name, values), Is.LessThanOrEqualTo(1), name);
    }
}
