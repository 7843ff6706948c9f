// Masks to the image's resolution. The reference resizes twice, with the whole frame in between, by
// Preprocess/Resample, which is tested against torch.
using EpSam.Native.Ops;
using EpSam.Native.Preprocess;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class MaskResizeCases
{
    const float ThresholdAt = 0.1f, Inner = 0.6f, Outer = -0.4f;

    // the smallest; sizes that stay; larger and smaller images than the frame; one row, one column; past a block's 128
    // columns and 32 rows; parts of the rows
    static readonly (int N, MaskSizes Sizes, int First, int Rows)[] Small =
    [
        (1, new(1, 1, 1, 1, 1, 1, 1), 0, 1), (2, new(4, 4, 16, 16, 16, 16, 16), 0, 16),
        (1, new(16, 16, 64, 64, 43, 201, 135), 0, 201), (3, new(16, 16, 64, 30, 64, 15, 32), 0, 15),
        (1, new(8, 8, 32, 1, 32, 1, 300), 0, 1), (1, new(8, 8, 32, 32, 1, 300, 1), 0, 300),
        (2, new(64, 64, 256, 256, 220, 201, 173), 0, 201), (2, new(16, 16, 64, 50, 64, 100, 129), 33, 40),
    ];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. from s in Small from mask in new[] { false, true } select Case(s, mask),
        .. from s in Small where s.Rows == s.Sizes.Height select Backward(s.N, s.Sizes),
        Backward(4, new(256, 256, 1024, 1024, 1024, 512, 512)),
        Case((3, new(256, 256, 1024, 683, 1024, 1200, 1800), 0, 1200), false, true),
        Case((3, new(256, 256, 1024, 683, 1024, 1200, 1800), 0, 1200), true, true),
        Case((3, new(256, 256, 1024, 683, 1024, 427, 640), 0, 427), true, true),
    ];

    static OpCase Case((int N, MaskSizes Sizes, int First, int Rows) s, bool mask, bool realistic = false)
    {
        (MaskSizes z, long pixels) = (s.Sizes, (long)s.N * s.Rows * s.Sizes.Width);
        CaseTensor y = new("y", mask ? DType.U8 : DType.F32, new(s.N, s.Rows, z.Width));
        CaseTensor table = new("table", DType.I32, MaskResize.TableShape(z));
        return new OpCase
        {
            Name = $"mask_resize {(mask ? "u8" : "f32")} {s.N}x{z.LowHeight}x{z.LowWidth} frame {z.Frame} crop "
                + $"{z.CropHeight}x{z.CropWidth} to {z.Height}x{z.Width} rows {s.Rows} from {s.First}",
            Inputs = [new("x", DType.F32, new(s.N, z.LowHeight, z.LowWidth), Values.Normal())],
            Outputs = mask ? [y, new("counts", DType.I32, new(s.N, 2))] : [y],
            Scratch = mask ? [table, new("parts", DType.I32, MaskResize.PartsShape(s.N, s.Rows, z.Width))] : [table],
            Run = (gpu, x, y) =>
            {
                Tensor places = y[mask ? 2 : 1];
                gpu.Upload(MaskResize.Table(z), places);
                if (!mask) MaskResize.Logits(gpu, x[0], places, z, s.First, y[0]);
                else
                    MaskResize.Threshold(
                        gpu, x[0], places, z, s.First, ThresholdAt, Inner, Outer, y[3], y[0], y[1]);
            },
            Reference = x => Reference(x[0], s, mask),
            Flops = 20 * pixels, Bytes = 4L * s.N * z.LowHeight * z.LowWidth + pixels * y.DType.Size(),
            Realistic = realistic,
        };
    }

    static OpCase Backward(int n, MaskSizes z) => new()
    {
        Name = $"mask_resize bwd {n}x{z.LowHeight}x{z.LowWidth} frame {z.Frame} crop {z.CropHeight}x{z.CropWidth} to "
            + $"{z.Height}x{z.Width}",
        Inputs = [new("dy", DType.F32, new(n, z.Height, z.Width), Values.Normal())],
        Outputs = [new("dx", DType.F32, new(n, z.LowHeight, z.LowWidth))],
        Scratch = [new("adjoint", DType.I32, MaskResize.AdjointShape(z))],
        Run = (gpu, x, y) =>
        {
            gpu.Upload(MaskResize.AdjointTable(z), y[1]);
            MaskResize.Backward(gpu, x[0], y[1], z, y[0]);
        },
        Reference = x => [BackwardReference(x[0], n, z)],
        Flops = 8L * n * z.Height * z.Width, Bytes = 4L * n * (z.Height * z.Width + z.LowHeight * z.LowWidth),
        Realistic = n * z.Height * z.Width > 1_000_000,
    };

    // Both resizes are along rows, then along columns: the matrix of one axis is what they make of unit vectors.
    static float[][] Matrix(int low, int frame, int crop, int size) =>
    [
        .. Enumerable.Range(0, low).Select(i =>
        {
            float[] unit = new float[low], inFrame = new float[frame], pixels = new float[size];
            unit[i] = 1;
            Resample.TorchBilinear(unit, low, 1, 1, frame, 1, inFrame);
            Resample.TorchBilinear(inFrame[..crop], crop, 1, 1, size, 1, pixels);
            return pixels;
        }),
    ];

    static Expected BackwardReference(double[] dy, int n, MaskSizes z)
    {
        float[][] rows = Matrix(z.LowHeight, z.Frame, z.CropHeight, z.Height);
        float[][] columns = Matrix(z.LowWidth, z.Frame, z.CropWidth, z.Width);
        Sums dx = new((long)n * z.LowHeight * z.LowWidth);
        long most = 4;
        for (int at = 0; at < dx.Values.Length; at++)
        {
            (int j, int i, int b) = (at % z.LowWidth, at / z.LowWidth % z.LowHeight, at / z.LowWidth / z.LowHeight);
            long terms = 0;
            for (int y = 0; y < z.Height; y++)
            {
                if (rows[i][y] == 0) continue;
                for (int x = 0; x < z.Width; x++)
                {
                    if (columns[j][x] == 0) continue;
                    dx.Add(at, dy[(b * z.Height + y) * z.Width + x] * rows[i][y] * columns[j][x]);
                    terms++;
                }
            }
            most = Math.Max(most, terms);
        }
        return dx.Within(most, DType.F32);
    }

    static Expected[] Reference(double[] x, (int N, MaskSizes Sizes, int First, int Rows) s, bool mask)
    {
        MaskSizes z = s.Sizes;
        int each = s.Rows * z.Width;
        double[] y = new double[s.N * each], counts = new double[2 * s.N];
        for (int n = 0; n < s.N; n++)
        {
            int size = z.LowHeight * z.LowWidth;
            float[] low = [.. x[(n * size)..((n + 1) * size)].Select(v => (float)v)];
            float[] frame = new float[z.Frame * z.Frame], crop = new float[z.CropHeight * z.CropWidth];
            float[] logits = new float[z.Height * z.Width];
            Resample.TorchBilinear(low, z.LowHeight, z.LowWidth, 1, z.Frame, z.Frame, frame);
            for (int i = 0; i < crop.Length; i++) crop[i] = frame[i / z.CropWidth * z.Frame + i % z.CropWidth];
            Resample.TorchBilinear(crop, z.CropHeight, z.CropWidth, 1, z.Height, z.Width, logits);
            for (int i = 0; i < each; i++)
            {
                float logit = logits[s.First * z.Width + i];
                y[n * each + i] = mask ? logit > ThresholdAt ? 1 : 0 : logit;
                if (logit > Inner) counts[2 * n]++;
                if (logit > Outer) counts[2 * n + 1]++;
            }
        }
        return mask ? [Tolerance.Exact(y), Tolerance.Exact(counts)] : [Tolerance.Exact(y)];
    }
}
