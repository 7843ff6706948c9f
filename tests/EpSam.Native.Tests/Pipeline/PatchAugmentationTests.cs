// What is drawn for a patch has the distributions that were asked for, and is done in torchvision's order: against
// pictures small enough to write the result down, and against recorded sequences through the same call.
using System.Text.Json;
using EpSam.Native.Pipeline;
using EpSam.Native.Training;

namespace EpSam.Native.Tests.Pipeline;

public sealed class PatchAugmentationTests
{
    static readonly PatchAugmentationConfig Nothing = new()
    {
        HorizontalFlip = 0, VerticalFlip = 0, Rotation = 0, Brightness = 0, Contrast = 0, Saturation = 0, Hue = 0,
        Grayscale = 0,
    };

    // grey levels, so that colours do not matter
    static byte[] Grey(params byte[] levels) => [.. levels.SelectMany(v => (byte[])[v, v, v])];

    static byte[] Apply(PatchChanges changes, int size, byte[] source)
    {
        byte[] before = [.. source], result = new byte[source.Length];
        PatchAugmentation.Apply(changes, size, size, source, result);
        Assert.That(source, Is.EqualTo(before), "the source stays as it is");
        return result;
    }

    static PatchChanges Changes(PatchAugmentationConfig config) => PatchAugmentation.Draw(config, new CounterRandom(1));

    [Test]
    public void Apply_OfNothing_IsTheSource() =>
        Assert.That(Apply(Changes(Nothing), 2, Grey(1, 2, 3, 4)), Is.EqualTo(Grey(1, 2, 3, 4)));

    [Test]
    public void Apply_OfFlipsAndTurns_GoesInThatOrder()
    {
        byte[] source = Grey(1, 2, 3, 4);
        PatchChanges none = Changes(Nothing);
        Assert.That(Apply(none with { Horizontal = true }, 2, source), Is.EqualTo(Grey(2, 1, 4, 3)));
        Assert.That(Apply(none with { Vertical = true }, 2, source), Is.EqualTo(Grey(3, 4, 1, 2)));
        Assert.That(Apply(none with { Turns = 1 }, 2, source), Is.EqualTo(Grey(2, 4, 1, 3)), "counter-clockwise");
        Assert.That(Apply(none with { Degrees = 90 }, 2, source), Is.EqualTo(Grey(2, 4, 1, 3)));
        Assert.That(Apply(none with { Horizontal = true, Turns = 1 }, 2, source), Is.EqualTo(Grey(1, 3, 2, 4)));
        Assert.That(Apply(none with { Horizontal = true, Vertical = true, Turns = 1, Degrees = 90 }, 2, source),
            Is.EqualTo(source));
    }

    [Test]
    public void Apply_OfColours_GoesInTheOrderDrawn()
    {
        // 100, 200 have the mean 150: brightness 1.5, then contrast 0: (150 + 255) / 2 rounded up; the other way 225
        byte[] source = Grey(100, 200, 200, 100);
        PatchChanges changes = Changes(Nothing) with
        {
            Colors = [(ColorChange.Brightness, 1.5), (ColorChange.Contrast, 0)],
        };
        Assert.That(Apply(changes, 2, source), Is.All.EqualTo(203));
        changes = changes with { Colors = [.. changes.Colors.Reverse()] };
        Assert.That(Apply(changes, 2, source), Is.All.EqualTo(225));
        Assert.That(Apply(Changes(Nothing) with { Grayscale = true }, 1, [255, 0, 0]), Is.All.EqualTo(76));
        Assert.That(Apply(Changes(Nothing) with { Colors = [(ColorChange.Hue, 1 / 3.0)] }, 1, [255, 0, 0]),
            Is.EqualTo(new byte[] { 0, 255, 0 }), "red becomes green");
    }

    [Test]
    public void Apply_OfARecordedSequence_IsTorchvisions()
    {
        Golden golden = Golden.Open("s04b_image_ops/pil_torchvision.safetensors");
        JsonElement info = Golden.Json("s04b_image_ops/meta.json").GetProperty("info");
        PatchChanges changes = Changes(Nothing) with
        {
            Colors = [.. info.GetProperty("jitter_sequence (order, factor)").EnumerateArray()
                .Select(s => (Enum.Parse<ColorChange>(s[0].GetString()!, true), s[1].GetDouble()))],
        };
        byte[] result = new byte[120 * 160 * 3];
        PatchAugmentation.Apply(changes, 120, 160, golden.Read<byte>("jitter/input_rgb"), result);
        Assert.That(result, Is.EqualTo(golden.Read<byte>("jitter_sequence")));
    }

    [Test]
    public void Draw_OfTheDefaults_HasTheirDistributions()
    {
        const int Count = 20_000;
        PatchAugmentationConfig config = new() { QuarterTurns = true };
        PatchChanges[] all = [.. Enumerable.Range(0, Count)
            .Select(i => PatchAugmentation.Draw(config, new CounterRandom(3).Child("item", (ulong)i)))];
        double Share(Func<PatchChanges, bool> has) => all.Count(has) / (double)Count;
        Assert.Multiple(() =>
        {
            Assert.That(Share(c => c.Horizontal), Is.EqualTo(0.5).Within(0.02));
            Assert.That(Share(c => c.Vertical), Is.EqualTo(0.5).Within(0.02));
            Assert.That(Share(c => c.Horizontal && c.Vertical), Is.EqualTo(0.25).Within(0.02));
            Assert.That(Share(c => c.Grayscale), Is.EqualTo(0.1).Within(0.012));
            for (int turns = 0; turns < 4; turns++)
                Assert.That(Share(c => c.Turns == turns), Is.EqualTo(0.25).Within(0.02));
            Even(c => c.Degrees!.Value, 0, 360);
            foreach (ColorChange what in Enum.GetValues<ColorChange>())
            {
                double middle = what == ColorChange.Hue ? 0 : 1;
                Even(c => c.Colors.Single(f => f.What == what).Factor, middle - 0.2, middle + 0.2);
                Assert.That(Share(c => c.Colors[0].What == what), Is.EqualTo(0.25).Within(0.02));
                Assert.That(Share(c => c.Colors[3].What == what), Is.EqualTo(0.25).Within(0.02));
            }
        });
        void Even(Func<PatchChanges, double> value, double from, double to)
        {
            Assert.That(all.Min(value), Is.InRange(from, from + 0.01 * (to - from)));
            Assert.That(all.Max(value), Is.InRange(to - 0.01 * (to - from), to));
            Assert.That(all.Average(value), Is.EqualTo((from + to) / 2).Within(0.012 * (to - from)), "5 deviations");
        }
    }

    [Test]
    public void Draw_WithAChangeSwitchedOff_LeavesTheOthers()
    {
        PatchAugmentationConfig config = new();
        PatchChanges all = Changes(config), fewer = Changes(config with { Contrast = 0, Rotation = 0 });
        Assert.That(fewer.Colors, Is.EqualTo(all.Colors.Where(c => c.What != ColorChange.Contrast)));
        Assert.That((fewer.Horizontal, fewer.Vertical, fewer.Grayscale, fewer.Degrees),
            Is.EqualTo((all.Horizontal, all.Vertical, all.Grayscale, (double?)null)));
        for (ulong key = 0; key < 100; key++)
        {
            PatchChanges wild = PatchAugmentation.Draw(config with { Brightness = 3 }, new CounterRandom(key));
            Assert.That(wild.Colors.Where(c => c.What != ColorChange.Hue).Select(c => c.Factor), Is.All.Not.Negative);
        }
    }
}
