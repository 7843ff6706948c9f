// The tape on sums and multiples, whose gradients are plain to see: fan-out, sums that share a gradient, ops in place,
// parameters, segments; and that all memory comes back and a plan is kept to the byte.
using System.Runtime.InteropServices;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.VirtualGpu;
using Memory = EpSam.Native.Runtime.Arena;

namespace EpSam.Native.Tests.Tensors;

public sealed class TapeTests
{
    const int Count = 8;

    static Tensor Times(Tape tape, Tensor x, float factor)
    {
        Tensor y = tape.New("times", DType.F32, x.Shape);
        Elementwise.Scale(tape.Gpu, x, factor, 0, y);
        tape.Push("times", y, () =>
            tape.Accumulate(x, dx => Elementwise.Scale(tape.Gpu, tape.GradientOf(y), factor, 0, dx)), x);
        return y;
    }

    static Tensor Plus(Tape tape, Tensor a, Tensor b)
    {
        Tensor y = tape.New("plus", DType.F32, a.Shape);
        Elementwise.Add(tape.Gpu, a, b, y);
        tape.Push("plus", y, () =>
        {
            tape.Share(y, a);
            tape.Share(y, b);
        }, a, b);
        return y;
    }

    static Tensor AddBias(Tape tape, Tensor x, Tensor bias) // in place; its gradient is the sum of all it was added to
    {
        Elementwise.Add(tape.Gpu, x, bias, x);
        tape.Push("bias", x, () =>
        {
            if (tape.ParameterGradient(bias) is Tensor sum) Elementwise.Add(tape.Gpu, sum, tape.GradientOf(x), sum);
        }, x, bias);
        return x;
    }

    static void Fill(Gpu gpu, Tensor x, float value)
    {
        float[] values = new float[Count];
        values.AsSpan().Fill(value);
        gpu.Upload(MemoryMarshal.AsBytes(values.AsSpan()), x);
    }

    static float Read(Gpu gpu, Tensor x) // the one value that it is full of
    {
        float[] values = new float[Count];
        gpu.Download(x, MemoryMarshal.AsBytes(values.AsSpan()));
        Assert.That(values, Is.All.EqualTo(values[0]));
        return values[0];
    }

