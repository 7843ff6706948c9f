// Prints a syntax tree as PTX in one fixed spelling: one space after commas, constants in decimal or 0f/0d hexadecimal.
// What compilers print has the same spelling up to white space, so a source is its own expected dump.
using System.Globalization;
using System.Runtime.CompilerServices;
using EpSam.VirtualGpu.Ptx;

namespace EpSam.VirtualGpu.Tests.Ptx;

internal static class SyntaxDump
{
    public static string Text(PtxStatement statement)
    {
        if (statement.Label is not null)
        {
            return statement.Label + ":";
        }
        string guard = statement.Guard is null ? "" : (statement.GuardNegated ? "@!" : "@") + statement.Guard.Name
            + " ";
        string operands = string.Join(", ", statement.Operands.Select(Text));
        return operands.Length == 0 ? $"{guard}{statement.Text};" : $"{guard}{statement.Text} {operands};";
    }

    public static string Text(PtxOperand operand) => operand.Kind switch
    {
        OperandKind.Register => operand.Register!.Name,
        OperandKind.NegatedPredicate => "!" + operand.Register!.Name,
        OperandKind.Immediate when operand.IsSingle => $"0f{operand.Bits:X8}",
        OperandKind.Immediate when operand.IsFloat => $"0d{operand.Bits:X16}",
        OperandKind.Immediate => ((long)operand.Bits).ToString(CultureInfo.InvariantCulture),
        OperandKind.Symbol => operand.Name + Offset(operand.Offset),
        OperandKind.SpecialRegister or OperandKind.Label => operand.Name!,
        OperandKind.Vector => "{" + string.Join(", ", operand.Elements.Select(Text)) + "}",
        OperandKind.CallList => "(" + string.Join(", ", operand.Elements.Select(Text)) + ")",
        OperandKind.Pair => Text(operand.Elements[0]) + "|" + Text(operand.Elements[1]),
        OperandKind.Sink => "_",
        OperandKind.Address when operand.Register is null && operand.Name is null => $"[{operand.Offset}]",
        OperandKind.Address => $"[{operand.Register?.Name ?? operand.Name}{Offset(operand.Offset)}]",
        _ => throw new InvalidOperationException(),
    };

    static string Offset(long offset) => offset == 0 ? "" : offset.ToString("+0;-0", CultureInfo.InvariantCulture);

    public static string Text(PtxVariable variable) =>
        $"{variable.Space} {variable.Type} {variable.Name} x{variable.Count} align {variable.Align}"
        + (variable.IsArray ? " array" : "") + (variable.IsExternal ? " external" : "")
        + (variable.Initial is null ? "" : " = " + Convert.ToHexString(variable.Initial))
        + string.Concat(variable.Relocations.Select(r =>
            $" @{r.Offset}:{(r.IsGeneric ? "generic " : "")}{r.Symbol}{Offset(r.Addend)}"));

    /// <summary>A body's statements, one a line.</summary>
    public static string Body(PtxFunction function) => string.Join('\n', function.Body.Select(Text));

    /// <summary>The test data beside this file.</summary>
    public static string DataFolder([CallerFilePath] string here = "") =>
        Path.Combine(Path.GetDirectoryName(here)!, "Data");

    public static string Data(string name) => File.ReadAllText(Path.Combine(DataFolder(), name));
}
