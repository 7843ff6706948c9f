// Files that PyTorch wrote: every tensor bit for bit, and the values beside them.
using System.Text.Json;
using EpSam.Native.Checkpoints;

namespace EpSam.Native.Tests.Checkpoints;

public sealed class GoldenTests
{
    const string S00 = "goldens/s00_formula_and_loaders/";

    [TestCase("edge_zip.pth", CheckpointFormat.TorchZip)]
    [TestCase("edge_legacy.pth", CheckpointFormat.TorchLegacy)]
    public void Edge_AllTensors_AreExact(string file, CheckpointFormat format)
    {
        using StateDict found = Checkpoint.Open(Shared.File(S00 + file));
        var expected = Shared.Expected(Shared.File(S00 + "edge_expected.safetensors"));
        Assert.That(found.Format, Is.EqualTo(format));
        Assert.That(found.Names, Is.EqualTo(expected.Select(e => e.Name)));
        found.Verify();
        foreach ((string name, string type, long[] sizes, byte[] bytes) in expected)
        {
            TensorEntry entry = found[name];
            Assert.That(entry.Sizes.ToArray(), Is.EqualTo(sizes), name);
            if (name == "bf16")
            {
                // The expected file has it as float32.
                Assert.That(entry.Type, Is.EqualTo(ElementType.BF16));
                Assert.That(entry.ToFloats(),
                    Is.EqualTo(System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(bytes).ToArray()));
                continue;
            }
            Assert.That(entry.Type.Name(), Is.EqualTo(type), name);
            Assert.That(entry.ToBytes(), Is.EqualTo(bytes), name);
        }
    }

    [TestCase("nested_zip.pth")]
    [TestCase("nested_legacy.pth")]
    public void Nested_TensorsAndValues_AreExact(string file)
    {
        using StateDict found = Checkpoint.Open(Shared.File(S00 + file));
        var expected = Shared.Expected(Shared.File(S00 + "nested_expected.safetensors"));
        Assert.That(found.Names, Is.EquivalentTo(expected.Select(e => e.Name.Replace('/', '.'))));
        foreach ((string name, string type, long[] sizes, byte[] bytes) in expected)
        {
            TensorEntry entry = found[name.Replace('/', '.')];
            Assert.That((entry.Type.Name(), entry.Sizes.ToArray()), Is.EqualTo((type, sizes)), name);
            Assert.That(entry.ToBytes(), Is.EqualTo(bytes), name);
        }
        // The values of meta.json, nested_scalars.
        var values = found.Metadata;
        Assert.That(values["epoch"], Is.EqualTo(3L));
        Assert.That(values["best_val_loss"], Is.EqualTo(0.625));
        Assert.That(values["note"], Is.EqualTo("nested"));
        Assert.That(values["flag"], Is.True);
        Assert.That(values["none"], Is.Null);
        Assert.That(values["tuple"], Is.EqualTo(new object[] { 1L, 2.5, "x" }));
        Assert.That(values["encoder_opt.param_groups.0.lr"], Is.EqualTo(0.0004));
        Assert.That(values["encoder_opt.param_groups.0.betas"], Is.EqualTo(new object[] { 0.9, 0.999 }));
        Assert.That(values["encoder_opt.param_groups.0.eps"], Is.EqualTo(1e-8));
        Assert.That(values["encoder_opt.param_groups.0.foreach"], Is.Null);
        Assert.That(values["encoder_opt.param_groups.0.capturable"], Is.False);
        Assert.That(values["encoder_opt.param_groups.0.params"], Is.EqualTo(new object[] { 0L, 1L, 2L, 3L, 4L, 5L }));
    }

    [Test]
    public void WholeModule_IsRefusedByName()
    {
        string path = Shared.File(S00 + "whole_module_should_be_rejected.pth");
        CheckpointException e = Assert.Throws<CheckpointException>(() => Checkpoint.Open(path))!;
        Assert.That(e.Error, Is.EqualTo(CheckpointError.PickleGlobal));
        Assert.That(e.Message, Does.Contain("torch.nn.modules.conv.Conv3d").And.Contain(path));
    }

