namespace EpSam.Native.Preprocess;

/// <summary>x' = XX x + XY y + X0, y' = YX x + YY y + Y0: OpenCV's 2 x 3 matrix, row by row.</summary>
public readonly record struct AffineMatrix(double XX, double XY, double X0, double YX, double YY, double Y0)
{
    /// <summary>
    /// The matrix of albumentations' ShiftScaleRotate: about the middle of the image, then moved by shares of its size.
    /// </summary>
    /// <param name="height">Rows of the image.</param>
    /// <param name="width">Columns of the image.</param>
    /// <param name="degrees">Counter-clockwise.</param>
    /// <param name="scale">1 keeps the size.</param>
    /// <param name="shiftX">To the right, as a share of the width.</param>
    /// <param name="shiftY">Down, as a share of the height.</param>
    public static AffineMatrix ShiftScaleRotate(int height, int width, double degrees, double scale, double shiftX,
        double shiftY)
    {
        double angle = degrees * (Math.PI / 180), a = Math.Cos(angle) * scale, b = Math.Sin(angle) * scale;
        double x = (float)(width / 2.0 - 0.5), y = (float)(height / 2.0 - 0.5); // OpenCV's Point2f
        return new(a, b, (1 - a) * x - b * y + shiftX * width, -b, a, b * x + (1 - a) * y + shiftY * height);
    }

    /// <summary>The way back, as OpenCV computes it; all 0 for a matrix that has none.</summary>
    public AffineMatrix Inverse()
    {
        double determinant = XX * YY - XY * YX, d = determinant != 0 ? 1 / determinant : 0;
        (double xx, double xy, double yx, double yy) = (YY * d, XY * -d, YX * -d, XX * d);
        return new(xx, xy, -xx * X0 - xy * Y0, yx, yy, -yx * X0 - yy * Y0);
    }
}
