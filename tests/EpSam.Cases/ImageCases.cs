using EpSam.Native.Ops;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class ImageCases
{
    static readonly float[] Mean = [123.675f, 116.28f, 103.53f], Deviation = [58.395f, 57.12f, 57.375f]; // SAM's

    // one pixel; exactly a patch; padding on either side and on both, whole patches of it; SAM's frame
    static readonly (long Height, long Width, long H, long W)[] Sizes =
        [(1, 1, 1, 1), (16, 16, 1, 1), (16, 13, 1, 1), (30, 48, 2, 3), (41, 20, 4, 2), (17, 33, 3, 4)];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from type in new[] { DType.F32, DType.BF16 }
           from s in Sizes.Append((683, 1024, 64, 64)) select Case(s, type),
    ];

    static OpCase Case((long Height, long Width, long H, long W) s, DType type) => new()
    {
        Name = $"image patches {type.Name()} {s.Height}x{s.Width} in {s.H}x{s.W}",
        Inputs = [new("image", DType.U8, new(s.Height, s.Width, 3), Values.Integer(0, 255))],
        Outputs = [new("patches", type, new(s.H, s.W, 768))],
        Run = (gpu, x, y) => Image.Patches(gpu, x[0], Mean, Deviation, y[0]),
        Reference = x =>
        {
            double[] y = new double[s.H * s.W * 768];
            for (long i = 0; i < y.Length; i++)
            {
                long patch = i / 768, c = i % 768 / 256;
                long py = patch / s.W * 16 + i / 16 % 16, px = patch % s.W * 16 + i % 16;
                if (py >= s.Height || px >= s.Width) continue;
                float difference = (float)(x[0][(py * s.Width + px) * 3 + c] - Mean[c]);
                y[i] = Values.Round((float)((double)difference / Deviation[c]), type);
            }
            return [Tolerance.Exact(y)];
        },
        Flops = 2 * 768 * s.H * s.W, Bytes = 3 * s.Height * s.Width + type.Size() * 768 * s.H * s.W,
        Realistic = s.H == 64,
    };
}
