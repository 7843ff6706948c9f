// Copies the body of a lane method into the method being emitted. The JIT would inline the calls itself, but it stops
// at 512 locals a method, and each inlined argument costs it one; spliced bodies share a pool of locals, so kernels of
// thousands of operations stay fully optimised. Bodies that cannot be copied (exception handlers, stackalloc, too
// long) are called instead: same result, slower.
using System.Reflection;
using System.Reflection.Emit;

namespace EpSam.VirtualGpu.Exec;

/// <summary>
/// A value to hand to a spliced body: how to push it, whether pushing it again is as cheap as a local, and the local
/// that holds it if the body may write to it.
/// </summary>
internal readonly record struct Arg(Action Push, bool IsCheap, LocalBuilder? Own = null);

internal sealed class Splicer(ILGenerator il)
{
    const int MaxBodyBytes = 600, MaxDepth = 6;

    readonly Dictionary<Type, Stack<LocalBuilder>> free = [];
    readonly List<LocalBuilder> taken = [];

    /// <summary>A local from the pool; it goes back at the next <see cref="ReleaseAll"/>.</summary>
    public LocalBuilder Take(Type type)
    {
        if (!free.TryGetValue(type, out Stack<LocalBuilder>? pool)) free[type] = pool = new Stack<LocalBuilder>();
        LocalBuilder local = pool.Count > 0 ? pool.Pop() : il.DeclareLocal(type);
        taken.Add(local);
        return local;
    }

    public void ReleaseAll()
    {
        foreach (LocalBuilder local in taken) free[local.LocalType].Push(local);
        taken.Clear();
    }

    /// <summary>Emits the method's work on these arguments; its result is left on the stack.</summary>
    public void Splice(MethodInfo method, ReadOnlySpan<Arg> arguments) => Splice(method, arguments.ToArray(), 0);

    void Splice(MethodInfo method, Arg[] arguments, int depth)
    {
        MethodIl body = MethodIl.Of(method);
        if (!body.CanSplice || body.Bytes > MaxBodyBytes || depth > MaxDepth)
        {
            foreach (Arg argument in arguments) argument.Push();
            il.Emit(OpCodes.Call, method);
            return;
        }
        for (int i = 0; i < arguments.Length; i++)
        {
            if (arguments[i].IsCheap && !body.WritesArgument[i]
                || body.ArgumentUses[i] <= 1 && !body.HasBranches && !body.WritesArgument[i])
                continue;
            LocalBuilder copy = Take(method.GetParameters()[i].ParameterType);
            arguments[i].Push();
            il.Emit(OpCodes.Stloc, copy);
            arguments[i] = LocalArg(copy) with { Own = copy };
        }
        new Copy(this, method, body, arguments, depth).Run();
    }

    Arg LocalArg(LocalBuilder local) => new(() => il.Emit(OpCodes.Ldloc, local), true);

    /// <summary>One body being copied.</summary>
    sealed class Copy(Splicer owner, MethodInfo method, MethodIl body, Arg[] arguments, int depth)
    {
        readonly ILGenerator il = owner.GetGenerator();
        readonly LocalBuilder[] locals = [.. body.Locals.Select(owner.Take)];
        readonly Dictionary<int, Label> labels = [];

        public void Run()
        {
            foreach (int target in body.Targets) labels[target] = il.DefineLabel();
            IlInstruction last = body.Instructions[^1];
            bool single = body.Returns == 1 && last.Code == OpCodes.Ret;
            Label end = single ? default : il.DefineLabel();
            LocalBuilder? result = single || method.ReturnType == typeof(void) ? null : owner.Take(method.ReturnType);
            foreach (IlInstruction instruction in body.Instructions)
            {
                if (labels.TryGetValue(instruction.Offset, out Label here)) il.MarkLabel(here);
                if (instruction.Code == OpCodes.Ret)
                {
                    if (single) break;
                    if (result is not null) il.Emit(OpCodes.Stloc, result);
                    if (instruction != last) il.Emit(OpCodes.Br, end);
                    continue;
                }
                Emit(instruction);
            }
            if (single) return;
            il.MarkLabel(end);
            if (result is not null) il.Emit(OpCodes.Ldloc, result);
        }

        void Emit(IlInstruction instruction)
        {
            switch (instruction.Kind)
            {
                case IlKind.LoadArgument: arguments[instruction.Index].Push(); break;
                case IlKind.StoreArgument: il.Emit(OpCodes.Stloc, arguments[instruction.Index].Own!); break;
                case IlKind.LoadLocal: il.Emit(OpCodes.Ldloc, locals[instruction.Index]); break;
                case IlKind.StoreLocal: il.Emit(OpCodes.Stloc, locals[instruction.Index]); break;
                case IlKind.LoadLocalAddress: il.Emit(OpCodes.Ldloca, locals[instruction.Index]); break;
                case IlKind.Branch: il.Emit(Long(instruction.Code), labels[(int)instruction.Operand!]); break;
                case IlKind.Switch:
                    il.Emit(OpCodes.Switch, ((int[])instruction.Operand!).Select(t => labels[t]).ToArray());
                    break;
                default: EmitOther(instruction); break;
            }
        }

        void EmitOther(IlInstruction instruction)
        {
            switch (instruction.Operand)
            {
                case null: il.Emit(instruction.Code); break;
                case MethodInfo callee when instruction.Code == OpCodes.Call && IsOurs(callee): Nested(callee); break;
                case MethodInfo callee: il.Emit(instruction.Code, callee); break;
                case ConstructorInfo constructor: il.Emit(instruction.Code, constructor); break;
                case FieldInfo field: il.Emit(instruction.Code, field); break;
                case Type type: il.Emit(instruction.Code, type); break;
                case byte value: il.Emit(instruction.Code, value); break;
                case sbyte value: il.Emit(instruction.Code, value); break;
                case int value: il.Emit(instruction.Code, value); break;
                case long value: il.Emit(instruction.Code, value); break;
                case float value: il.Emit(instruction.Code, value); break;
                case double value: il.Emit(instruction.Code, value); break;
                case string value: il.Emit(instruction.Code, value); break;
                default: throw new InvalidOperationException($"cannot copy {instruction.Code} of {method.Name}");
            }
        }

        static bool IsOurs(MethodInfo callee) =>
            callee.Module == typeof(Splicer).Module && callee.IsStatic && !callee.IsGenericMethod
            && (callee.MethodImplementationFlags & MethodImplAttributes.AggressiveInlining) != 0;

        /// <summary>A call of another of our inlined methods: its arguments are on the stack already.</summary>
        void Nested(MethodInfo callee)
        {
            ParameterInfo[] parameters = callee.GetParameters();
            Arg[] passed = new Arg[parameters.Length];
            for (int i = parameters.Length - 1; i >= 0; i--)
            {
                LocalBuilder local = owner.Take(parameters[i].ParameterType);
                il.Emit(OpCodes.Stloc, local);
                passed[i] = owner.LocalArg(local);
            }
            owner.Splice(callee, passed, depth + 1);
        }

        static OpCode Long(OpCode code) => code.OperandType != OperandType.ShortInlineBrTarget ? code
            : MethodIl.ByName[code.Name![..^2]];
    }

    ILGenerator GetGenerator() => il;
}
