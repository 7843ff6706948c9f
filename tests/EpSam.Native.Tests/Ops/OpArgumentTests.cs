using EpSam.Cuda;
using EpSam.Native.Ops;
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Tests.Ops;

/// <summary>
/// Wrong shapes and types are refused before anything is launched. No execution is needed: the null provider.
/// </summary>
public sealed class OpArgumentTests
{
    Gpu _gpu = null!;

    [SetUp]
    public void Open() => _gpu = new Gpu(CuNull.Create().Driver);

    [TearDown]
    public void Close() => _gpu.Dispose();

    static Tensor F32(params long[] shape) => new(new CUdeviceptr(4096), DType.F32, new Shape(shape));
    static Tensor BF16(params long[] shape) => new(new CUdeviceptr(4096), DType.BF16, new Shape(shape));

    static void Refuses(Action call, string message) =>
        Assert.That(call, Throws.ArgumentException.With.Message.EqualTo(message));

    [Test]
    public void LayerNorm_WeightOfWrongLength_NamesOpTensorExpectedAndGot() => Refuses(
        () => LayerNorm.Forward(_gpu, F32(3, 8), F32(4), F32(8), 1e-6f, F32(3, 8), F32(3), F32(3)),
        "LayerNorm: weight must be (8) f32, got (4) f32");

    [Test]
    public void LayerNorm_ColumnsNotAMultipleOfFour_AreRefused() => Refuses(
        () => LayerNorm.Forward(_gpu, F32(3, 7), F32(7), F32(7), 1e-6f, F32(3, 7), F32(3), F32(3)),
        "LayerNorm: the last axis of x must be a multiple of 4, got 7");

    [Test]
    public void Gemm_DepthsThatDiffer_AreRefused() => Refuses(
        () => Gemm.Forward(_gpu, BF16(4, 16), BF16(8, 24), true, null, BF16(4, 8)),
        "Gemm: b must be (8, 16) bf16, got (8, 24) bf16");

    [Test]
    public void Gemm_DepthNotAMultipleOfEight_IsRefused() => Refuses(
        () => Gemm.Forward(_gpu, BF16(4, 12), BF16(8, 12), true, null, BF16(4, 8)),
        "Gemm: K must be a multiple of 8, got 12");

    [Test]
    public void Gelu_OtherTypeOut_IsRefused() => Refuses(
        () => Gelu.Forward(_gpu, F32(5), BF16(5)), "Gelu: y must be (5) f32, got (5) bf16");

    [Test]
    public void Softmax_OfIntegers_IsRefused() => Refuses(
        () => Softmax.Forward(_gpu, F32(5, 5) with { DType = DType.I32 }, F32(5, 5)),
        "Softmax: x must be f32 or bf16, got (5, 5) i32");

    [Test]
    public void Attention_OtherHeadSize_IsRefused() => Refuses(
        () => Attention.Forward(_gpu, BF16(1, 5, 3, 2, 40), 1, BF16(1, 5, 2, 40), F32(1, 2, 5)),
        "Attention: head size must be 16, 32, 64 or 80, got 40");

    [Test]
    public void Attention_TablesSwapped_AreRefused() => Refuses(
        () => Attention.Forward(_gpu, BF16(1, 2, 5, 3, 2, 64), BF16(1, 2, 10, 5), BF16(1, 2, 10, 2), 1,
            BF16(1, 2, 5, 2, 64), F32(1, 2, 10)),
        "Attention: relH must be (1, 2, 10, 2) bf16, got (1, 2, 10, 5) bf16");

    [Test]
    public void CrossAttention_KeysAndValuesThatDiffer_AreRefused() => Refuses(
        () => CrossAttention.Forward(_gpu, F32(2, 7, 8, 16), F32(2, 64, 8, 16), F32(2, 63, 8, 16), 1, F32(2, 7, 8, 16),
            F32(2, 8, 7)),
        "CrossAttention: v must be (2, 64, 8, 16) f32, got (2, 63, 8, 16) f32");

    [Test]
    public void CrossAttention_WideHeads_AreRefused() => Refuses(
        () => CrossAttention.Forward(_gpu, F32(1, 7, 8, 40), F32(1, 9, 8, 40), F32(1, 9, 8, 40), 1, F32(1, 7, 8, 40),
            F32(1, 8, 7)),
        "CrossAttention: K must be 1 to 32, got 40");

    [Test]
    public void Gather_IndexForOtherPrompts_IsRefused() => Refuses(
        () => Gather.Forward(_gpu, F32(2, 5, 8), F32(3) with { DType = DType.I32 }, null, null, F32(4, 5, 8)),
        "Gather: of must be (4) i32, got (3) i32");

