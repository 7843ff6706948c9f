// Numbers between double and the device's types, and the distributions that inputs are drawn from.
using System.Buffers.Binary;
using EpSam.Native.Tensors;

namespace EpSam.Cases;

public static class Values
{
    /// <summary>Half the distance from 1 to the next value: the largest relative error of one rounding.</summary>
    public static double Eps(DType type) => type == DType.BF16 ? 1.0 / 256 : 1.0 / (1 << 24);

    public static double Round(double x, DType type) => type switch
    {
        DType.F32 => (float)x,
        DType.BF16 => ToBF16(x),
        _ => Math.Round(x),
    };

    /// <summary>The nearest bf16, ties to even, straight from double.</summary>
    public static double ToBF16(double x)
    {
        if (!double.IsFinite(x)) return x;
        // a double cut to f32 with a sticky last bit rounds to bf16 as the double itself would
        float cut = (float)x;
        uint bits = BitConverter.SingleToUInt32Bits(cut);
        if (Math.Abs((double)cut) > Math.Abs(x)) bits--;
        if (BitConverter.UInt32BitsToSingle(bits) != x) bits |= 1;
        return BitConverter.UInt32BitsToSingle((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
    }

    public static byte[] Encode(double[] values, DType type)
    {
        byte[] bytes = new byte[values.Length * type.Size()];
        Span<byte> at = bytes;
        foreach (double x in values)
        {
            uint bits = BitConverter.SingleToUInt32Bits((float)x);
            if (type == DType.F32) BinaryPrimitives.WriteUInt32LittleEndian(at, bits);
            else if (type == DType.BF16) BinaryPrimitives.WriteUInt16LittleEndian(at, (ushort)(bits >> 16));
            else if (type == DType.I32) BinaryPrimitives.WriteInt32LittleEndian(at, (int)x);
            else at[0] = (byte)x;
            at = at[type.Size()..];
        }
        return bytes;
    }

    public static double[] Decode(ReadOnlySpan<byte> bytes, DType type)
    {
        double[] values = new double[bytes.Length / type.Size()];
        for (int i = 0; i < values.Length; i++)
        {
            ReadOnlySpan<byte> at = bytes[(i * type.Size())..];
            values[i] = type switch
            {
                DType.F32 => BinaryPrimitives.ReadSingleLittleEndian(at),
                DType.BF16 => BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(at) << 16),
                DType.I32 => BinaryPrimitives.ReadInt32LittleEndian(at),
                _ => at[0],
            };
        }
        return values;
    }

    /// <summary>Normal with the given deviation.</summary>
    public static Func<Random, double> Normal(double deviation = 1, double mean = 0) => random =>
        mean + deviation * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()))
        * Math.Cos(2 * Math.PI * random.NextDouble());

    public static Func<Random, double> Uniform(double low, double high) => random =>
        low + (high - low) * random.NextDouble();

    /// <summary>Integers from low to high, both included.</summary>
    public static Func<Random, double> Integer(int low, int high) => random => random.Next(low, high + 1);
}
