// Types of elements as files store them: more than kernels know. A checkpoint keeps its types; ReadFloats converts.
// Names are those of safetensors; the order is that of size, which is also the order in which tensors are written.
using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace EpSam.Native.Checkpoints;

/// <summary>Type of the elements of a stored tensor.</summary>
public enum ElementType
{
    /// <summary>One byte, 0 or 1.</summary>
    Bool,
    /// <summary>8 bits, unsigned.</summary>
    U8,
    /// <summary>8 bits, signed.</summary>
    I8,
    /// <summary>8-bit float, 5 bits of exponent; kept, not converted.</summary>
    F8E5M2,
    /// <summary>8-bit float, 4 bits of exponent; kept, not converted.</summary>
    F8E4M3,
    /// <summary>8-bit exponent; kept, not converted.</summary>
    F8E8M0,
    /// <summary>16 bits, signed.</summary>
    I16,
    /// <summary>16 bits, unsigned.</summary>
    U16,
    /// <summary>IEEE half.</summary>
    F16,
    /// <summary>The upper half of a float.</summary>
    BF16,
    /// <summary>32 bits, signed.</summary>
    I32,
    /// <summary>32 bits, unsigned.</summary>
    U32,
    /// <summary>IEEE single.</summary>
    F32,
    /// <summary>Two floats; kept, not converted.</summary>
    C64,
    /// <summary>IEEE double.</summary>
    F64,
    /// <summary>64 bits, signed.</summary>
    I64,
    /// <summary>64 bits, unsigned.</summary>
    U64,
}

/// <summary>What is known about stored element types.</summary>
public static class ElementTypes
{
    static readonly string[] Names =
    [
        "BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "C64",
        "F64", "I64", "U64",
    ];

    /// <summary>Bytes of one element.</summary>
    public static int Size(this ElementType type) => type switch
    {
        <= ElementType.F8E8M0 => 1,
        <= ElementType.BF16 => 2,
        <= ElementType.F32 => 4,
        _ => 8,
    };

    /// <summary>The name that safetensors gives it: "BF16".</summary>
    public static string Name(this ElementType type) => Names[(int)type];

    /// <summary>Whether it can be read as 32-bit floats.</summary>
    public static bool IsNumber(this ElementType type) =>
        type is not (ElementType.C64 or ElementType.F8E5M2 or ElementType.F8E4M3 or ElementType.F8E8M0);

    internal static bool TryParse(string name, out ElementType type)
    {
        int index = Array.IndexOf(Names, name);
        type = (ElementType)Math.Max(index, 0);
        return index >= 0;
    }

    /// <summary>Converts whole elements, little-endian, to the nearest float.</summary>
    internal static void ToFloats(ElementType type, ReadOnlySpan<byte> bytes, Span<float> floats)
    {
        switch (type)
        {
            case ElementType.F32:
                MemoryMarshal.Cast<byte, float>(bytes).CopyTo(floats);
                break;
            case ElementType.Bool:
                for (int i = 0; i < floats.Length; i++) floats[i] = bytes[i] == 0 ? 0 : 1;
                break;
            case ElementType.U8:
                for (int i = 0; i < floats.Length; i++) floats[i] = bytes[i];
                break;
            case ElementType.I8:
                for (int i = 0; i < floats.Length; i++) floats[i] = (sbyte)bytes[i];
                break;
            case ElementType.I16:
                for (int i = 0; i < floats.Length; i++)
                    floats[i] = BinaryPrimitives.ReadInt16LittleEndian(bytes[(2 * i)..]);
                break;
            case ElementType.U16:
                for (int i = 0; i < floats.Length; i++)
                    floats[i] = BinaryPrimitives.ReadUInt16LittleEndian(bytes[(2 * i)..]);
                break;
            case ElementType.F16:
                for (int i = 0; i < floats.Length; i++)
                    floats[i] = (float)BinaryPrimitives.ReadHalfLittleEndian(bytes[(2 * i)..]);
                break;
            case ElementType.BF16:
                for (int i = 0; i < floats.Length; i++)
                {
                    int upper = BinaryPrimitives.ReadUInt16LittleEndian(bytes[(2 * i)..]);
                    floats[i] = BitConverter.Int32BitsToSingle(upper << 16);
                }
                break;
            case ElementType.I32:
                for (int i = 0; i < floats.Length; i++)
                    floats[i] = BinaryPrimitives.ReadInt32LittleEndian(bytes[(4 * i)..]);
                break;
            case ElementType.U32:
                for (int i = 0; i < floats.Length; i++)
                    floats[i] = BinaryPrimitives.ReadUInt32LittleEndian(bytes[(4 * i)..]);
                break;
            case ElementType.F64:
                for (int i = 0; i < floats.Length; i++)
                    floats[i] = (float)BinaryPrimitives.ReadDoubleLittleEndian(bytes[(8 * i)..]);
                break;
            case ElementType.I64:
                for (int i = 0; i < floats.Length; i++)
                    floats[i] = BinaryPrimitives.ReadInt64LittleEndian(bytes[(8 * i)..]);
                break;
            case ElementType.U64:
                for (int i = 0; i < floats.Length; i++)
                    floats[i] = BinaryPrimitives.ReadUInt64LittleEndian(bytes[(8 * i)..]);
                break;
            default:
                throw new CheckpointException(CheckpointError.NotConvertible, $"{type.Name()} cannot be read as float");
        }
    }
}
