// Reads the comment above a kernel in a .cu file, in the form that kernels/README.md gives. A header that serves
// several entries has alternatives in braces in its name: attention_fwd_bf16_k{64,80}_w{64,32,16}.
using System.Text.RegularExpressions;

namespace EpSam.Native.Tests.Kernels;

internal sealed partial record KernelHeader(string File, string Name, IReadOnlyDictionary<string, string> Fields)
{
    public static IReadOnlyList<KernelHeader> ReadAll() =>
        [.. Directory.GetFiles(RepositoryRoot.File("kernels"), "*.cu").Order(StringComparer.Ordinal).SelectMany(Read)];

    /// <summary>The args line as kinds: l = pointer or i64, i = i32, f = f32; i32x22 is 22 of them.</summary>
    public string Parameters => string.Concat(Fields["args"].Split(',').Select(a => a.Trim().Split(' ') switch
    {
        [_] or [_, "i64"] => "l",
        [_, "i32"] => "i",
        [_, "f32"] => "f",
        [_, ['i', '3', '2', 'x', .. string count]] => new string('i', int.Parse(count)),
        [_, ['f', '3', '2', 'x', .. string count]] => new string('f', int.Parse(count)),
        _ => throw new InvalidDataException($"{File}: {Name}: args: cannot read '{a}'"),
    }));

    /// <summary>"regs &lt;= 40" of the launch line.</summary>
    public int Number(string field, string pattern) =>
        int.Parse(Regex.Match(Fields[field], pattern) is { Success: true } match
            ? match.Groups[1].Value
            : throw new InvalidDataException($"{File}: {Name}: {field} does not say {pattern}"));

    static IEnumerable<KernelHeader> Read(string path)
    {
        string file = Path.GetFileName(path);
        string[] lines = System.IO.File.ReadAllLines(path);
        for (int i = 0; i < lines.Length; i++)
        {
            if (TitlePattern().Match(lines[i]) is not { Success: true } title) continue;
            Dictionary<string, string> fields = [];
            for (i++; i < lines.Length && lines[i].StartsWith("//"); i++)
                foreach (Match field in FieldPattern().Matches(lines[i]))
                    fields[field.Groups[1].Value] = field.Groups[2].Value.Trim();
            foreach (string name in Expand(title.Groups[1].Value)) yield return new KernelHeader(file, name, fields);
        }
    }

    static IEnumerable<string> Expand(string name)
    {
        int open = name.IndexOf('{');
        if (open < 0) return [name];
        int close = name.IndexOf('}', open);
        return name[(open + 1)..close].Split(',').SelectMany(part => Expand(name[..open] + part + name[(close + 1)..]));
    }

    [GeneratedRegex(@"^// ([a-z0-9_{},]+_(?:fwd|bwd|step)_[a-z0-9_{},]+):")]
    private static partial Regex TitlePattern();

    const string FieldName = "in|out|args|launch|needs|bytes|accuracy|order";

    [GeneratedRegex($"(?:^//   |   )({FieldName}) +(.*?)(?=   +(?:{FieldName}) |$)")]
    private static partial Regex FieldPattern();
}
