// Points on a grid, every second row moved by half a cell and each point within its own: neighbouring objects that
// neither overlap much nor lie in rows.
// The nearest points to a place divide the plane into the cells of fat and of epithelium (Worley, "A cellular texture
// basis function", SIGGRAPH 1996).
using System.Runtime.CompilerServices;

namespace EpSam.Slides.Synth;

/// <summary>The points of a grid that lie in or near a rectangle.</summary>
internal sealed class CellGrid
{
    readonly float[] _x, _y;
    readonly int _left, _top, _columns;
    readonly float _perPitch;

    /// <param name="seed">Of the moves and of what is drawn for a point.</param>
    /// <param name="pitch">Of the grid, micrometres.</param>
    /// <param name="jitter">Largest move either way, in pitches.</param>
    /// <param name="area">Rectangle in micrometres.</param>
    /// <param name="around">Rings of points around the rectangle that are wanted too.</param>
    public CellGrid(uint seed, float pitch, float jitter, (float Left, float Top, float Right, float Bottom) area,
        int around)
    {
        (Seed, _perPitch) = (seed, 1 / pitch);
        _left = (int)MathF.Floor(area.Left * _perPitch) - around;
        _top = (int)MathF.Floor(area.Top * _perPitch) - around;
        _columns = (int)MathF.Floor(area.Right * _perPitch) + around + 1 - _left;
        Rows = (int)MathF.Floor(area.Bottom * _perPitch) + around + 1 - _top;
        (_x, _y) = (new float[Count], new float[Count]);
        for (int i = 0; i < Count; i++)
        {
            uint hash = State(i);
            int row = _top + i / _columns;
            float right = jitter * ((hash & 0xFFFF) / 32768f - 1), down = jitter * ((hash >> 16) / 32768f - 1);
            _x[i] = (_left + i % _columns + 0.5f + Shift(row) + right) * pitch;
            _y[i] = (row + 0.5f + down) * pitch;
        }
    }

    uint Seed { get; }

    int Rows { get; }

    /// <summary>Points.</summary>
    public int Count => _columns * Rows;

    /// <summary>Where a point is, micrometres.</summary>
    public (float X, float Y) this[int index] => (_x[index], _y[index]);

    /// <summary>What a chain of hashes for a point begins with.</summary>
    public uint State(int index) => Noise.Hash(Seed, _left + index % _columns, _top + index / _columns);

    static float Shift(int row) => (row & 1) * 0.5f;

    /// <summary>The nearest point, its distance, and those of the next two.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Nearest(float x, float y, out float first, out float second, out float third)
    {
        int row = (int)MathF.Floor(y * _perPitch) - _top, found = 0;
        float a = float.MaxValue, b = float.MaxValue, c = float.MaxValue;
        for (int r = row - 1; r <= row + 1; r++)
        {
            int column = (int)MathF.Floor(x * _perPitch - Shift(_top + r)) - _left, at = r * _columns + column - 1;
            for (int i = at; i < at + 3; i++)
            {
                float dx = x - _x[i], dy = y - _y[i], d = dx * dx + dy * dy;
                if (d < a) (a, b, c, found) = (d, a, b, i);
                else if (d < b) (b, c) = (d, b);
                else if (d < c) c = d;
            }
        }
        (first, second, third) = (MathF.Sqrt(a), MathF.Sqrt(b), MathF.Sqrt(c));
        return found;
    }
}