    [Test]
    public void MaskDecode_OtherChannels_AreRefused() => Refuses(
        () => MaskDecode.Forward(
            _gpu, F32(1, 4, 4, 2, 2, 32), F32(32, 16, 2, 2), F32(16), F32(1, 3, 16), F32(1, 3, 16, 16)),
        "MaskDecode: channels (C, O) must be (64, 32) or (16, 8), got (32, 16)");

    [Test]
    public void Upscaling_ChannelsNotAPowerOfTwo_AreRefused() => Refuses(
        () => Upscaling.NormGelu(_gpu, F32(5, 24, 2, 2), F32(24), F32(24), F32(24), 1e-6f, F32(5, 2, 2, 24)),
        "Upscaling: the last axis of y must be a power of two from 8 to 256, got 24");

    [Test]
    public void MaskResize_CropBeyondTheFrame_IsRefused() => Assert.That(
        () => MaskResize.Table(new MaskSizes(64, 64, 256, 257, 200, 300, 200)),
        Throws.ArgumentException.With.Message.Contains("CropHeight = 257").And.Message.EndsWith("are impossible"));

    [Test]
    public void MaskResize_RowsBeyondTheImage_AreRefused()
    {
        MaskSizes sizes = new(64, 64, 256, 256, 200, 300, 200);
        Tensor table = F32(500, 12) with { DType = DType.I32 };
        Refuses(() => MaskResize.Logits(_gpu, F32(1, 64, 64), table, sizes, 290, F32(1, 11, 200)),
            "MaskResize: rows 290 to 300 are not all among 300");
    }

    [Test]
    public void Image_LargerThanTheFrame_IsRefused() => Refuses(
        () => Image.Patches(_gpu, F32(17, 16, 3) with { DType = DType.U8 }, [0, 0, 0], [1, 1, 1], F32(1, 1, 768)),
        "Image: an image of 1 x 1 to 16 x 16 fits, got 17 x 16");

    [Test]
    public void BatchNorm_StatisticsOfOneRow_AreRefused() => Refuses(
        () => BatchNorm.Statistics(_gpu, F32(1, 8), 1e-5f, 0.1f, F32(16), F32(8), F32(8)),
        "BatchNorm: statistics need two rows or more, got x (1, 8) f32");

    [Test]
    public void Pool_ImageSmallerThanTheWindow_IsRefused() => Refuses(
        () => Pool.Max(_gpu, F32(1, 2, 9, 4), new PoolSteps(5, 2, 1), F32(1, 1, 4, 4)),
        "Pool: x (1, 2, 9, 4) f32 is smaller than the windows of PoolSteps { Side = 5, Stride = 2, Padding = 1 }");

    [Test]
    public void BatchNorm_ResidualUnderReluWithoutItsResult_IsRefused() => Refuses(
        () => BatchNorm.Backward(_gpu, F32(9, 8), new(F32(8), F32(8), F32(8), F32(8)), null, true, true, F32(9, 8),
            F32(32), F32(9, 8), F32(9, 8)),
        "BatchNorm: y is needed for the sign of a result with a residual and ReLU");

    [Test]
    public void LayerNorm_GradientOfAnotherShape_IsRefused() => Refuses(
        () => LayerNorm.Backward(_gpu, F32(3, 8), F32(8), F32(3), F32(3), F32(4, 8), F32(3, 8)),
        "LayerNorm: dy must be (3, 8) f32, got (4, 8) f32");

    [Test]
    public void ColumnSum_WorkingSpaceOfAnotherSize_IsRefused() => Refuses(
        () => ColumnSum.AddTo(_gpu, F32(65, 8), F32(1, 8), F32(8)),
        "ColumnSum: parts must be (2, 8) f32, got (1, 8) f32");

    [Test]
    public void ColumnSum_ResultOfAnotherSize_IsRefused() => Refuses(
        () => ColumnSum.Few(_gpu, F32(3, 5, 8), F32(3, 8)), "ColumnSum: y must be x (3, 5, 8) f32 without its axis 0, "
            + "got (3, 8) f32");

    [Test]
    public void MaskLoss_TargetOfAnotherType_IsRefused() => Refuses(
        () => MaskLoss.Forward(_gpu, F32(2, 5, 5), F32(2, 5, 5), 1, F32(2, 1, 5), F32(2, 5), F32(2, 4)),
        "MaskLoss: target must be (2, 5, 5) u8, got (2, 5, 5) f32");

    [Test]
    public void CrossAttention_GradientsOfSharedTokens_AreRefused() => Refuses(
        () => CrossAttention.Backward(_gpu, F32(2, 7, 1, 16), F32(1, 9, 1, 16), F32(1, 9, 1, 16), 1, F32(2, 7, 1, 16),
            F32(2, 1, 7), F32(2, 7, 1, 16), F32(2, 1, 7), F32(2, 16, 1), F32(2, 7, 1, 16), F32(1, 9, 1, 16),
            F32(1, 9, 1, 16), kvOf: F32(2) with { DType = DType.I32 }),
        "CrossAttention: dk must be (2, 9, 1, 16) f32, got (1, 9, 1, 16) f32");

