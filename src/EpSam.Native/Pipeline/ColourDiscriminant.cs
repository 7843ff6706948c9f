// What colour alone tells about patches: Fisher's linear discriminant of their mean colours. A classifier that does not
// do better has learned no more than the stain.
namespace EpSam.Native.Pipeline;

/// <summary>A linear discriminant of two classes with one covariance, by mean red, green and blue.</summary>
public sealed class ColourDiscriminant
{
    const int N = 3;

    readonly double[] _weights;
    readonly double _bias;

    ColourDiscriminant(double[] weights, double bias) => (_weights, _bias) = (weights, bias);

    /// <summary>The log odds of tumour that the model sees: above 0 is tumour.</summary>
    public double Score(ReadOnlySpan<double> colour) =>
        _bias + _weights[0] * colour[0] + _weights[1] * colour[1] + _weights[2] * colour[2];

    /// <summary>
    /// Fits means and their shares of the classes and a covariance of both, the most likely ones; null unless there are
    /// patches of both classes.
    /// </summary>
    public static ColourDiscriminant? Fit(IReadOnlyList<double[]> colours, IReadOnlyList<int> labels)
    {
        int[] count = new int[2];
        double[][] mean = [new double[N], new double[N]];
        for (int i = 0; i < colours.Count; i++)
        {
            int label = labels[i] != 0 ? 1 : 0;
            count[label]++;
            for (int k = 0; k < N; k++) mean[label][k] += colours[i][k];
        }
        if (count[0] == 0 || count[1] == 0) return null;
        for (int label = 0; label < 2; label++)
            for (int k = 0; k < N; k++) mean[label][k] /= count[label];
        double[,] covariance = Covariance(colours, labels, mean);
        double[] between = [.. Enumerable.Range(0, N).Select(k => mean[1][k] - mean[0][k])];
        double[] weights = Solve(covariance, between);
        double bias = Math.Log((double)count[1] / count[0]);
        for (int k = 0; k < N; k++) bias -= weights[k] * (mean[0][k] + mean[1][k]) / 2;
        return new ColourDiscriminant(weights, bias);
    }

    // A millionth of the mean variance on the diagonal, so that grey images (three equal channels) can be solved.
    static double[,] Covariance(IReadOnlyList<double[]> colours, IReadOnlyList<int> labels, double[][] mean)
    {
        double[,] covariance = new double[N, N];
        for (int i = 0; i < colours.Count; i++)
        {
            double[] own = mean[labels[i] != 0 ? 1 : 0];
            for (int r = 0; r < N; r++)
                for (int c = 0; c < N; c++)
                    covariance[r, c] += (colours[i][r] - own[r]) * (colours[i][c] - own[c]) / colours.Count;
        }
        double ridge = 1e-6 * (covariance[0, 0] + covariance[1, 1] + covariance[2, 2]) / N + 1e-9;
        for (int k = 0; k < N; k++) covariance[k, k] += ridge;
        return covariance;
    }

    // Cholesky: the matrix is symmetric and, by the ridge, positive.
    static double[] Solve(double[,] a, double[] b)
    {
        double[,] l = new double[N, N];
        for (int r = 0; r < N; r++)
            for (int c = 0; c <= r; c++)
            {
                double sum = a[r, c];
                for (int k = 0; k < c; k++) sum -= l[r, k] * l[c, k];
                l[r, c] = r == c ? Math.Sqrt(sum) : sum / l[c, c];
            }
        double[] x = [.. b];
        for (int r = 0; r < N; r++)
        {
            for (int k = 0; k < r; k++) x[r] -= l[r, k] * x[k];
            x[r] /= l[r, r];
        }
        for (int r = N - 1; r >= 0; r--)
        {
            for (int k = r + 1; k < N; k++) x[r] -= l[k, r] * x[k];
            x[r] /= l[r, r];
        }
        return x;
    }

    /// <summary>The mean red, green and blue of a part of an image.</summary>
    public static double[] MeanColour(ReadOnlySpan<byte> rgb, int width, Crop part)
    {
        long r = 0, g = 0, b = 0;
        for (int y = part.Y; y < part.Y + part.Height; y++)
        {
            ReadOnlySpan<byte> row = rgb.Slice(3 * (y * width + part.X), 3 * part.Width);
            for (int i = 0; i < row.Length; i += 3)
            {
                r += row[i];
                g += row[i + 1];
                b += row[i + 2];
            }
        }
        double pixels = (double)part.Width * part.Height;
        return [r / pixels, g / pixels, b / pixels];
    }
}
