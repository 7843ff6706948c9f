// Values that become infinite in the middle of a forward or a backward pass: the watch names the op and the step.
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;
using EpSam.Native.Training;

namespace EpSam.Native.Tests.Training;

public sealed class FiniteWatchTests
{
    [Test]
    public void Check_AfterBackward_NamesTheFirstOpAndTheStep() =>
        TinyTraining.Run(DType.F32, TinyTraining.Declare, n => n == "head", (arena, parameters) =>
        {
            Optimizer optimizer = new(arena, parameters, new AdamOptions());
            FiniteWatch watch = new(arena, 8);
            Tensor head = parameters.All.First(p => p.Key == "head").Value;
            Tape tape = new(arena, recording: true);
            optimizer.Register(tape);
            watch.Attach(tape);
            Backward(1, 1);
            Assert.That(() => watch.Check(1), Throws.Nothing);
            Backward(1, 2e38f);
            NonFiniteException? failure = Assert.Throws<NonFiniteException>(() => watch.Check(2));
            Assert.That(failure!.Message, Does.StartWith(
                "step 2: 7 values of the gradient of middle's result are NaN or infinite, and some of 1 more "));
            Backward(1, 1);
            Assert.That(() => watch.Check(3), Throws.Nothing, "begins anew");
            Backward(2e38f, 1);
            Assert.That(() => watch.Check(4),
                Throws.TypeOf<NonFiniteException>().With.Property("Where").EqualTo("result of last"));

            // dy of last is 3; in forward "last" is the second to multiply by factor, in backward "middle" by back
            void Backward(float factor, float back)
            {
                using ArenaScope scope = arena.Step("step");
                Tensor one = arena.Keep("one", DType.F32, head.Shape);
                TinyTraining.Upload(arena.Gpu, [.. Enumerable.Repeat(3f, (int)head.Shape.Count)], one);
                Tensor first = Times("first", head, 1, 1), middle = Times("middle", first, factor, back);
                tape.Backward(Times("last", middle, factor, back), one);
            }

            Tensor Times(string name, Tensor x, float factor, float back)
            {
                Tensor y = tape.New(name, DType.F32, x.Shape);
                Elementwise.Scale(arena.Gpu, x, factor, 0, y);
                tape.Push(name, y, () =>
                {
                    Tensor dy = tape.GradientOf(y);
                    if (tape.ParameterGradient(x) is Tensor sum) Elementwise.Add(arena.Gpu, sum, dy, sum);
                    else tape.Accumulate(x, dx => Elementwise.Scale(arena.Gpu, dy, back, 0, dx));
                }, x);
                return y;
            }
        });

    [Test]
    public void Check_OfMoreTensorsThanCounters_StillFindsTheLast() =>
        TinyTraining.Run(DType.BF16, TinyTraining.Declare, _ => true, (arena, parameters) =>
        {
            FiniteWatch watch = new(arena, 2);
            Tensor x = arena.Keep("x", DType.F32, new Shape(5)), y = arena.Keep("y", DType.F32, new Shape(5));
            TinyTraining.Upload(arena.Gpu, [1, 2, 3, 4, 5], x);
            TinyTraining.Upload(arena.Gpu, [1, float.NaN, 3, float.NegativeInfinity, 5], y);
            watch.Count("logits", x);
            watch.Count("loss", x);
            watch.Count("more", y);
            Assert.That(() => watch.Check(7),
                Throws.TypeOf<NonFiniteException>().With.Property("Where").EqualTo("loss"));
        });
}
