namespace EpSam.VirtualGpu.Checks;

/// <summary>Shadow of shared memory: who wrote and read each byte last.</summary>
internal static class Races
{
    /// <summary>Bytes of BlockState.SharedShadow per byte of shared memory; the grid runner zeroes them.</summary>
    public const int BytesPerSharedByte = 16;
}
