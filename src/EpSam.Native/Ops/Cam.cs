// An image in four orientations, and the 8-bit map of their activations (EP-SAM's generate_cam_masks): kernels/cam.cu.
// What CamMap.Average does on the host, to the bit.
using EpSam.Native.Runtime;
using EpSam.Native.Tensors;

namespace EpSam.Native.Ops;

/// <summary>Class activation maps of images that are seen in four orientations.</summary>
public static class Cam
{
    const int Threads = 256;

    /// <summary>
    /// y = images (B, H, W, 3) u8 turned counter-clockwise by that many quarters, (B, W, H, 3) after an odd number. y
    /// must not be images. Does not synchronise.
    /// </summary>
    public static void Turn(Gpu gpu, Tensor images, int turns, Tensor y)
    {
        Expect.Rank("Cam", "images", images, "B, H, W, 3");
        (long b, long h, long w) = (images.Shape[0], images.Shape[1], images.Shape[2]);
        Expect.Shape("Cam", "images", images, DType.U8, b, h, w, 3);
        turns &= 3;
        (long rows, long columns) = turns % 2 == 0 ? (h, w) : (w, h);
        Expect.Shape("Cam", "turned images", y, DType.U8, b, rows, columns, 3);
        Launch.Run(gpu, "cam_fwd_u8_turn", new LaunchGrid((columns + Threads - 1) / Threads, rows, b), Threads,
            images, y, Expect.Int("Cam", "H", h), Expect.Int("Cam", "W", w), turns);
    }

    /// <summary>
    /// map (B, H, W) u8: the mean of what the four orientations show, each scaled to its own range. mean (B, H, W) f32:
    /// the mean of the activations themselves. Does not synchronise.
    /// </summary>
    /// <param name="gpu">Where.</param>
    /// <param name="upright">(2, B, H, W) f32: of the images as they are, then turned by 180 degrees.</param>
    /// <param name="sideways">(2, B, W, H) f32: turned by 90 degrees, then by 270.</param>
    /// <param name="ranges">Working space (4, B, 2) f32.</param>
    /// <param name="map">(B, H, W) u8.</param>
    /// <param name="mean">(B, H, W) f32.</param>
    public static void Average(Gpu gpu, Tensor upright, Tensor sideways, Tensor ranges, Tensor map, Tensor mean)
    {
        Expect.Rank("Cam", "upright", upright, "2, B, H, W");
        (long b, long h, long w) = (upright.Shape[1], upright.Shape[2], upright.Shape[3]);
        Expect.Shape("Cam", "upright", upright, DType.F32, 2, b, h, w);
        Expect.Shape("Cam", "sideways", sideways, DType.F32, 2, b, w, h);
        Expect.Shape("Cam", "ranges", ranges, DType.F32, 4, b, 2);
        Expect.Shape("Cam", "map", map, DType.U8, b, h, w);
        Expect.Shape("Cam", "mean", mean, DType.F32, b, h, w);
        int positions = Expect.Int("Cam", "positions of a map", h * w), images = Expect.Int("Cam", "B", b);
        Tensor half = ranges with { Shape = new(2, b, 2) };
        Launch.Run(gpu, "cam_fwd_f32_range", new LaunchGrid(2 * b), Threads, upright, half, positions);
        Tensor other = half with { Address = new(half.Address.Value + (ulong)half.Bytes) };
        Launch.Run(gpu, "cam_fwd_f32_range", new LaunchGrid(2 * b), Threads, sideways, other, positions);
        Launch.Run(gpu, "cam_fwd_f32_average", new LaunchGrid((positions + Threads - 1L) / Threads, b), Threads,
            upright, sideways, ranges, map, mean, (int)h, (int)w, images);
    }
}
