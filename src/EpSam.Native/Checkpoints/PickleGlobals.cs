// The names a pickle may use. Each stands for one fixed thing that Rebuild.cs does; a name that is not here is refused
// when it is read, before anything could be called. The list is closed: no name is looked up anywhere.
namespace EpSam.Native.Checkpoints;

internal enum GlobalKind
{
    OrderedDict, Dict, List, Tuple, Set, FrozenSet, Encode,
    StorageType, TorchType, Size, Device, RebuildTensor, RebuildTensorV2, RebuildTensorV3, RebuildParameter,
    NumpyScalar, NumpyReconstruct, NumpyArray, NumpyDType,
}

/// <summary>An allowed name. Type is meant for storages and torch.float32 and the like.</summary>
internal sealed record PickleGlobal(string Name, GlobalKind Kind, ElementType Type = default)
{
    static readonly Dictionary<string, PickleGlobal> Allowed = Make();

    public static PickleGlobal Find(string module, string name) =>
        Allowed.TryGetValue($"{module}.{name}", out PickleGlobal? global)
        ? global
        : throw Refused($"{module}.{name}");

    public static CheckpointException Refused(string name) => new(CheckpointError.PickleGlobal,
        $"the pickle asks for {CheckpointException.Show(name)}, which is not among the names that tensors need; "
        + "it was not run. Save a state_dict() instead of whole objects");

    static Dictionary<string, PickleGlobal> Make()
    {
        Dictionary<string, PickleGlobal> all = new(StringComparer.Ordinal);
        void Add(GlobalKind kind, params ReadOnlySpan<string> names)
        {
            foreach (string name in names) all.Add(name, new PickleGlobal(name, kind));
        }
        Add(GlobalKind.OrderedDict, "collections.OrderedDict");
        foreach (string module in (string[])["builtins", "__builtin__"])
        {
            Add(GlobalKind.Dict, module + ".dict");
            Add(GlobalKind.List, module + ".list");
            Add(GlobalKind.Tuple, module + ".tuple");
            Add(GlobalKind.Set, module + ".set");
            Add(GlobalKind.FrozenSet, module + ".frozenset");
        }
        Add(GlobalKind.Encode, "_codecs.encode");
        Add(GlobalKind.Size, "torch.Size");
        Add(GlobalKind.Device, "torch.device");
        Add(GlobalKind.RebuildTensor, "torch._utils._rebuild_tensor");
        Add(GlobalKind.RebuildTensorV2, "torch._utils._rebuild_tensor_v2");
        Add(GlobalKind.RebuildTensorV3, "torch._utils._rebuild_tensor_v3");
        Add(GlobalKind.RebuildParameter, "torch._utils._rebuild_parameter");
        Add(GlobalKind.NumpyScalar, "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar");
        Add(GlobalKind.NumpyReconstruct, "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct");
        Add(GlobalKind.NumpyArray, "numpy.ndarray");
        Add(GlobalKind.NumpyDType, "numpy.dtype");
        AddTypes(all);
        return all;
    }

    static void AddTypes(Dictionary<string, PickleGlobal> all)
    {
        (string Storage, string Type, ElementType Element)[] types =
        [
            ("Float", "float32", ElementType.F32), ("Double", "float64", ElementType.F64),
            ("Half", "float16", ElementType.F16),
            ("BFloat16", "bfloat16", ElementType.BF16), ("Long", "int64", ElementType.I64),
            ("Int", "int32", ElementType.I32),
            ("Short", "int16", ElementType.I16), ("Char", "int8", ElementType.I8), ("Byte", "uint8", ElementType.U8),
            ("Bool", "bool", ElementType.Bool), ("ComplexFloat", "complex64", ElementType.C64),
            ("", "uint16", ElementType.U16), ("", "uint32", ElementType.U32), ("", "uint64", ElementType.U64),
            ("", "float8_e5m2", ElementType.F8E5M2), ("", "float8_e4m3fn", ElementType.F8E4M3),
            ("", "float8_e8m0fnu", ElementType.F8E8M0),
        ];
        foreach ((string storage, string type, ElementType element) in types)
        {
            all.Add($"torch.{type}", new PickleGlobal($"torch.{type}", GlobalKind.TorchType, element));
            if (storage.Length == 0) continue;
            foreach (string module in (string[])["torch", "torch.cuda"])
                all.Add($"{module}.{storage}Storage",
                    new PickleGlobal($"{module}.{storage}Storage", GlobalKind.StorageType, element));
        }
        foreach (string name in (string[])["torch.UntypedStorage", "torch.storage.UntypedStorage"])
            all.Add(name, new PickleGlobal(name, GlobalKind.StorageType, ElementType.U8));
    }
}
