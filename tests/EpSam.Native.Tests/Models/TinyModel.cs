using EpSam.Cases;
using EpSam.Native.Models.Sam;

namespace EpSam.Native.Tests.Models;

/// <summary>The small model of s01 and its images.</summary>
internal static class TinyModel
{
    static readonly float[] Mean = [123.675f, 116.28f, 103.53f], Deviation = [58.395f, 57.12f, 57.375f];

    public static SamConfig Config { get; } = new()
    {
        ImageSize = 256, EmbedDim = 96, Depth = 4, Heads = 3, MlpDim = 384, WindowSize = 7, GlobalBlocks = [1, 3],
        OutChannels = 64, DecoderMlpDim = 128, DecoderHeads = 4, IouHeadHiddenDim = 64,
    };

    /// <summary>A photograph that the goldens hold preprocessed, and bytes by formula.</summary>
    public static float[] Images()
    {
        const int Pixels = 256 * 256;
        Golden golden = Golden.Open("s01_sam_tiny/encoder.safetensors");
        float[] first = EncoderRun.ChannelsLast(golden.Read<float>("img0/preprocessed"), 3, Pixels);
        return [.. first, .. Normalised(FormulaParameters.Bytes("input:s01/img1_u8", 3 * Pixels))];
    }

    /// <summary>As SAM normalises red, green, blue.</summary>
    public static float[] Normalised(byte[] pixels) =>
        [.. pixels.Select((b, i) => (b - Mean[i % 3]) / Deviation[i % 3])];
}
