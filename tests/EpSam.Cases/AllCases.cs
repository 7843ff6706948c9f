namespace EpSam.Cases;

/// <summary>Every case of every op.</summary>
public static class AllCases
{
    public static IEnumerable<OpCase> All { get; } =
    [
        .. ConvCases.All, .. BatchNormCases.All, .. PoolCases.All, .. AdlCases.All, .. BceCases.All,
        .. HighFrequencyCases.All, .. AdamCases.All, .. GradNormCases.All, .. NonFiniteCases.All,
        .. ElementwiseCases.All, .. ReduceCases.All, .. LayerNormCases.All, .. SoftmaxCases.All, .. GeluCases.All,
        .. GemmCases.All, .. RelPosCases.All, .. AttentionCases.All,
        .. BiasCases.All, .. WindowCases.All, .. UnfoldCases.All, .. SliceCases.All, .. MatMulCases.All,
        .. CrossAttentionCases.All, .. GatherCases.All, .. PointEncodingCases.All,
        .. UpscalingCases.All, .. MaskDecodeCases.All, .. MaskResizeCases.All, .. ImageCases.All,
        .. ColumnSumCases.All, .. MaskLossCases.All, .. CrossAttentionBackCases.All, .. CamCases.All,
    ];

    /// <summary>Every op whose reference of gradients is held against differences of its forward's.</summary>
    public static IEnumerable<GradientCase> Gradients { get; } =
    [
        .. LayerNormCases.Gradients, .. GeluCases.Gradients, .. BiasCases.Gradients, .. MatMulCases.Gradients,
        .. MaskLossCases.Gradients, .. CrossAttentionBackCases.Gradients, .. UpscalingCases.Gradients,
        .. MaskDecodeCases.Gradients, .. PoolCases.Gradients, .. AdlCases.Gradients, .. BceCases.Gradients,
    ];
}