    /// <summary>Runs forward and backward twice; gives dx, the bias's gradient, and the plan.</summary>
    static (float Dx, float DBias, Plan Plan) Run(Func<Tape, Tensor, Tensor, Tensor> forward)
    {
        float dx = float.NaN, dBias = float.NaN;
        void Work(Memory arena)
        {
            Tensor x = arena.Keep("x", DType.F32, new Shape(Count)),
                one = arena.Keep("one", DType.F32, new Shape(Count));
            Tensor bias = arena.Keep("bias", DType.F32, new Shape(Count)),
                sum = arena.Keep("sum", DType.F32, new Shape(Count));
            Fill(arena.Gpu, x, 1);
            Fill(arena.Gpu, one, 1);
            Fill(arena.Gpu, bias, 3);
            Fill(arena.Gpu, sum, 0);
            long used = arena.Used;
            Tape tape = new(arena, recording: true);
            tape.Train(bias, sum);
            tape.Observe = (value, gradient) =>
            {
                if (value.Address == x.Address) dx = Read(arena.Gpu, gradient);
            };
            for (int pass = 0; pass < 2; pass++)
            {
                tape.Require(x);
                using (arena.Scope("step")) tape.Backward(forward(tape, x, bias), one);
                Assert.That(arena.Used, Is.EqualTo(used), "all given back");
            }
            dBias = Read(arena.Gpu, sum);
        }
        Plan plan = Plan.Of(Work);
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions());
        using (Gpu gpu = new(card.Driver, card.Blas))
        using (Memory arena = new(gpu, plan))
        {
            Work(arena);
            Assert.That(arena.Peak, Is.EqualTo(plan.Peak));
        }
        return (dx, dBias, plan);
    }

    [Test]
    public void Backward_OfAValueUsedTwice_AddsBothGradients()
    {
        (float dx, _, _) = Run((tape, x, _) => Plus(tape, Times(tape, x, 2), Times(tape, x, 5)));
        Assert.That(dx, Is.EqualTo(7));
    }

    [Test]
    public void Backward_OfASum_DoesNotMixUpTheGradientsItShares()
    {
        // u = 2x, v = u + x, w = v + v, z = 5w + v: dz/dv = 11, dz/dx = 33
        (float dx, _, _) = Run((tape, x, _) =>
        {
            Tensor v = Plus(tape, Times(tape, x, 2), x), w = Plus(tape, v, v);
            return Plus(tape, Times(tape, w, 5), v);
        });
        Assert.That(dx, Is.EqualTo(33));
    }

    [Test]
    public void Backward_OfAnOpInPlace_PassesTheGradientOnAndAddsUpTheParameters()
    {
        (float dx, float dBias, _) = Run((tape, x, bias) => Times(tape, AddBias(tape, Times(tape, x, 2), bias), 7));
        Assert.That((dx, dBias), Is.EqualTo((14f, 14f)), "dx of one pass, 7 for the bias in each of two");
    }

    [Test]
    public void Backward_PastAFrozenPart_StopsThere()
    {
        (float dx, float dBias, _) = Run((tape, x, bias) =>
        {
            Tensor frozen = tape.New("frozen", DType.F32, x.Shape);
            Elementwise.Scale(tape.Gpu, x, 4, 0, frozen); // not pushed
            return Times(tape, AddBias(tape, frozen, bias), 3);
        });
        Assert.That((dx, dBias), Is.EqualTo((float.NaN, 6f)));
    }

    [Test]
    public void Segment_GivesTheSameGradientsInLessMemory()
    {
        static Tensor Chain(Tape tape, Tensor x, Tensor bias, Tensor y)
        {
            Tensor z = x;
            for (int i = 0; i < 6; i++) z = AddBias(tape, Times(tape, z, 2), bias);
            Elementwise.Copy(tape.Gpu, z, y);
            tape.Push("copy", y, () => tape.Share(y, z), z);
            return y;
        }
        static Tensor Network(Tape tape, Tensor x, Tensor bias, bool segments)
        {
            for (int i = 0; i < 4; i++)
            {
                Tensor input = x, y = tape.New("y", DType.F32, x.Shape);
                if (segments) tape.Segment("chain", y, () => Chain(tape, input, bias, y), input, bias);
                else Chain(tape, input, bias, y);
                x = y;
            }
            return x;
        }
        (float dx, float dBias, Plan plan) = Run((tape, x, bias) => Network(tape, x, bias, false));
        (float dx2, float dBias2, Plan less) = Run((tape, x, bias) => Network(tape, x, bias, true));
        Assert.That(dx, Is.EqualTo(1 << 24));
        Assert.That(dBias, Is.EqualTo(2f * ((1 << 24) - 1)), "1 + 2 + 4 + … for each of two passes");
        Assert.That((dx2, dBias2), Is.EqualTo((dx, dBias)));
        Assert.That(less.Peak, Is.LessThan(plan.Peak - 10 * Memory.Alignment));
    }

    [Test]
    public void Segment_WhoseForwardFails_LeavesTheTapeRecording()
    {
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions());
        using Gpu gpu = new(card.Driver, card.Blas);
        using Memory arena = new(gpu, 9 << 20, false);
        Tensor x = arena.Keep("x", DType.F32, new Shape(Count)), y = arena.Keep("y", DType.F32, new Shape(Count));
        Fill(gpu, x, 1);
        Tape tape = new(arena, recording: true);
        tape.Require(x);
        Assert.That(() => tape.Segment("bad", y, () => throw new InvalidOperationException("seeded"), x),
            Throws.InvalidOperationException);
        Assert.That(tape.Recording);
        int runs = 0;
        tape.Segment("bad later", y, () =>
        {
            if (runs++ > 0) throw new InvalidOperationException("seeded");
        }, x);
        Assert.That(() => tape.Backward(y, x), Throws.InvalidOperationException);
        Assert.That(tape.Recomputing, Is.False);
    }

    [Test]
    public void Backward_OfAFailingOp_LeavesNothingLent()
    {
        VirtualGpu.VirtualGpu card = VirtualGpu.VirtualGpu.Create(new VirtualGpuOptions());
        using Gpu gpu = new(card.Driver, card.Blas);
        using Memory arena = new(gpu, 9 << 20, false);
        Tensor x = arena.Keep("x", DType.F32, new Shape(Count)), y = arena.Keep("y", DType.F32, new Shape(Count));
        Fill(gpu, x, 1);
        long used = arena.Used;
        Tape tape = new(arena, recording: true);
        tape.Require(x);
        using (arena.Scope("step"))
        {
            tape.Push("bad", y, () => throw new InvalidOperationException("seeded"), x);
            Assert.That(() => tape.Backward(y, x), Throws.InvalidOperationException.With.Message.EqualTo("seeded"));
        }
        Assert.That(arena.Used, Is.EqualTo(used));
    }
}
