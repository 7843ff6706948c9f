// ResNet's bottleneck: 1x1, 3x3 with the stride, 1x1 to four times the channels, each with BatchNorm; the shortcut is
// the input, or in a stage's first block a convolution of it with BatchNorm (EP-SAM's resnet_adl.py).
using EpSam.Native.Nn;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Models.ResNet;

/// <summary>One block of a stage.</summary>
internal sealed class Bottleneck
{
    readonly string _name;
    readonly ConvLayer _conv1, _conv2, _conv3;
    readonly ChannelNorm _norm1, _norm2, _norm3;
    readonly ConvLayer? _shortcut;
    readonly ChannelNorm? _shortcutNorm;
    readonly Tensor[] _parameters;

    public Bottleneck(Parameters parameters, string name, long input, long width, int stride, bool isFirst)
    {
        _name = name;
        string prefix = name.Length == 0 ? "" : name + ".";
        _conv1 = new(parameters, $"{prefix}conv1", input, width, 1);
        _norm1 = new(parameters, $"{prefix}bn1", width);
        _conv2 = new(parameters, $"{prefix}conv2", width, width, 3, stride);
        _norm2 = new(parameters, $"{prefix}bn2", width);
        _conv3 = new(parameters, $"{prefix}conv3", width, 4 * width, 1);
        _norm3 = new(parameters, $"{prefix}bn3", 4 * width);
        if (isFirst)
        {
            _shortcut = new(parameters, $"{prefix}downsample.0", input, 4 * width, 1, stride);
            _shortcutNorm = new(parameters, $"{prefix}downsample.1", 4 * width);
        }
        ConvLayer?[] convolutions = [_conv1, _conv2, _conv3, _shortcut];
        ChannelNorm?[] norms = [_norm1, _norm2, _norm3, _shortcutNorm];
        _parameters =
        [
            .. convolutions.OfType<ConvLayer>().Select(c => c.Weight),
            .. norms.OfType<ChannelNorm>().SelectMany(n => (Tensor[])[n.Weight, n.Bias]),
        ];
    }

    /// <summary>The block's result; it takes x's place where nothing is recorded and sizes allow it.</summary>
    /// <param name="tape">With a scope open when it does not record.</param>
    /// <param name="x">(B, H, W, C).</param>
    /// <param name="training">Statistics are the batch's.</param>
    /// <param name="recompute">What is not kept for backward.</param>
    public Tensor Forward(Tape tape, Tensor x, bool training, Recompute recompute)
    {
        Tensor y = !tape.Recording && _shortcut is null
            ? x
            : tape.New(_name, x.DType, _conv3.OutputShape(_conv2.OutputShape(x.Shape)));
        if (tape.Recording && recompute == Recompute.Blocks)
        {
            tape.Segment(_name, y, () => Run(tape, x, training, false, y), [x, .. _parameters]);
            return y;
        }
        using ArenaScope scope = tape.Arena.Scope(_name);
        Run(tape, x, training, recompute == Recompute.Nothing, y);
        return y;
    }

    void Run(Tape tape, Tensor x, bool training, bool keep, Tensor y)
    {
        Tensor c = _conv1.Forward(tape, x);
        c = _conv2.Forward(tape, c, _norm1.Of(tape, c, training), keep);
        c = _conv3.Forward(tape, c, _norm2.Of(tape, c, training), keep);
        if (_shortcut is null)
        {
            Add(tape, c, _norm3.Of(tape, c, training), x, null, y);
            return;
        }
        Tensor s = _shortcut.Forward(tape, x);
        Add(tape, c, _norm3.Of(tape, c, training), s, _shortcutNorm!.Of(tape, s, training), y);
    }

    // y = max(norm(c) + shortcut, 0), the shortcut being s or its norm.
    static void Add(Tape tape, Tensor c, Normalization norm, Tensor s, Normalization? shortcut, Tensor y)
    {
        shortcut?.Forward(tape.Gpu, s, null, false, y);
        norm.Forward(tape.Gpu, c, shortcut is null ? s : y, true, y);
        tape.Push("add", y, () => Into(tape, s, ds => Into(tape, c, dc =>
        {
            norm.Backward(tape, c, y, true, tape.GradientOf(y), dc, ds);
            shortcut?.Backward(tape, s, null, false, ds, ds);
        })), shortcut is Normalization by
            ? [c, s, norm.By.Weight, norm.By.Bias, by.By.Weight, by.By.Bias]
            : [c, s, norm.By.Weight, norm.By.Bias]);
    }

    // Both gradients come from one kernel: one that nobody wants is written all the same.
    static void Into(Tape tape, Tensor x, Action<Tensor> write)
    {
        if (tape.Requires(x)) tape.Accumulate(x, write);
        else write(tape.Arena.Take("unwanted", x.DType, x.Shape));
    }
}
