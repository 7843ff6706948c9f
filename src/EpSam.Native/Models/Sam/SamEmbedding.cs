// What the image encoder makes of an image: 256 x 64 x 64 numbers for the published models. It lies in host memory, may
// be kept, saved and loaded, and is uploaded when a prompt needs it. The file is safetensors with one tensor
// image_embedding in the reference's layout (1, C, H, W), and the original size as metadata.
using System.Globalization;
using System.Runtime.InteropServices;
using EpSam.Native.Checkpoints;
using EpSam.Native.Tensors;

namespace EpSam.Native.Models.Sam;

/// <summary>An encoded image. Immutable; may be used by several threads.</summary>
public sealed class SamEmbedding
{
    const string Name = "image_embedding";

    readonly byte[] _bytes; // (H, W, C), channels last, of Precision

    internal SamEmbedding(int height, int width, int imageSize, DType precision, int grid, int channels, byte[] bytes)
    {
        (Height, Width, ImageSize) = (height, width, imageSize);
        (Precision, GridSize, Channels, _bytes) = (precision, grid, channels, bytes);
    }

    /// <summary>Rows of the original image.</summary>
    public int Height { get; }

    /// <summary>Columns of the original image.</summary>
    public int Width { get; }

    /// <summary>Side of the model's input.</summary>
    public int ImageSize { get; }

    /// <summary>Type of its numbers: the precision of the model that made it.</summary>
    public DType Precision { get; }

    /// <summary>Rows and columns of tokens.</summary>
    public int GridSize { get; }

    /// <summary>Numbers per token.</summary>
    public int Channels { get; }

    internal ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary>The numbers as floats, (rows, columns, channels).</summary>
    public float[] ToArray()
    {
        if (Precision == DType.F32) return MemoryMarshal.Cast<byte, float>(_bytes).ToArray();
        ReadOnlySpan<ushort> halves = MemoryMarshal.Cast<byte, ushort>(_bytes);
        float[] values = new float[halves.Length];
        for (int i = 0; i < values.Length; i++) values[i] = BitConverter.UInt32BitsToSingle((uint)halves[i] << 16);
        return values;
    }

    /// <summary>Writes a safetensors file: complete under its name or not at all.</summary>
    public void Save(string path)
    {
        int tokens = GridSize * GridSize, size = Precision.Size();
        byte[] planes = new byte[_bytes.Length]; // (C, H, W)
        for (int t = 0; t < tokens; t++)
            for (int c = 0; c < Channels; c++)
                _bytes.AsSpan((t * Channels + c) * size, size).CopyTo(planes.AsSpan((c * tokens + t) * size));
        ElementType type = Precision == DType.F32 ? ElementType.F32 : ElementType.BF16;
        using StateDict file = new([new TensorEntry(Name, type, [1, Channels, GridSize, GridSize], planes)],
        [
            KeyValuePair.Create("original_height", (object?)Height.ToString(CultureInfo.InvariantCulture)),
            KeyValuePair.Create("original_width", (object?)Width.ToString(CultureInfo.InvariantCulture)),
            KeyValuePair.Create("image_size", (object?)ImageSize.ToString(CultureInfo.InvariantCulture)),
        ]);
        file.Save(path);
    }

    /// <summary>Reads a file of <see cref="Save"/>. Throws <see cref="CheckpointException"/> when it is none.</summary>
    public static SamEmbedding Load(string path)
    {
        using StateDict file = Checkpoint.Open(path);
        if (!file.TryGet(Name, out TensorEntry? entry) || entry.Sizes.Length != 4 || entry.Sizes[0] != 1
            || entry.Sizes[2] != entry.Sizes[3] || entry.Count is < 1 or > int.MaxValue / 4)
        {
            throw new CheckpointException(CheckpointError.KeysDiffer,
                $"{path} is no saved embedding: expected one tensor {Name} of (1, channels, side, side)");
        }
        int channels = (int)entry.Sizes[1], grid = (int)entry.Sizes[2], tokens = grid * grid;
        float[] planes = new float[entry.Count], values = new float[entry.Count];
        entry.ReadFloats(0, planes);
        for (int i = 0; i < values.Length; i++) values[i] = planes[i % channels * tokens + i / channels];
        DType precision = entry.Type == ElementType.BF16 ? DType.BF16 : DType.F32;
        return new SamEmbedding(Size("original_height"), Size("original_width"), Size("image_size"), precision, grid,
            channels, Encode(values, precision));

        int Size(string name) => file.Metadata.TryGetValue(name, out object? value) && value is string text
            && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int size) && size is >= 1
            ? size
            : throw new CheckpointException(CheckpointError.KeysDiffer,
                $"{path} is no saved embedding: its metadata lacks {name}");
    }

    /// <summary>The bytes in another precision; rounding to bf16 is to nearest, ties to even.</summary>
    internal ReadOnlySpan<byte> As(DType precision) => precision == Precision ? _bytes : Encode(ToArray(), precision);

    static byte[] Encode(float[] values, DType precision)
    {
        if (precision == DType.F32) return MemoryMarshal.AsBytes<float>(values).ToArray();
        byte[] bytes = new byte[2 * values.Length];
        Nn.Parameters.ToBF16(values, MemoryMarshal.Cast<byte, ushort>(bytes.AsSpan()));
        return bytes;
    }
}
