// Smooth fields of a part of a slide, on a lattice of every eighth pixel that is the same for all parts, and linear
// between: a noise is made once for 64 pixels.
using System.Runtime.CompilerServices;

namespace EpSam.Slides.Synth;

internal sealed class Lattice
{
    /// <summary>Pixels between points.</summary>
    public const int Step = 8;

    readonly float[] _values;
    readonly int _left, _top, _columns;

    public Lattice(int left, int top, int width, int height, double mpp, Func<float, float, float> field)
    {
        (_left, _top) = (Floor(left), Floor(top));
        _columns = Floor(left + width) - _left + 2;
        int rows = Floor(top + height) - _top + 2;
        _values = new float[_columns * rows];
        for (int row = 0; row < rows; row++)
            for (int column = 0; column < _columns; column++)
            {
                double x = (double)(_left + column) * Step * mpp, y = (double)(_top + row) * Step * mpp;
                _values[row * _columns + column] = field((float)x, (float)y);
            }
    }

    /// <summary>The least and the greatest value.</summary>
    public (float Least, float Greatest) Range => (_values.Min(), _values.Max());

    /// <summary>At the middle of a pixel.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float At(int x, int y)
    {
        int column = x >> 3, row = y >> 3;
        float u = ((x & 7) + 0.5f) * (1f / Step), v = ((y & 7) + 0.5f) * (1f / Step);
        int at = (row - _top) * _columns + column - _left;
        float a = _values[at], b = _values[at + 1], c = _values[at + _columns], d = _values[at + _columns + 1];
        float top = a + u * (b - a), bottom = c + u * (d - c);
        return top + v * (bottom - top);
    }

    /// <summary>A row of pixels.</summary>
    public void Row(int x, int y, Span<float> values)
    {
        int row = y >> 3;
        float v = ((y & 7) + 0.5f) * (1f / Step);
        for (int i = 0; i < values.Length;)
        {
            int column = (x + i) >> 3, at = (row - _top) * _columns + column - _left;
            float left = _values[at] + v * (_values[at + _columns] - _values[at]);
            float right = _values[at + 1] + v * (_values[at + _columns + 1] - _values[at + 1]);
            do
            {
                values[i] = left + (((x + i) & 7) + 0.5f) * (1f / Step) * (right - left);
                i++;
            }
            while (i < values.Length && ((x + i) & 7) != 0);
        }
    }

    /// <summary>How the field changes from pixel to pixel there.</summary>
    public (float X, float Y) Slope(int x, int y)
    {
        int at = ((y >> 3) - _top) * _columns + (x >> 3) - _left;
        float a = _values[at], b = _values[at + 1], c = _values[at + _columns], d = _values[at + _columns + 1];
        return (b - a + d - c, c - a + d - b);
    }

    static int Floor(int pixel) => pixel >> 3;
}