    [Test]
    public void TinySam_ThreeFormats_AreTheSame()
    {
        const string s01 = "goldens/s01_sam_tiny/";
        using StateDict safe = Checkpoint.Open(Shared.File(s01 + "weights.safetensors"));
        using StateDict zip = Checkpoint.Open(Shared.File(s01 + "weights_zip.pth"));
        using StateDict legacy = Checkpoint.Open(Shared.File(s01 + "weights_legacy.pth"));
        var expected = Shared.Expected(Shared.File(s01 + "weights.safetensors"));
        zip.Verify();
        Assert.That(safe.Names, Is.EqualTo(expected.Select(e => e.Name)));
        Assert.That(zip.Names, Is.EquivalentTo(safe.Names));
        Assert.That(legacy.Names, Is.EquivalentTo(safe.Names));
        foreach ((string name, string type, long[] sizes, byte[] bytes) in expected)
        {
            foreach (StateDict dict in (StateDict[])[safe, zip, legacy])
            {
                Assert.That((dict[name].Type.Name(), dict[name].Sizes.ToArray()), Is.EqualTo((type, sizes)), name);
                Assert.That(dict[name].ToBytes().AsSpan().SequenceEqual(bytes), $"{dict.Format} {name}");
            }
        }
    }

    [Test]
    public void TrainingCheckpoints_OfTheReferenceCode_Load()
    {
        using StateDict decoder =
            Checkpoint.Open(Shared.File("goldens/s05_epsam_decoder_training/decoder_after_step8.pth"));
        Assert.That(decoder, Has.Count.GreaterThan(50));
        Assert.That(decoder.Names, Has.All.Contains("."));
        using StateDict nested = Checkpoint.Open(Shared.File("goldens/s06_sam3d/last.pth.tar"));
        Assert.That(nested.Names, Has.Some.StartsWith("encoder_dict."));
        Assert.That(nested.Metadata, Does.ContainKey("epoch"));
        Assert.That(nested.Under("encoder_dict."), Has.Count.GreaterThan(0));
        decoder.Verify();
        nested.Verify();
    }

    // Every golden safetensors file is one of the format; each is read and compared.
    [Test]
    public void SafetensorsFiles_All_AreExact()
    {
        string[] files = Shared.Files("goldens", ".safetensors");
        if (files.Length == 0) Assert.Ignore("the golden files are not here");
        foreach (string file in files)
        {
            using StateDict found = Checkpoint.Open(file);
            var expected = Shared.Expected(file);
            Assert.That(found.Names, Is.EqualTo(expected.Select(e => e.Name)), file);
            foreach ((string name, string type, long[] sizes, byte[] bytes) in expected)
            {
                Assert.That((found[name].Type.Name(), found[name].Sizes.ToArray()), Is.EqualTo((type, sizes)), name);
                Assert.That(found[name].ToBytes().AsSpan().SequenceEqual(bytes), $"{file} {name}");
            }
        }
    }

    [TestCase("lpips/v0.1/alex.pth")]
    [TestCase("lpips/v0.1/squeeze.pth")]
    [TestCase("lpips/v0.1/vgg.pth")]
    [TestCase("resnet_cifar10/resnet20-12fca82f.th")]
    [TestCase("resnet_cifar10/resnet32-d509ac18.th")]
    [TestCase("sam_vitb_lora/lora_rank2.safetensors")]
    [TestCase("sam_vitb_lora/lora_rank4.safetensors")]
    [TestCase("sam_vitb_lora/lora_rank8.safetensors")]
    public void RealFile_KeysShapesAndSums_AsRecorded(string file)
    {
        using StateDict found = Checkpoint.Open(Shared.File("data/weights/" + file));
        using JsonDocument golden =
            JsonDocument.Parse(File.ReadAllBytes(Shared.File("data/weights/weights_golden.json")));
        string key = golden.RootElement.EnumerateObject().Select(p => p.Name)
            .Single(n => file.EndsWith(n.Replace("e_weights/", ""), StringComparison.Ordinal));
        JsonElement tensors = golden.RootElement.GetProperty(key);
        if (tensors.TryGetProperty("tensors", out JsonElement inner)) tensors = inner;
        int compared = 0;
        foreach (JsonProperty tensor in tensors.EnumerateObject())
        {
            TensorEntry entry = found[tensor.Name];
            Assert.That(entry.Sizes.ToArray(),
                Is.EqualTo(tensor.Value.GetProperty("shape").EnumerateArray().Select(e => e.GetInt64())), tensor.Name);
            double sum = entry.ToFloats().Sum(v => (double)v);
            Assert.That(sum,
                Is.EqualTo(tensor.Value.GetProperty("sum").GetDouble()).Within(1e-6 * Math.Max(1, entry.Count)),
                tensor.Name);
            compared++;
        }
        Assert.That(compared, Is.EqualTo(found.Count).And.GreaterThan(0));
    }
}
