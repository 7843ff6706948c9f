// A view of device memory: address, element type, shape. Contiguous, slowest axis first, channels last. It owns nothing
// and is copied freely; who allocated the memory frees it.
using EpSam.Cuda;

namespace EpSam.Native.Tensors;

/// <summary>A contiguous array in device memory. Owns nothing.</summary>
/// <param name="Address">First element.</param>
/// <param name="DType">Type of the elements.</param>
/// <param name="Shape">Sizes of the axes, slowest first.</param>
public readonly record struct Tensor(CUdeviceptr Address, DType DType, Shape Shape)
{
    /// <summary>Bytes of all elements.</summary>
    public long Bytes => checked(Shape.Count * DType.Size());

    /// <summary>The same elements with other axes; throws when the number of elements differs.</summary>
    public Tensor Reshape(Shape shape) => shape.Count == Shape.Count
        ? this with { Shape = shape }
        : throw new ArgumentException($"cannot reshape {this} to {shape}");

    /// <summary>"(2, 196, 768) bf16".</summary>
    public override string ToString() => $"{Shape} {DType.Name()}";
}
