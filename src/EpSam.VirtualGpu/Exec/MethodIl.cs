// The IL of a method, decoded: what the splicer copies. ECMA-335 partition III.
using System.Collections.Concurrent;
using System.Reflection;
using System.Reflection.Emit;

namespace EpSam.VirtualGpu.Exec;

internal enum IlKind { Other, LoadArgument, StoreArgument, LoadLocal, StoreLocal, LoadLocalAddress, Branch, Switch }

/// <summary>
/// Operand: null, a member, a constant, or branch targets as IL offsets. Index: of the argument or local.
/// </summary>
internal sealed record IlInstruction(int Offset, OpCode Code, IlKind Kind, int Index, object? Operand);

internal sealed class MethodIl
{
    static readonly ConcurrentDictionary<MethodInfo, MethodIl> cache = [];
    static readonly OpCode[] oneByte = new OpCode[256], twoByte = new OpCode[256];
    public static Dictionary<string, OpCode> ByName { get; } = [];

    readonly MethodInfo current;
    readonly Module module;
    readonly byte[] il;
    int at;

    public List<IlInstruction> Instructions { get; } = [];
    public HashSet<int> Targets { get; } = [];
    public Type[] Locals { get; } = [];
    public int[] ArgumentUses { get; } = [];
    public bool[] WritesArgument { get; } = [];
    public bool CanSplice { get; private set; } = true;
    public bool HasBranches { get; private set; }
    public int Returns { get; private set; }
    public int Bytes => il.Length;

    /// <summary>
    /// Uses of arguments and locals in the body, spliced callees included: what the JIT's limits count.
    /// </summary>
    public int References { get; private set; }

    static MethodIl()
    {
        foreach (FieldInfo field in typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static))
        {
            OpCode code = (OpCode)field.GetValue(null)!;
            ByName[code.Name!] = code;
            if (code.Size == 1) oneByte[code.Value] = code; else twoByte[code.Value & 0xff] = code;
        }
    }

    public static MethodIl Of(MethodInfo method) => cache.GetOrAdd(method, m => new MethodIl(m));

    MethodIl(MethodInfo method)
    {
        current = method;
        module = method.Module;
        MethodBody? body = method.GetMethodBody();
        il = body?.GetILAsByteArray() ?? [];
        CanSplice = body is not null && body.ExceptionHandlingClauses.Count == 0
            && method.IsStatic && !method.IsGenericMethod;
        if (!CanSplice) return;
        Locals = [.. body!.LocalVariables.Select(v => v.LocalType)];
        ArgumentUses = new int[method.GetParameters().Length];
        WritesArgument = new bool[ArgumentUses.Length];
        while (at < il.Length && CanSplice) Decode();
    }

    void Decode()
    {
        int offset = at;
        OpCode code = il[at++] is 0xfe ? twoByte[il[at++]] : oneByte[il[at - 1]];
        (IlKind kind, int index) = Access(code);
        object? operand = kind is IlKind.Other or IlKind.Branch or IlKind.Switch ? Operand(code) : null;
        switch (kind)
        {
            case IlKind.LoadArgument: ArgumentUses[index]++; break;
            case IlKind.StoreArgument: WritesArgument[index] = true; break;
            case IlKind.Branch: Targets.Add((int)operand!); HasBranches = true; break;
            case IlKind.Switch: Targets.UnionWith((int[])operand!); HasBranches = true; break;
        }
        if (code == OpCodes.Ret) Returns++;
        if (kind is IlKind.LoadArgument or IlKind.StoreArgument or IlKind.LoadLocal or IlKind.StoreLocal) References++;
        if (operand is MethodInfo { DeclaringType.Namespace: "EpSam.VirtualGpu.Lanes" } callee && callee != current)
            References += Of(callee).References + 2 * callee.GetParameters().Length;
        if (code == OpCodes.Localloc || code == OpCodes.Ldtoken || code == OpCodes.Calli || code == OpCodes.Ldftn
            || code == OpCodes.Ldarga || code == OpCodes.Ldarga_S || code.OpCodeType == OpCodeType.Prefix)
            CanSplice = false;
        Instructions.Add(new IlInstruction(offset, code, kind, index, operand));
    }

    (IlKind, int) Access(OpCode code)
    {
        string name = code.Name!;
        int dot = name.IndexOf('.');
        string stem = dot < 0 ? name : name[..dot];
        IlKind kind = stem switch
        {
            "ldarg" => IlKind.LoadArgument, "starg" => IlKind.StoreArgument,
            "ldloc" => IlKind.LoadLocal, "stloc" => IlKind.StoreLocal, "ldloca" => IlKind.LoadLocalAddress,
            "switch" => IlKind.Switch,
            _ => code.OperandType is OperandType.InlineBrTarget or OperandType.ShortInlineBrTarget
                ? IlKind.Branch
                : IlKind.Other,
        };
        if (kind is IlKind.Other or IlKind.Branch or IlKind.Switch) return (kind, -1);
        int index = code.OperandType switch
        {
            OperandType.ShortInlineVar => il[at++],
            OperandType.InlineVar => il[at++] | il[at++] << 8,
            _ => name[^1] - '0',
        };
        return (kind, index);
    }

    object? Operand(OpCode code)
    {
        switch (code.OperandType)
        {
            case OperandType.InlineNone: return null;
            case OperandType.ShortInlineBrTarget: { int d = (sbyte)il[at++]; return at + d; }
            case OperandType.InlineBrTarget: { int d = Int(); return at + d; }
            case OperandType.InlineSwitch:
                int[] targets = new int[Int()];
                for (int i = 0; i < targets.Length; i++) targets[i] = Int();
                for (int i = 0; i < targets.Length; i++) targets[i] += at;
                return targets;
            case OperandType.ShortInlineI: return code == OpCodes.Ldc_I4_S ? (sbyte)il[at++] : il[at++];
            case OperandType.InlineI: return Int();
            case OperandType.InlineI8: at += 8; return BitConverter.ToInt64(il, at - 8);
            case OperandType.ShortInlineR: at += 4; return BitConverter.ToSingle(il, at - 4);
            case OperandType.InlineR: at += 8; return BitConverter.ToDouble(il, at - 8);
            case OperandType.InlineString: return module.ResolveString(Int());
            case OperandType.InlineMethod: return module.ResolveMethod(Int());
            case OperandType.InlineField: return module.ResolveField(Int());
            case OperandType.InlineType: return module.ResolveType(Int());
            default: Int(); CanSplice = false; return null;
        }
    }

    int Int()
    {
        at += 4;
        return BitConverter.ToInt32(il, at - 4);
    }
}