    [Test]
    public void MaskDecode_GradientsOfManyMasks_AreRefused() => Refuses(
        () => MaskDecode.Backward(_gpu, F32(1, 4, 4, 2, 2, 16), F32(16, 8, 2, 2), F32(8), F32(1, 5, 8),
            F32(1, 5, 16, 16), F32(64, 32), F32(1, 1, 6, 8), null, null, null, F32(1, 5, 8)),
        "MaskDecode: backward takes at most 4 masks, got 5");

    [Test]
    public void Conv_OutputOfAnotherSize_IsRefused() => Refuses(
        () => Conv.Forward(_gpu, F32(1, 8, 8, 4), F32(4, 3, 3, 4), null, ConvSteps.In2D(2, 1), F32(1, 8, 8, 4)),
        "Conv: y must be (1, 1, 4, 4, 4) f32, got (1, 1, 8, 8, 4) f32");

    [Test]
    public void Conv_ChannelsThatAreNoGroups_AreRefused() => Refuses(
        () => Conv.Forward(_gpu, F32(1, 8, 8, 6), F32(8, 1, 1, 2), null, ConvSteps.In2D(groups: 4), F32(1, 8, 8, 8)),
        "Conv: 6 and 8 channels cannot be 4 groups");

    [Test]
    public void Conv_KernelBeyondTheInput_IsRefused() => Refuses(
        () => Conv.Forward(_gpu, F32(1, 4, 4, 4), F32(4, 3, 3, 4), null, ConvSteps.In2D(dilation: 2), F32(1, 1, 1, 4)),
        "Conv: H of 4 with padding 0 is smaller than the kernel's 5");

    [Test]
    public void Adam_MomentsOfAnotherLength_AreRefused() => Refuses(
        () => Adam.Step(_gpu, F32(8), null, new AdamOptions(), 1, 1, F32(8), F32(8), F32(4), null),
        "Adam: v must be (8) f32, got (4) f32");

    [Test]
    public void GradNorm_LimitOfZero_IsRefused() => Refuses(
        () => GradNorm.Forward(_gpu, F32(8), 0, F32(1), F32(2)), "GradNorm: maxNorm must be above 0, got 0");

    [Test]
    public void NonFinite_SlotBeyondTheCounters_IsRefused() => Refuses(
        () => NonFinite.Count(_gpu, F32(8), F32(4) with { DType = DType.I32 }, 4),
        "NonFinite: slot must be one of counts (4) i32, got 4");

    [Test]
    public void Cam_SidewaysOfTheImagesOwnShape_IsRefused() => Refuses(
        () => Cam.Average(_gpu, F32(2, 1, 3, 4), F32(2, 1, 3, 4), F32(4, 1, 2), F32(1, 3, 4), F32(1, 3, 4)),
        "Cam: sideways must be (2, 1, 4, 3) f32, got (2, 1, 3, 4) f32");

    [Test]
    public void Cam_TurnedByAQuarterIntoTheSameShape_IsRefused() => Refuses(
        () => Cam.Turn(_gpu, F32(1, 3, 4, 3) with { DType = DType.U8 }, 1, F32(1, 3, 4, 3) with { DType = DType.U8 }),
        "Cam: turned images must be (1, 4, 3, 3) u8, got (1, 3, 4, 3) u8");

    [Test]
    public void Elementwise_MisalignedStart_IsRefused() => Refuses(
        () => Elementwise.Copy(_gpu, F32(8) with { Address = new CUdeviceptr(4100) }, F32(8)),
        "Copy: x must be aligned to 16 bytes, got address 0x1004");

    [Test]
    public void Launch_WrongArguments_AreRefused() => Assert.That(
        () => Launch.Run(_gpu, "softmax_fwd_f32", new LaunchGrid(1), 256, F32(1), F32(1), 5L, 5),
        Throws.ArgumentException.With.Message.StartsWith(
            "softmax_fwd_f32: parameters are 'llii', got arguments 'llli'"));

    [Test]
    public void Launch_UnknownKernel_IsRefused() => Assert.That(
        () => Launch.Run(_gpu, "nothing_fwd_f32", new LaunchGrid(1), 32),
        Throws.ArgumentException.With.Message.EqualTo("no kernel named nothing_fwd_f32"));

    [Test]
    public void Shape_ProductBeyond63Bits_IsRefused() =>
        Assert.That(() => new Shape(1L << 32, 1L << 32), Throws.ArgumentException);
}
