// Which kind of tissue each pixel of a part of a slide belongs to, and the fields and objects there. The part has a
// margin, so that nuclei whose middle lies outside of it can be told apart too.
using EpSam.Imaging.Annotations;

namespace EpSam.Slides.Synth;

internal enum Zone : byte
{
    Glass, Stroma, FatCell, FatWall, GlandWall, GlandLumen, VesselWall, VesselLumen,
    /// <summary>The first nest of the part; the others follow.</summary>
    Tumour,
}

internal sealed class Zones
{
    const float Margin = 18;        // micrometres: more than a nucleus reaches
    const float FatPitch = 52, FatJitter = 0.36f, FatWallWidth = 2.1f, FatRadius = 31;
    const float NearFat = 0.2f;     // the field of a cell's middle is not that of its rim

    readonly byte[] _zones;
    readonly SynthScene _scene;
    readonly double _mpp;

    public Zones(SynthScene scene, int x, int y, int width, int height)
    {
        (_scene, _mpp) = (scene, scene.Options.Mpp);
        int margin = (int)Math.Ceiling(Margin / _mpp) + 2;
        (Left, Top, Width, Height) = (x - margin, y - margin, width + 2 * margin, height + 2 * margin);
        Tissue = Field(scene.Tissue);
        Nests = scene.NestsIn(Left, Top, Left + Width, Top + Height);
        IsEmpty = Nests.Count == 0 && Tissue.Range.Greatest <= 0;
        _zones = IsEmpty ? [] : new byte[Width * Height];
        if (IsEmpty) return;
        Lymphoid = Field(scene.Lymphoid);
        PaintTissue();
        PaintFat();
        Ducts = Duct.In(scene, Area);
        foreach (Duct duct in Ducts) Paint(duct);
        for (int i = 0; i < Nests.Count; i++) Paint(Nests[i].Polygon, checked((byte)((int)Zone.Tumour + i)));
    }

    public int Left { get; }
    public int Top { get; }
    public int Width { get; }
    public int Height { get; }

    /// <summary>Nothing but glass.</summary>
    public bool IsEmpty { get; }

    public IReadOnlyList<Nest> Nests { get; }
    public IReadOnlyList<Duct> Ducts { get; } = [];
    public Lattice Tissue { get; }
    public Lattice? Lymphoid { get; }

    /// <summary>With the margin, micrometres.</summary>
    public (float Left, float Top, float Right, float Bottom) Area => ((float)(Left * _mpp), (float)(Top * _mpp),
        (float)((Left + Width) * _mpp), (float)((Top + Height) * _mpp));

    /// <summary>A field of the scene, with the margin.</summary>
    public Lattice Field(Func<float, float, float> field) => new(Left, Top, Width, Height, _mpp, field);

    /// <summary>The kinds of a row of pixels within the margin.</summary>
    public ReadOnlySpan<byte> Row(int x, int y, int count) =>
        _zones.AsSpan((y - Top) * Width + x - Left, count);

    /// <summary>The pixel and kind at a place in micrometres; null outside of the margin.</summary>
    public (int X, int Y, Zone Zone)? At(float x, float y)
    {
        int column = (int)Math.Floor(x / _mpp), row = (int)Math.Floor(y / _mpp);
        if (column < Left || row < Top || column >= Left + Width || row >= Top + Height) return null;
        return (column, row, (Zone)_zones[(row - Top) * Width + column - Left]);
    }

    void PaintTissue()
    {
        Span<float> values = new float[Width];
        for (int row = 0; row < Height; row++)
        {
            Tissue.Row(Left, Top + row, values);
            Span<byte> zones = _zones.AsSpan(row * Width, Width);
            for (int i = 0; i < zones.Length; i++)
                if (values[i] > 0) zones[i] = (byte)Zone.Stroma;
        }
    }

    void PaintFat()
    {
        Lattice fat = Field(_scene.Fat);
        if (fat.Range.Greatest < -NearFat) return;
        CellGrid grid = new(_scene.Seed(2), FatPitch, FatJitter, Area, around: 2);
        bool[] isFat = new bool[grid.Count];
        for (int i = 0; i < isFat.Length; i++)
        {
            (float x, float y) = grid[i];
            isFat[i] = _scene.Fat(x, y) > 0 && _scene.Tissue(x, y) > FatPitch * 0.6f;
        }
        for (int row = 0; row < Height; row++)
        {
            float y = (float)((Top + row + 0.5) * _mpp);
            for (int column = 0; column < Width; column++)
            {
                ref byte zone = ref _zones[row * Width + column];
                if (zone != (byte)Zone.Stroma || fat.At(Left + column, Top + row) < -NearFat) continue;
                int cell = grid.Nearest((float)((Left + column + 0.5) * _mpp), y, out float first, out float second,
                    out float third);
                if (!isFat[cell] || first > FatRadius) continue;
                // harmonic: small where three cells meet, which rounds the corners
                float b = second - first, c = third - first, corner = 0.6f * b * c / (b + 0.35f * c + 1e-6f);
                float wall = Math.Min(Math.Min(b, corner), FatRadius - first);
                zone = (byte)(wall < FatWallWidth ? Zone.FatWall : Zone.FatCell);
            }
        }
    }

    void Paint(Duct duct)
    {
        int left = Math.Max(Left, (int)((duct.X - duct.Reach) / _mpp));
        int right = Math.Min(Left + Width, (int)((duct.X + duct.Reach) / _mpp) + 1);
        int top = Math.Max(Top, (int)((duct.Y - duct.Reach) / _mpp));
        int bottom = Math.Min(Top + Height, (int)((duct.Y + duct.Reach) / _mpp) + 1);
        byte wall = (byte)(duct.IsVessel ? Zone.VesselWall : Zone.GlandWall);
        byte lumen = (byte)(duct.IsVessel ? Zone.VesselLumen : Zone.GlandLumen);
        for (int y = top; y < bottom; y++)
            for (int x = left; x < right; x++)
            {
                float depth = duct.Depth((float)((x + 0.5) * _mpp), (float)((y + 0.5) * _mpp));
                if (depth > 0) _zones[(y - Top) * Width + x - Left] = depth < duct.Wall ? wall : lumen;
            }
    }

    // The same painting as makes masks of annotations.
    void Paint(SlidePolygon polygon, byte value) =>
        PolygonMask.Paint(polygon, Left, Top, 1, value, _zones, Height, Width);
}
