using EpSam.Native.Models.Sam;

namespace EpSam.Native.Tests.Models;

/// <summary>The small model of s01.</summary>
internal static class TinyModel
{
    public static SamConfig Config { get; } = new()
    {
        ImageSize = 256, EmbedDim = 96, Depth = 4, Heads = 3, MlpDim = 384, WindowSize = 7, GlobalBlocks = [1, 3], OutChannels = 64,
        DecoderMlpDim = 128, DecoderHeads = 4, IouHeadHiddenDim = 64,
    };
}
