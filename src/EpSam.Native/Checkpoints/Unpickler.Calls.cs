// The instructions that name and call something. The names are looked up in a closed list; the calls go to Rebuild.
namespace EpSam.Native.Checkpoints;

internal sealed partial class Unpickler
{
    PickleGlobal GlobalOfLines()
    {
        string module = Line();
        return PickleGlobal.Find(module, Line());
    }

    void StackGlobal()
    {
        object? name = Pop(), module = Pop();
        if (name is not PickleText { Kind: TextKind.Unicode, Length: <= MaxLine } n
            || module is not PickleText { Kind: TextKind.Unicode, Length: <= MaxLine } m)
            throw Bad("a name of something that is no short text");
        Push(PickleGlobal.Find(m.Value, n.Value));
    }

    void Reduce()
    {
        object? arguments = Pop(), function = Pop();
        if (function is not PickleGlobal global) throw Bad($"a call of {PickleDict.Name(function)}");
        if (arguments is not object?[] tuple) throw Bad($"a call of {global.Name} with {PickleDict.Name(arguments)}");
        Push(_rebuild.Call(global, tuple));
    }

    // State for an object: module versions of a state dict (nothing needs them), a dtype's byte order, an array's
    // content.
    void Build()
    {
        object? state = Pop(), target = Peek();
        switch (target)
        {
            case PickleDict when state is PickleDict: break;
            case NumpyType when state is object?[] tuple: Rebuild.CheckByteOrder(tuple); break;
            case PickleTensor { IsNumpy: true } array when state is object?[] tuple:
                _rebuild.FillArray(array, tuple);
                break;
            default: throw Bad($"state for {PickleDict.Name(target)} from {PickleDict.Name(state)}");
        }
    }

    // ('storage', type, key, location, number of elements) and in streams of old versions a view: None or (key, first,
    // number).
    void PersistentId()
    {
        object? id = Pop();
        if (id is not object?[] { Length: 5 or 6 } parts || parts[0] is not PickleText { Length: 7, Value: "storage" }
            || parts[1] is not PickleGlobal { Kind: GlobalKind.StorageType } type
            || parts[2] is not PickleText { Length: <= MaxLine } key || parts[4] is not long count)
            throw Bad("a persistent id that is no storage's");
        if (_storages is null) throw Bad("a storage where none is expected");
        Storage storage = _storages.Get(key.Value, type.Type, count);
        if (parts.Length == 6 && parts[5] is not null)
        {
            if (parts[5] is not object?[] { Length: 3 } view || view[1] is not long first || view[2] is not long viewed
                || first < 0 || viewed < 0 || first > count - viewed)
                throw Bad("a storage's view that does not lie in it");
            _budget.Charge(176);
            long bytes = viewed * type.Type.Size();
            storage = new Storage(storage.Key, type.Type, viewed, bytes) { Whole = storage, First = first };
        }
        Push(storage);
    }
}
