// The guards of ops. A message names the op, the tensor, what was expected and what came, in this order.
namespace EpSam.Native.Tensors;

/// <summary>Throws ArgumentException when a tensor is not what an op needs.</summary>
internal static class Expect
{
    public static void Shape(string op, string name, in Tensor tensor, DType type, params ReadOnlySpan<long> sizes)
    {
        Shape expected = new(sizes);
        if (tensor.DType != type || tensor.Shape != expected)
            throw new ArgumentException($"{op}: {name} must be {expected} {type.Name()}, got {tensor}");
    }

    public static void Same(string op, string name, in Tensor tensor, in Tensor like)
    {
        if (tensor.DType != like.DType || tensor.Shape != like.Shape)
            throw new ArgumentException($"{op}: {name} must be {like}, got {tensor}");
    }

    public static void Type(string op, string name, in Tensor tensor, params ReadOnlySpan<DType> types)
    {
        if (types.Contains(tensor.DType)) return;
        string list = "";
        foreach (DType type in types) list += (list.Length > 0 ? " or " : "") + type.Name();
        throw new ArgumentException($"{op}: {name} must be {list}, got {tensor}");
    }

    public static void Rank(string op, string name, in Tensor tensor, string letters)
    {
        int rank = letters.Split(',').Length;
        if (tensor.Shape.Rank != rank) throw new ArgumentException($"{op}: {name} must be ({letters}), got {tensor}");
    }

    public static void Multiple(string op, string what, long value, long of)
    {
        if (value % of != 0) throw new ArgumentException($"{op}: {what} must be a multiple of {of}, got {value}");
    }

    public static void Aligned(string op, string name, in Tensor tensor, int bytes)
    {
        if (tensor.Address.Value % (ulong)bytes != 0)
            throw new ArgumentException($"{op}: {name} must be aligned to {bytes} bytes, got address {tensor.Address}");
    }

    /// <summary>An extent that kernels take as 32-bit integer.</summary>
    public static int Int(string op, string what, long value) => value is >= 0 and <= int.MaxValue
        ? (int)value
        : throw new ArgumentException($"{op}: {what} must be below 2^31, got {value}");
}
