namespace EpSam.Native.Tensors;

/// <summary>Type of a tensor's elements.</summary>
public enum DType
{
    /// <summary>32-bit float.</summary>
    F32,
    /// <summary>16-bit float with f32's exponent, two to four times the speed of f32 on tensor cores.</summary>
    BF16,
    /// <summary>32-bit integer.</summary>
    I32,
    /// <summary>8-bit unsigned integer: pixels and masks.</summary>
    U8,
}

/// <summary>What is known about element types.</summary>
public static class DTypes
{
    /// <summary>Bytes of one element.</summary>
    public static int Size(this DType type) => type switch { DType.F32 or DType.I32 => 4, DType.BF16 => 2, _ => 1 };

    /// <summary>The type as kernels spell it in their names: "f32".</summary>
    public static string Name(this DType type) => type switch
    {
        DType.F32 => "f32", DType.BF16 => "bf16", DType.I32 => "i32", _ => "u8",
    };
}
