namespace EpSam.Cases;

/// <summary>Every case of every op.</summary>
public static class AllCases
{
    public static IEnumerable<OpCase> All { get; } =
    [
        .. ConvCases.All,
        .. ElementwiseCases.All, .. ReduceCases.All, .. LayerNormCases.All, .. SoftmaxCases.All, .. GeluCases.All,
        .. GemmCases.All, .. RelPosCases.All, .. AttentionCases.All,
        .. BiasCases.All, .. WindowCases.All, .. UnfoldCases.All, .. SliceCases.All, .. MatMulCases.All,
        .. CrossAttentionCases.All, .. GatherCases.All, .. PointEncodingCases.All,
        .. UpscalingCases.All, .. MaskDecodeCases.All, .. MaskResizeCases.All, .. ImageCases.All,
    ];
}
